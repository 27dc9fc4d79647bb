"""In which order jobs are listed, and a page's place in it: keyset paging, which costs the same on every page."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.sqlalchemy import UtcDateTime
from sqlalchemy import ColumnElement, Float, Integer, String, and_, case, func, or_

from airflow_provider_snowflake_batch.monitoring.card_columns import GROUP, JobGroup, card_number, card_text


class Sort(str, Enum):
    """What jobs are sorted by. ``newest``: those that run or wait first, then by the start of the task."""

    NEWEST = "newest"
    STATUS = "status"
    TASK = "task"
    MODEL = "model"
    POOL = "pool"
    SUBMITTED = "submitted"
    DURATION = "duration"


class InvalidPlace(ValueError):
    """A place in the list that no answer has named."""


@dataclass(frozen=True, slots=True)
class Place:
    """A job's place in an order: the next page begins after it, the one before ends before it.

    :param values: of the job in the order's columns.
    :param now: the time by which jobs that run have lasted, the same on all pages. Seconds since the epoch.
    """

    values: tuple[Any, ...]
    now: float

    def encode(self) -> str:
        """As a text that stands in an address."""
        values = [{"at": value.isoformat()} if isinstance(value, datetime) else value for value in self.values]
        return base64.urlsafe_b64encode(json.dumps([self.now, *values]).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Place:
        """:raises InvalidPlace: for what :meth:`encode` has not made."""
        try:
            now, *values = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
            read = tuple(datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value for value in values)
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise InvalidPlace(text) from error
        if not isinstance(now, (int, float)) or any(_is_no_value(value) for value in read):
            raise InvalidPlace(text)
        return cls(read, now)


def _is_no_value(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    return isinstance(value, bool) or not isinstance(value, (int, float, datetime))


class Order:
    """The columns by which jobs are sorted, none of which is ever NULL, and which tell any two jobs apart.

    :param sort: by what.
    :param reverse: the other way round.
    :param now: seconds since the epoch.
    """

    def __init__(self, sort: Sort = Sort.NEWEST, *, reverse: bool = False, now: float | None = None) -> None:
        self.now = time.time() if now is None else now
        names = (TaskInstance.dag_id, TaskInstance.task_id, TaskInstance.run_id, TaskInstance.map_index)
        self._ways = [(column, way != reverse) for column, way in _columns(sort, self.now)]
        self._ways += [(column, reverse and sort is Sort.TASK) for column in names]
        self.columns: list[Any] = [column.label(f"place_{index}") for index, (column, _) in enumerate(self._ways)]

    def by(self, *, backwards: bool = False) -> list[Any]:
        """For ``ORDER BY``."""
        return [column.desc() if descending != backwards else column.asc() for column, descending in self._ways]

    def after(self, place: Place, *, backwards: bool = False) -> ColumnElement[bool]:
        """Which jobs come after a place, or before it.

        :raises InvalidPlace: if it is not one of this order.
        """
        if len(place.values) != len(self._ways) or not all(map(_fits, self._ways, place.values)):
            raise InvalidPlace(str(place))
        ways = list(zip(self._ways, place.values, strict=True))
        alike: list[ColumnElement[bool]] = []
        beyond: list[ColumnElement[bool]] = []
        for (column, descending), value in ways:
            further = column < value if descending != backwards else column > value
            beyond.append(and_(*alike, further))
            alike.append(column == value)
        return or_(*beyond)

    def place(self, row: Sequence[Any]) -> Place:
        """That of a job.

        :param row: what :attr:`columns` are of it.
        """
        return Place(tuple(row), self.now)


def _fits(way: tuple[Any, bool], value: Any) -> bool:
    kinds: list[tuple[type, type | tuple[type, ...]]] = [
        (Integer, int), (Float, (int, float)), (String, str), (UtcDateTime, datetime),
    ]  # fmt: skip
    return any(isinstance(way[0].type, kind) and isinstance(value, python) for kind, python in kinds)


def _columns(sort: Sort, now: float) -> list[tuple[Any, bool]]:
    """Those of a sort, and whether they are descending."""
    active = GROUP.in_([JobGroup.ACTIVE.value])
    waits = case((active, 0), else_=1)
    started = func.coalesce(TaskInstance.start_date, XComModel.timestamp)
    submitted = func.coalesce(card_number("submitted_at"), 0.0)
    match sort:
        case Sort.NEWEST:
            return [(waits, False), (started, True)]
        case Sort.STATUS:
            return [(func.coalesce(func.upper(card_text("status")), ""), False), (started, True)]
        case Sort.TASK:
            return []
        case Sort.MODEL:
            return [(func.coalesce(card_text("model"), ""), False), (started, True)]
        case Sort.POOL:
            return [(func.coalesce(card_text("compute_pool"), ""), False), (started, True)]
        case Sort.SUBMITTED:
            return [(submitted, True)]
        case Sort.DURATION:
            seen = case((active, now), else_=func.coalesce(card_number("updated_at"), 0.0))
            return [(func.coalesce(card_number("ended_at"), seen) - submitted, True)]
