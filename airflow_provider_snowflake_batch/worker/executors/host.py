"""One replica's model processes, which get their tasks from the replica that has all of them.

The processes are those of one machine alone, with all that belongs to them: sharing a loaded model, replacing one that
dies, doing a task again whose part did not arrive. What is left to be done is kept elsewhere: an exchange brings new
tasks, and takes what has happened since the last one. Exchanges are numbered, so that one whose answer was lost can be
asked for again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.bad_rows import Quarantine
from airflow_provider_snowflake_batch.worker.errors import WorkerError
from airflow_provider_snowflake_batch.worker.executors.base import Work
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.processes import ProcessPool
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.plan import Task
from airflow_provider_snowflake_batch.worker.progress import Progress

# Seconds after which an exchange without news ends: of a host that could take more, and of one that could not.
EXCHANGE_SECONDS = 0.5
BUSY_EXCHANGE_SECONDS = 0.9
# A host has more tasks than its processes, as far as it does these in so many seconds: so where tasks are short, one
# exchange is for several.
ADVANCE_SECONDS = 2.0
MOST_IN_ADVANCE = 64
# Nobody else can take what a host has in advance. So it is at most this part of what is likely to come to the host.
SHARE_IN_ADVANCE = 4
# The slowest of so many tasks tells how long they take.
_REMEMBERED = 8
# Seconds without an exchange after which the replica that gives out the tasks counts as gone.
LEFT_ALONE_SECONDS = 90.0

# Seconds for which a kill waits for the host's thread. If it takes longer, the kernel ends the processes with this one.
KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Order:
    """What a host is told.

    :param number: of the exchange, from 1.
    :param tasks: to be done, besides those that it has.
    :param share: how many more are likely to come.
    :param complete: no more will come.
    :param schema: the schema that the parts of all hosts share, None while there is none.
    :param bad_rows_elsewhere: rows of the batch that others have set aside.
    """

    number: int
    tasks: tuple[Task, ...] = ()
    share: int = 0
    complete: bool = False
    schema: pa.Schema | None = None
    bad_rows_elsewhere: int = 0


@dataclass(frozen=True)
class Failure:
    """What ended a host's work. :param kind: name of the error class in `errors`."""

    kind: str
    message: str
    details: str


@dataclass(frozen=True)
class Report:
    """What has happened on a host since the last report.

    :param records: of the tasks that are done.
    :param room: how many tasks it could take now.
    :param workers: processes that have the model.
    :param rows_at_hand: rows scored of tasks that are not done.
    :param bad_rows_at_hand: those of them that were set aside.
    :param first_bad_rows: the first ones that were, with their errors, in words.
    :param batch_rows: with how many rows the model is called at most; 0 while it has not been called.
    :param ended: nothing of it runs any more.
    """

    records: tuple[TaskRecord, ...] = ()
    room: int = 0
    workers: int = 0
    rows_at_hand: int = 0
    bad_rows_at_hand: int = 0
    failure: Failure | None = None
    ended: bool = False
    first_bad_rows: tuple[str, ...] = ()
    batch_rows: int = 0


