"""What the index of jobs holds of each job, to find, sort and count jobs. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from airflow.utils.state import State, TaskInstanceState

from airflow_provider_snowflake_batch.jobs.card import NOT_SUBMITTED, REFUSED
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.monitoring.cards import readable_card

Key = tuple[int, str, int]
"""Which task instance: number of the Dag run in Airflow's database, task id, map index."""

# Characters of a message that can be found: somewhat more than the list shows.
_MOST_TOLD = 1_000
_MICROSECONDS = 1_000_000
# Databases have whole numbers of 64 bits.
_FURTHEST = 2**62
# More than any job has. They keep the sums over all jobs within 64 bits.
_MOST_ROWS, _MOST_SECONDS, _MOST_NODES = 10**15, 10**11, 10**6

LOOKS_MISSED = 3
"""A running job's card counts as current until so many looks at the job are overdue."""


class JobGroup(str, Enum):
    """What became of a job, as far as its task knows.

    An ``active`` job may still change. ``failed`` are all others that are not ``done``: failed or cancelled jobs, jobs
    that were never submitted, and jobs whose task ended without seeing how they ended.
    """

    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"

    @property
    def number(self) -> int:
        """As the index holds it."""
        return list(JobGroup).index(self)


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A task instance and the card of its job.

    :param state: of the task instance; None if it is to run again and has not been scheduled yet.
    :param live: whether the task instance has yet to end.
    :param card: the value of the XCom, whatever that is.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    map_label: str | None
    state: str | None
    try_number: int
    started_at: datetime | None
    ended_at: datetime | None
    live: bool
    group: JobGroup
    card: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A job as the index holds it. Numbers are whole, so that sums are exact. What comes first in the list is less.

    :param mark: is another whenever the list has to show something else of the job.
    :param watched: whether the task may write its card at any time.
    :param recency: microseconds before the epoch of the task's start, so the newest comes first.
    :param sent: the same of the job's submission.
    :param shortness: microseconds that the job has lasted, less than none; of an active one, its submission.
    :param told: all that the list shows, in lower case, each on its line.
    :param ended: microseconds since the epoch of the job's end; 0 for one that is active.
    :param began: seconds since the epoch at which an active job was seen to run; 0 for others.
    :param nodes: replicas of such a job.
    :param node_seconds: of all replicas of a job that is over.
    :param rows_done: as its card says; 0 if that says nothing.
    :param rows_total: those that it is to do, as far as that is known.
    :param speed: rows per second of an active job.
    :param fresh_until: microseconds since the epoch until which its card counts as what is so now.
    """

    key: Key
    mark: int
    dag_id: str
    run_id: str
    group: JobGroup
    watched: bool
    status: str
    model: str
    pool: str
    recency: int
    sent: int
    shortness: int
    told: str
    ended: int
    began: float
    nodes: float
    node_seconds: float
    rows_done: float
    rows_total: float
    speed: float
    fresh_until: int

    def row(self) -> tuple[Any, ...]:
        """The values of :data:`ROW`."""
        return (*self.key, self.group.number, *(getattr(self, name) for name in ROW[4:]))


ROW = (
    *("dag_run_id", "task_id", "map_index", "job_group"),
    *("mark", "dag_id", "run_id", "watched", "status", "model", "pool", "recency", "sent", "shortness"),
    *("ended", "began", "nodes", "node_seconds", "rows_done", "rows_total", "speed", "fresh_until"),
)
"""Columns of the index; what is told it holds beside them."""


WATCHED = tuple(
    state.value
    for state in State.unfinished
    if state is not None and state not in {TaskInstanceState.SCHEDULED, TaskInstanceState.QUEUED}
)
"""States of tasks that have begun and not ended."""


def is_live(state: str | None) -> bool:
    return state is None or state in State.unfinished


def group_of(state: str | None, card: Any) -> JobGroup:
    """What became of a job.

    :param state: of its task instance.
    :param card: as it is stored; one that nobody can read has no status.
    """
    status = _status(card)
    ended = status in {REFUSED, NOT_SUBMITTED} or (status in JobStatus.__members__ and JobStatus[status].is_terminal)
    if is_live(state) and not ended:
        return JobGroup.ACTIVE
    done = status == JobStatus.DONE.value and state != TaskInstanceState.FAILED.value
    return JobGroup.DONE if done else JobGroup.FAILED


def _status(card: Any) -> str:
    status = card.get("status") if isinstance(card, dict) else None
    return status.upper() if isinstance(status, str) else ""


def mark(written: datetime, state: str | None, try_number: int, started: datetime | None, label: str | None) -> int:
    """What tells one state of a job from another, within this process.

    :param written: when the card was.
    """
    return hash((written, state, try_number, started, label))


def entry(key: Key, mark: int, job: StoredJob, written: datetime) -> Entry:
    """What the index holds of a job.

    :param written: when the card was.
    """
    card = readable_card(job.card, longest=_MOST_TOLD, brief=True)
    submitted = microseconds(card["submitted_at"])
    seen = microseconds(card["ended_at"] if card["ended_at"] is not None else card["updated_at"])
    return Entry(
        key=key,
        mark=mark,
        dag_id=job.dag_id,
        run_id=job.run_id,
        group=job.group,
        watched=job.state in WATCHED,
        status=(card["status"] or "").upper(),
        model=card["model"] or "",
        pool=card["compute_pool"] or "",
        recency=-microseconds((job.started_at or written).timestamp()),
        sent=-submitted,
        shortness=submitted if job.group is JobGroup.ACTIVE else submitted - seen,
        told=_told(job, card),
        **_figures(job, card, written),
    )


def _figures(job: StoredJob, card: dict[str, Any], written: datetime) -> dict[str, Any]:
    """What the figures of many jobs together are made of."""
    active, progress = job.group is JobGroup.ACTIVE, card["progress"] or {}
    began, replicas = card["started_at"] or 0, _within(card["replicas"], _MOST_NODES)
    done, seen, every = _within(progress.get("rows_done"), _MOST_ROWS), card["updated_at"], card["confirmed_every"]
    ended = next(at for at in (card["ended_at"], seen, written.timestamp()) if at is not None)
    told_fresh = seen is not None and every is not None
    return {
        "ended": 0 if active else microseconds(ended),
        "began": began if active else 0,
        "nodes": replicas if active and began else 0,
        "node_seconds": replicas * _within(ended - began, _MOST_SECONDS) if began and not active else 0,
        "rows_done": done,
        "rows_total": max(done, _within(progress.get("rows_total"), _MOST_ROWS)),
        "speed": _within(progress.get("rows_per_second"), _MOST_ROWS) if active else 0,
        # Cards of versions that only wrote changes do not tell when they will be confirmed.
        "fresh_until": microseconds(seen + LOOKS_MISSED * every) if told_fresh else _FURTHEST,
    }


def _within(value: float | None, most: float) -> float:
    return max(0, min(most, value or 0))


def microseconds(seconds: float | None) -> int:
    """A time or a duration as a whole number; 0 for none."""
    return max(-_FURTHEST, min(_FURTHEST, int((seconds or 0) * _MICROSECONDS)))


def _told(job: StoredJob, card: dict[str, Any]) -> str:
    named = ("job_name", "status", "model", "version", "function", "compute_pool", "message")
    lines = [f"{job.dag_id} · {job.task_id}", job.run_id, job.map_label, f"[{job.map_index}]"]
    return "\n".join(folded(line) for line in [*lines, *(card[name] for name in named)] if line)


def folded(text: str) -> str:
    """A text as it is compared with another, whatever the case of its letters."""
    return text.lower().replace("\0", " ")
