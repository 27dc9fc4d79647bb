"""What tasks and triggers hand on, through the serialisers that Airflow sends it by."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.comms import SetXCom
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.triggers.base import DiscrimatedTriggerEvent, TriggerEvent
from pydantic import TypeAdapter

from airflow_provider_snowflake_batch.hooks.loading import LoadResult
from airflow_provider_snowflake_batch.hooks.results import JobResult, collect_result
from airflow_provider_snowflake_batch.jobs.card import JobCard
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.logs import PROGRESS_PREFIX, Progress
from airflow_provider_snowflake_batch.jobs.status import JobInfo
from airflow_provider_snowflake_batch.jobs.waiting_mark import waiting_mark
from airflow_provider_snowflake_batch.operators.base import describe_outlets
from airflow_provider_snowflake_batch.operators.ended_job import EndedJob
from airflow_provider_snowflake_batch.operators.job_card import TaskCard
from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator

CARD = JobCard("D.S.J", "RUNNING", "P", 1, "@D.S.R/J/", 10.0, 1)


def through_xcom(value: Any) -> Any:
    """As a task pushes it and another one pulls it: a value that is no JSON fails the task here."""
    sent = SetXCom(
        key="k", value=BaseXCom.serialize_value(value), dag_id="d", run_id="r", task_id="t", map_index=-1
    ).model_dump_json()
    json.loads(sent, parse_constant=pytest.fail)
    return BaseXCom.deserialize_value(SimpleNamespace(value=json.loads(sent)["value"]))


def through_event(value: Any) -> Any:
    adapter = TypeAdapter(DiscrimatedTriggerEvent)
    return adapter.validate_json(adapter.dump_json(TriggerEvent(value))).payload


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"many"', "null", "true", "[1]"])
def test_a_progress_line_of_a_job_without_rows_or_time(number: str) -> None:
    line = PROGRESS_PREFIX + (
        f'{{"replica": 0, "phase": "done", "rows_done": 0, "rows_total": 0, "rows_per_second": {number}, '
        f'"eta_seconds": {number}}}'
    )
    told = Progress.total([progress]) if (progress := Progress.parse(line)) else None
    assert told == Progress(0, "done", 0, 0)
    assert told.sentence() == "done"
    card = CARD.seen(JobInfo.from_row({"database_name": "D", "schema_name": "S", "name": "J", "status": "DONE"}), 11.0)
    for stored in (card.to_dict(), CARD.seen(_info("RUNNING"), 11.0, told).to_dict()):
        assert through_xcom(stored) == stored


def _info(status: str, **times: Any) -> JobInfo:
    return JobInfo.from_row({"database_name": "D", "schema_name": "S", "name": "J", "status": status, **times})


class Hook:
    """A stage whose directory holds a manifest."""

    def __init__(self, manifest: bytes) -> None:
        self._manifest = manifest

    def list_files(self, directory: StagePath) -> list[Any]:
        names = ("_SUCCESS", "_manifest.json", "a.parquet")
        return [SimpleNamespace(path=directory.path + name, size=1) for name in names]

    def read_file(self, _: StagePath) -> bytes:
        return self._manifest


RESULTS = StagePath.parse("@D.S.R/J/", field="x")


@pytest.mark.parametrize(
    "manifest", [b'{"rows": NaN}', b'{"rows": 1e999}', b'{"rows": "3"}', b"{}", b"[]", b"\xff", b'{"rows": true}']
)
def test_a_manifest_that_tells_no_rows_fails_no_task_that_is_done(manifest: bytes) -> None:
    result = collect_result(Hook(manifest), JobResult("D.S.J", "DONE", "@D.S.R/J/"), RESULTS)  # type: ignore[arg-type]
    assert (result.rows, result.files) == (None, 1)
    assert "_manifest.json of the results cannot be read" in result.warnings[0]
    assert through_xcom(result.to_dict()) == result.to_dict()


def test_a_manifest_of_no_rows() -> None:
    hook: Any = Hook(b'{"rows": 0, "warnings": ["w", 1], "quarantined_rows": 2}')
    result = collect_result(hook, JobResult("D.S.J", "DONE", "@D.S.R/J/"), RESULTS)
    assert (result.rows, result.warnings) == (0, ["w", "1", "2 row(s) failed and were put aside."])


@pytest.mark.parametrize(
    ("manifest", "reused"),
    [
        (b'{"rows": 9, "job_name": "D.S.J"}', 0),
        (b'{"rows": 9, "job_name": "D.S.J", "rows_reused": 4}', 4),
        # It has found everything done by an earlier job, and has left that one's manifest.
        (b'{"rows": 9, "job_name": "D.S.EARLIER", "rows_reused": 4, "quarantined_rows": 1}', 10),
    ],
)
def test_rows_kept_from_earlier_tries(manifest: bytes, reused: int) -> None:
    result = collect_result(Hook(manifest), JobResult("D.S.J", "DONE", "@D.S.R/J/"), RESULTS)  # type: ignore[arg-type]
    assert result.rows_reused == reused


@pytest.mark.parametrize(
    ("begun", "ended", "seconds"),
    [
        ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00", 0.0),
        ("2026-01-01T00:00:01+00:00", "2026-01-01T00:00:00+00:00", 0.0),
        ("2026-01-01T00:00:00-08:00", "2026-01-01T08:00:02+00:00", 2.0),
    ],
)
def test_a_job_that_takes_no_time(begun: str, ended: str, seconds: float) -> None:
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(try_number=1, xcom_push=lambda key, value: pushed.update({key: through_xcom(value)}))
    record = JobRecord("D.S.J", "@D.S.R/J/", 1.0)
    context: Any = {"ti": ti}
    job = EndedJob(context, Hook(b'{"rows": 0}'), JobRecords(None, ti), record, TaskCard(context, CARD))  # type: ignore[arg-type]
    result = job.collect(_info("DONE", created_on=begun, updated_on=ended), drop=False, streamed=True).to_dict()
    assert result["seconds"] == seconds
    assert through_xcom(result) == through_event(result) == result
    assert pushed["snowflake_batch_job"]["progress"]["rows_total"] == 0


@pytest.mark.parametrize(
    ("manifest", "output"),
    [
        # Of three files in the directory, two of which are no data.
        (b'{"rows": 7}', {"files": 1, "bytes": 1, "columns": None, "columns_left_out": 0}),
        (
            b'{"rows": 7, "files": [{"name": "a", "bytes": 9}], "schema": [{"name": "ID", "type": "int64"}]}',
            {"files": 1, "bytes": 9, "columns": [["ID", "int64"]], "columns_left_out": 0},
        ),
    ],
)
def test_a_card_ends_with_what_the_job_has_written(manifest: bytes, output: dict[str, Any]) -> None:
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(try_number=1, xcom_push=lambda key, value: pushed.update({key: through_xcom(value)}))
    context: Any = {"ti": ti}
    hook: Any = Hook(manifest)
    job = EndedJob(context, hook, JobRecords(None, ti), JobRecord("D.S.J", "@D.S.R/J/", 1.0), TaskCard(context, CARD))
    result = job.collect(_info("DONE"), drop=False, streamed=True).to_dict()
    assert pushed["snowflake_batch_job"]["output"] == output
    assert not {"bytes", "columns"} & set(result), "each of its keys is an XCom"


def test_a_card_ends_with_the_bad_rows_of_the_manifest() -> None:
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(try_number=1, xcom_push=lambda key, value: pushed.update({key: through_xcom(value)}))
    context: Any = {"ti": ti}
    # The last line of a log may be missed, or be that of a job which has found everything done.
    running = replace(CARD, progress={"rows_done": 7, "quarantined_rows": 0})
    hook: Any = Hook(b'{"rows": 7, "quarantined_rows": 2}')
    record, card = JobRecord("D.S.J", "@D.S.R/J/", 1.0), TaskCard(context, running)
    result = EndedJob(context, hook, JobRecords(None, ti), record, card).collect(
        _info("DONE"), drop=False, streamed=True
    )
    assert pushed["snowflake_batch_job"]["progress"]["quarantined_rows"] == 2
    assert "quarantined_rows" not in result.to_dict(), "each of its keys is an XCom"


def test_all_else_that_is_stored() -> None:
    for value in (LoadResult("T", 3, 1).to_dict(), waiting_mark("D.S.J", "@D.S.R/J/", 1.5), CARD.to_dict()):
        assert through_xcom(value) == value
    outlet, events = Asset("a"), OutletEventAccessors()
    task = LoadBatchResultsOperator(task_id="t", stage_location="@D.S.R/J/", table="T", outlets=[outlet])
    context: Any = {"outlet_events": events}
    describe_outlets(task, context, {"rows": math.nan, "version": None})
    assert events[outlet].extra == {"rows": None, "version": None}


@pytest.mark.parametrize(
    "stored",
    [
        {"job_name": "D.S.J"},
        {**CARD.to_dict(), "progress": "half"},
        {**CARD.to_dict(), "submitted_at": math.nan},
        {**CARD.to_dict(), "replicas": "1"},
        ["D.S.J"],
        "D.S.J",
        None,
    ],
)
def test_what_is_no_card_is_not_taken_for_one(stored: Any) -> None:
    assert JobCard.read(stored) is None
    assert JobCard.read({**CARD.to_dict(), "later": 1}) == CARD
