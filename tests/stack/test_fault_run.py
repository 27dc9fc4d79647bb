"""A whole Dag run while every fifth request to Snowflake fails."""

from __future__ import annotations

import secrets
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


@pytest.fixture
def patient_airflow(airflow: AirflowStack) -> Iterator[AirflowStack]:
    """Airflow with its own default for heartbeats: of twenty tasks that start at once on two cores, some are slow to
    send one, and a task that is given up for that has a second attempt."""
    airflow.kill("scheduler")
    airflow.start("scheduler", settings={"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300"})
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
        run = airflow.trigger("faults", {"prefix": prefix})
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
    assert not again, {task: airflow.task_log(run, task, 1)[-4000:] for task in again}
    assert {(result["rows"], result["attempt"]) for result in results} == {(1, 1)}
    assert_nothing_left(airflow, local_server)
