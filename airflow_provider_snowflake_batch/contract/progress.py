"""The worker's lines that tell how far it is: this prefix, then a JSON object on the same line.

``by_replica`` in them tells what each replica of the job has done, where one replica knows it of all. Lines of versions
before lack it, readers of versions before leave it alone. The same object stands in job cards, so its size is bounded
whatever the number of replicas (`MOST_TOLD`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from statistics import median
from typing import Any

from airflow_provider_snowflake_batch.contract.json_text import is_count

PROGRESS_PREFIX = "SNOWFLAKE_BATCH_PROGRESS "

MOST_TOLD = 24
"""So many replicas are listed one by one, which is about 2 KB of JSON; of the others there are only sums."""
MOST_BAD_ROWS = 3
"""Bad rows of which the error is told; of all others, only the number is."""
_MOST_BAD_ROW_BYTES = 240
SLOW_SHARE = 0.5
"""A replica is slow if its speed is below this share of the others' median speed."""


class ReplicaState(str, Enum):
    """What a replica is at."""

    LATE = "late"
    """It has not come yet, although others are at work."""
    LOADING = "loading"
    RUNNING = "running"
    SLOW = "slow"
    """It runs, at less than `SLOW_SHARE` of the others' median speed."""
    LOST = "lost"
    """It was there, and has failed or does not answer any more."""
    DONE = "done"


def told_bad_row(text: str) -> str:
    """What is told of a bad row: a line that as JSON is of bounded length.

    :param text: the row and its error, in words.
    """
    line = " ".join(text.split())
    if len(json.dumps(line)) <= _MOST_BAD_ROW_BYTES:
        return line
    kept = line[:_MOST_BAD_ROW_BYTES]
    while len(json.dumps(f"{kept}…")) > _MOST_BAD_ROW_BYTES:
        kept = kept[: len(kept) * 3 // 4]
    return f"{kept}…"


def read_bad_rows(value: Any) -> tuple[str, ...]:
    """What was told of bad rows, by this version or another; nothing for what tells of none."""
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(told_bad_row(one) for one in value[:MOST_BAD_ROWS] if isinstance(one, str))


# Where not all replicas are listed one by one, those that hold the job up are.
_TOLD_FIRST = (ReplicaState.LOST, ReplicaState.SLOW, ReplicaState.LATE)


@dataclass(frozen=True)
class ReplicaProgress:
    """How far one replica is.

    :param rows: scored by it in this attempt, bad ones included.
    :param rows_per_second: while it had work; None while it cannot be told.
    """

    replica: int
    state: ReplicaState
    rows: int = 0
    rows_per_second: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON; a speed that is not known is left out."""
        value: dict[str, Any] = {"replica": self.replica, "state": self.state.value, "rows": self.rows}
        if self.rows_per_second is not None:
            value["rows_per_second"] = round(self.rows_per_second, 1)
        return value

    @classmethod
    def from_json(cls, value: Any) -> ReplicaProgress | None:
        """An entry that was written, by this version or another; None for what is none.

        A state that this version does not know is `RUNNING`.
        """
        if not isinstance(value, Mapping) or not (is_count(value.get("replica")) and is_count(value.get("rows"))):
            return None
        return cls(value["replica"], _state(value.get("state")), value["rows"], _speed(value.get("rows_per_second")))


@dataclass(frozen=True)
class AllReplicas:
    """How far each replica is.

    :param each: those that are told one by one, by their numbers.
    :param others: how many more there are in each state.
    :param others_rows: the rows of these, together.
    """

    each: tuple[ReplicaProgress, ...]
    others: Mapping[ReplicaState, int] = field(default_factory=dict)
    others_rows: int = 0

    @classmethod
    def of(cls, replicas: Iterable[ReplicaProgress]) -> AllReplicas:
        """What is told of some replicas: who is slow, and who of many is named."""
        judged = sorted(_judged(list(replicas)), key=lambda one: one.replica)
        order = sorted(judged, key=lambda one: (_rank(one.state), one.rows_per_second or 0.0))
        named = {one.replica for one in order[:MOST_TOLD]}
        rest = [one for one in judged if one.replica not in named]
        others: dict[ReplicaState, int] = {}
        for one in rest:
            others[one.state] = others.get(one.state, 0) + 1
        each = tuple(one for one in judged if one.replica in named)
        return cls(each, others, sum(one.rows for one in rest))

    def count(self, state: ReplicaState) -> int:
        """How many replicas are in a state."""
        return sum(one.state is state for one in self.each) + self.others.get(state, 0)

    @property
    def rows(self) -> int:
        """Rows that all replicas have scored in this attempt."""
        return sum(one.rows for one in self.each) + self.others_rows

    def to_json(self) -> dict[str, Any]:
        """The object as JSON."""
        value: dict[str, Any] = {"each": [one.to_json() for one in self.each]}
        if self.others:
            value["others"] = {state.value: count for state, count in self.others.items()}
            value["others_rows"] = self.others_rows
        return value

    @classmethod
    def from_json(cls, value: Any) -> AllReplicas | None:
        """What was written, by this version or another; None for what is none, or tells of no replica."""
        if not isinstance(value, Mapping) or not isinstance(value.get("each"), list):
            return None
        found: dict[int, ReplicaProgress] = {}
        for entry in value["each"][:MOST_TOLD]:
            one = ReplicaProgress.from_json(entry)
            if one is not None:
                found.setdefault(one.replica, one)
        others: dict[ReplicaState, int] = {}
        counts = value.get("others")
        for name, count in counts.items() if isinstance(counts, Mapping) else ():
            if is_count(count) and count:
                state = _state(name)
                others[state] = others.get(state, 0) + count
        told_rows = value.get("others_rows")
        rows = int(told_rows) if others and told_rows is not None and is_count(told_rows) else 0
        if not found:
            return None
        each = tuple(found[replica] for replica in sorted(found))
        return cls(each, others, rows)


def _rank(state: ReplicaState) -> int:
    return _TOLD_FIRST.index(state) if state in _TOLD_FIRST else len(_TOLD_FIRST)


def _judged(replicas: list[ReplicaProgress]) -> list[ReplicaProgress]:
    """The replicas; one that runs and is slow is marked as slow."""
    speeds = {
        one.replica: one.rows_per_second
        for one in replicas
        if one.rows_per_second and one.state in (ReplicaState.RUNNING, ReplicaState.DONE)
    }

    def slow(one: ReplicaProgress) -> bool:
        others = [speed for replica, speed in speeds.items() if replica != one.replica]
        own = speeds.get(one.replica)
        return own is not None and bool(others) and own < SLOW_SHARE * median(others)

    return [
        replace(one, state=ReplicaState.SLOW) if one.state is ReplicaState.RUNNING and slow(one) else one
        for one in replicas
    ]


def _state(value: Any) -> ReplicaState:
    try:
        return ReplicaState(value)
    except ValueError:
        return ReplicaState.RUNNING


def _speed(value: Any) -> float | None:
    # Python reads NaN and infinity in JSON. Both fail this comparison.
    whole = type(value) in (int, float) and 0 <= value < 1e15
    return float(value) if whole else None
