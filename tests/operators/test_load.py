"""Loading results into tables, against the local Snowflake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_snowflake_batch.exceptions import JobInputError, SnowflakeBatchError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator

LOCATION = "@LOAD_TESTS/job"


@pytest.fixture
def hook(snowflake_connection: str, tmp_path: Path) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run(["CREATE OR REPLACE STAGE LOAD_TESTS", "DROP TABLE IF EXISTS SCORES"])
        for number, rows in enumerate(([1, 2], [3])):
            table = pa.table({"ID": rows, "score": [row / 2 for row in rows], "label": [f"l{row}" for row in rows]})
            pq.write_table(table, tmp_path / "part.parquet")
            opened.write_file(f"{LOCATION}/part-{number}.parquet", (tmp_path / "part.parquet").read_bytes())
            opened.write_file(f"{LOCATION}/_quarantine/part-{number}.parquet", (tmp_path / "part.parquet").read_bytes())
        opened.write_file(f"{LOCATION}/_manifest.json", json.dumps({"rows": 3}).encode())
        opened.write_file(f"{LOCATION}/_SUCCESS", b"")
        yield opened


def load(**changes: Any) -> dict[str, Any]:
    given = {"task_id": "load", "stage_location": LOCATION, "table": "scores"}
    return LoadBatchResultsOperator(**(given | changes)).execute({})


def scores(hook: SnowflakeBatchHook) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in hook.rows("SELECT ID, SCORE, LABEL FROM SCORES ORDER BY ID")]


ROWS = [(1, 0.5, "l1"), (2, 1.0, "l2"), (3, 1.5, "l3")]


def test_a_missing_table_is_created_and_only_data_is_loaded(hook: SnowflakeBatchHook) -> None:
    assert load() == {"table": "LOCAL.PUBLIC.SCORES", "rows": 3, "files": 2}
    assert scores(hook) == ROWS


def test_the_outlets_event_tells_what_was_loaded(hook: SnowflakeBatchHook) -> None:
    table, events = Asset("scores"), OutletEventAccessors()
    task = LoadBatchResultsOperator(task_id="load", stage_location=LOCATION, table="scores", outlets=[table])
    task.execute({"outlet_events": events})
    assert events[table].extra == {
        "table": "LOCAL.PUBLIC.SCORES",
        "rows": 3,
        "files": 2,
        "output_location": "@LOCAL.PUBLIC.LOAD_TESTS/job/",
    }


def test_appending_twice_loads_once(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE TABLE SCORES (ID INT, SCORE FLOAT, LABEL STRING, NOTE STRING)")
    hook.run("INSERT INTO SCORES VALUES (0, 0, 'l0', 'kept')")
    load()
    assert load() == {"table": "LOCAL.PUBLIC.SCORES", "rows": 0, "files": 0}
    assert scores(hook) == [(0, 0.0, "l0"), *ROWS]


def test_overwriting_replaces_every_row_as_often_as_asked(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE TABLE SCORES (ID INT, SCORE FLOAT, LABEL STRING)")
    hook.run("INSERT INTO SCORES VALUES (0, 0, 'old')")
    for _ in range(2):
        assert load(mode="overwrite")["rows"] == 3
        assert scores(hook) == ROWS


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_rows_that_the_manifest_does_not_know_leave_the_table_as_it_was(hook: SnowflakeBatchHook, mode: str) -> None:
    hook.run("CREATE TABLE SCORES (ID INT, SCORE FLOAT, LABEL STRING)")
    hook.run("INSERT INTO SCORES VALUES (0, 0, 'old')")
    hook.write_file(f"{LOCATION}/_manifest.json", json.dumps({"rows": 4}).encode())
    with pytest.raises(SnowflakeBatchError, match="has 4 rows by its manifest, but 3 were loaded"):
        load(mode=mode)
    assert scores(hook) == [(0, 0.0, "old")]


def test_without_success_nothing_is_loaded(hook: SnowflakeBatchHook) -> None:
    hook.remove_files(f"{LOCATION}/_SUCCESS")
    with pytest.raises(SnowflakeBatchError, match="has no _SUCCESS: its files are not complete"):
        load()
    assert hook.rows("SHOW TABLES LIKE 'SCORES'") == []


def test_without_a_manifest_there_is_nothing_to_compare(hook: SnowflakeBatchHook) -> None:
    hook.remove_files(f"{LOCATION}/_manifest.json")
    assert load()["rows"] == 3


def test_bad_input() -> None:
    for changes, message in (
        ({"stage_location": "job/"}, "stage_location: 'job/'"),
        ({"table": "a b"}, "table: 'a b'"),
        ({"mode": "merge"}, "mode: 'merge' is not one of append, overwrite"),
    ):
        with pytest.raises(InvalidJobError, match=message):
            LoadBatchResultsOperator(**{"task_id": "t", "stage_location": LOCATION, "table": "t"} | changes)


def test_what_a_template_brings_is_checked(hook: SnowflakeBatchHook) -> None:
    task = LoadBatchResultsOperator(task_id="t", stage_location=LOCATION, table="{{ t }}")
    task.table = "scores; DROP TABLE x"
    with pytest.raises(JobInputError, match="table: "):
        task.execute({})
