"""Progress for readers of the log: JSON lines on stdout that cannot be confused with a model's own output.

::

    SNOWFLAKE_BATCH_PROGRESS {"phase": "running", "replica": 0, "replicas": 1, "rows_done": 120000, …}

``phase`` is ``planning``, ``loading``, ``running``, ``finishing``, ``done`` or ``failed``. ``rows_*`` and ``tasks_*``
count this replica's share; ``rows_done`` includes ``quarantined_rows``, those set aside as bad, and ``rows_reused``,
those that an earlier attempt did; ``rows_per_second`` counts from the first row predicted in this attempt;
``eta_seconds`` is null until it can be told. ``batch_rows`` is with how many rows the model has been called lately at
most, and ``first_bad_rows`` tells the first rows that this attempt has set aside, with their errors; both are missing
until there is something to tell.
Where replicas share the work over Ray, replica 0 writes the lines of all; ``by_replica`` tells what each has done in
this attempt, and who is slow, late or lost (`contract/progress.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX, AllReplicas

INTERVAL_SECONDS = 2.0


class TellOfReplicas(Protocol):
    """Tells what each replica has done; ``over``: the batch is done."""

    def __call__(self, *, over: bool = False) -> AllReplicas: ...


class Progress:
    """Counts rows and writes a line every few seconds.

    :param replica: this replica's number. :param replicas: how many there are.
    :param write: takes a line without its end.
    :ivar by_replica: tells of each replica, where this one knows of all.
    :ivar first_bad_rows: the first rows that were set aside with their errors, in words.
    """

    def __init__(self, replica: int = 0, replicas: int = 1, write: Callable[[str], None] = lambda _: None) -> None:
        self._write_line = write
        self._replica, self.replicas = replica, replicas
        self._begun = time.monotonic()
        self._running_since: float | None = None
        self._completed: float | None = None
        self._written = 0.0
        self._phase = "planning"
        self.rows_reused = 0
        self._rows_in_tasks = 0
        self._rows_at_hand: dict[int, int] = {}
        self.rows_total = 0
        self.tasks_done = self.tasks_total = 0
        self.workers = 0
        self.quarantined_rows = 0
        self.first_bad_rows: Sequence[str] = ()
        self._batch_rows: dict[int, int] = {}
        self.by_replica: TellOfReplicas | None = None

    @property
    def seconds(self) -> float:
        """Wall time since the start, until the result was complete."""
        return self._now() - self._begun

    def _now(self) -> float:
        return time.monotonic() if self._completed is None else self._completed

    def complete(self) -> None:
        """The result is complete. The time that processes take to end after that is not counted."""
        self._completed = time.monotonic()

    def plan(self, rows: int, tasks: int, rows_done: int, tasks_done: int) -> None:
        """This replica's share, and what of it an earlier attempt did."""
        self.rows_total, self.tasks_total = rows, tasks
        self._rows_in_tasks = self.rows_reused = rows_done
        self.tasks_done = tasks_done

    def again(self, rows: int) -> None:
        """A task that an earlier attempt did has to be done again."""
        self.tasks_done -= 1
        self._rows_in_tasks -= rows
        self.rows_reused -= rows

    def phase(self, name: str) -> None:
        """Enter a phase, and say so at once."""
        self._phase = name
        if name == "running" and self._running_since is None:
            self._running_since = time.monotonic()
        self._write()

    def rows(self, worker: int, count: int) -> None:
        """A process predicted rows of a task that is not done yet."""
        self._rows_at_hand[worker] = self._rows_at_hand.get(worker, 0) + count

    def batch(self, worker: int, rows: int) -> None:
        """A process, or those of a replica, have called the model with so many rows."""
        if rows:
            self._batch_rows[worker] = rows

    @property
    def batch_rows(self) -> int:
        """With how many rows the model is called at most; 0 while it has not been called."""
        return max(self._batch_rows.values(), default=0)

    def at_hand(self, worker: int, rows: int) -> None:
        """Note how many rows a process, or all of a replica's, have predicted of tasks that are not done."""
        self._rows_at_hand[worker] = rows

    def task(self, worker: int, rows: int) -> None:
        """A process finished a task."""
        self.tasks_done += 1
        self._rows_in_tasks += rows
        # The process may have predicted some batches of the next task already.
        self._rows_at_hand[worker] = max(self._rows_at_hand.get(worker, 0) - rows, 0)

    def forget(self, worker: int) -> None:
        """A process gave up what it had at hand."""
        self._rows_at_hand.pop(worker, None)

    @property
    def rows_done(self) -> int:
        """Rows predicted, those of unfinished tasks included."""
        return min(self._rows_in_tasks + self.rows_at_hand, self.rows_total)

    @property
    def rows_at_hand(self) -> int:
        """Rows predicted of unfinished tasks."""
        return sum(list(self._rows_at_hand.values()))

    def tick(self) -> None:
        """Write a line if the last one is old enough."""
        if time.monotonic() - self._written >= INTERVAL_SECONDS:
            self._write()

    def _write(self) -> None:
        now = self._now()
        self._written = time.monotonic()
        rate = eta = None
        new_rows = self.rows_done - self.rows_reused
        if self._running_since is not None and new_rows and now > self._running_since:
            rate = new_rows / (now - self._running_since)
            eta = round(max(self.rows_total - self.rows_done, 0) / rate, 1)
        value: dict[str, Any] = {
            "phase": self._phase,
            "replica": self._replica,
            "replicas": self.replicas,
            "rows_done": self.rows_done,
            "rows_total": self.rows_total,
            "quarantined_rows": self.quarantined_rows,
            "rows_reused": self.rows_reused,
            "rows_per_second": None if rate is None else round(rate, 1),
            "eta_seconds": eta,
            "tasks_done": self.tasks_done,
            "tasks_total": self.tasks_total,
            "workers": self.workers,
            "seconds": round(self.seconds, 3),
        }
        if self.batch_rows:
            value["batch_rows"] = self.batch_rows
        if self.first_bad_rows:
            value["first_bad_rows"] = list(self.first_bad_rows)
        if self.by_replica is not None:
            value["by_replica"] = self.by_replica(over=self._phase == "done").to_json()
        self._write_line(PROGRESS_PREFIX + json.dumps(value))
