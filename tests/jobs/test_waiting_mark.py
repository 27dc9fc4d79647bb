from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.waiting_mark import still_waits, waiting_mark

OURS = waiting_mark("D.S.J", "@D.S.ST/J/", 1.5)
OTHER = waiting_mark("D.S.K", "@D.S.ST/K/", 2.5)


@pytest.mark.parametrize(
    ("state", "mark", "card", "expected"),
    [
        ("deferred", OURS, OURS, True),
        ("running", OURS, None, True),
        # A new try has a job of its own; it begins without XComs and has written both before it defers.
        ("deferred", OTHER, OTHER, False),
        ("running", None, None, False),
        ("running", OTHER, OURS, False),
        # Somebody has written into the card.
        ("deferred", OURS, {"job_name": "x"}, True),
        ("deferred", OURS, OTHER, True),
        ("deferred", OURS, None, True),
        ("deferred", None, {"job_name": "x"}, True),
        ("deferred", None, "x", True),
        ("deferred", None, None, True),
        ("deferred", {"job_name": "x"}, OURS, True),
        # Deferred by a version without the mark.
        ("deferred", None, OURS, True),
        ("deferred", None, OTHER | {"status": "RUNNING"}, False),
        # The task was ended.
        *((state, OURS, OURS, False) for state in ("failed", "success", "skipped", "queued", "removed", None)),
    ],
)
def test_whether_the_task_still_waits(state: str | None, mark: Any, card: Any, expected: bool) -> None:
    assert still_waits("D.S.J", state=state, mark=mark, card=card) is expected


def test_a_job_of_the_same_name_is_the_one_that_would_be_cancelled() -> None:
    assert still_waits("D.S.J", state="deferred", mark=waiting_mark("D.S.J", "@D.S.ST/J/", 99), card=None)
