"""Batch inference in a real Airflow: api-server, scheduler, dag-processor and triggerer as processes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from tests.airflow_stack import AirflowStack
from tests.models import predict_digits_directly

pytestmark = pytest.mark.slow

JOB_CARD = "snowflake_batch_job"
RESULT_KEYS = {
    "job_name", "status", "output_location", "rows", "files", "seconds", "attempt", "warnings", "model", "version",
    "rows_reused",
}  # fmt: skip


def test_the_example_dag_scores_like_scikit_learn_itself(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    run = airflow.trigger("digits")

    airflow.wait_for_task(run, "score", "deferred")
    card = airflow.xcom(run, "score", JOB_CARD)
    assert airflow.task_states(run)["score"] == "deferred", "the job card was read too late to prove anything"
    assert card["job_name"].rpartition(".")[2].startswith("BATCH_DIGITS_SCORE_")

    assert airflow.wait_for_run(run) == "success", airflow.failures(run)
    result = airflow.xcom(run, "score")
    assert result.keys() == RESULT_KEYS
    assert result["job_name"] == card["job_name"]
    assert (result["status"], result["rows"], result["attempt"]) == ("DONE", 900, 1)
    assert hook.is_complete(result["output_location"])

    expected, truth = predict_digits_directly()
    evaluation = airflow.xcom(run, "evaluate")
    assert evaluation["predictions"] == expected
    assert evaluation["accuracy"] == sum(map(int.__eq__, expected, truth)) / len(truth)


def test_a_model_that_raises_fails_the_task_with_its_own_error(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    run = airflow.trigger("raises")

    assert airflow.wait_for_run(run) == "failed"
    own_error = "ValueError: cannot wait -1 seconds"
    *log, failure = airflow.task_log(run, "score").partition("JobFailedError: ")
    assert own_error in failure.splitlines()[0], "the failure message"
    assert own_error in "".join(log), "the end of the container's log"
    card = airflow.xcom(run, "score", JOB_CARD)
    assert hook.status(card["job_name"]).reported_status == "FAILED"
    assert not hook.is_complete(card["output_location"])


def test_marking_a_deferred_task_failed_cancels_its_job(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    run = airflow.trigger("waits_deferred")
    airflow.wait_for_task(run, "score", "deferred")
    job = airflow.xcom(run, "score", JOB_CARD)["job_name"]
    # Airflow tells only a trigger that it has started; what this one has seen is in the task's log.
    wait_until(lambda: f"Job {job} is RUNNING" in airflow.task_log(run, "score"), "the trigger has not seen the job")
    assert airflow.task_states(run)["score"] == "deferred"

    airflow.mark(run, "score", "failed")

    wait_for_status(hook, job, "CANCELLED")
    assert airflow.wait_for_run(run) == "failed"


def test_marking_a_running_task_failed_cancels_its_job(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    run = airflow.trigger("waits_in_slot")
    airflow.wait_for_task(run, "score", "running")
    card = wait_until(lambda: airflow.xcom(run, "score", JOB_CARD), "the task has not submitted its job")
    wait_for_status(hook, card["job_name"], "RUNNING")
    assert airflow.task_states(run)["score"] == "running"

    airflow.mark(run, "score", "failed")

    wait_for_status(hook, card["job_name"], "CANCELLED")
    assert airflow.wait_for_run(run) == "failed"


def test_mapped_tasks_wait_together_for_jobs_of_their_own(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    tasks = [f"score[{index}]" for index in range(3)]
    run = airflow.trigger("mapped")

    wait_until(
        lambda: [airflow.task_states(run).get(task) for task in tasks] == ["deferred"] * 3,
        "the three tasks were not deferred at one time",
    )
    for index, task in enumerate(tasks):
        page = f"{airflow.url}/dags/mapped/runs/{run}/tasks/score/mapped/{index}/plugin/snowflake-batch-job"
        assert airflow.links(run, task)["Batch job"] == page
    listed = airflow.fetch("/snowflake-batch/jobs", dag_id="mapped", text=run, group="active").json()["jobs"]
    assert [job["map_index"] for job in sorted(listed, key=lambda job: job["map_index"])] == [0, 1, 2]

    assert airflow.wait_for_run(run) == "success", airflow.failures(run)
    results = [airflow.xcom(run, task) for task in tasks]
    assert len({result["job_name"] for result in results}) == 3
    assert [result["rows"] for result in results] == [1, 2, 3]
    assert all(hook.is_complete(result["output_location"]) for result in results)


def wait_for_status(hook: SnowflakeBatchHook, job: str, status: str) -> None:
    wait_until(lambda: hook.status(job).reported_status == status, f"{job} has not become {status}")


def wait_until(look: Any, otherwise: str, timeout: float = 180) -> Any:
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{otherwise} within {timeout:g} s"
        time.sleep(0.3)
    return seen
