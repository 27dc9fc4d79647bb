"""What a job that has missed a deadline is said to wait for."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from airflow_provider_snowflake_batch.exceptions import JobPendingError, JobTimeoutError, PoolCapacityError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.pending import missed_deadline
from airflow_provider_snowflake_batch.jobs.deadlines import Missed
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from tests.compute_pools import hook_with_pool
from tests.container_jobs import container_job
from tests.local_faults import LocalFaults

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
