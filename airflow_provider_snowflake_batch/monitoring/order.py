"""In which order jobs are listed, and a page's place in it: keyset paging, which costs the same on every page."""

from __future__ import annotations

import base64
import binascii
import json
import math
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_provider_snowflake_batch.monitoring.entries import JobGroup, microseconds


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
        return base64.urlsafe_b64encode(json.dumps([self.now, *self.values]).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Place:
        """:raises InvalidPlace: for what :meth:`encode` has not made."""
        try:
            now, *values = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
            sound = type(now) in {int, float} and math.isfinite(now) and abs(now) < 1e12
        except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
            raise InvalidPlace(text) from error
        if not sound or not all(map(_is_value, values)):
            raise InvalidPlace(text)
        return cls(tuple(values), now)


def _is_value(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value
    # Databases have whole numbers of 64 bits.
    return type(value) is int and -(2**63) <= value < 2**63


_NUMBERS = {"recency", "sent", "shortness", "dag_run_id", "map_index"}
# Columns that tell two jobs apart if all others are the same.
_TIES = ("dag_run_id", "task_id", "map_index")
COLUMNS: dict[Sort, tuple[str, ...]] = {
    Sort.NEWEST: ("recency", *_TIES),
    Sort.STATUS: ("status", "recency", *_TIES),
    Sort.TASK: ("dag_id", "task_id", "run_id", "map_index"),
    Sort.MODEL: ("model", "recency", *_TIES),
    Sort.POOL: ("pool", "recency", *_TIES),
    Sort.SUBMITTED: ("sent", *_TIES),
    Sort.DURATION: ("shortness", *_TIES),
}
"""Those of the index by which the jobs of one group are sorted. They tell any two jobs apart."""


class Order:
    """An order of all jobs, made of the orders of each group: jobs that run last longer while time goes by, and come
    first among the newest, so across groups the place of a job has other values than its columns.

    :param sort: by what.
    :param reverse: the other way round.
    :param now: seconds since the epoch.
    """

    def __init__(self, sort: Sort = Sort.NEWEST, *, reverse: bool = False, now: float | None = None) -> None:
        self.sort, self.reverse = sort, reverse
        self.now = time.time() if now is None else now
        self.columns = COLUMNS[sort]

    def place(self, group: JobGroup, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The place of a job.

        :param values: of its columns.
        """
        if self.sort is Sort.NEWEST:
            return (int(group is not JobGroup.ACTIVE), *values)
        if self.sort is Sort.DURATION and group is JobGroup.ACTIVE:
            return (values[0] - microseconds(self.now), *values[1:])
        return values

    def beyond(self, group: JobGroup, place: Place, *, descending: bool) -> tuple[Any, ...] | bool:
        """Which jobs of a group come after a place: those after these values of its columns, or all, or none.

        :raises InvalidPlace: if the place is not one of this order.
        """
        kinds = [int if name in _NUMBERS else str for name in self.columns]
        if self.sort is Sort.NEWEST:
            kinds.insert(0, int)
        if [type(value) for value in place.values] != kinds:
            raise InvalidPlace(str(place))
        if self.sort is Sort.NEWEST:
            mine, there = int(group is not JobGroup.ACTIVE), place.values[0]
            return place.values[1:] if mine == there else (mine > there) != descending
        if self.sort is Sort.DURATION and group is JobGroup.ACTIVE:
            return (place.values[0] + microseconds(self.now), *place.values[1:])
        return place.values