class Host:
    """Model processes of this machine, at work from now on in a thread of their own.

    :param work: of the batch. Who writes, and how bad rows are counted, is this host's own.
    :param share: how many tasks may come.
    """

    def __init__(self, work: Work, launcher: Launcher, share: int) -> None:
        self._quarantine = Quarantine(work.job.max_quarantined)
        self._work = replace(work, quarantine=self._quarantine)
        self._pool = ProcessPool(launcher)
        self._feed = Feed(self._pool, self._quarantine, share)
        self._progress = _Told(self._tick)
        self._changed = threading.Condition()
        self._records: list[TaskRecord] = []
        self._took: deque[float] = deque(maxlen=_REMEMBERED)
        # Each group's rows take room on this host's disk from the moment when it has the task.
        self._grouped = work.job.input.partition_column is not None
        self._failure: Failure | None = None
        self._ended, self._killed = False, False
        self._room_told = 0
        self._last: tuple[int, Report] = (0, Report())
        self._asked = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="host", daemon=True)
        self._thread.start()

    def exchange(self, order: Order) -> Report:
        """Take in an order, and tell what has happened, as soon as there is something to tell."""
        with self._changed:
            self._asked = time.monotonic()
            if order.number == self._last[0]:
                return self._last[1]
            self._feed.put(order)
            self._changed.wait_for(self._has_news, EXCHANGE_SECONDS if self._room() else BUSY_EXCHANGE_SECONDS)
            report = Report(
                tuple(self._records),
                self._room(),
                self._progress.workers,
                self._progress.rows_at_hand,
                self._quarantine.rows_at_hand,
                self._failure,
                self._ended,
                tuple(self._quarantine.first),
                self._progress.batch_rows,
            )
            self._records.clear()
            self._room_told = report.room
            self._asked = time.monotonic()
            self._last = (order.number, report)
            return report

    def heard(self) -> None:
        """Note a sign of life of the replica that gives out the tasks, outside of an exchange."""
        self._asked = time.monotonic()

    def stop(self) -> None:
        """End after the batches at hand. Returns at once; a report tells when it has ended."""
        self._feed.stop()

    def kill(self) -> None:
        """End now. Returns when all processes have ended, but does not wait for ever."""
        self._killed = True
        self._feed.stop()
        # The host's thread kills the processes: the pool may be used by one thread only.
        self._thread.join(KILL_SECONDS)

    def _run(self) -> None:
        try:
            self._pool.run(self._work, self._feed, self._progress, self._done)
            self._pool.stop()
        except _Stopped:
            if not self._killed:
                self._pool.stop()
        except WorkerError as error:
            self._failure = Failure(type(error).__name__, error.message, error.details)
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            self._failure = Failure(WorkerError.__name__, text, traceback.format_exc())
        finally:
            # In this thread: the kernel ends processes with the thread that started them.
            self._pool.kill()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _done(self, record: TaskRecord) -> None:
        with self._changed:
            self._records.append(record)
            self._took.append(record.seconds)
            self._changed.notify_all()

    def _tick(self) -> None:
        """Called by the pool again and again."""
        with self._changed:
            self._room_told = min(self._room_told, self._room())
            if self._has_news():
                self._changed.notify_all()
            if time.monotonic() - self._asked > LEFT_ALONE_SECONDS:
                self._feed.stop()

    def _room(self) -> int:
        return max(self._pool.room() + self._in_advance() - self._feed.waiting, 0)

    def _in_advance(self) -> int:
        """Tasks that it may have besides those of its processes."""
        if self._grouped or not self._took:
            return 0
        soon = int(self._progress.workers * ADVANCE_SECONDS / max(*self._took, 0.001))
        return min(soon, self._feed.share // SHARE_IN_ADVANCE, MOST_IN_ADVANCE)

    def _has_news(self) -> bool:
        if self._failure or self._ended:
            return True
        # As long as there is enough to go on with, what is done can be told later, with more of it.
        if self._feed.waiting > self._in_advance() // 2:
            return False
        return bool(self._records) or self._room() > self._room_told


class Feed(Backlog):
    """The tasks that a host has been given. Orders are put in by one thread, tasks are taken by another.

    :param share: how many may come.
    :ivar signal: readable when there is something new.
    """

    def __init__(self, pool: ProcessPool, quarantine: Quarantine, share: int) -> None:
        super().__init__((), self._news)
        self._pool, self._quarantine = pool, quarantine
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._share = share
        self._lock = threading.Lock()
        self._on_the_way = 0
        self._stopped = False
        self._woken, self._wake = os.pipe()
        self.signal = self._woken
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)

    def __len__(self) -> int:
        return super().__len__() + self._share

    @property
    def share(self) -> int:
        """How many more may come."""
        return self._share

    @property
    def waiting(self) -> int:
        """Tasks that no process has taken yet."""
        return self._on_the_way + super().__len__()

    def put(self, order: Order) -> None:
        """Take in an order."""
        with self._lock:
            self._on_the_way += len(order.tasks)
        self._orders.put(order)
        if order.tasks or order.complete:
            self._notify()

    def stop(self) -> None:
        """Make the pool stop working on the tasks."""
        self._stopped = True
        self._notify()

    def _notify(self) -> None:
        # A full pipe is enough: it is readable.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b".")

    def _news(self) -> Sequence[Task] | None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._woken, 4096):
                pass
        if self._stopped:
            raise _Stopped
        found: list[Task] = []
        with contextlib.suppress(Empty):
            while True:
                order = self._orders.get_nowait()
                self._share = order.share
                self._quarantine.elsewhere = order.bad_rows_elsewhere
                self._pool.widen(order.schema)
                found.extend(order.tasks)
                if order.complete:
                    self._share = 0
                    return None
        with self._lock:
            self._on_the_way -= len(found)
        return found


class _Stopped(Exception):
    """The work is to be stopped."""


class _Told(Progress):
    """Progress that is told elsewhere."""

    def __init__(self, ticked: Callable[[], None]) -> None:
        super().__init__()
        self._ticked = ticked

    def tick(self) -> None:
        self._ticked()
