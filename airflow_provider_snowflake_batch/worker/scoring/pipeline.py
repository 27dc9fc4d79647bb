"""One model process at work: reading, converting, predicting and writing at the same time.

Three threads with two queues between them. The queues are bounded by bytes as well as by length, so memory does not
depend on the size of the input. The model is called in the main thread, where most libraries expect to be called.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.errors import DataError, WorkerError
from airflow_provider_snowflake_batch.worker.input.content import Content
from airflow_provider_snowflake_batch.worker.input.plan import Task
from airflow_provider_snowflake_batch.worker.input.row_batch import RowBatch
from airflow_provider_snowflake_batch.worker.output.task_part import NotWritten, SchemaWidened, TaskPart
from airflow_provider_snowflake_batch.worker.scoring.messages import Assignment
from airflow_provider_snowflake_batch.worker.scoring.model_calls import Answer, ModelCaller

READ_AHEAD_BYTES = 64 * 1024 * 1024
WRITE_BEHIND_BYTES = 64 * 1024 * 1024
QUEUE_LENGTH = 8
PROGRESS_SECONDS = 0.5

Item = TypeVar("Item")


class ByteQueue(Generic[Item]):
    """A queue for one producer and one consumer that is full when it holds some bytes, or some items.

    :param limit: bytes; a single larger item passes when the queue is empty.
    :param length: items; a short queue lets the batch size change soon.
    """

    def __init__(self, limit: int, length: int) -> None:
        self._limit, self._length = limit, length
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Item, size: int = 0) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._items or self._fits(size))
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._bytes + size <= self._limit and len(self._items) < self._length

    def close(self) -> None:
        """Nothing will be taken any more: wake and let pass whoever waits for room."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def get(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._items))
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return item


@dataclass
class Ready:
    """A batch on its way to the model."""

    rows: RowBatch
    argument: Any


@dataclass
class Predicted:
    """A batch on its way to the part file."""

    rows: RowBatch
    answer: Answer


@dataclass(frozen=True)
class TaskStart:
    assignment: Assignment


@dataclass(frozen=True)
class TaskEnd:
    """:param content: what was read of the input; None where that is known without reading."""

    content: Content | None


class Stopped:
    """No more work, or a failure: the next thread ends too."""


class Reader(Protocol):
    """Where the rows of a task come from."""

    def batches(self, task: Task) -> Iterator[RowBatch]: ...

    def content(self) -> Content | None: ...


class Reporter(Protocol):
    """Whom a pipeline tells what happens; called from all of its threads."""

    def done(self, record: TaskRecord) -> None: ...

    def widened(self, task: Task, schema: pa.Schema) -> None: ...

    def rows(self, count: int, batch: int) -> None: ...

    def set_aside(self, count: int, latest: str) -> None: ...

    def not_written(self, task: Task, message: str, *, passing: bool) -> None: ...

    def failed(self, error: WorkerError) -> None: ...


