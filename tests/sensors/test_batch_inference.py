"""The sensor in each of its modes, against the local Snowflake."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_snowflake_batch.exceptions import JobInputError, SnowflakeBatchError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.sensors.batch_inference import BatchSuccessSensor

LOCATION = "@SENSOR_TESTS/out"
FULL_LOCATION = "@LOCAL.PUBLIC.SENSOR_TESTS/out/"


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run("CREATE OR REPLACE STAGE SENSOR_TESTS")
        yield opened


def sensor(**changes: Any) -> BatchSuccessSensor:
    given = {"task_id": "complete", "stage_location": LOCATION, "poke_interval": 0.2, "timeout": 1}
    return BatchSuccessSensor(**(given | changes))


def test_a_malformed_location_fails_the_parse() -> None:
    with pytest.raises(InvalidJobError, match=r"stage_location: 's3://bucket/x' is not a stage location"):
        sensor(stage_location="s3://bucket/x")
    assert sensor(stage_location="{{ params.where }}").stage_location == "{{ params.where }}"


def test_a_location_that_is_wrong_after_rendering_fails_without_a_retry() -> None:
    task = sensor(stage_location="{{ x }}")
    task.stage_location = "nowhere"
    with pytest.raises(JobInputError, match="stage_location: 'nowhere'"):
        task.execute({})


@pytest.mark.parametrize("deferrable", [False, True])
def test_success_that_is_there_already(hook: SnowflakeBatchHook, deferrable: bool) -> None:
    hook.write_file(f"{LOCATION}/_SUCCESS", b"")
    assert sensor(deferrable=deferrable).execute({}) == FULL_LOCATION


def test_poke_mode_waits(hook: SnowflakeBatchHook) -> None:
    later = threading.Timer(0.5, hook.write_file, (f"{LOCATION}/_SUCCESS", b""))
    later.start()
    assert sensor(timeout=30).execute({}) == FULL_LOCATION
    later.join()


def test_poke_mode_gives_up(hook: SnowflakeBatchHook) -> None:
    hook.write_file(f"{LOCATION}/part-0.parquet", b"not complete")
    with pytest.raises(AirflowSensorTimeout):
        sensor().execute({})
    with pytest.raises(AirflowSkipException):
        sensor(soft_fail=True).execute({})


def test_deferral_hands_everything_on(hook: SnowflakeBatchHook) -> None:
    before = time.time()
    with pytest.raises(TaskDeferred) as deferred:
        sensor(deferrable=True, timeout=300, role="SYSADMIN", poke_interval=7).execute({})
    _, arguments = deferred.value.trigger.serialize()
    assert before + 300 <= arguments.pop("deadline") <= time.time() + 300
    assert arguments == {
        "stage_location": FULL_LOCATION,
        "snowflake_conn_id": "snowflake_default",
        "poll_interval": 7,
        "warehouse": None,
        "database": None,
        "schema": None,
        "role": "SYSADMIN",
    }
    assert deferred.value.method_name == "execute_complete"


def test_what_the_trigger_reports() -> None:
    task = sensor()
    assert task.execute_complete({}, {"status": "success", "stage_location": FULL_LOCATION}) == FULL_LOCATION
    with pytest.raises(AirflowSensorTimeout, match="no _SUCCESS yet. Gave up after 1 s"):
        task.execute_complete({}, {"status": "timeout", "message": "@A.B.C/out/ has no _SUCCESS yet."})
    with pytest.raises(SnowflakeBatchError, match="no network"):
        task.execute_complete({}, {"status": "error", "message": "no network"})


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_missing_stage_fails_at_once_or_skips(snowflake_connection: str, deferrable: bool) -> None:
    missing = {"stage_location": "@NO_SUCH_STAGE/x", "deferrable": deferrable, "timeout": 60}
    with pytest.raises(JobInputError, match="NO_SUCH_STAGE"):
        sensor(**missing).execute({})
    for option in ("soft_fail", "never_fail"):
        with pytest.raises(AirflowSkipException):
            sensor(**missing, **{option: True}).execute({})
