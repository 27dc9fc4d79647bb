"""The faults that are set: when each one strikes, and how often it did.

They live in memory only: a server that starts has none.
"""

from __future__ import annotations

import itertools
import math
import random
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.local.faults.kinds import KINDS, SELECTORS, Kind


class InvalidFault(ValueError):
    """A fault that cannot be set; the text says what is wrong with it."""


@dataclass(eq=False)
class Fault:
    """One fault that was set.

    :param parameters: those of its kind, all of them.
    :param patterns: selector → regular expression, searched for without regard to case.
    :param count: how often it strikes at most; None for no limit.
    :param probability: of each chance to strike, 0 to 1.
    :param seed: of the chance; the same seed and the same requests give the same faults.
    """

    id: int
    kind: Kind
    parameters: dict[str, Any]
    patterns: dict[str, re.Pattern[str]]
    count: int | None = None
    probability: float = 1.0
    seed: int = field(default_factory=lambda: secrets.randbelow(2**31))
    fired: int = 0
    """How often it struck."""
    cleared: bool = False
    held: dict[str, float | None] = field(default_factory=dict)
    """``pending`` and ``late-replica``: job id → until when (monotonic, seconds); None if it is spared."""
    slowed: dict[str, bool] = field(default_factory=dict)
    """``slow-node``: replica → whether it is befallen."""
    watched: set[str] = field(default_factory=set)
    """``kill-replica`` and ``lose-node``: the replicas that are already taken care of."""
    expired: set[str] = field(default_factory=set)
    """``expire``: the session tokens that it made invalid."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def selects(self, **texts: str | None) -> bool:
        """Whether each pattern occurs in its text; a text that there is not is not matched."""
        for selector, pattern in self.patterns.items():
            text = texts.get(selector)
            if text is None or not pattern.search(text):
                return False
        return True

    def dooms(self, job_id: str, name: str, replica: int, node: int | None) -> bool:
        """``kill-replica`` and ``lose-node``: whether it is after this replica and has not looked at it before."""
        places = {"kill-replica": ("replica", replica), "lose-node": ("node", node)}
        key, place = places.get(self.kind.name, ("", None))
        wanted = bool(key) and self.parameters[key] == place
        return wanted and f"{job_id}/{replica}" not in self.watched and self.selects(job=name)

    def strikes(self) -> bool:
        """Draw, and count it if so."""
        if self.cleared or (self.count is not None and self.fired >= self.count):
            return False
        if self.probability < 1 and self._random.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def described(self) -> dict[str, Any]:
        """As the control endpoint shows it."""
        return {
            "id": self.id,
            "kind": self.kind.name,
            **self.parameters,
            **{name: pattern.pattern for name, pattern in self.patterns.items()},
            "count": self.count,
            "probability": self.probability,
            "seed": self.seed,
            "fired": self.fired,
        }


class Faults:
    """All faults that are set.

    :ivar any: whether there is one; everything else here need not be asked while there is none.
    :ivar on_change: called when jobs that were held may go on, and when running jobs may be befallen.
    """

    def __init__(self) -> None:
        self.any = False
        self.on_change: list[Callable[[], None]] = []
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, given: Mapping[str, Any]) -> Fault:
        """Set a fault.

        :param given: ``kind``; optionally the kind's parameters, its selectors, ``count``, ``probability``, ``seed``.
        :raises InvalidFault: for anything else, and for values that make no sense.
        """
        fault = _read(given, next(self._ids))
        with self._lock:
            self._faults.append(fault)
            self.any = True
        self._changed()
        return fault

    def all(self) -> list[Fault]:
        with self._lock:
            return [*self._faults]

    def clear(self, fault_id: int | None = None) -> list[Fault]:
        """Take one fault back, or all; returns those taken back."""
        with self._lock:
            gone = [fault for fault in self._faults if fault_id in (None, fault.id)]
            self._faults = [fault for fault in self._faults if fault not in gone]
            self.any = bool(self._faults)
            for fault in gone:
                fault.cleared = True
        self._changed()
        return gone

    # What befalls whom

    def needs_statements(self) -> bool:
        """Whether a fault of requests looks at the statement."""
        return any("statement" in fault.patterns for fault in self._of("request"))

    def for_request(self, path: str, statement: str | None, token: str | None) -> Fault | None:
        """The fault that strikes this request: the first that does, in the order in which they were set.

        :param token: the session token, if it is one of a session that lives.
        """
        with self._lock:
            for fault in self._of("request"):
                if fault.kind.name == "expire":
                    if token is None:
                        continue
                    if token in fault.expired:
                        return fault
                if fault.selects(path=path, statement=statement) and fault.strikes():
                    return fault
        return None

    def pending_reason(self, job_id: str, name: str) -> str | None:
        """Why a job that could start does not: drawn once for each job and fault."""
        return self._held("pending", job_id, name, lambda fault: True)

    def late_reason(self, job_id: str, name: str, replica: int) -> str | None:
        """Why one replica that could start does not: drawn once for each job and fault."""
        return self._held("late-replica", job_id, name, lambda fault: fault.parameters["replica"] == replica)

    def _held(self, kind: str, job_id: str, name: str, befalls: Callable[[Fault], bool]) -> str | None:
        if not self.any:
            return None
        with self._lock:
            now = time.monotonic()
            for fault in self._of("job"):
                if fault.kind.name != kind or not befalls(fault):
                    continue
                if job_id not in fault.held:
                    struck = fault.selects(job=name) and fault.strikes()
                    seconds = fault.parameters["seconds"]
                    fault.held[job_id] = (now + seconds if seconds else math.inf) if struck else None
                    if struck and seconds:
                        _later(seconds + 0.01, self._changed)
                until = fault.held[job_id]
                if until is not None and now < until:
                    return str(fault.parameters["reason"])
        return None

    def slowness(self, job_id: str, name: str, replica: int, node: int | None) -> int:
        """How many times as long a replica that runs takes; 1 if it is spared. Drawn once for each one and fault."""
        factor = 1
        if not self.any:
            return factor
        with self._lock:
            for fault in self._of("job"):
                if fault.kind.name != "slow-node" or fault.parameters["node"] != node or not fault.selects(job=name):
                    continue
                key = f"{job_id}/{replica}"
                if key not in fault.slowed:
                    fault.slowed[key] = fault.strikes()
                factor *= fault.parameters["factor"] if fault.slowed[key] else 1
        return factor

    def on_replica(
        self,
        job_id: str,
        name: str,
        replica: int,
        node: int | None,
        running_seconds: float,
        kill: Callable[[bool], bool],
    ) -> None:
        """A replica runs: kill it in time, if a fault says so; drawn once for each replica and fault.

        :param node: the node of its pool on which it runs.
        :param running_seconds: for how long it has run.
        :param kill: ends it, told whether with its node, and says whether it was still there; called in a thread of
            its own.
        """
        if not self.any:
            return
        with self._lock:
            doomed = [fault for fault in self._of("job") if fault.dooms(job_id, name, replica, node)]
            for fault in doomed:
                fault.watched.add(f"{job_id}/{replica}")
                _later(max(fault.parameters["seconds"] - running_seconds, 0), self._kill, fault, kill)

    def _kill(self, fault: Fault, kill: Callable[[bool], bool]) -> None:
        with self._lock:
            struck = fault.strikes()
        if struck and not kill(fault.kind.name == "lose-node"):
            with self._lock:
                fault.fired -= 1

    def visible(self, files: list[tuple[str, Path]], statement: str | None) -> list[tuple[str, Path]]:
        """Those files of a stage that can be seen yet.

        :param files: path inside the stage and the file.
        :param statement: the text of the statement that asks.
        """
        if not self.any:
            return files
        with self._lock:
            for fault in self._of("stage"):
                if not fault.selects(statement=statement):
                    continue
                limit = time.time() - fault.parameters["seconds"]
                seen = [(path, local) for path, local in files if local.stat().st_mtime <= limit]
                if len(seen) < len(files) and fault.strikes():
                    files = seen
        return files

    def _of(self, where: str) -> list[Fault]:
        return [fault for fault in self._faults if fault.kind.where == where]

    def _changed(self) -> None:
        for function in self.on_change:
            function()


def _later(seconds: float, function: Callable[..., None], *arguments: Any) -> None:
    timer = threading.Timer(seconds, function, arguments)
    timer.daemon = True
    timer.start()


def _read(given: Mapping[str, Any], fault_id: int) -> Fault:
    rest = dict(given)
    name = rest.pop("kind", None)
    kind = KINDS.get(str(name))
    if kind is None:
        raise InvalidFault(f"kind: {name!r} is none of {', '.join(KINDS)}.")
    parameters = {key: _value(kind, key, rest.pop(key, default), default) for key, default in kind.parameters.items()}
    patterns = {key: _pattern(key, rest.pop(key)) for key in SELECTORS[kind.where] if rest.get(key) is not None}
    count, probability, seed = rest.pop("count", None), rest.pop("probability", 1.0), rest.pop("seed", None)
    # A selector that is named but not given narrows nothing down.
    unknown = [key for key, value in rest.items() if value is not None]
    if unknown:
        known = [*kind.parameters, *SELECTORS[kind.where], "count", "probability", "seed"]
        raise InvalidFault(f"{kind.name} has no {', '.join(unknown)}; it takes {', '.join(known)}.")
    if count is not None and (not _is_int(count) or count < 1):
        raise InvalidFault(f"count: {count!r} is no number from 1 on.")
    if not (_is_int(probability) or isinstance(probability, float)) or not 0 < probability <= 1:
        raise InvalidFault(f"probability: {probability!r} is not above 0 and at most 1.")
    if seed is not None and not _is_int(seed):
        raise InvalidFault(f"seed: {seed!r} is no whole number.")
    drawn = {} if seed is None else {"seed": seed}
    return Fault(fault_id, kind, parameters, patterns, count, float(probability), **drawn)


def _value(kind: Kind, key: str, value: Any, default: float | str) -> Any:
    if isinstance(default, float) and _is_int(value):
        value = float(value)
    if type(value) is not type(default):
        raise InvalidFault(f"{key}: {value!r} is not of the type {type(default).__name__}.")
    if isinstance(value, (int, float)) and not 0 <= value < math.inf:
        raise InvalidFault(f"{key}: {value!r} is not 0 or more.")
    choices = kind.choices.get(key)
    if choices is not None and value not in choices:
        raise InvalidFault(f"{key}: {value!r} is none of {', '.join(map(str, choices))}.")
    return value


def _pattern(key: str, text: Any) -> re.Pattern[str]:
    try:
        return re.compile(str(text), re.IGNORECASE)
    except re.error as error:
        raise InvalidFault(f"{key}: {text!r} is no regular expression: {error}.") from None


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