class Pipeline:
    """Runs tasks from a queue until None is taken from it.

    :param tasks: assignments in the order in which they are done.
    :param make_part: opens the writer of a task's part.
    :param caller: calls the model.
    """

    def __init__(
        self,
        caller: ModelCaller,
        reader: Reader,
        make_part: Callable[[Assignment], TaskPart],
        tasks: SimpleQueue[Assignment | None],
        reporter: Reporter,
    ) -> None:
        self._caller = caller
        self._reader = reader
        self._make_part = make_part
        self._tasks = tasks
        self._reporter = reporter
        self._ahead: ByteQueue[Ready | TaskStart | TaskEnd | Stopped] = ByteQueue(READ_AHEAD_BYTES, QUEUE_LENGTH)
        self._behind: ByteQueue[Predicted | TaskStart | TaskEnd | Stopped] = ByteQueue(WRITE_BEHIND_BYTES, QUEUE_LENGTH)
        self._stopping = threading.Event()
        self._failed = threading.Lock()

    def stop(self) -> None:
        """End after the batch that is with the model; tasks complete by then are still written."""
        self._stopping.set()
        self._tasks.put(None)

    def run(self) -> None:
        """Work until there is no more; failures go to the reporter."""
        threads = [
            threading.Thread(target=self._guarded, args=(self._read, None, self._ahead), name="read", daemon=True),
            threading.Thread(target=self._guarded, args=(self._write, self._behind, None), name="write", daemon=True),
        ]
        for thread in threads:
            thread.start()
        self._guarded(self._predict, self._ahead, self._behind)
        threads[1].join()

    def _guarded(
        self, work: Callable[[], None], own_queue: ByteQueue[Any] | None, next_queue: ByteQueue[Any] | None
    ) -> None:
        try:
            work()
        except WorkerError as error:
            self._fail(error)
        except BaseException as error:
            self._fail(DataError(f"{type(error).__name__}: {error}", traceback.format_exc()))
        finally:
            if own_queue is not None:
                own_queue.close()
            if next_queue is not None:
                next_queue.put(Stopped())

    def _fail(self, error: WorkerError) -> None:
        # Only the first failure is reported, since it is the cause of later ones.
        if self._failed.acquire(blocking=False):
            self._stopping.set()
            self._reporter.failed(error)

    def _read(self) -> None:
        while not self._stopping.is_set():
            assignment = self._tasks.get()
            if assignment is None:
                return
            self._ahead.put(TaskStart(assignment))
            for rows in self._reader.batches(assignment.task):
                if self._stopping.is_set():
                    return
                self._ahead.put(Ready(rows, self._caller.convert(rows)), rows.bytes)
            self._ahead.put(TaskEnd(self._reader.content()))

    def _predict(self) -> None:
        reported, pending, batch = time.monotonic(), 0, 0
        while True:
            item = self._ahead.get()
            if isinstance(item, Stopped):
                break
            if isinstance(item, Ready):
                if self._stopping.is_set():
                    break
                answer = self._caller(item.rows, item.argument)
                self._behind.put(Predicted(item.rows, answer), item.rows.bytes + answer.bytes)
                pending += item.rows.table.num_rows
                batch = max(batch, item.rows.table.num_rows)
                for bad in answer.bad:
                    self._reporter.set_aside(len(bad.rows), f"{bad.error} ({bad.where()})")
            elif isinstance(item, TaskStart):
                self._caller.begin(item.assignment)
            # Also before a task is said to be done: a short batch has no other moment.
            if isinstance(item, TaskEnd) or time.monotonic() - reported > PROGRESS_SECONDS:
                self._reporter.rows(pending, batch)
                reported, pending, batch = time.monotonic(), 0, 0
            if not isinstance(item, Ready):
                self._behind.put(item)
        self._reporter.rows(pending, batch)

    def _write(self) -> None:
        part: TaskPart | None = None
        while True:
            item = self._behind.get()
            if isinstance(item, Stopped):
                break
            if isinstance(item, TaskStart):
                part = self._make_part(item.assignment)
            elif part is not None:
                current, ended = part, isinstance(item, TaskEnd)
                try:
                    if isinstance(item, TaskEnd):
                        self._reporter.done(current.close(item.content))
                    else:
                        self._add(current, item)
                except SchemaWidened as widened:
                    ended = True
                    current.abandon()
                    self._reporter.widened(current.task, widened.schema)
                except NotWritten as error:
                    ended = True
                    self._reporter.not_written(current.task, str(error), passing=error.passing)
                part = None if ended else current
        if part is not None:
            part.abandon()

    def _add(self, part: TaskPart, item: Predicted) -> None:
        for scored in item.answer.scored:
            inputs, outputs = self._caller.combine(scored)
            names = scored.rows.names(outputs.num_rows)
            part.write(inputs, outputs, scored.rows.table.num_rows, names)
        for bad in item.answer.bad:
            part.set_aside(bad)
