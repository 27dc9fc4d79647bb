from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_snowflake_batch.jobs.status import (
    ContainerInfo,
    JobInfo,
    JobStatus,
    by_blame,
    describe_containers,
)


@pytest.mark.parametrize("status", ["DONE", "FAILED", "CANCELLED", "INTERNAL_ERROR", "DELETED"])
def test_terminal(status: str) -> None:
    assert JobStatus(status).is_terminal


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "CANCELLING", "SUSPENDED", "DELETING", "SOMETHING_NEW"])
def test_not_terminal(status: str) -> None:
    assert not JobStatus(status).is_terminal


def test_a_status_never_seen_before_is_unknown_and_kept_as_written() -> None:
    info = JobInfo.from_row(
        {"name": "J", "database_name": "D", "schema_name": "S", "status": "HIBERNATING", "new_column": 1}
    )
    assert (info.status, info.reported_status, info.name) == (JobStatus.UNKNOWN, "HIBERNATING", "D.S.J")


def test_rows_are_read_by_name() -> None:
    created = datetime(2026, 11, 22, 10, tzinfo=UTC)
    info = JobInfo.from_row(
        {"NAME": "J", "DATABASE_NAME": "D", "SCHEMA_NAME": "S", "STATUS": "done", "TARGET_INSTANCES": "2",
         "COMPUTE_POOL": "P", "CREATED_ON": created, "UPDATED_ON": None}
    )  # fmt: skip
    assert info == JobInfo("D.S.J", JobStatus.DONE, "done", "P", 2, "2026-11-22T10:00:00+00:00", None)


def test_failed_containers_come_first() -> None:
    containers = [
        ContainerInfo(0, "main", "DONE", "Completed successfully", 0),
        ContainerInfo(1, "main", "FAILED", "User application error, check container logs", 1),
    ]
    assert describe_containers(containers) == (
        "replica 1 main: User application error, check container logs, exit code 1; "
        "replica 0 main: Completed successfully"
    )


def test_replicas_that_were_ended_for_another_one_come_after_it() -> None:
    codes = [143, None, 137, 3, 0]
    containers = [ContainerInfo(index, "main", "FAILED", "", code) for index, code in enumerate(codes)]
    assert [container.exit_code for container in by_blame(containers)] == [3, 137, None, 143, 0]


def test_what_a_killed_container_means() -> None:
    killed = ContainerInfo(0, "main", "FAILED", "User application error, check container logs", 137)
    assert describe_containers([killed]) == (
        "replica 0 main: User application error, check container logs, exit code 137 (killed, most often for want of "
        "memory: fewer rows at a time, or more memory)"
    )


def test_container_rows_may_be_half_empty() -> None:
    row = {"instance_id": None, "container_name": "main", "status": "PENDING", "message": None, "last_exit_code": None}
    assert ContainerInfo.from_row(row) == ContainerInfo(None, "main", "PENDING", "")


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ("2026-01-01T02:00:00+00:00", "2026-01-02T02:00:00+00:00", True),
        ("2026-01-01T02:00:00.9+00:00", "2026-01-01T02:00:01+00:00", False),
        ("2026-01-01T02:00:00+00:00", "2026-01-01T04:00:00+02:00", False),
        ("2026-01-02T02:00:00+00:00", "2026-01-01T02:00:00+00:00", False),
        ("2026-01-01T02:00:00", "2026-01-02T02:00:00+00:00", False),
        ("yesterday", "2026-01-02T02:00:00+00:00", False),
        (None, "2026-01-02T02:00:00+00:00", False),
        ("2026-01-02T02:00:00+00:00", None, False),
    ],
)
def test_another_job_of_a_name_was_made_later(earlier: str | None, later: str | None, expected: bool) -> None:
    first = JobInfo("D.S.J", JobStatus.RUNNING, "RUNNING", created_on=earlier)
    assert JobInfo("D.S.J", JobStatus.RUNNING, "RUNNING", created_on=later).replaces(first) is expected
