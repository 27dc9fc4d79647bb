"""Slow nodes: the processes of some containers run for a share of the time only.

They are stopped and let go on in turns (SIGSTOP, SIGCONT), several times a second. What waits meanwhile, for a device
say, goes on a little later for that; a single wait that is longer than a turn is not drawn out.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterable

import psutil

TURN_SECONDS = 0.2


class SlowNodes:
    """Slows down what descends from the supervisors that it is told of."""

    def __init__(self) -> None:
        self._factors: dict[int, int] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def slow(self, supervisors: Iterable[int], factor: int) -> None:
        """From now on, these take so many times as long; 1 lets them run as fast as they can."""
        with self._changed:
            for pid in supervisors:
                if factor > 1:
                    self._factors[pid] = factor
                else:
                    self._factors.pop(pid, None)
            if self._factors and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="slow-nodes", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    @staticmethod
    def let_go(supervisors: Iterable[int | None]) -> None:
        """Let what descends from these run that an earlier server has stopped, and was killed meanwhile."""
        for pid in supervisors:
            if pid is not None:
                go_on(descendants(pid))

    def release(self) -> None:
        """Slow nothing down any more. Returns when everything runs."""
        with self._changed:
            self._factors.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                factors = dict(self._factors)
                if not factors:
                    self._thread = None
                    return
            turn = time.monotonic()
            stopped = {pid: _signal(pid, signal.SIGSTOP) for pid in factors}
            try:
                for pid in sorted(factors, key=factors.__getitem__):
                    self._pause(turn + TURN_SECONDS * (1 - 1 / factors[pid]))
                    go_on(stopped.pop(pid))
            finally:
                for processes in stopped.values():
                    go_on(processes)
            with self._changed:
                for pid in factors:
                    if not psutil.pid_exists(pid):
                        self._factors.pop(pid, None)
            self._pause(turn + TURN_SECONDS)

    def _pause(self, until: float) -> None:
        """Wait, but not for what is not to be slow any more."""
        with self._changed:
            self._changed.wait_for(lambda: not self._factors, timeout=max(until - time.monotonic(), 0))


def descendants(supervisor: int) -> list[psutil.Process]:
    """The processes of a container."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(supervisor).children(recursive=True)
    return []


def go_on(processes: Iterable[psutil.Process]) -> None:
    """Let processes run that may be stopped."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGCONT)


def _signal(supervisor: int, number: signal.Signals) -> list[psutil.Process]:
    found = descendants(supervisor)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
    return found
