"""Reads from Airflow's metadata database which jobs there are. No other module here knows Airflow's tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import State, TaskInstanceState
from sqlalchemy import and_, case, func, or_, select

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.jobs.status import JobStatus

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.orm import Session


class JobGroup(str, Enum):
    """What became of a job, as far as its task knows.

    ``active`` may still change. ``failed`` is all else that is not ``done``: failed or cancelled jobs, and those whose
    task ended without seeing how the job did.
    """

    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"


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


def find_jobs(
    session: Session,
    readable: Collection[str],
    *,
    limit: int,
    offset: int = 0,
    dag_id: str | None = None,
    group: JobGroup | None = None,
    text: str | None = None,
) -> list[StoredJob]:
    """Jobs, the newest task first.

    :param readable: ids of the Dags that the user may read; of others nothing is found.
    :param text: part of a Dag's, run's or task's id, or of the job's, model's or compute pool's name, in any case.
    """
    found = _jobs().where(TaskInstance.dag_id.in_(readable))
    if dag_id is not None:
        found = found.where(TaskInstance.dag_id == dag_id)
    if group is not None:
        found = found.where(_GROUP.in_([group.value]))
    if text:
        named = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id)
        told = (_told(name) for name in ("job_name", "model", "compute_pool"))
        found = found.where(or_(*(name.icontains(text, autoescape=True) for name in (*named, *told))))
    newest = func.coalesce(TaskInstance.start_date, XComModel.timestamp).desc()
    found = found.order_by(
        newest, TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index
    )
    return [_job(row) for row in session.execute(found.limit(limit).offset(offset))]


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


def _jobs() -> Select[Any]:
    of = XComModel
    its_own = and_(*_is(TaskInstance, of.dag_id, of.run_id, of.task_id, of.map_index))
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
        _GROUP.label("job_group"),
        XComModel.value,
    ]
    return select(*columns).join(XComModel, its_own).where(XComModel.key == JOB_CARD_KEY)


def _is(table: Any, dag_id: Any, run_id: Any, task_id: Any, map_index: Any) -> list[Any]:
    return [
        table.dag_id == dag_id,
        table.run_id == run_id,
        table.task_id == task_id,
        table.map_index == map_index,
    ]


def _told(name: str) -> Any:
    """A field of the card as text."""
    return XComModel.value[name].as_string()


def _group() -> Any:
    # A card that nobody can read has no status.
    status = func.coalesce(func.upper(_told("status")), "")
    ended = [status.value for status in JobStatus if status.is_terminal]
    unfinished = [state for state in State.unfinished if state is not None]
    live = or_(TaskInstance.state.is_(None), TaskInstance.state.in_(unfinished))
    succeeded = or_(TaskInstance.state.is_(None), TaskInstance.state != TaskInstanceState.FAILED)
    return case(
        (and_(live, status.not_in(ended)), JobGroup.ACTIVE.value),
        (and_(status == JobStatus.DONE.value, succeeded), JobGroup.DONE.value),
        else_=JobGroup.FAILED.value,
    )


_GROUP = _group()


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
