"""A task's limits as moments. Waiting itself: ``test_deadlines.py``, against a running job."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.operators.job_waiter import TimeLimits


@pytest.mark.parametrize(
    ("limits", "try_started", "expected"),
    [
        (TimeLimits(), 50.0, Deadlines()),
        (TimeLimits(timeout=10), None, Deadlines(end=110.0)),
        (TimeLimits(pending_timeout=5), None, Deadlines(start=105.0, pending=5)),
        (TimeLimits(execution_timeout=timedelta(seconds=30)), 50.0, Deadlines(end=80.0)),
        (TimeLimits(execution_timeout=timedelta(seconds=30)), None, Deadlines()),
        (TimeLimits(timeout=10, execution_timeout=timedelta(seconds=90)), 50.0, Deadlines(end=110.0)),
        (TimeLimits(timeout=99, execution_timeout=timedelta(seconds=90)), 50.0, Deadlines(end=140.0)),
    ],
)
def test_limits_become_moments(limits: TimeLimits, try_started: float | None, expected: Deadlines) -> None:
    assert limits.deadlines(100.0, try_started=try_started) == expected


def test_the_limits_that_were_given_are_named() -> None:
    assert str(TimeLimits(timeout=10, pending_timeout=5)) == "timeout 10, pending_timeout 5"
    assert str(TimeLimits()) == ""
