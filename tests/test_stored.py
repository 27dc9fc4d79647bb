"""What earlier versions have stored is read by this one, and what this one stores by the next.

``tests/stored/<version>`` holds what that version wrote, as it wrote it. A file there is never changed once the version
is out; a new version that stores something else gets a folder of its own, with what is new or other in it.
"""

from __future__ import annotations

import inspect
import json
import os
import pydoc
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.dataset as ds
import pytest

from airflow_provider_snowflake_batch.contract.progress import ReplicaState
from airflow_provider_snowflake_batch.hooks.results import JobResult
from airflow_provider_snowflake_batch.jobs.card import JobCard
from airflow_provider_snowflake_batch.jobs.example_rows import readable_example_rows, told_example_rows
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.kinds import parse_job
from airflow_provider_snowflake_batch.jobs.logs import LogWindow, Progress
from airflow_provider_snowflake_batch.jobs.sent_statement import readable_statement, told_statement
from airflow_provider_snowflake_batch.jobs.sources import JobOutput, parse_source
from airflow_provider_snowflake_batch.jobs.successes import SeenSuccesses
from airflow_provider_snowflake_batch.jobs.unload import Unload, UnloadedFile
from airflow_provider_snowflake_batch.jobs.waiting_mark import still_waits, waiting_mark
from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords
from airflow_provider_snowflake_batch.triggers.asset_memory import AssetMemory

VERSIONS = sorted(path for path in (Path(__file__).parent / "stored").iterdir() if path.is_dir())
TRIGGERS = ["batch_job_trigger", "batch_success_sensor_trigger", "batch_success_trigger"]


def every_version_with(name: str) -> pytest.MarkDecorator:
    """Of a kind of file, those of every version that stores it otherwise than the one before."""
    found = [version for version in VERSIONS if (version / name).exists()]
    assert found
    return pytest.mark.parametrize("version", found, ids=lambda path: path.name)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def stored_trigger(version: Path, name: str) -> Any:
    stored = read(version / f"{name}.json")
    trigger_class: Any = pydoc.locate(stored["classpath"])
    return trigger_class(**stored["kwargs"])


