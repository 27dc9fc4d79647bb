"""What queries read of a stored card, on every database, whatever somebody has written there."""

from __future__ import annotations

from enum import Enum
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import State, TaskInstanceState
from sqlalchemy import Float, and_, case, func, literal_column, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from airflow_provider_snowflake_batch.jobs.card import NOT_SUBMITTED, REFUSED
from airflow_provider_snowflake_batch.jobs.status import JobStatus


class JobGroup(str, Enum):
    """What became of a job, as far as its task knows.

    ``active`` may still change. ``failed`` is all else that is not ``done``: failed or cancelled jobs, those that were
    never submitted, and those whose task ended without seeing how the job did.
    """

    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"


def card_text(name: str) -> Any:
    """A field of the card as text."""
    return XComModel.value[name].as_string()


def card_number(name: str) -> Any:
    """A field of the card as a number, NULL where it is none: databases differ in what they make of a text then.

    :param name: of the field; written into the statement.
    """
    return _CardNumber(XComModel.value, literal_column(name))


class _CardNumber(FunctionElement[float]):
    inherit_cache = True
    type = Float()


@compiles(_CardNumber)
def _number_on_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    value, name = (compiler.process(each, **given) for each in element.clauses)
    path = f"{value}, '$.{name}'"
    return f"CASE WHEN json_type({path}) IN ('integer', 'real') THEN json_extract({path}) END"


@compiles(_CardNumber, "postgresql")
def _number_on_postgresql(element: Any, compiler: Any, **given: Any) -> str:
    value, name = (compiler.process(each, **given) for each in element.clauses)
    return f"CASE WHEN jsonb_typeof({value} -> '{name}') = 'number' THEN CAST({value} ->> '{name}' AS float8) END"


@compiles(_CardNumber, "mysql")
def _number_on_mysql(element: Any, compiler: Any, **given: Any) -> str:
    value, name = (compiler.process(each, **given) for each in element.clauses)
    found = f"JSON_EXTRACT({value}, '$.{name}')"
    kinds = "'INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL'"
    return f"CASE WHEN JSON_TYPE({found}) IN ({kinds}) THEN CAST({found} AS DOUBLE) END"


def _group() -> Any:
    # A card that nobody can read has no status.
    status = func.coalesce(func.upper(card_text("status")), "")
    ended = [status.value for status in JobStatus if status.is_terminal]
    unfinished = [state for state in State.unfinished if state is not None]
    live = or_(TaskInstance.state.is_(None), TaskInstance.state.in_(unfinished))
    succeeded = or_(TaskInstance.state.is_(None), TaskInstance.state != TaskInstanceState.FAILED)
    return case(
        (and_(live, status.not_in([*ended, REFUSED, NOT_SUBMITTED])), JobGroup.ACTIVE.value),
        (and_(status == JobStatus.DONE.value, succeeded), JobGroup.DONE.value),
        else_=JobGroup.FAILED.value,
    )


GROUP = _group()
