"""Reading a container's log piece by piece, although Snowflake returns only its end.

``SYSTEM$GET_SERVICE_LOGS`` returns the newest lines, at most 100 KB
(https://docs.snowflake.com/en/sql-reference/functions/system_get_service_logs). Two such texts of one log are two
windows on it, so what is new is what follows their overlap.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from airflow_provider_snowflake_batch.contract.json_text import is_count
from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX as PROGRESS_PREFIX
from airflow_provider_snowflake_batch.contract.progress import (
    AllReplicas,
    ReplicaProgress,
    ReplicaState,
    read_bad_rows,
)
from airflow_provider_snowflake_batch.jobs.json_values import number

GAP = "… lines were written faster than they could be read; some are missing here …"
# More lines would not help to find the overlap, and comparing them costs time.
_REMEMBERED_LINES = 2000
# Enough to find the place again in any log that does not repeat itself all the time.
_POSITION_LINES = 20
_RATES = ("rows_per_second", "eta_seconds")


@dataclass(slots=True)
class LogWindow:
    """What has been seen of one container's log."""

    _seen: list[str] = field(default_factory=list)
    _count: int = 0
    _resumed: list[int] | None = None

    @classmethod
    def resume(cls, position: Sequence[int]) -> LogWindow:
        """Go on where another process stopped.

        :param position: its :attr:`position`.
        """
        return cls(_count=position[0], _resumed=list(position[1:]))

    @property
    def position(self) -> list[int]:
        """How far the log has been read, in a few numbers: how many lines, and checksums of the last ones."""
        if self._resumed is not None:
            return [self._count, *self._resumed]
        return [self._count, *map(_checksum, self._seen[-_POSITION_LINES:])]

    def advance(self, text: str, *, last: bool = False) -> list[str]:
        """The lines that are new since the last call.

        :param text: the log's newest lines.
        :param last: the log will not grow any more. Until then a line without its line break is held back: the
            container may be in the middle of writing it.
        :returns: new lines in order, with :data:`GAP` before them if some were missed.
        """
        lines = text.splitlines()
        if lines and not last and not text.endswith(("\n", "\r")):
            lines.pop()
        if not lines:
            return []
        if self._resumed is not None:
            known = bool(self._resumed)
            overlap = _find(self._resumed, [_checksum(line) for line in lines], self._count)
            self._resumed = None
        else:
            known = bool(self._seen)
            overlap = _overlap(self._seen, lines)
        new = lines[overlap:]
        self._count += len(new)
        if known and overlap == 0:
            new = [GAP, *new]
        self._seen = lines[-_REMEMBERED_LINES:]
        return new


def _checksum(line: str) -> int:
    return zlib.crc32(line.encode())


def _find(tail: list[int], now: list[int], count: int) -> int:
    """How many lines of ``now`` have been seen before.

    :param tail: the last lines that were seen then.
    :param count: how many lines were seen then.
    """
    if not tail:
        return 0
    width = len(tail)
    if now[max(count - width, 0) : count] == tail:
        # The log still begins where it began then.
        return count
    # If the log repeats itself, the first match is the one that loses no line.
    first = next((end for end in range(width, len(now) + 1) if now[end - width : end] == tail), None)
    return first if first is not None else _overlap(tail, now)


_Line = TypeVar("_Line", str, int)


def _overlap(before: list[_Line], now: list[_Line]) -> int:
    """The longest end of ``before`` that is a beginning of ``now`` (the prefix function of Knuth, Morris and Pratt)."""
    failure = [0] * len(now)
    length = 0
    for index in range(1, len(now)):
        while length and now[index] != now[length]:
            length = failure[length - 1]
        length += now[index] == now[length]
        failure[index] = length
    matched = 0
    for line in before:
        while matched and (matched == len(now) or line != now[matched]):
            matched = failure[matched - 1]
        matched += line == now[matched]
    return matched


