"""Files of grouped rows on their way from those that have read them to those that score them.

Whoever has read a part of the input keeps, on a disk of its machine, one file for each bucket of rows
(`shared_buckets`). A host that takes a bucket as its task gets all files of it, keeps them while it works on it, and
removes them when the task is recorded. A piece may be sent again, because its answer was lost: it goes to the same
place of the file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_provider_snowflake_batch.worker.errors import OutputError
from airflow_provider_snowflake_batch.worker.executors.host import Order, Report
from airflow_provider_snowflake_batch.worker.input.plan import Task

PIECE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Piece:
    """Some bytes of a file.

    :param name: of the file. :param offset: of the first byte. :param last: whether the file ends with them.
    """

    name: str
    offset: int
    data: bytes
    last: bool


@dataclass(frozen=True)
class Wanted:
    """What is still to be fetched.

    :param names: of files, one after the other. :param offset: where to begin in the first of them.
    """

    names: Sequence[str]
    offset: int = 0

    def after(self, pieces: Sequence[Piece]) -> Wanted:
        """What is left when some pieces have come."""
        end = pieces[-1]
        done = len(pieces) if end.last else len(pieces) - 1
        return Wanted(self.names[done:], 0 if end.last else end.offset + len(end.data))


def read_pieces(folder: Path, wanted: Wanted) -> list[Piece]:
    """The next bytes of files: `PIECE_BYTES` together at most, and at least the next ones of the first file.

    :raises OutputError: a file cannot be read.
    """
    found: list[Piece] = []
    room, offset = PIECE_BYTES, wanted.offset
    try:
        for name in wanted.names:
            with (folder / name).open("rb") as file:
                file.seek(offset)
                data = file.read(room)
                last = offset + len(data) >= os.fstat(file.fileno()).st_size
            found.append(Piece(name, offset, data, last))
            room, offset = room - len(data), 0
            if not room or not last:
                break
    except OSError as error:
        raise OutputError(f"cannot read the groups of rows in {folder} again: {error}") from None
    return found


class BucketReceiver:
    """A host's copies of buckets.

    :param folder: where they are kept, on a disk of this machine; nothing else is in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[int, list[str]] = {}

    def receive(self, pieces: Sequence[Piece]) -> None:
        """Write pieces to their places.

        :raises OutputError: the disk has no room for them.
        """
        try:
            for piece in pieces:
                path = self.folder / piece.name
                with path.open("r+b" if piece.offset else "wb") as file:
                    file.seek(piece.offset)
                    file.write(piece.data)
        except OSError as error:
            raise self._no_room(error) from None

    def link(self, folder: Path, names: Sequence[str]) -> None:
        """Take files over that this machine has already. Whoever has them may remove its own then.

        :raises OutputError: one is not there, or the disk has no room for it.
        """
        try:
            for name in names:
                path = self.folder / name
                path.unlink(missing_ok=True)
                try:
                    path.hardlink_to(folder / name)
                except OSError:
                    # Another file system, or one without links.
                    shutil.copyfile(folder / name, path)
        except OSError as error:
            raise self._no_room(error) from None

    def _no_room(self, error: OSError) -> OutputError:
        return OutputError(f"cannot keep the groups of rows in {self.folder} (TMPDIR says where): {error}")

    def order(self, order: Order) -> Order:
        """The order, with tasks that read the copies."""
        return replace(order, tasks=tuple(self._own(task) for task in order.tasks))

    def _own(self, task: Task) -> Task:
        self._names[task.index] = [piece.path for piece in task.ranges]
        return replace(task, ranges=tuple(piece._replace(path=str(self.folder / piece.path)) for piece in task.ranges))

    def forget(self, report: Report) -> None:
        """Remove the copies of those that are recorded."""
        for record in report.records:
            for name in self._names.pop(record.task, ()):
                (self.folder / name).unlink(missing_ok=True)
