"""How many reads are under way, and how much they hold."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from airflow_provider_snowflake_batch.worker.input.read_ahead import TRIED_AFTER, Admit, Pace, ReadAhead

SLOW = 0.02
TIMEOUT = 60


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def alone(pace: Pace, clock: Clock, reads: int, seconds: float, between: float) -> None:
    """Some reads one by one, with some time in which their results are used."""
    for _ in range(reads):
        clock.now += seconds
        pace.read_alone(seconds)
        clock.now += between


@pytest.mark.parametrize(
    ("seconds", "between", "expected"),
    [
        (0.00002, 0.0, 1),  # so fast that no thread would help
        (0.00002, 0.001, 1),
        (0.02, 0.001, 200),  # the model waits for reads: one of them shall end each tenth of a millisecond
        (0.02, 0.1, 1),  # reads wait for the model
        (1.0, 0.0, 256),
        (0.001, 0.0005, 10),
    ],
)
def test_reads_are_as_many_as_it_takes(seconds: float, between: float, expected: int) -> None:
    clock = Clock()
    pace = Pace(256, clock)
    # A first read that is slow by chance decides nothing.
    alone(pace, clock, 1, 0.01, 0.01)

    for _ in range(200):
        if pace.at_once == 1:
            alone(pace, clock, 1, seconds, between)
        else:
            pace.read_beside_others(seconds)

    assert pace.at_once == pytest.approx(expected, rel=0.1)


def test_now_and_then_one_by_one_is_tried_again() -> None:
    clock = Clock()
    pace = Pace(256, clock)

    for waited in (TRIED_AFTER, 2 * TRIED_AFTER):
        alone(pace, clock, 2, SLOW, 0.0)
        for _ in range(waited):
            assert pace.at_once > 1
            pace.read_beside_others(SLOW)
        assert pace.at_once == 1
    alone(pace, clock, 10_000, 0.00002, 0.001)

    assert pace.at_once == 1


class Reads:
    """Reads that take long until they are seen to be slow, and then as long as the test lets them.

    :ivar most: the most that were under way at the same time. :ivar held: the most bytes that nobody had taken.
    """

    def __init__(self, size: int = 0, wait_for: int = 1) -> None:
        self.size, self.wait_for = size, wait_for
        self.most = self.held = 0
        self._now = self._holding = 0
        self._changed = threading.Condition()

    def read(self, value: int, admit: Admit) -> int:
        if value < 3:
            time.sleep(SLOW)
            return value
        admit(self.size)
        with self._changed:
            self._holding += self.size
            self.held = max(self.held, self._holding)
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self.most >= self.wait_for, TIMEOUT)
            self._now -= 1
        return value

    def take(self, results: Iterator[int]) -> Iterator[int]:
        for value in results:
            with self._changed:
                self._holding -= self.size if value >= 3 else 0
            yield value


def test_slow_reads_are_under_way_by_the_hundreds_and_come_in_order() -> None:
    reads = Reads(wait_for=150)
    ahead = ReadAhead(reads.read)

    assert list(ahead.results(range(1000))) == list(range(1000))
    assert 150 <= reads.most <= 256


def test_without_waiting_a_few_threads_do_all_reads() -> None:
    read = set[int]()
    threads = set[str]()
    asked = 400

    def note(value: int, admit: Admit) -> int:
        result = Reads().read(value, admit)
        read.add(value)
        threads.add(threading.current_thread().name)
        return result

    results = ReadAhead(note).results(range(asked))
    taken = [next(results) for _ in range(4)]
    deadline = time.monotonic() + TIMEOUT
    # Two hundred are asked for at once, as those before took 20 ms each.
    while len(read) < 150 and time.monotonic() < deadline:
        time.sleep(0.01)

    assert taken == list(range(4))
    assert 150 <= len(read) < asked
    assert len(threads) < 100


def test_what_is_read_ahead_stays_within_a_number_of_bytes() -> None:
    reads = Reads(size=10)
    ahead = ReadAhead(reads.read, limit=55)

    assert list(reads.take(ahead.results(range(500)))) == list(range(500))
    # One more is granted between a result's being given away and its being counted here.
    assert reads.held <= 50 + 2 * 10


def test_what_is_larger_than_the_limit_is_read_when_it_is_waited_for() -> None:
    reads = Reads(size=100)
    ahead = ReadAhead(reads.read, limit=55)

    assert list(reads.take(ahead.results(range(50)))) == list(range(50))
    assert reads.held <= 2 * 100


class Content:
    """A result that can be referred to weakly."""


def test_what_was_taken_is_held_by_nobody() -> None:
    def read(value: int, admit: Admit) -> Content:
        time.sleep(SLOW)
        return Content()

    ahead = ReadAhead(read)
    results = ahead.results(range(100))
    taken = [weakref.ref(next(results)) for _ in range(100)]

    assert not any(content() for content in taken)
    ahead.close()


@pytest.mark.parametrize("failing", [0, 40])
def test_an_error_reaches_whoever_takes_the_results(failing: int) -> None:
    def read(value: int, admit: Admit) -> int:
        if value == failing:
            raise ValueError("broken")
        return Reads().read(value, admit)

    found: list[int] = []
    with pytest.raises(ValueError, match="broken"):
        found.extend(ReadAhead(read).results(range(100)))
    assert found == list(range(failing))


def test_reads_that_nobody_takes_do_not_wait_for_ever() -> None:
    reads = Reads(size=10)
    before = set(threading.enumerate())
    ahead = ReadAhead(reads.read, limit=15)
    results = ahead.results(range(100))
    assert [next(results) for _ in range(5)] == list(range(5))

    results.close()  # type: ignore[attr-defined]
    threads = set(threading.enumerate()) - before
    ahead.close()

    assert threads
    assert not any(thread.is_alive() for thread in threads)