@dataclass(frozen=True, slots=True)
class Progress:
    """One progress record of this package's worker.

    :param replica: which replica wrote it.
    :param phase: ``planning``, ``loading``, ``running``, ``finishing``, ``done`` or ``failed``.
    :param rows_done: rows scored so far, of this replica's share.
    :param rows_total: rows of this replica's share.
    :param rows_per_second: or None while it cannot be told.
    :param eta_seconds: or None while it cannot be told.
    :param rows_reused: rows of this replica's share that an earlier try's job has scored; None if the worker does not
        tell, as older ones do not.
    :param replicas: how many the job has; None if the worker does not tell.
    :param by_replica: how far each of them is; None where there is one, and where only the total is known.
    :param quarantined_rows: of the rows done, those that were set aside as bad; None if the worker does not tell.
    :param batch_rows: with how many rows the model is called at most; None likewise.
    :param first_bad_rows: the first rows that were set aside with their errors, in words.
    """

    replica: int
    phase: str
    rows_done: int
    rows_total: int
    rows_per_second: float | None = None
    eta_seconds: float | None = None
    rows_reused: int | None = None
    replicas: int | None = None
    by_replica: AllReplicas | None = None
    quarantined_rows: int | None = None
    batch_rows: int | None = None
    first_bad_rows: tuple[str, ...] = ()

    @classmethod
    def parse(cls, line: str) -> Progress | None:
        """The record in a line of the log, or None if the line is something else."""
        if not line.startswith(PROGRESS_PREFIX):
            return None
        try:
            values: dict[str, Any] = json.loads(line[len(PROGRESS_PREFIX) :])
            found: dict[str, Any] = {name: values.get(name) for name in cls.__slots__}
        except (ValueError, AttributeError, RecursionError):
            return None
        # Any program may write a line that begins so. Its numbers are added up, and its replica becomes a key.
        whole = all(is_count(found[name]) for name in ("replica", "rows_done", "rows_total"))
        if not whole or not isinstance(found["phase"], str):
            return None
        for name in ("rows_reused", "replicas", "quarantined_rows", "batch_rows"):
            if not is_count(found[name]):
                found[name] = None
        found["first_bad_rows"] = read_bad_rows(found["first_bad_rows"])
        found["by_replica"] = AllReplicas.from_json(found["by_replica"])
        # A rate over no time is NaN or infinity, and Python writes both into JSON.
        return cls(**found | {name: number(found[name]) for name in _RATES})

    @classmethod
    def total(cls, parts: Iterable[Progress], lost: Collection[int] = ()) -> Progress | None:
        """What the replicas have done together; None if none has said anything.

        :param lost: replicas whose containers have failed.
        """
        known = list(parts)
        if not known:
            return None
        phases = {part.phase for part in known}
        reused = [part.rows_reused for part in known if part.rows_reused is not None]
        bad = [part.quarantined_rows for part in known if part.quarantined_rows is not None]
        return cls(
            replica=known[0].replica,
            phase=phases.pop() if len(phases) == 1 else "running",
            rows_done=sum(part.rows_done or 0 for part in known),
            rows_total=sum(part.rows_total or 0 for part in known),
            rows_per_second=sum(part.rows_per_second or 0 for part in known) or None,
            eta_seconds=max(part.eta_seconds or 0 for part in known) or None,
            rows_reused=sum(reused) if reused else None,
            replicas=max((part.replicas for part in known if part.replicas is not None), default=None),
            by_replica=_each(known, lost),
            quarantined_rows=sum(bad) if bad else None,
            batch_rows=max((part.batch_rows for part in known if part.batch_rows), default=None),
            first_bad_rows=read_bad_rows([text for part in known for text in part.first_bad_rows]),
        )

    def _own(self, *, lost: bool) -> ReplicaProgress:
        """This replica among the others. Its rows are those of this try, as where one replica tells of all."""
        states = {"running": ReplicaState.RUNNING, "finishing": ReplicaState.DONE, "done": ReplicaState.DONE}
        state = states.get(self.phase, ReplicaState.LOADING)
        if self.phase == "failed" or (lost and state is not ReplicaState.DONE):
            state = ReplicaState.LOST
        rate = None if state is ReplicaState.LOST else self.rows_per_second
        return ReplicaProgress(self.replica, state, max(self.rows_done - (self.rows_reused or 0), 0), rate)

    def to_dict(self) -> dict[str, Any]:
        """For a record of the whole job, which knows the number of replicas. Its size is bounded."""
        values = asdict(self)
        for name in ("replica", "replicas", "by_replica"):
            del values[name]
        if self.by_replica is not None:
            values["by_replica"] = self.by_replica.to_json()
        for name in ("quarantined_rows", "batch_rows", "first_bad_rows"):
            if not values[name] and values[name] != 0:
                del values[name]
        return values

    def sentence(self) -> str:
        """For people: ``1,200 of 9,000 rows (13 %), 800 kept from earlier tries, 400 rows/s, about 20 s left``."""
        if not self.rows_total:
            return self.phase
        parts = [f"{self.rows_done:,} of {self.rows_total:,} rows ({100 * self.rows_done // self.rows_total} %)"]
        if self.rows_reused:
            parts.append(f"{self.rows_reused:,} kept from earlier tries")
        if self.quarantined_rows:
            parts.append(f"{self.quarantined_rows:,} set aside as bad")
        if self.rows_per_second:
            parts.append(f"{self.rows_per_second:,.0f} rows/s")
        if self.eta_seconds:
            parts.append(f"about {_duration(self.eta_seconds)} left")
        told = "" if self.by_replica is None else f"; {_replicas_in_words(self.by_replica)}"
        return ", ".join(parts) + told


