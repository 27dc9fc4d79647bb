"""Reads from Airflow's metadata database which jobs there are. No other module here knows Airflow's tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import TaskInstanceState
from sqlalchemy import and_, bindparam, func, or_, select

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.monitoring.entries import (
    WATCHED,
    Entry,
    Key,
    StoredJob,
    entry,
    group_of,
    is_live,
    mark,
)

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.orm import Session


def task_marks(session: Session) -> Iterator[tuple[Key, int]]:
    """The marks of all jobs whose task has begun and not ended."""
    return _marks(session, TaskInstance.state.in_(WATCHED), _OF_FEW)


def changed_marks(session: Session, since: datetime) -> Iterator[tuple[Key, int]]:
    """The marks of all jobs whose card was written later, or whose task has changed."""
    return _marks(session, _CARDS, or_(XComModel.timestamp > since, TaskInstance.updated_at > since))


def all_marks(session: Session) -> Iterator[tuple[Key, int]]:
    """The marks of all jobs."""
    return _marks(session, _CARDS)


def count_cards(session: Session) -> int:
    return session.execute(select(func.count()).select_from(XComModel).where(_CARDS)).scalar_one()


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A job as it is in the database now.

    :param mark: is another than the index holds if something of the job has changed.
    :param written: when its card was.
    """

    key: Key
    mark: int
    job: StoredJob
    written: datetime

    def entry(self) -> Entry:
        """For the index. It takes as long as to read the job, so only a changed job's is made."""
        return entry(self.key, self.mark, self.job, self.written)


def read_jobs(session: Session, keys: Collection[Key]) -> list[ReadJob]:
    """Some jobs, those of them that there still are."""
    if not keys:
        return []
    given = {f"{part}_{place}": value for place, key in enumerate(keys) for part, value in enumerate(key)}
    return [_read(row) for row in session.execute(_these_jobs(len(keys)), given)]


@lru_cache(maxsize=128)
def _these_jobs(count: int) -> Select[Any]:
    """The jobs of so many keys. To put a hundred conditions together takes longer than to have them answered.

    Not one condition on a list of keys, for which SQLite goes through its table.
    """
    each = [
        and_(
            XComModel.key == JOB_CARD_KEY, *(column == bindparam(f"{part}_{place}") for part, column in enumerate(_KEY))
        )
        for place in range(count)
    ]
    return _jobs().where(or_(*each))


def all_entries(session: Session) -> Iterator[Entry]:
    """All jobs."""
    for row in session.execute(_jobs().where(_CARDS).execution_options(yield_per=1_000)):
        yield _read(row).entry()


def find_job(session: Session, dag_id: str, run_id: str, task_id: str, map_index: int) -> StoredJob | None:
    """The job of one task instance, if it has one."""
    this = _is(TaskInstance, dag_id, run_id, task_id, map_index)
    row = session.execute(_jobs().where(*this, _OF_FEW)).one_or_none()
    return _read(row).job if row is not None else None


def find_values(
    session: Session, dag_id: str, run_id: str, task_id: str, map_index: int, keys: Iterable[str]
) -> dict[str, Any]:
    """What is stored under some XCom keys of a task instance."""
    statement = select(XComModel.key, XComModel.value).where(
        *_is(XComModel, dag_id, run_id, task_id, map_index), XComModel.key.in_(list(keys))
    )
    return {row.key: row.value for row in session.execute(statement)}


def _is(table: Any, dag_id: Any, run_id: Any, task_id: Any, map_index: Any) -> list[Any]:
    return [
        table.dag_id == dag_id,
        table.run_id == run_id,
        table.task_id == task_id,
        table.map_index == map_index,
    ]


_ITS_OWN = and_(*_is(TaskInstance, XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index))


_CARDS = XComModel.key == JOB_CARD_KEY
# The same for a known task instance. The concatenation keeps a database without statistics from reading all cards,
# which it would do with the index of keys.
_OF_FEW = XComModel.key.concat("") == JOB_CARD_KEY
_KEY: list[Any] = [XComModel.dag_run_id, XComModel.task_id, XComModel.map_index]
_MARK: list[Any] = [
    XComModel.timestamp,
    TaskInstance.state,
    TaskInstance.try_number,
    TaskInstance.start_date,
    TaskInstance.rendered_map_index,
]


def _marks(session: Session, *conditions: Any) -> Iterator[tuple[Key, int]]:
    found = select(*_KEY, *_MARK).join(XComModel, _ITS_OWN).where(*conditions)
    for row in session.execute(found.execution_options(yield_per=5_000)):
        yield (row[0], row[1], row[2]), mark(*row[3:])


def _jobs() -> Select[Any]:
    names = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.end_date)
    return select(*_KEY, *_MARK, *names, XComModel.value).join(XComModel, _ITS_OWN)


def _read(row: Any) -> ReadJob:
    dag_run_id, task_id, map_index, written, state, try_number, started, label, dag_id, run_id, ended, card = row
    state = None if state is None else str(TaskInstanceState(state).value)
    job = StoredJob(
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=map_index,
        map_label=label,
        state=state,
        try_number=try_number,
        started_at=started,
        ended_at=ended,
        live=is_live(state),
        group=group_of(state, card),
        card=card,
    )
    return ReadJob((dag_run_id, task_id, map_index), mark(written, state, try_number, started, label), job, written)
