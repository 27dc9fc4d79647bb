from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines, Missed, check_seconds, parse_moment
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus


def test_the_end_counts_in_every_state() -> None:
    deadlines = Deadlines(end=100)
    assert deadlines.missed(JobStatus.RUNNING, 99.9) is None
    assert {deadlines.missed(status, 100) for status in (None, JobStatus.PENDING, JobStatus.RUNNING)} == {Missed.END}


def test_only_a_pending_job_misses_its_start() -> None:
    deadlines = Deadlines(start=100)
    assert deadlines.missed(JobStatus.PENDING, 100) is Missed.START
    assert deadlines.missed(JobStatus.PENDING, 99) is None
    assert deadlines.missed(JobStatus.RUNNING, 200) is None
    assert deadlines.missed(None, 200) is None


def test_the_build_of_an_image_leaves_the_job_its_time_to_start() -> None:
    def made(second: int) -> JobInfo:
        created = datetime.fromtimestamp(second, UTC).isoformat()
        return JobInfo("D.S.J", JobStatus.PENDING, "PENDING", created_on=created)

    deadlines = Deadlines(end=1000, start=100, pending=60)
    assert deadlines.for_job(made(30)) == deadlines
    assert deadlines.for_job(made(300)) == Deadlines(end=1000, start=360, pending=60)
    assert Deadlines(end=1000).for_job(made(300)) == Deadlines(end=1000)


def test_a_pause_ends_at_the_next_deadline() -> None:
    assert Deadlines(end=105, start=103).shorten(10, 100) == 3
    assert Deadlines(end=105, start=99).shorten(10, 100) == 5
    assert Deadlines().shorten(10, 100) == 10
    assert Deadlines(end=100).shorten(10, 100) == 10


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("2026-03-01T12:00:00+02:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (datetime(2026, 3, 1, 10, tzinfo=UTC), datetime(2026, 3, 1, 10, tzinfo=UTC)),
    ],
)
def test_moments(value: datetime | str | None, expected: datetime | None) -> None:
    assert parse_moment(value, field="since") == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("yesterday", "since: 'yesterday' is not an ISO 8601 time."),
        ("2026-03-01T10:00:00", "since: 2026-03-01T10:00:00 lacks its time zone."),
        (datetime(2026, 3, 1), "since: 2026-03-01 00:00:00 lacks its time zone."),
    ],
)
def test_what_is_no_moment_is_refused(value: datetime | str, message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}$"):
        parse_moment(value, field="since")


@pytest.mark.parametrize("value", [0, -1, True, "5", None, float("inf"), float("nan")])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(InvalidJobError, match="^timeout: expected a number of seconds above 0, got "):
        check_seconds("timeout", value)


def test_durations() -> None:
    check_seconds("timeout", 0.5)
    check_seconds("timeout", None, optional=True)