# No job has more replicas: a line with a larger number is not from this package's worker.
_MOST_REPLICAS = 1000


def _each(parts: Sequence[Progress], lost: Collection[int]) -> AllReplicas | None:
    """How far each replica is: told by the one replica that knows of all, or else by each of itself."""
    told = next((part.by_replica for part in parts if part.by_replica is not None), None)
    count = max((part.replicas or 1 for part in parts), default=1)
    if told is not None or not 1 < count <= _MOST_REPLICAS:
        return told
    found = {part.replica: part._own(lost=part.replica in lost) for part in parts}
    silent = [replica for replica in range(count) if replica not in found]
    for replica in silent:
        found[replica] = ReplicaProgress(replica, ReplicaState.LOST if replica in lost else ReplicaState.LATE)
    return AllReplicas.of(found.values())


# With more replicas than this, a line names only those that are slow, late or lost.
_NAMED_IN_WORDS = 6


def _replicas_in_words(told: AllReplicas) -> str:
    """``replica 0: 600 rows, 200 rows/s; replica 1 slow: 90 rows, 30 rows/s; replica 2 late``."""
    plain = (ReplicaState.RUNNING, ReplicaState.LOADING, ReplicaState.DONE)
    few = len(told.each) <= _NAMED_IN_WORDS and not told.others
    named = [one for one in told.each if few or one.state not in plain][:_NAMED_IN_WORDS]
    parts = [_replica_in_words(one) for one in named]
    for state in () if few else ReplicaState:
        count = told.count(state) - sum(one.state is state for one in named)
        if count:
            parts.append(f"{count:,} {'more ' if state not in plain else ''}{state.value}")
    return "; ".join(parts)


def _replica_in_words(one: ReplicaProgress) -> str:
    words = "" if one.state is ReplicaState.RUNNING else f" {one.state.value}"
    figures = [f"{one.rows:,} rows"] if one.rows else []
    if one.rows_per_second:
        figures.append(f"{one.rows_per_second:,.0f} rows/s")
    return f"replica {one.replica}{words}" + (": " + ", ".join(figures) if figures else "")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
