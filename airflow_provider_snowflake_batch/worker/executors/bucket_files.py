"""Groups of rows on their way to other replicas: bucket files of one machine, sent in pieces to those that pull them.

Replica 0 has brought the rows together on its own disk. A host that takes a bucket as its task gets the file with it,
keeps it on its disk while it works on it, and removes it when the task is recorded. A piece may be sent again, because
its answer was lost: it goes to the same place of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_provider_snowflake_batch.worker.errors import OutputError
from airflow_provider_snowflake_batch.worker.executors.host import Order, Report
from airflow_provider_snowflake_batch.worker.input.categories import CATEGORIES_FILE
from airflow_provider_snowflake_batch.worker.input.plan import Task

PIECE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Piece:
    """Some bytes of a file.

    :param name: of the file, in the folder of buckets. :param offset: of the first byte.
    """

    name: str
    offset: int
    data: bytes


class BucketSender:
    """Sends one host what its tasks are made of."""

    def __init__(self) -> None:
        self._begun = False

    def pieces(self, order: Order) -> Iterator[Piece]:
        """What a host has to have before it gets an order.

        :raises OutputError: a bucket cannot be read.
        """
        for task in order.tasks:
            path = Path(task.ranges[0].path)
            if not self._begun:
                # The categories of all buckets go first, and only once.
                yield from _pieces(path.with_name(CATEGORIES_FILE))
                self._begun = True
            yield from _pieces(path)


def _pieces(path: Path) -> Iterator[Piece]:
    offset = 0
    try:
        with path.open("rb") as file:
            while (data := file.read(PIECE_BYTES)) or not offset:
                yield Piece(path.name, offset, data)
                offset += len(data)
                if not data:
                    return
    except OSError as error:
        raise OutputError(f"cannot read the groups of rows in {path.parent} again: {error}") from None


class BucketReceiver:
    """A host's copies of buckets.

    :param folder: where they are kept, on a disk of this machine; nothing else is in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[int, str] = {}

    def receive(self, piece: Piece) -> None:
        """Write a piece to its place.

        :raises OutputError: the disk has no room for it.
        """
        path = self._folder / piece.name
        try:
            with path.open("r+b" if piece.offset else "wb") as file:
                file.seek(piece.offset)
                file.write(piece.data)
        except OSError as error:
            raise OutputError(
                f"cannot keep the groups of rows in {self._folder} (TMPDIR says where): {error}"
            ) from None

    def order(self, order: Order) -> Order:
        """The order, with tasks that read the copies."""
        return replace(order, tasks=tuple(self._own(task) for task in order.tasks))

    def _own(self, task: Task) -> Task:
        (piece,) = task.ranges
        name = self._names[task.index] = Path(piece.path).name
        return replace(task, ranges=(piece._replace(path=str(self._folder / name)),))

    def forget(self, report: Report) -> None:
        """Remove the copies of those that are recorded."""
        for record in report.records:
            name = self._names.pop(record.task, None)
            if name is not None:
                (self._folder / name).unlink(missing_ok=True)
