"""Groups of rows that several machines bring together: each reads parts of the input, and keeps what it has read.

The input is cut into chunks, which readers pull one by one, as fast as each is. A reader spreads a chunk over files on
its own disk, one for each bucket of rows. A bucket is a task; whoever scores it gets its files from those that have
them, in the order of the chunks, so that its rows lie in the input's order whoever has read what. What a lost reader
had is read again by others, once somebody needs it.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from airflow_provider_snowflake_batch.worker import errors
from airflow_provider_snowflake_batch.worker.executors.bucket_files import BucketReceiver, Piece, Wanted, read_pieces
from airflow_provider_snowflake_batch.worker.executors.bucket_reader import (
    BucketReader,
    Chunk,
    Spread,
    Spreading,
    file_name,
)
from airflow_provider_snowflake_batch.worker.executors.host import Host, Order, Report
from airflow_provider_snowflake_batch.worker.executors.hosts import HostLost
from airflow_provider_snowflake_batch.worker.input.categories import CATEGORIES_FILE, Categories
from airflow_provider_snowflake_batch.worker.input.partitions import bucket_count, grouped_plan
from airflow_provider_snowflake_batch.worker.input.plan import Plan, RowRange, Task
from airflow_provider_snowflake_batch.worker.input.spread import RowGroups, check_column, joined, row_groups

# A chunk is no smaller, in bytes uncompressed, so that its files do not consist of tiny pieces.
CHUNK_BYTES = 64 * 1024 * 1024
# So many chunks for each replica, so that fast ones read more than slow ones.
CHUNKS_EACH = 8
WAIT_SECONDS = 0.25
# Seconds for which the end waits for this machine's reader, which looks whether it is to end after each piece it reads.
END_SECONDS = 30.0
# A chunk that takes so many seconds, and so many times as long as any other one did, is also read by another reader
# that has nothing to do.
OVERDUE_SECONDS = 10.0
OVERDUE_TIMES = 2.0


class ReaderLost(Exception):
    """A reader does not answer any more, and with it what it has read is lost. The text says why, as far as known."""


class Reader(Protocol):
    """Reads chunks, on this machine or on another.

    :ivar replica: whose it is.
    """

    replica: int

    def spread(self, chunk: Chunk) -> Spread:
        """Read a chunk.

        :raises HostLost: it does not answer any more.
        """

    def pieces(self, wanted: Wanted) -> Sequence[Piece]:
        """The next bytes of files that it has.

        :raises ReaderLost: it does not answer any more.
        """


class ReaderHere:
    """The reader of this machine.

    :param closed: tells whether it is to end.
    """

    replica = 0

    def __init__(self, reader: BucketReader, closed: Callable[[], bool]) -> None:
        self._reader, self._closed = reader, closed

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._reader.folder

    def spread(self, chunk: Chunk) -> Spread:
        # Its files are those that were planned here. Whether they are replaced meanwhile is looked at in the end.
        return self._reader.spread(chunk, same=False, tick=self._tick)

    def _tick(self) -> None:
        if self._closed():
            raise HostLost("the batch is over")

    def pieces(self, wanted: Wanted) -> Sequence[Piece]:
        return read_pieces(self.folder, wanted)


class Target(Protocol):
    """A host that is to have files before it gets the tasks that are made of them."""

    def receive(self, pieces: Sequence[Piece]) -> None:
        """Write pieces of files.

        :raises HostLost: it does not answer any more.
        """

    def take(self, reader: Reader, names: Sequence[str]) -> None:
        """Get files from a reader.

        :raises HostLost: the host does not answer any more. :raises ReaderLost: the reader does not.
        """

    def wait(self) -> None:
        """Note that the batch goes on, although there is nothing to do yet."""


class SharedBuckets:
    """The chunks of an input, and who has what of them.

    :param root: the input. :param plan: its plan, of which only files and row ranges are used.
    :param column: the partition column, in the input's own spelling.
    :param replicas: how many may read.
    :param step: called again and again while the input is read, to look for more readers.
    :param note: takes a remark for whoever reads the log.
    :ivar spreading: what a reader has to know. :ivar folder: for files of this machine.
    :raises Refused: the column's values make no groups.
    """

    def __init__(
        self,
        root: Path,
        plan: Plan,
        column: str,
        replicas: int,
        step: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        assert plan.schema is not None
        check_column(plan.schema, column)
        self._plan, self._step, self._note = plan, step, note
        self.spreading = Spreading(plan.schema, column, bucket_count(root, plan))
        self.chunks = cut(plan, replicas)
        self.folder = Path(tempfile.mkdtemp(prefix="sfbatch-partitions-"))
        self._here = ReaderHere(BucketReader(root, self.spreading, self.folder), lambda: self._closed)
        self._changed = threading.Condition()
        self._todo = deque(range(len(self.chunks)))
        # Chunks that are being read, since when, by the clock; those that a second reader reads, too; the longest time.
        self._busy: dict[int, float] = {}
        self._twice: set[int] = set()
        self._longest = 0.0
        self._spread: dict[int, Spread] = {}
        self._places: dict[int, Reader] = {}
        self._lost: set[Reader] = set()
        self._served: set[Target] = set()
        self._error: Exception | None = None
        self._closed = False
        self._threads: list[threading.Thread] = []

    def fill(self) -> Plan:
        """Have the whole input read once, here and by all readers that come meanwhile.

        :return: the plan with the buckets as its tasks. Their ranges are names of files, not paths.
        :raises WorkerError: a file cannot be read, or a disk has no room for the groups.
        """
        self._step()
        self._threads.append(self.employ(self._here))
        while True:
            with self._changed:
                self._changed.wait_for(self._told, timeout=WAIT_SECONDS)
                if self._error is not None:
                    raise self._error
                if len(self._spread) == len(self.chunks):
                    break
            self._step()
        assert self._plan.schema is not None
        categories = Categories(self._plan.schema)
        for chunk in self.chunks:
            categories.join(self._spread[chunk.number].categories)
        categories.write(self.folder)
        return grouped_plan(self._plan, filter(None, map(self._task, range(self.spreading.count))))

    def _told(self) -> bool:
        return self._error is not None or len(self._spread) == len(self.chunks)

    def _task(self, bucket: int) -> Task | None:
        parts = [(number, one) for number, one in sorted(self._spread.items()) if bucket in one.rows]
        if not parts:
            return None
        ranges = tuple(RowRange(file_name(bucket, number), 0, 0, 0, one.rows[bucket]) for number, one in parts)
        rows, size = sum(piece.rows for piece in ranges), sum(one.bytes[bucket] for _, one in parts)
        return Task(bucket, ranges, rows, size, grouped=True)

    def employ(self, reader: Reader) -> threading.Thread:
        """A reader takes part from now on, also when chunks have to be read again."""
        thread = threading.Thread(target=self._work, args=(reader,), name=f"reader-{reader.replica}", daemon=True)
        thread.start()
        return thread

    def _work(self, reader: Reader) -> None:
        while (number := self._take(reader)) is not None:
            try:
                spread = reader.spread(self.chunks[number])
            except HostLost as error:
                self._give_back(number)
                self.lose(reader, str(error))
                return
            except Exception as error:
                self._fail(error)
                return
            if spread.failure is not None:
                kind = errors.BY_NAME.get(spread.failure.kind, errors.WorkerError)
                self._fail(kind(spread.failure.message, spread.failure.details))
                return
            if spread.changed is not None:
                self._give_back(number)
                # What it has read before stays, since that was the same.
                self._note(
                    f"replica {reader.replica} reads no more of the input: by size and times, {spread.changed} is "
                    "another file there"
                )
                return
            self._done(reader, number, spread)

    def _take(self, reader: Reader) -> int | None:
        """The next chunk for a reader; None when it is to read no more, also because it does not answer others."""
        with self._changed:
            while not self._closed and self._error is None and reader not in self._lost:
                if self._todo:
                    number = self._todo.popleft()
                elif (overdue := self._overdue()) is not None:
                    number = overdue
                    self._twice.add(number)
                else:
                    self._changed.wait(WAIT_SECONDS if self._busy else None)
                    continue
                self._busy.setdefault(number, time.monotonic())
                return number
        return None

    def _overdue(self) -> int | None:
        """A chunk whose reader is much slower than the others, or stands still."""
        before = time.monotonic() - max(OVERDUE_SECONDS, OVERDUE_TIMES * self._longest)
        return next((one for one, begun in self._busy.items() if begun < before and one not in self._twice), None)

    def _give_back(self, number: int) -> None:
        with self._changed:
            self._busy.pop(number, None)
            self._twice.discard(number)
            if number not in self._places:
                self._todo.appendleft(number)
            self._changed.notify_all()

    def _done(self, reader: Reader, number: int, spread: Spread) -> None:
        with self._changed:
            begun = self._busy.pop(number, None)
            self._twice.discard(number)
            if reader in self._lost:
                if number not in self._places:
                    self._todo.appendleft(number)
            elif number not in self._places:
                self._longest = max(self._longest, time.monotonic() - begun if begun is not None else 0.0)
                self._spread[number], self._places[number] = spread, reader
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def lose(self, reader: Reader, why: str) -> None:
        """Go on without a reader, and without what it has read."""
        with self._changed:
            if reader in self._lost or self._closed:
                return
            self._lost.add(reader)
            lost = [number for number, one in self._places.items() if one is reader]
            for number in lost:
                del self._places[number]
            self._changed.notify_all()
        again = f"; {len(lost)} of {len(self.chunks)} parts of the input are read again by others" if lost else ""
        self._note(f"replica {reader.replica} is lost as a reader: {why}{again}")

    def deliver(self, target: Target, order: Order) -> None:
        """Let a host have what its tasks are made of.

        :raises HostLost: it does not answer any more.
        :raises WorkerError: what was lost cannot be read again.
        """
        with self._changed:
            self._check()
        if order.tasks and target not in self._served:
            # The categories of all buckets go first, and only once.
            wanted = Wanted([CATEGORIES_FILE])
            while wanted.names:
                pieces = self._here.pieces(wanted)
                target.receive(pieces)
                wanted = wanted.after(pieces)
            self._served.add(target)
        for task in order.tasks:
            left = {_chunk(piece): piece.path for piece in task.ranges}
            while left:
                for reader, numbers in self._readers(left, target.wait).items():
                    try:
                        target.take(reader, [left[number] for number in numbers])
                    except ReaderLost as error:
                        self.lose(reader, str(error))
                        continue
                    for number in numbers:
                        del left[number]

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise HostLost("the batch is over")

    def _readers(self, numbers: Collection[int], wait: Callable[[], None]) -> Mapping[Reader, list[int]]:
        """Who has which of some chunks; at least one of them. Those that nobody has are read again."""
        while True:
            with self._changed:
                self._check()
                gone = [one for one in numbers if one not in self._places and one not in self._busy]
                self._todo.extend(one for one in gone if one not in self._todo)
                self._changed.notify_all()
                found: dict[Reader, list[int]] = {}
                for number in sorted(numbers):
                    if number in self._places:
                        found.setdefault(self._places[number], []).append(number)
                if found:
                    return found
                self._changed.wait(WAIT_SECONDS)
            wait()

    def close(self) -> None:
        """Remove the files of this machine. Nothing is read any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(END_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


class HostHere:
    """One exchange with the host of this machine, which first gets what its tasks are made of."""

    def __init__(self, host: Host, buckets: SharedBuckets) -> None:
        self._host, self._buckets = host, buckets
        self._receiver = BucketReceiver(Path(tempfile.mkdtemp(dir=buckets.folder)))

    def __call__(self, order: Order) -> Report:
        """See `Host.exchange`."""
        self._buckets.deliver(self, order)
        report = self._host.exchange(self._receiver.order(order))
        self._receiver.forget(report)
        return report

    def receive(self, pieces: Sequence[Piece]) -> None:
        self._host.heard()
        self._receiver.receive(pieces)

    def take(self, reader: Reader, names: Sequence[str]) -> None:
        if isinstance(reader, ReaderHere):
            self._receiver.link(reader.folder, names)
            return
        wanted = Wanted(names)
        while wanted.names:
            pieces = reader.pieces(wanted)
            self.receive(pieces)
            wanted = wanted.after(pieces)

    def wait(self) -> None:
        self._host.heard()


def _chunk(piece: RowRange) -> int:
    return int(piece.path.partition(".")[0].rpartition("-")[2])


def cut(plan: Plan, replicas: int) -> list[Chunk]:
    """Cut an input into chunks, along its row groups.

    :param replicas: how many may read.
    """
    most = max(CHUNK_BYTES, plan.bytes // max(replicas * CHUNKS_EACH, 1))
    width = plan.bytes / max(plan.rows, 1)
    found: list[Chunk] = []
    pending: list[RowGroups] = []

    def close(groups: Iterable[RowGroups]) -> None:
        together = tuple(joined(groups))
        if together:
            found.append(Chunk(len(found), together, tuple(plan.seen[one.path] for one in together)))

    size = 0.0
    for one in row_groups(plan):
        if pending and size + one.rows * width > most:
            close(pending)
            pending, size = [], 0.0
        pending.append(one)
        size += one.rows * width
    close(pending)
    return found
