"""Which jobs are to be looked at: one that is new or changes, or all, where any of them may be able to go on."""

from __future__ import annotations

import threading
from collections import deque


class DueJobs:
    """Told by any thread; asked by the one that moves jobs on.

    :ivar strangers: jobs with processes that are not this server's children, but an earlier one's. How these end can
        only be seen by looking again and again.
    """

    def __init__(self) -> None:
        self.strangers: set[str] = set()
        self._all = True
        self._ids: deque[str] = deque()
        self._told = threading.Event()

    def add(self, job_id: str | None) -> None:
        """:param job_id: None for all."""
        if job_id is None:
            self._all = True
        else:
            self._ids.append(job_id)
        self._told.set()

    def wait(self, seconds: float | None) -> None:
        """Wait until there is one, at most so long."""
        self._told.wait(seconds)
        # Before anything is taken: what is added from now on is seen by the next wait.
        self._told.clear()

    def take_all(self) -> bool:
        """Whether all are due; then none is any more."""
        everything, self._all = self._all, False
        if everything:
            self._ids.clear()
        return everything

    def take(self) -> list[str]:
        """The ids of those that are due, and of the strangers."""
        found = dict.fromkeys(self.strangers)
        while self._ids:
            found[self._ids.popleft()] = None
        return list(found)
