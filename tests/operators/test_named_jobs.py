"""One job per intent where Airflow has no task state store: a later try finds the job by its name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_snowflake_batch.exceptions import JobNotFoundError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.job import RegistryJob
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from tests.compute_pools import hook_with_pool
from tests.operators.task_instances import Crash, TaskInstance, batch_task, names, until_it_exists, wait

pytestmark = pytest.mark.slow

POOL = "NAMED_JOBS_TESTS"


@dataclass
class DagRun:
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Try(TaskInstance):
    """One try of a task of one run, as Airflow 3.2 shows it to the task."""

    run_id: str = "scheduled__2026-01-01"
    map_index: int = -1
    max_tries: int = 2
    run: DagRun = field(default_factory=DagRun)

    def attempt(self, **changes: Any) -> str | dict[str, Any]:
        """The task's result, or the name of the job that it defers on."""
        task = batch_task(POOL, **({"task_id": self.task_id, "deferrable": True} | changes))
        try:
            return task.execute({"ti": self, "dag_run": self.run})
        except TaskDeferred as deferred:
            return deferred.trigger.job_name

    def retry(self) -> Try:
        return Try(run=self.run, try_number=self.try_number + 1, max_tries=self.max_tries)

    def clear(self) -> Try:
        """What clearing a task of a running Dag run does to it."""
        return Try(run=self.run, try_number=self.try_number + 1, max_tries=self.try_number + 2)


@pytest.fixture
def hook(snowflake_connection: str, linear_model: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, POOL, 4, "CREATE OR REPLACE STAGE NAMED_JOBS_TESTS") as opened:
        yield opened


def test_a_retry_goes_on_with_the_job_that_runs(hook: SnowflakeBatchHook, caplog: pytest.LogCaptureFixture) -> None:
    first = Try()
    job = first.attempt()
    until_it_exists(hook, job)
    known = names(hook)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        result = first.retry().attempt(deferrable=False)
    assert (result["job_name"], result["status"], result["rows"]) == (job, "DONE", 1)
    assert names(hook) == known
    told = [record.message for record in caplog.records if "task state store" in record.message]
    assert told == ["This Airflow has no task state store (new in 3.3): a retry will look for the job by its name."]


def test_a_retry_collects_what_a_crashed_try_left_and_a_clear_starts_afresh(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt()
    assert wait(hook, job) is JobStatus.DONE
    again = first.retry()
    assert again.attempt()["job_name"] == job
    cleared = again.clear()
    other = cleared.attempt()
    assert other != job
    assert wait(hook, other) is JobStatus.DONE
    assert cleared.retry().attempt()["job_name"] == other


def test_a_clear_finds_the_job_that_3_2_cannot_cancel(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt()
    until_it_exists(hook, job)
    if hook.status(job).status.is_terminal:
        pytest.skip("the job has ended too soon")
    assert first.clear().attempt(deferrable=False)["job_name"] == job


@pytest.mark.parametrize("sent", [False, True], ids=["before it sent the statement", "before it heard from Snowflake"])
def test_a_try_that_died_is_made_good_under_the_same_name(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch, sent: bool
) -> None:
    submit = SnowflakeBatchHook.submit
    meant: list[str] = []

    def crash(self: SnowflakeBatchHook, job: Any) -> str:
        meant.append(str(job.name))
        if sent:
            submit(self, job)
        raise Crash

    first, known = Try(), names(hook)
    with monkeypatch.context() as patch, suppress(Crash):
        patch.setattr(SnowflakeBatchHook, "submit", crash)
        first.attempt()
    if sent:
        until_it_exists(hook, meant[0])
    assert first.retry().attempt(deferrable=False)["job_name"] == meant[0]
    assert names(hook) == {*known, meant[0]}


@pytest.mark.parametrize("dropped", [False, True], ids=["before the drop", "after the drop"])
def test_a_try_that_died_around_the_drop_is_made_good_without_a_second_job(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch, dropped: bool
) -> None:
    delete = SnowflakeBatchHook.delete

    def crash(self: SnowflakeBatchHook, name: Any) -> None:
        if dropped:
            delete(self, name)
        raise Crash

    first, known = Try(), names(hook)
    with monkeypatch.context() as patch, suppress(Crash):
        patch.setattr(SnowflakeBatchHook, "delete", crash)
        first.attempt(deferrable=False, on_finish="drop")
    assert len(names(hook) - known) == (0 if dropped else 1)
    result = first.retry().attempt(on_finish="drop")
    assert (result["status"], result["rows"]) == ("DONE", 1)
    assert names(hook) == known


def test_a_cancelled_job_is_replaced(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt()
    until_it_exists(hook, job)
    hook.cancel(job)
    other = first.retry().attempt()
    assert other.rpartition("_")[2] == "2"
    assert wait(hook, other) is JobStatus.DONE
    assert first.retry().retry().attempt()["job_name"] == other


def test_a_task_that_now_asks_for_something_else_gets_it(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt()
    until_it_exists(hook, job)
    other = first.retry().attempt(X="SELECT 2 AS A, 2 AS B")
    assert other != job
    assert wait(hook, job) in (JobStatus.CANCELLED, JobStatus.DONE)
    assert wait(hook, other) is JobStatus.DONE


def test_a_job_found_by_its_name_is_gone_on_with_in_whatever_size(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt()
    until_it_exists(hook, job)
    assert first.retry().attempt(job_spec={"replicas": 2}) == job
    assert wait(hook, job) is JobStatus.DONE


def test_a_job_named_by_an_earlier_version_is_found(hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Try()
    with monkeypatch.context() as patch:
        patch.setattr(RegistryJob, "fingerprint", lambda job: job.older_fingerprints()[0])
        name = first.attempt()
    until_it_exists(hook, name)
    assert first.retry().attempt(deferrable=False)["job_name"] == name


@pytest.mark.parametrize(
    "other",
    [
        {"map_index": 0},
        {"run_id": "scheduled__2026-01-02"},
        {"run": DagRun(datetime.now(UTC) + timedelta(hours=1))},
        {"dag_id": "another"},
        {"task_id": "another"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_job_of_another_task_instance_is_left_alone(hook: SnowflakeBatchHook, other: dict[str, Any]) -> None:
    first = Try()
    job = first.attempt()
    assert wait(hook, job) is JobStatus.DONE
    changed = {"run": first.run, "try_number": 2} | other
    elsewhere = Try(**changed).attempt()
    assert elsewhere != job
    assert wait(hook, elsewhere) is JobStatus.DONE


def test_a_fixed_name_is_no_trace_of_the_task(hook: SnowflakeBatchHook) -> None:
    first, spec = Try(), {"job_name": "FIXED_BY_THE_USER"}
    job = first.attempt(job_spec=spec)
    assert wait(hook, job) is JobStatus.DONE
    with pytest.raises(Exception, match="a job LOCAL.PUBLIC.FIXED_BY_THE_USER exists already"):
        first.retry().attempt(job_spec=spec)


def test_a_task_that_does_not_wait_has_no_business_with_a_job_it_has_started(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt(wait_for_completion=False)["job_name"]
    other = first.clear().attempt(wait_for_completion=False)["job_name"]
    assert other != job
    for name in (job, other):
        with suppress(JobNotFoundError):
            hook.cancel(name)
