"""Whatever dies while a job runs: the job is not started twice, and its results are collected."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from tests.airflow_stack import AirflowStack
from tests.local_server import LocalServer

pytestmark = pytest.mark.slow

JOB_CARD = "snowflake_batch_job"


def start(airflow: AirflowStack, hook: SnowflakeBatchHook, dag: str) -> tuple[str, str]:
    """Trigger a Dag and return its run and its job, once the job runs."""
    run = airflow.trigger(dag)
    airflow.wait_for_task(run, "score", "deferred" if dag == "survives_deferred" else "running")
    card = wait_until(lambda: airflow.xcom(run, "score", JOB_CARD))
    wait_until(lambda: hook.status(card["job_name"]).reported_status == "RUNNING")
    return run, card["job_name"]


def jobs_of(hook: SnowflakeBatchHook, dag: str) -> dict[str, str]:
    return {job.name: job.reported_status for job in hook.list_jobs(starts_with=f"BATCH_{dag.upper()}_")}


def assert_one_job(airflow: AirflowStack, hook: SnowflakeBatchHook, run: str, job: str, before: set[str]) -> None:
    assert airflow.wait_for_run(run) == "success", airflow.task_states(run)
    after = jobs_of(hook, job.rpartition(".")[2].removeprefix("BATCH_").rpartition("_SCORE_")[0])
    assert after.keys() - before == {job}
    assert after[job] == "DONE"
    result = airflow.xcom(run, "score")
    assert (result["job_name"], result["rows"]) == (job, 1)


def test_a_killed_triggerer(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    before = set(jobs_of(hook, "survives_deferred"))
    run, job = start(airflow, hook, "survives_deferred")
    airflow.kill("triggerer")
    time.sleep(1)
    airflow.start("triggerer")
    assert_one_job(airflow, hook, run, job, before)


def test_a_killed_scheduler(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    before = set(jobs_of(hook, "survives_deferred"))
    run, job = start(airflow, hook, "survives_deferred")
    airflow.kill("scheduler")
    time.sleep(1)
    airflow.start("scheduler")
    assert_one_job(airflow, hook, run, job, before)


def test_a_killed_task_process(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    before = set(jobs_of(hook, "survives_in_slot"))
    run, job = start(airflow, hook, "survives_in_slot")
    task_process(airflow).kill()
    wait_until(lambda: airflow.try_number(run, "score") == 2)
    assert_one_job(airflow, hook, run, job, before)
    assert "no new one is needed" in airflow.task_log(run, "score", 2)


@pytest.mark.parametrize("dag", ["survives_deferred", "survives_in_slot"])
def test_a_killed_snowflake(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer, dag: str
) -> None:
    before = set(jobs_of(hook, dag))
    run, job = start(airflow, hook, dag)
    local_server.kill()
    time.sleep(2)
    local_server.start()
    assert_one_job(airflow, hook, run, job, before)


def test_a_cleared_deferred_task(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    before = set(jobs_of(hook, "survives_deferred"))
    run, first = start(airflow, hook, "survives_deferred")
    wait_until(lambda: f"Job {first} is RUNNING" in airflow.task_log(run, "score"))
    airflow.clear(run, "score")
    assert airflow.wait_for_run(run) == "success", airflow.task_states(run)
    after = {name: status for name, status in jobs_of(hook, "survives_deferred").items() if name not in before}
    result = airflow.xcom(run, "score")
    assert after.pop(result["job_name"]) == "DONE"
    assert set(after.values()) <= {"CANCELLED"}
    assert result["rows"] == 1


def task_process(airflow: AirflowStack) -> psutil.Process:
    """The process in which the one running task's code runs: a leaf below the scheduler's executor."""
    alive = [process for process in airflow.family("scheduler") if process.status() != psutil.STATUS_ZOMBIE]
    parents = {process.ppid() for process in alive}
    leaves = [process for process in alive if process.pid not in parents]
    return max(leaves, key=psutil.Process.create_time)


def wait_until(look: Any, timeout: float = 60) -> Any:
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.3)
    return seen
