"""What a job that has missed a deadline is said to wait for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from airflow_provider_snowflake_batch.exceptions import JobPendingError, JobTimeoutError, PoolCapacityError
from airflow_provider_snowflake_batch.hooks import logs
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.pending import missed_deadline
from airflow_provider_snowflake_batch.jobs.card import JobCard
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines, Missed
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus
from airflow_provider_snowflake_batch.operators.job_card import TaskCard
from tests.compute_pools import hook_with_pool
from tests.container_jobs import container_job
from tests.local_faults import LocalFaults
from tests.operators.task_instances import TaskInstance

POOL = Identifier("PENDING_TESTS")


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, POOL, nodes=4) as opened:
        yield opened


def pending(hook: SnowflakeBatchHook, faults: LocalFaults, reason: str) -> QualifiedName:
    """A job that stays PENDING for this reason."""
    faults.add("pending", job=POOL.value, reason=reason)
    job = container_job(hook, POOL, "true")
    hook.wait(job.name, query_id=hook.submit(job), until_accepted=True)
    # The local Snowflake accepts a job before it looks why the job cannot start.
    deadline = time.monotonic() + 60
    while reason not in {container.message for container in hook.containers(job.name)}:
        assert time.monotonic() < deadline, f"no container says {reason}"
        time.sleep(0.05)
    return job.name


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("Failed to pull image", JobPendingError),
        ("Unschedulable due to insufficient GPU resources", PoolCapacityError),
    ],
    ids=["image", "node"],
)
def test_containers_and_pool_say_why(
    hook: SnowflakeBatchHook, faults: LocalFaults, reason: str, kind: type[Exception]
) -> None:
    error = missed_deadline(hook, pending(hook, faults, reason), Missed.START)
    assert type(error) is kind
    assert f"did not start in time: replica 0 main: {reason}; compute pool {POOL} is " in str(error)
    assert "of at most 4 node(s) active" in str(error)


def test_who_waits_is_told_why_the_job_is_pending(
    hook: SnowflakeBatchHook, faults: LocalFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "PENDING_SECONDS", 0.5)
    name = pending(hook, faults, "Compute pool node(s) are being provisioned.")
    card = TaskCard(cast("Any", {"ti": TaskInstance()}), JobCard(str(name), "SUBMITTED", POOL.value, 1, "", 1.0, 1))
    with pytest.raises(JobPendingError):
        hook.wait(
            name,
            poll_interval=0.2,
            deadlines=Deadlines(start=time.time() + 3),
            on_log=pytest.fail,
            on_look=card.look,
            on_containers=card.tell_containers,
        )
    told = [(one["status"], one["message"]) for one in card.card.containers or []]
    assert (card.card.status, told) == ("PENDING", [("PENDING", "Compute pool node(s) are being provisioned.")])
    assert [told for _, told in card.card.waits or []] == ["Compute pool node(s) are being provisioned."]


def test_a_job_that_is_pending_for_a_moment_costs_no_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((100.0, 119.0, 120.0, 120.0))
    monkeypatch.setattr(logs.time, "monotonic", lambda: next(clock))
    follower = logs.LogFollower(QualifiedName("J", "S", "D"))
    seen = JobInfo("D.S.J", JobStatus.PENDING, "PENDING")
    assert [follower.is_due(seen) for _ in range(3)] == [False, False, True]
    assert follower.is_due(JobInfo("D.S.J", JobStatus.RUNNING, "RUNNING"))


def test_a_deadline_is_missed_although_snowflake_does_not_say_why(
    hook: SnowflakeBatchHook, faults: LocalFaults
) -> None:
    name = pending(hook, faults, "Failed to pull image")
    refused = faults.add("http-error", status=404, statement="DESCRIBE COMPUTE POOL")
    error = missed_deadline(hook, name, Missed.START)
    assert type(error) is JobPendingError
    assert "Failed to pull image; what it waits for could not be read: " in str(error)
    assert faults.fired(refused)


def test_a_job_that_runs_is_not_asked_why(hook: SnowflakeBatchHook) -> None:
    error = missed_deadline(hook, QualifiedName("J", "S", "D"), Missed.END)
    assert type(error) is JobTimeoutError
    assert str(error) == "Job D.S.J did not end in time."
