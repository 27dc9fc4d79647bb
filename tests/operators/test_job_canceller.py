"""What a try decides about its job when it is told to end. Against a running job: ``test_one_job.py``."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from airflow_provider_snowflake_batch.operators.job_canceller import (
    JobCanceller,
    Reaction,
    belongs_to_next_try,
    reaction,
)
from airflow_provider_snowflake_batch.operators.job_record import JobRecord

JOB = JobRecord("D.S.J", "@D.S.OUT/J/", 0.0, query_id="q")


class Hook:
    """Notes what is cancelled."""

    def __init__(self) -> None:
        self.killed: list[tuple[str, str | None]] = []

    def log_in(self) -> None: ...

    def kill(self, name: Any, query_id: str | None) -> None:
        self.killed.append((str(name), query_id))


class Instance:
    """A task instance whose Airflow answers with this state."""

    dag_id, task_id, run_id, map_index, try_number, max_tries = "dag", "score", "run", -1, 1, 3

    def __init__(self, state: str | None) -> None:
        self._state = state

    def get_task_states(self, **which: Any) -> dict[str, dict[str, str]]:
        if self._state is None:
            raise ConnectionError("gone")
        return {"run": {"score": self._state}}


@pytest.mark.parametrize("given", itertools.product([True, False], repeat=4))
def test_the_first_decision(given: tuple[bool, bool, bool, bool]) -> None:
    has_job, may_cancel, others_find_job, timed_out = given
    told = reaction(has_job=has_job, may_cancel=may_cancel, others_find_job=others_find_job, timed_out=timed_out)
    if not (has_job and may_cancel):
        assert told is Reaction.LEAVE
    elif others_find_job and not timed_out:
        assert told is Reaction.ASK
    else:
        assert told is Reaction.CANCEL


@pytest.mark.parametrize(
    ("answer", "replaced", "left"),
    [
        (True, True, True),
        (True, False, True),
        (False, True, False),
        (False, False, False),
        (None, True, True),
        (None, False, False),
    ],
)
def test_the_second_decision(answer: bool | None, replaced: bool, left: bool) -> None:
    assert belongs_to_next_try(answer=answer, replaced=replaced) is left


def canceller(hook: Hook, *, job: JobRecord | None = JOB, enabled: bool = True) -> JobCanceller:
    made = JobCanceller(lambda: nullcontext(hook), enabled=enabled)  # type: ignore[arg-type,return-value]
    made.job = job
    return made


@pytest.mark.parametrize(("job", "enabled"), [(None, True), (JOB, False)])
def test_a_job_that_is_not_there_or_not_to_be_cancelled(job: JobRecord | None, enabled: bool) -> None:
    hook = Hook()
    made = canceller(hook, job=job, enabled=enabled)
    made.on_kill()
    made.wait()
    assert not made.has_cancelled
    assert hook.killed == []


def test_a_job_that_no_other_try_finds_is_cancelled() -> None:
    hook = Hook()
    made = canceller(hook)
    made.on_kill()
    assert made.has_cancelled
    assert hook.killed == [("D.S.J", "q")]


def test_a_missed_execution_timeout_cancels_without_asking() -> None:
    hook = Hook()
    made = canceller(hook)
    made.ask_before(Instance("queued"))
    try:
        raise AirflowTaskTimeout
    except AirflowTaskTimeout:
        made.on_kill()
    assert hook.killed == [("D.S.J", "q")]


@pytest.mark.parametrize("others", [None, Instance("failed"), Instance("queued")])
def test_who_shows_the_job_is_told_once_it_is_cancelled(others: Instance | None) -> None:
    hook, told = Hook(), []
    made = JobCanceller(lambda: nullcontext(hook), told.append, enabled=True)  # type: ignore[arg-type,return-value]
    made.job = JOB
    if others is not None:
        made.ask_before(others)
    made.on_kill()
    made.wait()
    assert told == [hook] * len(hook.killed)


@pytest.mark.parametrize(
    ("state", "replaced", "killed"),
    [("failed", False, 1), ("queued", False, 0), (None, False, 1), (None, True, 0)],
    ids=["ended by a user", "next try on its way", "no answer", "no answer, but replaced"],
)
def test_other_tries_may_go_on_with_the_job(state: str | None, replaced: bool, killed: int) -> None:
    hook = Hook()
    made = canceller(hook)
    made.ask_before(Instance(state))
    if replaced:
        made.note_replaced()
    made.on_kill()
    made.wait()
    assert made.has_cancelled is bool(killed)
    assert len(hook.killed) == killed


def test_a_session_that_cannot_be_opened_does_not_disturb_the_tasks_end(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Any:
        raise ConnectionError("no network")

    made = JobCanceller(fail, enabled=True)
    made.job = JOB
    made.ask_before(Instance("failed"))
    made.on_kill()
    made.wait()
    assert not made.has_cancelled
    assert "Job D.S.J could not be cancelled and may still run: no network" in caplog.text
