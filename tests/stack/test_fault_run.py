"""A whole Dag run while every fifth request to Snowflake fails."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_stack import AirflowStack
from tests.local_faults import faults_of
from tests.stack.holding import assert_nothing_left

pytestmark = pytest.mark.slow

# Of all requests, logins included; together a fifth. 390112 ends a token, 390104 the session.
FAULTS = [
    *({"kind": "http-error", "status": status, "probability": 0.045} for status in (429, 500, 503)),
    {"kind": "drop", "probability": 0.025},
    {"kind": "drop-answer", "probability": 0.025},
    {"kind": "expire", "code": 390112, "probability": 0.01},
    {"kind": "expire", "code": 390104, "probability": 0.01},
]


PATIENT = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "600",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "600",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "100",
}


@pytest.fixture
def patient_airflow(airflow: AirflowStack) -> Iterator[AirflowStack]:
    """Airflow that gives up no task because a machine with two cores is slow while twenty tasks start at once.

    Heartbeats of tasks come late then, or fail as SQLite is locked. The heartbeat of the scheduler comes late, too. A
    scheduler whose heartbeat is older than the threshold takes itself for dead and gives all tasks a second try.
    """
    airflow.kill("scheduler")
    airflow.start("scheduler", settings=PATIENT)
    airflow.wait_until_healthy()
    yield airflow
    airflow.kill("scheduler")
    airflow.start("scheduler")
    airflow.wait_until_healthy()


@pytest.mark.timeout(800)
def test_twenty_jobs_succeed_while_a_fifth_of_all_requests_fails(
    patient_airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer
) -> None:
    airflow = patient_airflow
    prefix = f"FAULTS_{secrets.token_hex(4).upper()}"
    tasks = [f"score_{mode}[{index}]" for mode in ("deferred", "in_slot") for index in range(10)]
    with faults_of(local_server) as faults:
        for seed, fault in enumerate(FAULTS):
            faults.add(**fault, seed=seed)
        pending = faults.add("pending", job=prefix)
        run = airflow.trigger("faults", {"prefix": prefix})
        wait_until_deferred(airflow, run, [task for task in tasks if task.startswith("score_deferred")])
        faults.clear(pending)
        state = airflow.wait_for_run(run, timeout=600)
        fired = [fault["fired"] for fault in faults.all()]
    assert state == "success", airflow.failures(run)
    assert all(fired), fired
    assert sum(fired) > 100
    results = [airflow.xcom(run, task) for task in tasks]
    jobs = hook.list_jobs(like=f"{prefix}%")
    assert {job.name for job in jobs} == {result["job_name"] for result in results}
    assert [job.reported_status for job in jobs] == ["DONE"] * 20
    again = [task for task, result in zip(tasks, results, strict=True) if result["attempt"] != 1]
    events = airflow.events(run)
    assert len([event for event in events if " running: " in event]) >= len(tasks), events
    assert not again, (events, {task: airflow.task_log(run, task, 1)[-4000:] for task in again})
    assert {(result["rows"], result["attempt"]) for result in results} == {(1, 1)}
    assert_nothing_left(airflow, local_server)


def wait_until_deferred(airflow: AirflowStack, run: str, tasks: list[str], timeout: float = 300) -> None:
    """Wait until these tasks are deferred and the scheduler knows that their processes have ended.

    Airflow 3.3 with the LocalExecutor fails a task whose trigger fires before that: the scheduler then takes the end of
    the first process for that of the second, which it has just queued.
    """
    for task in tasks:
        airflow.wait_for_task(run, task, "deferred", timeout)
    ended = re.compile(rf"TaskInstance Finished: dag_id=faults, task_id=score_deferred, run_id={run}, map_index=(\d+),")
    deadline = time.monotonic() + timeout
    while len(seen := set(ended.findall((airflow.logs / "scheduler.log").read_text()))) < len(tasks):
        assert time.monotonic() < deadline, f"the scheduler knows only of {seen}"
        time.sleep(0.5)
