"""What is done after a look at a job: every status, before and after every other, with and without deadlines."""

from __future__ import annotations

import itertools

import pytest

from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines, Missed
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus
from airflow_provider_snowflake_batch.jobs.waiting import Step, Waiting, next_pause

TERMINAL = {"DONE", "FAILED", "CANCELLED", "INTERNAL_ERROR", "DELETED"}
# None: Snowflake is still at work on the statement. The last two are none that this version knows.
SEEN: list[str | None] = [
    None,
    *(status.value for status in JobStatus if status is not JobStatus.UNKNOWN),
    "HIBERNATING",
    "WAKING",
]
SUBMITTED, NOW = 1000.0, 1100.0


def info(reported: str | None) -> JobInfo | None:
    return None if reported is None else JobInfo("D.S.J", JobStatus(reported), reported)


def waiting(deadlines: Deadlines, *, until_accepted: bool = False) -> Waiting:
    return Waiting(poll_interval=10, deadlines=deadlines, submitted_at=SUBMITTED, until_accepted=until_accepted)


@pytest.mark.parametrize("until_accepted", [False, True], ids=["ended", "accepted"])
@pytest.mark.parametrize(
    "deadlines", [Deadlines(), Deadlines(end=NOW), Deadlines(start=NOW), Deadlines(end=NOW, start=NOW)], ids=str
)
def test_every_look_after_every_other(deadlines: Deadlines, until_accepted: bool) -> None:
    for before, seen in itertools.product([*SEEN, "no look"], SEEN):
        # After an end nobody looks, and a job that was seen is never again one whose statement is at work.
        if before not in TERMINAL and (before in (None, "no look") or seen is not None):
            check_look(before, seen, deadlines, until_accepted)


def check_look(before: str | None, seen: str | None, deadlines: Deadlines, until_accepted: bool) -> None:
    wait = waiting(deadlines, until_accepted=until_accepted)
    if before != "no look":
        wait.look(info(before), NOW - 50)

    step = wait.look(info(seen), NOW)

    done = seen in TERMINAL or (until_accepted and seen is not None)
    late = Missed.END if deadlines.end is not None else None
    if late is None and deadlines.start is not None and seen == "PENDING":
        late = Missed.START
    changed = seen is not None and seen != before
    assert (before, seen, step.done) == (before, seen, done)
    assert (before, seen, step.missed) == (before, seen, None if done else late)
    assert (before, seen, step.pause > 0) == (before, seen, not done and late is None)
    assert (before, seen, step.changed) == (before, seen, changed)
    assert (before, seen, step.is_new) == (before, seen, changed and seen in ("HIBERNATING", "WAKING"))
    assert wait.accepted == (seen is not None)


def test_looks_are_frequent_soon_after_submission_and_after_each_change() -> None:
    wait = waiting(Deadlines())
    assert wait.look(info("PENDING"), SUBMITTED).pause == 0.5
    assert wait.look(info("PENDING"), SUBMITTED + 3600).pause == 10
    assert wait.look(info("RUNNING"), SUBMITTED + 3610).pause == 0.5
    assert wait.look(info("RUNNING"), SUBMITTED + 3640).pause == 3


def test_a_waiter_that_starts_anew_finds_the_job_as_it_has_been_for_long() -> None:
    assert waiting(Deadlines()).look(info("RUNNING"), SUBMITTED + 3600).pause == 10


def test_a_pause_ends_at_the_next_deadline() -> None:
    wait = waiting(Deadlines(end=SUBMITTED + 3604))
    assert wait.look(info("RUNNING"), SUBMITTED + 3600) == Step(pause=4, changed=True)


@pytest.mark.parametrize("now", [0.0, 3.21, 1234.5678, 1.9e9 + 0.123])
@pytest.mark.parametrize("poll_interval", [0.1, 0.5, 2, 10, 60])
def test_all_who_wait_look_at_the_same_moments(poll_interval: float, now: float) -> None:
    late = next_pause(10_000, poll_interval, now)
    assert 0 < late <= poll_interval
    assert ((now + late) / poll_interval) % 1 == pytest.approx(0, abs=1e-4) or (
        (now + late) / poll_interval
    ) % 1 == pytest.approx(1, abs=1e-4)
    assert 0 < next_pause(0, poll_interval, now) <= max(0.5, min(0.5, poll_interval))
