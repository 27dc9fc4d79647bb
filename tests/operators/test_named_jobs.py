"""One job per intent where Airflow has no task state store: a later try finds the job by its name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_snowflake_batch.exceptions import JobNotFoundError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
from airflow_provider_snowflake_batch.jobs.job import RegistryJob
from airflow_provider_snowflake_batch.jobs.kinds import parse_job
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus
from airflow_provider_snowflake_batch.operators.named_jobs import NamedJobs, find_records
from tests.compute_pools import hook_with_pool
from tests.operators.task_instances import Crash, TaskInstance, batch_task, names, until_it_exists, wait

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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_clear_finds_the_job_that_3_2_cannot_cancel(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt()
    until_it_exists(hook, job)
    if hook.status(job).status.is_terminal:
        pytest.skip("the job has ended too soon")
    assert first.clear().attempt(deferrable=False)["job_name"] == job


@pytest.mark.parametrize("sent", [False, True], ids=["before it sent the statement", "before it heard from Snowflake"])
@pytest.mark.slow
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
@pytest.mark.slow
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


@pytest.mark.slow
def test_a_cancelled_job_is_replaced(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt()
    until_it_exists(hook, job)
    hook.cancel(job)
    other = first.retry().attempt()
    assert other.rpartition("_")[2] == "2"
    assert wait(hook, other) is JobStatus.DONE
    assert first.retry().retry().attempt()["job_name"] == other


@pytest.mark.slow
def test_a_task_that_now_asks_for_something_else_gets_it(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt()
    until_it_exists(hook, job)
    other = first.retry().attempt(X="SELECT 2 AS A, 2 AS B")
    assert other != job
    assert wait(hook, job) in (JobStatus.CANCELLED, JobStatus.DONE)
    assert wait(hook, other) is JobStatus.DONE


@pytest.mark.slow
def test_a_job_found_by_its_name_is_gone_on_with_in_whatever_size(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt()
    until_it_exists(hook, job)
    assert first.retry().attempt(job_spec={"replicas": 2}) == job
    assert wait(hook, job) is JobStatus.DONE


@pytest.mark.slow
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
@pytest.mark.slow
def test_the_job_of_another_task_instance_is_left_alone(hook: SnowflakeBatchHook, other: dict[str, Any]) -> None:
    first = Try()
    job = first.attempt()
    assert wait(hook, job) is JobStatus.DONE
    changed = {"run": first.run, "try_number": 2} | other
    elsewhere = Try(**changed).attempt()
    assert elsewhere != job
    assert wait(hook, elsewhere) is JobStatus.DONE


@pytest.mark.slow
def test_a_fixed_name_is_no_trace_of_the_task(hook: SnowflakeBatchHook) -> None:
    first, spec = Try(), {"job_name": "FIXED_BY_THE_USER"}
    job = first.attempt(job_spec=spec)
    assert wait(hook, job) is JobStatus.DONE
    with pytest.raises(Exception, match="a job LOCAL.PUBLIC.FIXED_BY_THE_USER exists already"):
        first.retry().attempt(job_spec=spec)


@pytest.mark.slow
def test_a_task_that_does_not_wait_has_no_business_with_a_job_it_has_started(hook: SnowflakeBatchHook) -> None:
    first = Try()
    job = first.attempt(wait_for_completion=False)["job_name"]
    other = first.clear().attempt(wait_for_completion=False)["job_name"]
    assert other != job
    for name in (job, other):
        with suppress(JobNotFoundError):
            hook.cancel(name)


WANTED: dict[str, Any] = {
    "model_name": "d.s.m",
    "X": "d.s.t",
    "compute_pool": "p",
    "output_spec": {"stage_location": "@d.s.r/"},
}


def wanted(**changes: Any) -> BatchJob:
    return parse_job(name="d.s.new", **(WANTED | changes))


@dataclass
class Listed:
    """Lists jobs as Snowflake does, and remembers what it was asked for."""

    jobs: list[JobInfo] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def list_jobs(self, database: str, schema: str, *, like: str) -> list[JobInfo]:
        self.asked.append((database, schema, like))
        return self.jobs


def records_of(one: Try, listed: Listed, job: BatchJob, *, waits: bool = True) -> NamedJobs:
    return NamedJobs(one, one.run.start_date, listed, job, waits=waits)  # type: ignore[arg-type]


def named(one: Try, job: BatchJob, number: int = 1) -> str:
    """The name of a job that a try has begun."""
    before = Listed([JobInfo(named(one, job, number - 1), JobStatus.FAILED, "FAILED")] if number > 1 else [])
    records = records_of(one, before, job)
    records.load()
    return str(records.name(job).name)


RUN = DagRun(datetime(2026, 1, 1, tzinfo=UTC))
FIRST = Try(run=RUN)
RETRY, CLEARED = FIRST.retry(), FIRST.clear()


@pytest.mark.parametrize(
    ("one", "status", "waits", "goes_on"),
    [
        (RETRY, JobStatus.PENDING, True, True),
        (RETRY, JobStatus.RUNNING, True, True),
        (RETRY, JobStatus.RUNNING, False, True),
        (RETRY, JobStatus.UNKNOWN, True, True),
        (RETRY, JobStatus.DONE, True, True),
        (RETRY, JobStatus.FAILED, True, False),
        (RETRY, JobStatus.CANCELLED, True, False),
        (RETRY, JobStatus.DELETED, True, False),
        # A clear of a deferred task cannot cancel its job before Airflow 3.3.
        (CLEARED, JobStatus.RUNNING, True, True),
        (CLEARED, JobStatus.RUNNING, False, False),
        (CLEARED, JobStatus.DONE, True, False),
        (CLEARED, JobStatus.FAILED, True, False),
    ],
)
def test_which_jobs_a_try_goes_on_with(one: Try, status: JobStatus, waits: bool, goes_on: bool) -> None:
    job = wanted()
    begun = JobInfo(named(FIRST, job), status, status.value, created_on="2026-01-01T10:00:00+00:00")
    listed = Listed([begun])
    records = records_of(one, listed, job, waits=waits)
    record = records.load()
    ((database, schema, like),) = listed.asked
    assert (database, schema) == ("D", "S")
    assert like.strip("%") in begun.name
    assert record is not None
    if goes_on:
        assert record.job_name == begun.name
        assert record.is_of(job)
        assert record.submitted_at == datetime(2026, 1, 1, 10, tzinfo=UTC).timestamp()
        assert not record.dropping
    else:
        # A job of the next number: perhaps an earlier try has sent its statement.
        assert record.job_name == str(records.name(job).name)
        assert record.job_name.rpartition("_")[2] == "2"
        assert record.dropping


def test_the_first_try_finds_nothing() -> None:
    assert records_of(FIRST, Listed(), wanted()).load() is None


def test_jobs_with_names_of_other_kinds_are_none_of_the_task() -> None:
    other = [JobInfo(name, JobStatus.RUNNING, "RUNNING") for name in ("D.S.BY_HAND", f"{named(FIRST, wanted())}_X")]
    assert records_of(FIRST, Listed(other), wanted()).load() is None


def test_the_latest_of_several_jobs_counts() -> None:
    job = wanted()
    names_of = [named(FIRST, job, number) for number in (1, 2, 3)]
    infos = [JobInfo(name, JobStatus.FAILED, "FAILED") for name in names_of[1:]]
    infos.append(JobInfo(names_of[0], JobStatus.RUNNING, "RUNNING"))
    record = records_of(RETRY, Listed(infos), job).load()
    assert record is not None
    assert record.job_name.rpartition("_")[2] == "4"


def test_a_job_that_does_something_else_is_told_apart() -> None:
    before = wanted(X="d.s.other")
    begun = JobInfo(named(FIRST, before), JobStatus.RUNNING, "RUNNING")
    record = records_of(RETRY, Listed([begun]), wanted()).load()
    assert record is not None
    assert record.job_name == begun.name
    assert not record.is_of(wanted())


def test_jobs_of_the_worker_share_the_directory_of_the_first_one() -> None:
    job = wanted(model={"target": "m:C"}, model_name=None)
    ended = JobInfo(named(FIRST, job), JobStatus.FAILED, "FAILED")
    records = records_of(RETRY, Listed([ended]), job)
    record = records.load()
    assert record is not None
    assert records.resumes(job)
    assert record.output_location == f"@D.S.R/{ended.name.rpartition('.')[2]}/"
    assert str(records.as_begun(job).output_directory) == record.output_location


@pytest.mark.parametrize(
    ("context", "changes", "durable", "said"),
    [
        ({"dag_run": RUN}, {}, False, ""),
        (
            {"dag_run": RUN},
            {"job_spec": {"job_name": "FIXED"}},
            True,
            "job_name is fixed: a retry will start a new job",
        ),
        ({}, {}, True, "the Dag run has no start: a retry will start a new job"),
        ({"dag_run": DagRun(None)}, {}, True, "the Dag run has no start"),  # type: ignore[arg-type]
    ],
    ids=["not durable", "fixed name", "no Dag run", "no start"],
)
def test_where_no_record_is_kept(
    context: dict[str, Any],
    changes: dict[str, Any],
    durable: bool,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listed = Listed()
    with caplog.at_level(logging.INFO):
        records = find_records({"ti": RETRY, **context}, listed, wanted(**changes), durable=durable, waits=True)  # type: ignore[arg-type]
    assert not isinstance(records, NamedJobs)
    assert records.load() is None
    assert listed.asked == []
    assert said in caplog.text


def test_a_store_comes_first() -> None:
    values: dict[str, Any] = {}
    store = SimpleNamespace(get=values.get, set=values.__setitem__)
    context = {"ti": RETRY, "dag_run": RUN, "task_state_store": store}
    records = find_records(context, Listed(), wanted(), durable=True, waits=True)  # type: ignore[arg-type]
    assert not isinstance(records, NamedJobs)
    without = {**context, "task_state_store": None}
    assert isinstance(find_records(without, Listed(), wanted(), durable=True, waits=True), NamedJobs)  # type: ignore[arg-type]
