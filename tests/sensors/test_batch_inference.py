"""The sensor in each of its modes, against the local Snowflake.

Also tests ``hooks/success.py``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import (
    AirflowNotFoundException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_snowflake_batch.exceptions import JobFailedError, JobInputError, SnowflakeBatchError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.job import ContainerJob, generate_job_name
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.sensors.batch_inference import BatchSuccessSensor
from airflow_provider_snowflake_batch.triggers.batch_inference import BatchSuccessSensorTrigger
from tests.local_faults import faults_of

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


@pytest.mark.parametrize("how", [{}, {"mode": "reschedule"}, {"deferrable": True}, {"silent_fail": True}])
def test_a_connection_that_is_not_there_is_told_at_once(how: dict[str, Any]) -> None:
    with pytest.raises(AirflowNotFoundException, match="no Airflow connection no_such, .* snowflake_conn_id"):
        sensor(snowflake_conn_id="no_such", timeout=3600, **how).execute({})


def test_a_dags_default_args_reach_it() -> None:
    with DAG("d", default_args={"snowflake_conn_id": "other", "poke_interval": 7, "role": "R"}):
        task = BatchSuccessSensor(task_id="complete", stage_location=LOCATION)
    assert (task.snowflake_conn_id, task.poke_interval, task.role, task.warehouse) == ("other", 7, "R", None)


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


def test_reschedule_mode_frees_the_slot_between_looks(hook: SnowflakeBatchHook) -> None:
    class TaskInstance:
        def get_first_reschedule_date(self, context: Any) -> None:
            return None

    task = sensor(mode="reschedule", timeout=300, poke_interval=60)
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        task.execute({"ti": TaskInstance()})
    assert 50 < (rescheduled.value.reschedule_date - datetime.now(UTC)).total_seconds() <= 60
    hook.write_file(f"{LOCATION}/_SUCCESS", b"")
    assert task.execute({"ti": TaskInstance()}) == FULL_LOCATION


def test_deferral_hands_everything_on(hook: SnowflakeBatchHook) -> None:
    class TaskInstance:
        start_date = datetime.now(UTC)

    task = sensor(
        deferrable=True, timeout=300, role="SYSADMIN", poke_interval=7, exponential_backoff=True,
        max_wait=timedelta(minutes=1), silent_fail=True, execution_timeout=timedelta(minutes=2),
    )  # fmt: skip
    before = time.time()
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({"ti": TaskInstance()})
    _, arguments = deferred.value.trigger.serialize()
    assert before + 300 <= arguments.pop("deadline") <= time.time() + 300
    assert arguments.pop("execution_deadline") == TaskInstance.start_date.timestamp() + 120
    assert arguments == {
        "stage_location": FULL_LOCATION,
        "exponential_backoff": True,
        "max_wait": 60,
        "silent_fail": True,
        "snowflake_conn_id": "snowflake_default",
        "poll_interval": 7,
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
    with pytest.raises(JobInputError, match="no such stage"):
        task.execute_complete({}, {"status": "refused", "message": "no such stage"})


@pytest.mark.parametrize("soft", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
def test_an_execution_timeout_holds_while_the_sensor_is_deferred(
    hook: SnowflakeBatchHook, soft: dict[str, bool]
) -> None:
    class TaskInstance:
        start_date = datetime.now(UTC)

    task = sensor(deferrable=True, timeout=300, execution_timeout=timedelta(seconds=1), **soft)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({"ti": TaskInstance()})
    payload = asyncio.run(event_of(deferred.value.trigger))
    assert payload["status"] == "execution_timeout"
    with pytest.raises(AirflowSkipException if soft else AirflowTaskTimeout):
        task.resume_execution("execute_complete", {"event": payload}, {})


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_silent_failure_means_looking_on(
    hook: SnowflakeBatchHook, local_server: LocalServer, deferrable: bool
) -> None:
    """What the base class offers for the looks of its own loop, in the triggerer, too."""
    job = failing_job(hook)
    task = sensor(job_name=str(job.name), deferrable=deferrable, timeout=60, silent_fail=True)
    later = threading.Timer(1, hook.write_file, (f"{LOCATION}/_SUCCESS", b""))
    later.start()
    if deferrable:
        with pytest.raises(TaskDeferred) as deferred:
            task.execute({})
        assert asyncio.run(event_of(deferred.value.trigger))["status"] == "success"
    else:
        assert task.execute({}) == FULL_LOCATION
    later.join()


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_last_file_of_a_job_that_is_done_may_show_up_late(
    hook: SnowflakeBatchHook, local_server: LocalServer, deferrable: bool
) -> None:
    """A job writes through a stage volume: others see its files some time after they are closed."""
    job = ended_job(hook, "pass")
    task = sensor(job_name=str(job.name), deferrable=deferrable, timeout=60)
    with faults_of(local_server) as faults:
        hook.write_file(f"{LOCATION}/_SUCCESS", b"")
        faults.add("stage-lag", seconds=4)
        if deferrable:
            with pytest.raises(TaskDeferred) as deferred:
                task.execute({})
            assert asyncio.run(event_of(deferred.value.trigger))["status"] == "success"
        else:
            assert task.execute({}) == FULL_LOCATION


async def event_of(trigger: BatchSuccessSensorTrigger) -> dict[str, Any]:
    return (await anext(trigger.run())).payload


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_missing_stage_fails_at_once_or_skips(snowflake_connection: str, deferrable: bool) -> None:
    missing = {"stage_location": "@NO_SUCH_STAGE/x", "deferrable": deferrable, "timeout": 60}
    with pytest.raises(JobInputError, match="NO_SUCH_STAGE"):
        sensor(**missing).execute({})
    for option in ("soft_fail", "never_fail"):
        with pytest.raises(AirflowSkipException):
            sensor(**missing, **{option: True}).execute({})


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_stale_success_does_not_count(hook: SnowflakeBatchHook, deferrable: bool) -> None:
    hook.write_file(f"{LOCATION}/_SUCCESS", b"")
    now = datetime.now(UTC)
    assert sensor(newer_than=now - timedelta(minutes=1), deferrable=deferrable).execute({}) == FULL_LOCATION
    assert sensor(newer_than=str(now - timedelta(minutes=1)), deferrable=deferrable).execute({}) == FULL_LOCATION
    waiting = sensor(newer_than=now + timedelta(minutes=1), deferrable=deferrable)
    with pytest.raises(TaskDeferred if deferrable else AirflowSensorTimeout):
        waiting.execute({})


def test_what_is_no_time_fails_the_parse() -> None:
    with pytest.raises(InvalidJobError, match="newer_than: 'yesterday' is not an ISO 8601 time"):
        sensor(newer_than="yesterday")
    with pytest.raises(InvalidJobError, match="newer_than: 2026-11-22 00:00:00 lacks its time zone"):
        sensor(newer_than=datetime(2026, 11, 22))


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_job_that_has_failed_ends_the_wait(hook: SnowflakeBatchHook, deferrable: bool) -> None:
    job = failing_job(hook)
    waiting = {"job_name": str(job.name), "deferrable": deferrable, "timeout": 300}
    with pytest.raises(JobFailedError, match=r"ended as FAILED without _SUCCESS in @LOCAL\.PUBLIC\.SENSOR_TESTS/out/"):
        sensor(**waiting).execute({})
    for option in ("soft_fail", "never_fail"):
        with pytest.raises(AirflowSkipException):
            sensor(**waiting, **{option: True}).execute({})
    hook.write_file(f"{LOCATION}/_SUCCESS", b"")
    assert sensor(**waiting).execute({}) == FULL_LOCATION


def test_the_trigger_tells_that_the_job_has_failed(hook: SnowflakeBatchHook) -> None:
    job = failing_job(hook)
    trigger = BatchSuccessSensorTrigger(
        stage_location=FULL_LOCATION,
        deadline=time.time() + 60,
        job_name=str(job.name),
        poll_interval=1,
        snowflake_conn_id="snowflake_default",
    )
    payload = asyncio.run(event_of(trigger))
    assert payload["status"] == "failed"
    with pytest.raises(JobFailedError, match="ended as FAILED without _SUCCESS.* airflow snowflake-batch logs "):
        sensor().execute_complete({}, payload)
    with pytest.raises(AirflowSkipException):
        sensor(soft_fail=True).resume_execution("execute_complete", {"event": payload}, {})


def test_a_job_that_is_not_there_yet_is_waited_for(hook: SnowflakeBatchHook) -> None:
    with pytest.raises(AirflowSensorTimeout):
        sensor(job_name="NOT_YET").execute({})


def failing_job(hook: SnowflakeBatchHook) -> ContainerJob:
    return ended_job(hook, "raise SystemExit(1)")


def ended_job(hook: SnowflakeBatchHook, program: str) -> ContainerJob:
    pool = Identifier("SENSOR_TESTS")
    hook.run(f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S")
    container = {"name": "main", "image": "/db/schema/repo/image:1", "command": ["python", "-c", program]}
    job = ContainerJob(
        name=hook.qualify_name(generate_job_name("sensor")),
        compute_pool=pool,
        specification={"spec": {"containers": [container]}},
    )
    hook.wait(job.name, query_id=hook.submit(job), deadlines=Deadlines.within(60))
    return job
