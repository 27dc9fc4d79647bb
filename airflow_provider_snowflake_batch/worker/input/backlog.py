"""The tasks of a batch that are left, given out one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from airflow_provider_snowflake_batch.worker.input.plan import Task


class Backlog:
    """Tasks that are pulled one by one, the largest first: the last ones are small, so all processes end together.

    :param tasks: what is known to be left.
    :param more: asked again and again for tasks that turn out to be left; None when no more will come.
    :ivar signal: a file descriptor that can be read when it is worth a look; None if there is none.
    """

    signal: int | None = None

    def __init__(self, tasks: Iterable[Task], more: Callable[[], Sequence[Task] | None] = lambda: None) -> None:
        self._tasks = deque(sorted(tasks, key=lambda task: (-task.bytes, task.index)))
        self._more = more
        self._complete = False

    def __len__(self) -> int:
        """How many tasks are left, as far as is known."""
        return len(self._tasks)

    @property
    def open(self) -> bool:
        """Whether a task is left, or may still turn out to be."""
        return not self._complete or bool(self._tasks)

    def look(self) -> bool:
        """Add tasks that have turned out to be left. :return: whether there are any."""
        if self._complete:
            return False
        found = self._more()
        self._complete = found is None
        self._tasks.extend(found or ())
        return bool(found)

    def take(self) -> Task | None:
        """The next task, None if none is left at the moment."""
        return self._tasks.popleft() if self._tasks else None

    def give_back(self, tasks: Iterable[Task]) -> None:
        """Put tasks back that were taken and not done; they are next, in this order."""
        self._tasks.extendleft(reversed(list(tasks)))

    def clear(self) -> None:
        """Drop all tasks that have not been taken, so that no more begin."""
        self._tasks.clear()
        self._complete = True
