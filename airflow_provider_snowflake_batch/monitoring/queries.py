"""Reads from Airflow's metadata database which jobs there are. No other module here knows Airflow's tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import State, TaskInstanceState
from sqlalchemy import String, and_, cast, func, literal, or_, select

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.monitoring.card_columns import GROUP, JobGroup, card_text

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from airflow_provider_snowflake_batch.monitoring.order import Order, Place


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
class Wanted:
    """Which jobs are looked for.

    :param readable: ids of the Dags that the user may read; of others nothing is found.
    :param text: words, each of which is a part of something that the list shows of the job, in any case.
    """

    readable: Collection[str]
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    text: str | None = None

    def conditions(self) -> list[Any]:
        ids = ("dag_id", "run_id", "task_id")
        given = [(getattr(TaskInstance, name), getattr(self, name)) for name in ids]
        chosen = [column == value for column, value in given if value is not None]
        return [TaskInstance.dag_id.in_(self.readable), *chosen, *map(_shows, _words(self.text))]


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Some jobs in their order.

    :param older: where the next page begins, if there is one.
    :param newer: where the page before ends, if there is one.
    """

    jobs: list[StoredJob]
    older: Place | None
    newer: Place | None


def find_jobs(
    session: Session,
    wanted: Wanted,
    order: Order,
    *,
    limit: int,
    group: JobGroup | None = None,
    after: Place | None = None,
    before: Place | None = None,
) -> JobsPage:
    """One page of jobs: the first one, or the one after or before a place.

    :raises InvalidPlace: for a place that is not one of this order.
    """
    place, backwards = (before, True) if before is not None else (after, False)
    found = _jobs().add_columns(*order.columns).where(*wanted.conditions())
    if group is not None:
        found = found.where(GROUP.in_([group.value]))
    if place is not None:
        found = found.where(order.after(place, backwards=backwards))
    rows = list(session.execute(found.order_by(*order.by(backwards=backwards)).limit(limit + 1)))
    beyond, rows = len(rows) > limit, rows[:limit]
    if backwards:
        rows.reverse()
    ends = [order.place(row[-len(order.columns) :]) for row in (rows[0], rows[-1])] if rows else [None, None]
    return JobsPage(
        [_job(row) for row in rows],
        older=ends[1] if beyond or backwards else None,
        newer=ends[0] if (beyond if backwards else place is not None) else None,
    )


def count_jobs(session: Session, wanted: Wanted) -> dict[JobGroup, int]:
    """How many jobs there are of each group."""
    mine = select(GROUP.label("job_group")).join(XComModel, _ITS_OWN)
    each = mine.where(XComModel.key == JOB_CARD_KEY, *wanted.conditions()).subquery()
    counted = session.execute(select(each.c.job_group, func.count()).group_by(each.c.job_group))
    return dict.fromkeys(JobGroup, 0) | {JobGroup(group): number for group, number in counted}


def find_job(session: Session, dag_id: str, run_id: str, task_id: str, map_index: int) -> StoredJob | None:
    """The job of one task instance, if it has one."""
    row = session.execute(_jobs().where(*_is(TaskInstance, dag_id, run_id, task_id, map_index))).one_or_none()
    return _job(row) if row is not None else None


def find_dags(session: Session, readable: Collection[str], *, limit: int) -> list[str]:
    """Ids of the Dags of which there are jobs, in alphabetical order."""
    dag_id = XComModel.dag_id
    found = select(dag_id).where(XComModel.key == JOB_CARD_KEY, dag_id.in_(readable)).distinct().order_by(dag_id)
    return list(session.scalars(found.limit(limit)))


def find_links(
    session: Session, dag_id: str, run_id: str, task_id: str, map_index: int, keys: Iterable[str]
) -> dict[str, Any]:
    """What is stored under some XCom keys of a task instance."""
    statement = select(XComModel.key, XComModel.value).where(
        *_is(XComModel, dag_id, run_id, task_id, map_index), XComModel.key.in_(list(keys))
    )
    return {row.key: row.value for row in session.execute(statement)}


# Of a text that somebody has typed; more words tell no more.
_MOST_WORDS = 10


def _words(text: str | None) -> list[str]:
    # The list shows a task as "dag · task", which is one.
    told = re.sub(r"\s*·\s*", "·", (text or "").strip())
    return [word.replace("·", " · ").strip() for word in told.split() if word != "·"][:_MOST_WORDS]


def _shows(word: str) -> Any:
    """Whether the list shows a word of a job."""
    index = literal("[") + cast(TaskInstance.map_index, String) + "]"
    task = TaskInstance.dag_id + " · " + TaskInstance.task_id
    # A task's name is in the first, as is its Dag's.
    names = [task, TaskInstance.run_id, TaskInstance.rendered_map_index, index]
    told = ("job_name", "status", "model", "version", "function", "compute_pool", "message")
    return or_(*(name.icontains(word, autoescape=True) for name in (*names, *map(card_text, told))))


def _is(table: Any, dag_id: Any, run_id: Any, task_id: Any, map_index: Any) -> list[Any]:
    return [
        table.dag_id == dag_id,
        table.run_id == run_id,
        table.task_id == task_id,
        table.map_index == map_index,
    ]


_ITS_OWN = and_(*_is(TaskInstance, XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index))


def _jobs() -> Select[Any]:
    columns: list[Any] = [
        TaskInstance.dag_id,
        TaskInstance.run_id,
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.rendered_map_index,
        TaskInstance.state,
        TaskInstance.try_number,
        TaskInstance.start_date,
        TaskInstance.end_date,
        GROUP.label("job_group"),
        XComModel.value,
    ]
    return select(*columns).join(XComModel, _ITS_OWN).where(XComModel.key == JOB_CARD_KEY)


def _job(row: Any) -> StoredJob:
    state = None if row.state is None else str(TaskInstanceState(row.state).value)
    return StoredJob(
        dag_id=row.dag_id,
        run_id=row.run_id,
        task_id=row.task_id,
        map_index=row.map_index,
        map_label=row.rendered_map_index,
        state=state,
        try_number=row.try_number,
        started_at=row.start_date,
        ended_at=row.end_date,
        live=row.state is None or row.state in State.unfinished,
        group=JobGroup(row.job_group),
        card=row.value,
    )
