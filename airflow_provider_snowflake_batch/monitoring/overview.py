"""Many jobs taken together, as the index holds them: those that run, those of the last days, those of a Dag run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from datetime import time as time_of_day
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.monitoring import follow
from airflow_provider_snowflake_batch.monitoring.entries import JobGroup, StoredJob
from airflow_provider_snowflake_batch.monitoring.index import Ended, Sum, Wanted
from airflow_provider_snowflake_batch.monitoring.listing import find_jobs
from airflow_provider_snowflake_batch.monitoring.order import Order, Sort

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DAYS = 7
_DAY = 24 * 3600.0
_MOST_TASKS = 50
_SLOWEST, _FAILED = 3, 5


@dataclass(frozen=True, slots=True)
class RollUp:
    """The jobs of a Dag run.

    :param figures: of all of them: how many, by what became of them and by status, rows, speed, how many of them are
        known to have run, and the node time of those.
    :param tasks: the same of each task, the largest first.
    :param tasks_left_out: tasks of which there was no room.
    :param slowest: those that last or have lasted longest.
    :param failed: those of them that failed last.
    """

    figures: dict[str, Any]
    tasks: list[dict[str, Any]]
    tasks_left_out: int
    slowest: list[StoredJob]
    failed: list[StoredJob]


def overview(session: Session, wanted: Wanted, now: float, zone: tzinfo) -> dict[str, Any]:
    """What runs, and what has ended in the last days.

    :param now: seconds since the epoch.
    :param zone: by whose midnights days begin.
    """
    index = follow.FOLLOWER.current(session)
    active = index.sums(wanted, now, active=True)
    running = sum(each.count for each in active if each.status == JobStatus.RUNNING.value)
    figures = _figures(active)
    days = [_day(index.ended(wanted, begin, end), begin) for begin, end in _days(now, zone)]
    return {
        "running": running,
        "waiting": figures["counts"][JobGroup.ACTIVE.value] - running,
        "unconfirmed": figures["unconfirmed"],
        "rows_per_second": figures["rows_per_second"],
        "failed_last_day": index.ended(wanted, now - _DAY, now).counts.get(JobGroup.FAILED, 0),
        "node_seconds": figures["node_seconds"] + sum(day["node_seconds"] for day in days),
        "days": days,
    }


def _day(ended: Ended, begin: float) -> dict[str, Any]:
    """What has ended on a day."""
    done, failed = (ended.counts.get(group, 0) for group in (JobGroup.DONE, JobGroup.FAILED))
    return {"begin": begin, "done": done, "failed": failed, "node_seconds": ended.node_seconds}


def _days(now: float, zone: tzinfo) -> list[tuple[float, float]]:
    today = datetime.fromtimestamp(now, zone).date()
    begins = [
        datetime.combine(today + timedelta(days=day), time_of_day.min, zone).timestamp() for day in range(1 - DAYS, 2)
    ]
    return list(pairwise(begins))


def roll_up(session: Session, wanted: Wanted, now: float) -> RollUp:
    """The jobs of a Dag run.

    :param now: seconds since the epoch.
    """
    sums = follow.FOLLOWER.current(session).sums(wanted, now, by_task=True)
    tasks: dict[str, list[Sum]] = {}
    for each in sums:
        tasks.setdefault(each.task_id or "", []).append(each)
    told = [{"task_id": task_id, **_figures(of_task)} for task_id, of_task in tasks.items()]
    told.sort(key=lambda task: -sum(task["counts"].values()))
    return RollUp(
        figures=_figures(sums),
        tasks=told[:_MOST_TASKS],
        tasks_left_out=len(told[_MOST_TASKS:]),
        slowest=find_jobs(session, wanted, Order(Sort.DURATION, now=now), limit=_SLOWEST).jobs,
        failed=find_jobs(session, wanted, Order(), limit=_FAILED, group=JobGroup.FAILED).jobs,
    )


def _figures(sums: Collection[Sum]) -> dict[str, Any]:
    counts, statuses = Counter[str](), Counter[str]()
    for each in sums:
        counts[each.group.value] += each.count
        statuses[each.status] += each.count
    return {
        "counts": {group.value: counts[group.value] for group in JobGroup},
        "statuses": dict(statuses.most_common()),
        "unconfirmed": sum(each.count - each.fresh for each in sums if each.group is JobGroup.ACTIVE),
        "rows_done": sum(each.rows_done for each in sums),
        "rows_total": sum(each.rows_total for each in sums),
        "rows_per_second": sum(each.rows_per_second for each in sums),
        "ran": int(sum(each.ran for each in sums)),
        "node_seconds": sum(each.node_seconds for each in sums),
    }
