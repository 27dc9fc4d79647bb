"""Reading a container's log piece by piece, although Snowflake returns only its end.

``SYSTEM$GET_SERVICE_LOGS`` returns the newest lines, at most 100 KB
(https://docs.snowflake.com/en/sql-reference/functions/system_get_service_logs). Two such texts of one log are two
windows on it, so what is new is what follows their overlap.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX as PROGRESS_PREFIX
from airflow_provider_snowflake_batch.jobs.json_values import number

GAP = "… lines were written faster than they could be read; some are missing here …"
# More would not help to find the overlap, and comparing costs time.
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
    """How many lines of ``now`` have been seen, if ``tail`` were the last ones seen, of ``count``."""
    if not tail:
        return 0
    width = len(tail)
    if now[max(count - width, 0) : count] == tail:
        # The whole log is still there, so the count alone tells.
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
    """

    replica: int
    phase: str
    rows_done: int
    rows_total: int
    rows_per_second: float | None = None
    eta_seconds: float | None = None
    rows_reused: int | None = None

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
        whole = all(_is_count(found[name]) for name in ("replica", "rows_done", "rows_total"))
        if not whole or not isinstance(found["phase"], str):
            return None
        if not _is_count(found["rows_reused"]):
            found["rows_reused"] = None
        # A rate over no time is NaN or infinity, and Python writes both into JSON.
        return cls(**found | {name: number(found[name]) for name in _RATES})

    @classmethod
    def total(cls, parts: Iterable[Progress]) -> Progress | None:
        """What the replicas have done together; None if none has said anything."""
        known = list(parts)
        if not known:
            return None
        phases = {part.phase for part in known}
        reused = [part.rows_reused for part in known if part.rows_reused is not None]
        return cls(
            replica=known[0].replica,
            phase=phases.pop() if len(phases) == 1 else "running",
            rows_done=sum(part.rows_done or 0 for part in known),
            rows_total=sum(part.rows_total or 0 for part in known),
            rows_per_second=sum(part.rows_per_second or 0 for part in known) or None,
            eta_seconds=max(part.eta_seconds or 0 for part in known) or None,
            rows_reused=sum(reused) if reused else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """All but the replica, for a record of the whole job."""
        values = asdict(self)
        del values["replica"]
        return values

    def sentence(self) -> str:
        """For people: ``1,200 of 9,000 rows (13 %), 800 kept from earlier tries, 400 rows/s, about 20 s left``."""
        if not self.rows_total:
            return self.phase
        parts = [f"{self.rows_done:,} of {self.rows_total:,} rows ({100 * self.rows_done // self.rows_total} %)"]
        if self.rows_reused:
            parts.append(f"{self.rows_reused:,} kept from earlier tries")
        if self.rows_per_second:
            parts.append(f"{self.rows_per_second:,.0f} rows/s")
        if self.eta_seconds:
            parts.append(f"about {_duration(self.eta_seconds)} left")
        return ", ".join(parts)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