@pytest.mark.parametrize(
    ("version", "name"),
    [(version, name) for version in VERSIONS for name in TRIGGERS if (version / f"{name}.json").exists()],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_trigger_goes_on_in_this_version(version: Path, name: str) -> None:
    stored = read(version / f"{name}.json")
    trigger = stored_trigger(version, name)

    classpath, kwargs = trigger.serialize()

    assert classpath == stored["classpath"]
    assert type(trigger)(**kwargs).serialize() == (classpath, kwargs)
    # A triggerer of that version may take it over again, and refuses arguments that it does not know.
    assert set(kwargs) <= set(stored["kwargs"])
    assert {name: stored["kwargs"][name] for name in kwargs} == kwargs


@pytest.mark.parametrize("name", ["batch_job_trigger", "batch_success_sensor_trigger"])
def test_a_trigger_is_stored_without_what_is_at_its_default(name: str) -> None:
    """An older triggerer refuses arguments that it does not know, also those that nobody has asked for."""
    trigger = stored_trigger(VERSIONS[0], name)
    parameters = inspect.signature(type(trigger)).parameters.values()
    needed = {one.name for one in parameters if one.default is one.empty and one.kind is one.KEYWORD_ONLY}

    given = {name: value for name, value in trigger.serialize()[1].items() if name in needed}
    _, kwargs = type(trigger)(**given, poll_interval=5).serialize()

    assert set(kwargs) == needed | {"poll_interval", "snowflake_conn_id"}


@every_version_with("asset_memory.json")
def test_a_watcher_finds_what_it_has_told_of(version: Path) -> None:
    stored = read(version / "asset_memory.json")
    trigger = stored_trigger(version, "batch_success_trigger")
    trigger.asset_state_store = SimpleNamespace()

    assert AssetMemory(trigger)._key == stored["key"]
    assert SeenSuccesses.from_dict(stored["value"]).to_dict() == stored["value"]


@every_version_with("job_record.json")
def test_a_task_goes_on_with_the_job_that_it_recorded(version: Path) -> None:
    stored = read(version / "job_record.json")
    values: dict[str, Any] = {"snowflake_batch_job": stored["record"]}
    store = SimpleNamespace(get=values.get, set=values.__setitem__)

    record = JobRecords(store, SimpleNamespace(max_tries=0, task=None)).load()

    assert record == JobRecord(**stored["record"])
    job = parse_job(name=record.job_name, **stored["job"]).qualify("ML", "PUBLIC")
    assert record.is_of(job)


@every_version_with("job_card.json")
def test_a_card_is_shown(version: Path) -> None:
    stored = read(version / "job_card.json")

    card = JobCard.from_dict(stored)

    assert {name: value for name, value in card.to_dict().items() if name in stored} == stored


@every_version_with("sent_statement.json")
def test_the_statement_of_a_job_is_shown(version: Path) -> None:
    stored = read(version / "sent_statement.json")

    assert stored == {"job_name": stored["job_name"], **told_statement(stored["statement"])}
    assert readable_statement(stored["statement"]) == stored["statement"]


@every_version_with("example_rows.json")
def test_a_few_rows_of_the_results_are_shown(version: Path) -> None:
    stored = read(version / "example_rows.json")
    job_name, left_out = stored["job_name"], stored["columns_left_out"]

    told = told_example_rows(stored["columns"], stored["rows"], columns_left_out=left_out)

    assert stored == {"job_name": job_name, **told}
    assert readable_example_rows(stored, job_name) == {**told, "no_rows": None}


@every_version_with("waiting_mark.json")
def test_a_trigger_sees_which_job_its_task_waits_for(version: Path) -> None:
    stored = read(version / "waiting_mark.json")

    assert waiting_mark(**stored) == stored
    assert still_waits(stored["job_name"], state="deferred", mark=stored, card=None)
    assert not still_waits("ML.PUBLIC.ANOTHER", state="deferred", mark=stored, card=None)


@every_version_with("log_position.json")
def test_a_log_is_shown_from_where_it_was_left(version: Path) -> None:
    (position,) = read(version / "log_position.json").values()

    window = LogWindow.resume(position)

    assert window.position == position
    assert window.advance("model loaded\n500 of 900 rows\n900 of 900 rows\n") == ["900 of 900 rows"]


@every_version_with("unload.json")
def test_rows_that_an_earlier_try_has_unloaded_are_found(version: Path) -> None:
    stored = (version / "unload.json").read_text(encoding="utf-8")

    found = Unload.parse(stored.encode())

    assert found is not None
    assert found.files == (UnloadedFile("data_01b8c9d2-0000-1111-0000-000000000001_0_0_0.snappy.parquet", 900, 4096),)
    assert found.columns == (("ID", "NUMBER(38,0)"), ("SCAN", "VARCHAR"))
    assert found.fingerprint == read(version / "job_record.json")["record"]["fingerprint"]
    assert json.loads(found.to_json()) == json.loads(stored)


@every_version_with("task_result.json")
def test_a_result_of_another_task_is_input(version: Path) -> None:
    stored = read(version / "task_result.json")

    assert JobResult(**stored).to_dict() == stored
    assert parse_source(stored) == JobOutput(StagePath.parse(stored["output_location"], field="X"))


@every_version_with("progress.log")
def test_progress_is_understood(version: Path) -> None:
    (line,) = (version / "progress.log").read_text(encoding="utf-8").splitlines()

    told = Progress.parse(line)

    assert told == Progress(0, "running", 500, 900, 93.0, 4.3, replicas=2, quarantined_rows=1)
    total = Progress.total([told])
    assert total is not None
    assert total.by_replica is not None
    assert [one.state for one in total.by_replica.each] == [ReplicaState.RUNNING, ReplicaState.LATE]


def run_worker(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "airflow_provider_snowflake_batch.worker", *map(str, arguments)]
    # The driver sets it in this process (snowflake/connector/options.py); a container has none.
    environment = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


@every_version_with("finished")
def test_a_finished_job_is_verified_and_left_as_it_is(version: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(version / "finished", tmp_path / "job")
    results = folder / "results"
    before = {path.name: path.read_bytes() for path in results.iterdir() if path.is_file()}

    assert run_worker("verify", results).stdout == "1 files, 10 rows: as the manifest says\n"
    done = run_worker(folder / "JOB.json")

    assert done.returncode == 0, done.stderr
    rows = ds.dataset(results, format="parquet").to_table().sort_by("ID").to_pylist()
    assert [row["ID"] for row in rows] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
    assert all(row["Y"] == row["X"] * 2 for row in rows)
    assert {name for name in before if name.startswith("_")} <= {path.name for path in results.iterdir()}


@every_version_with("killed")
def test_a_killed_job_is_finished(version: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(version / "killed", tmp_path / "job")

    done = run_worker(folder / "JOB.json")

    assert done.returncode == 0, done.stderr
    assert ds.dataset(folder / "results", format="parquet").to_table()["Y"].value_counts().to_pylist() == [
        {"values": False, "counts": 65536},
        {"values": True, "counts": 65536},
    ]
    assert run_worker("verify", folder / "results").returncode == 0
