"""Whether the parts of an earlier attempt are as its records say, and were made of the input as it is now.

For that the parts are read, and the row groups that they were made of. This is done beside the tasks that are left, so
that the first new row does not wait for it, however much is finished. A task whose part turns out not to count is done
again. Threads do it, since reading and hashing do not hold the interpreter.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.errors import WorkerError
from airflow_provider_snowflake_batch.worker.input.content import Identity, TaskDigest, file_digest, seen
from airflow_provider_snowflake_batch.worker.input.footers import for_each, opener
from airflow_provider_snowflake_batch.worker.input.plan import Plan, Task
from airflow_provider_snowflake_batch.worker.input.sources import row_group_digest

THREADS = 2
# So many files are hashed at the same time where all of the input is.
HASHED_TOGETHER = 4
ROW_GROUPS_KNOWN = 16_384
LOOKED_AT_TOGETHER = 64

Key = TypeVar("Key")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Fault:
    """Why a record, or a finished directory, does not count.

    :param other_batch: it was made of another input or by another model; else its files are damaged.
    :param unlike: what else a finished directory holds that is not this job's to replace, in words.
    """

    message: str
    other_batch: bool = False
    unlike: str | None = None

    @property
    def refusal(self) -> str | None:
        """What is left alone unless the job is told to overwrite it, in words."""
        return "a finished result of another input or model" if self.other_batch else self.unlike


def in_background(work: Callable[[], Result]) -> Future[Result]:
    """Start some work in a thread that does not keep the process from ending."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return future


class Checks(Generic[Key]):
    """Runs checks in threads of its own.

    :param checks: what to check, each with a key that its outcome goes by.
    """

    def __init__(self, checks: Iterable[tuple[Key, Callable[[], Fault | None]]], threads: int = THREADS) -> None:
        self._waiting: SimpleQueue[tuple[Key, Callable[[], Fault | None]]] = SimpleQueue()
        self._done: SimpleQueue[tuple[Key, Fault | None]] = SimpleQueue()
        self.open = 0
        for check in checks:
            self._waiting.put(check)
            self.open += 1
        for number in range(min(threads, self.open)):
            threading.Thread(target=self._work, name=f"check_{number}", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                key, check = self._waiting.get_nowait()
            except Empty:
                return
            try:
                fault = check()
            except Exception as error:
                fault = Fault(error.message if isinstance(error, WorkerError) else f"{type(error).__name__}: {error}")
            self._done.put((key, fault))

    def take(self, seconds: float = 0.0) -> list[tuple[Key, Fault]]:
        """The faults that were found since this was called last.

        :param seconds: how long to wait for the next outcome, if there is none yet.
        """
        found = []
        while self.open:
            try:
                key, fault = self._done.get(timeout=seconds) if seconds else self._done.get_nowait()
            except Empty:
                break
            seconds = 0.0
            self.open -= 1
            if fault is not None:
                found.append((key, fault))
        return found

    def stop(self) -> None:
        """Begin no further check."""
        while True:
            try:
                self._waiting.get_nowait()
            except Empty:
                return


class RecordCheck:
    """Checks records.

    :param path: the job's directory. :param quarantine: its folder of bad rows.
    :param root: the input. :param plan: its plan.
    :param identity: what the model and, for groups, the input are now.
    """

    def __init__(self, path: Path, quarantine: Path, root: Path, plan: Plan, identity: Callable[[], Identity]) -> None:
        self._path, self._quarantine = path, quarantine
        self._path_of = opener(root)
        self._tasks: Mapping[int, Task] = {task.index: task for task in plan.tasks}
        self._identity = identity
        self._digests = functools.lru_cache(ROW_GROUPS_KNOWN)(self._file_digests)

    def __call__(self, record: TaskRecord) -> Fault | None:
        return self.content(record) or self.file(record.part) or self.file(record.quarantine, aside=True)

    def file(self, file: PartFile | None, *, aside: bool = False) -> Fault | None:
        """Whether a file that was written is as it was written."""
        if file is None:
            return None
        try:
            digest = file_digest((self._quarantine if aside else self._path) / file.name)
        except OSError as error:
            return Fault(f"{file.name} cannot be read: {error.strerror or error}")
        if f"sha256:{digest.hex()}" != file.checksum:
            return Fault(f"{file.name} has another checksum than when it was written")
        return None

    def model(self, record: TaskRecord) -> Fault | None:
        """Whether a record is of the model as it is now. Records of version 0.1 do not tell."""
        if record.model is not None and record.model != self._identity().model:
            return Fault(f"task {record.task} was done by a model with other files", other_batch=True)
        return None

    def content(self, record: TaskRecord) -> Fault | None:
        """Whether a record is of the model and the input as they are now."""
        fault = self.model(record)
        if fault is not None or record.input is None:
            return fault
        try:
            now = self._identity().input or self._task_digest(self._tasks[record.task])
        except (OSError, pa.ArrowException) as error:
            return Fault(f"what task {record.task} read cannot be read again: {error}", other_batch=True)
        if now == record.input:
            return None
        task = self._tasks.get(record.task)
        files = ", ".join(dict.fromkeys(piece.path for piece in task.ranges[:3])) if task is not None else "all files"
        return Fault(f"task {record.task} read other rows than the input has now ({files})", other_batch=True)

    def _task_digest(self, task: Task) -> str:
        digest = TaskDigest()
        # Row groups of one file are read together. Most tasks are many small files, or one row group of a large file.
        groups: dict[str, tuple[int, ...]] = {}
        for piece in task.ranges:
            groups[piece.path] = (*groups.get(piece.path, ()), piece.row_group)
        known = {path: dict(zip(numbers, self._now(path, numbers), strict=True)) for path, numbers in groups.items()}
        for piece in task.ranges:
            digest.add(known[piece.path][piece.row_group], 0)
        return digest.content().digest

    def _now(self, path: str, row_groups: tuple[int, ...]) -> tuple[bytes, ...]:
        # A file may be replaced between two looks, of which the later one is to find that out.
        return self._digests(path, row_groups, seen(os.stat(self._path_of(path))))  # noqa: PTH116

    def _file_digests(self, path: str, row_groups: tuple[int, ...], _seen: int) -> tuple[bytes, ...]:
        return tuple(row_group_digest(self._path_of(path), list(row_groups))[0])


def input_digest(root: Path, plan: Plan) -> str:
    """Hash of all of an input, for tasks that are each made of all of it.

    Several files are read at the same time, since each may lie on a distant store.

    :raises OSError: a file cannot be read.
    """
    path_of, paths = opener(root), list(plan.seen)

    def digests(first: int) -> list[bytes]:
        return [file_digest(path_of(path)) for path in paths[first::HASHED_TOGETHER]]

    found = [in_background(functools.partial(digests, first)) for first in range(min(HASHED_TOGETHER, len(paths)))]
    parts = [one.result() for one in found]
    digest = hashlib.sha256()
    for number in range(len(paths)):
        digest.update(parts[number % HASHED_TOGETHER][number // HASHED_TOGETHER])
    return f"sha256:{digest.hexdigest()}"


def seen_now(root: Path, plan: Plan) -> dict[str, int | None]:
    """Size and time of change of each input file as it is now; None for one that has gone."""
    path_of = opener(root)

    def look(path: str) -> int | None:
        try:
            return seen(os.stat(path_of(path)))  # noqa: PTH116  (no object for each of many files)
        except OSError:
            return None

    paths = list(plan.seen)
    return dict(zip(paths, for_each(look, paths, LOOKED_AT_TOGETHER), strict=True))
