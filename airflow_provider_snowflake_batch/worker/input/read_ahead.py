"""Reads in order: one by one as long as that is fast enough, otherwise hundreds at once, within a number of bytes.

If a read takes microseconds, handing it to another thread costs more than the read, and the threads take the
interpreter from the model. If it takes milliseconds, hundreds must be under way so that the model never waits. On a
busy machine, the time of a read does not tell these two cases apart. It tells whether the consumer waits for reads, or
reads wait for it.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

MOST_AT_ONCE = 256
BYTES_AHEAD = 64 * 1024 * 1024
# One by one is too slow when some reads in a row take this long, and more than half of the time that passes.
JUDGED_READS = 64
SLOW_SECONDS = 0.03
# Otherwise so many reads are under way that one ends about this often.
SECONDS_APART = 100e-6
# Many threads that end their reads at the same time wait longer for the interpreter than for the reads, and take it
# from the model. So there are few at first, and one more whenever the consumer has waited while reads had not begun.
FIRST_THREADS = 16
SECONDS_FOR_THREAD = 0.004
# After so many reads, one by one is tried again; after twice as many whenever it was too slow.
TRIED_AFTER = 512
TRIED_AFTER_MOST = 65_536
# The weight of a single read in the average time of reads.
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
        # Not an executor, since its futures, with a lock and a condition each, cost more than reading a small file.
        self._asked: SimpleQueue[_Turn[Value, Result] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._waited = 0.0
        self._pace = Pace(most)

    def results(self, values: Iterable[Value]) -> Iterator[Result]:
        """What is read for each value, in order; values are asked for as far as they are read ahead."""
        gate = _Gate(self._limit)
        pending: deque[_Turn[Value, Result]] = deque()
        pace = self._pace
        try:
            for value in values:
                while len(pending) >= pace.at_once:
                    yield self._take(gate, pending.popleft())
                if pace.at_once == 1:
                    begun = time.perf_counter()
                    result = self._read(value, freely)
                    pace.read_alone(time.perf_counter() - begun)
                    yield result
                    del result
                else:
                    turn = _Turn[Value, Result](gate, value)
                    pending.append(turn)
                    self._asked.put(turn)
                    if len(self._threads) < min(FIRST_THREADS, pace.at_once):
                        self._start_thread()
            while pending:
                yield self._take(gate, pending.popleft())
        finally:
            for turn in pending:
                turn.cancelled = True
            gate.open()

    def close(self) -> None:
        """End the threads; reads that are under way are waited for."""
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"file_{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (turn := self._asked.get()) is not None:
            if not turn.cancelled:
                self._do(turn)
            # While it waits for the next read, a thread must not hold the last result.
            del turn

    def _do(self, turn: _Turn[Value, Result]) -> None:
        begun = time.perf_counter()
        try:
            turn.result = self._read(turn.value, turn)
        except BaseException as error:
            turn.error = error
        turn.seconds = time.perf_counter() - begun - turn.waited
        turn.finish()

    def _take(self, gate: _Gate, turn: _Turn[Value, Result]) -> Result:
        while not turn.finished:
            begun = time.perf_counter()
            gate.wait_for(turn, SECONDS_FOR_THREAD)
            self._waited += time.perf_counter() - begun
            if self._waited >= SECONDS_FOR_THREAD:
                self._waited = 0.0
                if len(self._threads) < self._pace.at_once and not self._asked.empty():
                    self._start_thread()
        gate.taken(turn.held)
        self._pace.read_beside_others(turn.seconds)
        if turn.error is not None:
            raise turn.error
        result = turn.result
        del turn.result
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
    """Lets reads take memory: while there is room, and always the one that is waited for.

    Only a thread that waits is woken, since waking one is what makes handing over a result expensive.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._opened = False
        self._blocked = 0
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._finished: SimpleQueue[None] = SimpleQueue()
        self.next: _Turn[Any, Any] | None = None

    def admit(self, turn: _Turn[Any, Any], size: int) -> None:
        with self._lock:
            if not self._free(turn, size):
                begun = time.perf_counter()
                self._blocked += 1
                self._room.wait_for(lambda: self._free(turn, size))
                self._blocked -= 1
                turn.waited += time.perf_counter() - begun
            turn.held += size
            self._held += size

    def _free(self, turn: _Turn[Any, Any], size: int) -> bool:
        return self._held + size <= self._limit or turn is self.next or self._opened

    def wait_for(self, turn: _Turn[Any, Any], seconds: float) -> None:
        """Return when this one is finished, or before, after some seconds at the latest."""
        with self._lock:
            self.next = turn
            if self._blocked:
                self._room.notify_all()
        # A read that finishes later wakes this thread, if it is the one that is waited for.
        if not turn.finished:
            with contextlib.suppress(Empty):
                self._finished.get(timeout=seconds)

    def finished(self) -> None:
        """The one that is waited for is finished."""
        self._finished.put(None)

    def taken(self, held: int) -> None:
        """What so much memory was asked for belongs to somebody else."""
        with self._lock:
            self._held -= held
            if self._blocked:
                self._room.notify_all()

    def open(self) -> None:
        """Let all reads pass: their results are not wanted any more."""
        with self._lock:
            self._opened = True
            self._room.notify_all()


class _Turn(Generic[Value, Result]):
    """One read, and its place at the gate."""

    __slots__ = ("_gate", "cancelled", "error", "finished", "held", "result", "seconds", "value", "waited")

    result: Result

    def __init__(self, gate: _Gate, value: Value) -> None:
        self._gate = gate
        self.value = value
        self.error: BaseException | None = None
        self.finished = self.cancelled = False
        self.held = 0
        self.seconds = self.waited = 0.0

    def __call__(self, size: int) -> None:
        self._gate.admit(self, size)

    def finish(self) -> None:
        """The result is there, or the error."""
        self.finished = True
        if self._gate.next is self:
            self._gate.finished()
