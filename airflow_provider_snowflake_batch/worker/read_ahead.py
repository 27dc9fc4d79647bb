"""Reads in order: one by one as long as that is fast enough, otherwise hundreds at once, within a number of bytes.

Handing a read of microseconds to another thread costs more than the read, and the threads take the interpreter from the
model; where a read takes milliseconds, hundreds must be under way for the model never to wait. How long a read takes
does not tell the two apart on a busy machine. What does is whether whoever takes the results waits for reads, or reads
wait for him.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

MOST_AT_ONCE = 256
BYTES_AHEAD = 64 * 1024 * 1024
# One by one is too slow when some reads in a row take this long, and more than half of the time that passes.
JUDGED_READS = 64
SLOW_SECONDS = 0.03
# Then so many are under way that one ends about this often.
SECONDS_APART = 100e-6
# After so many reads it is tried whether one by one would do; each time that it does not, twice as many.
TRIED_AFTER = 512
TRIED_AFTER_MOST = 65_536
# How much a single read counts for how long reads take.
WEIGHT = 1 / 16

Value = TypeVar("Value")
Result = TypeVar("Result")

#: Asks to hold so many more bytes; returns when that is granted.
Admit = Callable[[int], None]


def freely(_: int) -> None:
    """Grants everything at once."""


class ReadAhead(Generic[Value, Result]):
    """Reads.

    :param read: reads one thing; it asks for the memory before it takes it. Called in several threads.
    :param most: reads that are under way at the same time.
    :param limit: bytes of results that wait for being taken. The next one to be taken is read even if it is larger.
    """

    def __init__(
        self, read: Callable[[Value, Admit], Result], *, most: int = MOST_AT_ONCE, limit: int = BYTES_AHEAD
    ) -> None:
        self._read = read
        self._limit = limit
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="file")
        self._pace = Pace(most)

    def results(self, values: Iterable[Value]) -> Iterator[Result]:
        """What is read for each value, in order; values are asked for as far as they are read ahead."""
        gate = _Gate(self._limit)
        pending: deque[tuple[_Turn, Future[tuple[Result, float]]]] = deque()
        pace = self._pace
        try:
            for value in values:
                while len(pending) >= pace.at_once:
                    yield self._take(gate, *pending.popleft())
                if pace.at_once == 1:
                    result, seconds = self._timed(value, freely)
                    pace.read_alone(seconds)
                    yield result
                else:
                    turn = _Turn(gate)
                    pending.append((turn, self._pool.submit(self._timed, value, turn)))
            while pending:
                yield self._take(gate, *pending.popleft())
        finally:
            for _, future in pending:
                future.cancel()
            gate.open()

    def close(self) -> None:
        """End the threads; reads that are under way are waited for."""
        self._pool.shutdown(cancel_futures=True)

    def _timed(self, value: Value, admit: Admit) -> tuple[Result, float]:
        begun = time.perf_counter()
        result = self._read(value, admit)
        return result, time.perf_counter() - begun

    def _take(self, gate: _Gate, turn: _Turn, future: Future[tuple[Result, float]]) -> Result:
        gate.next(turn)
        result, seconds = future.result()
        gate.taken(turn)
        self._pace.read_beside_others(seconds - turn.waited)
        return result


class Pace:
    """How many reads should be under way.

    :param most: the most that it may be.
    :ivar at_once: the number; 1 means one by one.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self.at_once = 1
        self._clock = clock
        self._most = most
        self._seconds = 0.0
        self._tried_after = TRIED_AFTER
        self._until_trial = 0
        self._judge_anew()

    def _judge_anew(self) -> None:
        self._begun = 0.0
        self._reads = 0
        self._reading = 0.0

    def read_alone(self, seconds: float) -> None:
        """A read took so long, with no other under way."""
        now = self._clock()
        if not self._reads:
            self._begun = now - seconds
        self._reads += 1
        self._reading += seconds
        if self._reading > max(SLOW_SECONDS, (now - self._begun) / 2):
            self._seconds = self._reading / self._reads
            self._until_trial = self._tried_after
            self._tried_after = min(2 * self._tried_after, TRIED_AFTER_MOST)
            self._count()
        elif self._reads >= JUDGED_READS:
            self._tried_after = max(TRIED_AFTER, self._tried_after // 2)
            self._judge_anew()

    def read_beside_others(self, seconds: float) -> None:
        """A read took so long, with others under way."""
        self._seconds += WEIGHT * (seconds - self._seconds)
        self._until_trial -= 1
        self._count()

    def _count(self) -> None:
        if self._until_trial > 0:
            self.at_once = max(2, min(self._most, math.ceil(self._seconds / SECONDS_APART)))
        elif self.at_once > 1:
            self.at_once = 1
            self._judge_anew()


class _Gate:
    """Lets reads take memory: while there is room, and always the one that is waited for."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._next: _Turn | None = None
        self._opened = False
        self._changed = threading.Condition()

    def admit(self, turn: _Turn, size: int) -> None:
        with self._changed:
            if not self._free(turn, size):
                begun = time.perf_counter()
                self._changed.wait_for(lambda: self._free(turn, size))
                turn.waited += time.perf_counter() - begun
            turn.held += size
            self._held += size

    def _free(self, turn: _Turn, size: int) -> bool:
        return self._held + size <= self._limit or turn is self._next or self._opened

    def next(self, turn: _Turn) -> None:
        """This one is waited for."""
        with self._changed:
            self._next = turn
            self._changed.notify_all()

    def taken(self, turn: _Turn) -> None:
        """What it read belongs to somebody else."""
        with self._changed:
            self._held -= turn.held
            self._changed.notify_all()

    def open(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._opened = True
            self._changed.notify_all()


class _Turn:
    """One read at the gate."""

    __slots__ = ("_gate", "held", "waited")

    def __init__(self, gate: _Gate) -> None:
        self._gate = gate
        self.held = 0
        self.waited = 0.0

    def __call__(self, size: int) -> None:
        self._gate.admit(self, size)
