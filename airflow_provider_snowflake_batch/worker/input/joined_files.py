"""Very many small Parquet files, decoded as if they were one file.

To open a file of a hundred rows and to decode its row group takes pyarrow three times as long as the same row group
takes as one of many: it makes a reader, a schema and an array of each column, for each file. So files that are in
memory anyway, and differ in their pages and numbers alone, are put one behind the other, with one footer that says
where the pages are then. Pages stay as they are, and each file was hashed as it is stored.

A file that is not like the others, or says of itself what cannot be or what its pages do not hold, is decoded alone.
So is each of them where decoding them together fails: then the error names the right file.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input.joined_footers import (
    TRAILER_BYTES,
    Alike,
    Middle,
    start_of_structures,
)
from airflow_provider_snowflake_batch.worker.input.page_places import (
    Group,
    Numbers,
    Unlike,
    find_pages,
    with_rows_in_pages,
)
from airflow_provider_snowflake_batch.worker.input.parquet_input import ParquetInput

# For fewer files, to find out what they have in common is not worth it.
FEWEST_FILES = 32
# Where a file is not like the first one, the others are compared with that, so often.
MOST_KINDS = 3
_MAGIC = b"PAR1"
# A number in the new footer has so many bytes, of seven bits each.
_NUMBER_BYTES = 5
_SHIFTS = 7 * np.arange(_NUMBER_BYTES)
_MORE = np.array([0x80] * (_NUMBER_BYTES - 1) + [0], np.int64)
# Numbers are stored as twice their size.
_TOO_LARGE = 1 << (7 * _NUMBER_BYTES - 1)
# Fields of a row group and its columns as they are stored, each with its distance from the one before and its type.
_COLUMNS, _NEXT_NUMBER, _NUMBER_AFTER_NEXT, _NEXT_STRUCTURE, _END = 0x19, 0x16, 0x26, 0x1C, 0x00


class JoinedRows(NamedTuple):
    """A row group of one of the files: rows of a table that holds those of many.

    :param width: bytes of a row of that table, on average.
    """

    table: pa.Table
    first: int
    rows: int
    width: float


class _File(NamedTuple):
    """A file in memory. :param path: its path in the plan."""

    path: str
    data: bytes
    footer: bytes


class Joiner:
    """Joins files.

    :param schema: the input's, as far as it is read.
    :param columns: those that are read; None for all.
    :param width: bytes of a row in memory if all take as many.
    :param times: whether the schema holds times.
    :param most: bytes that may be decoded at a time.
    :param finish: called with each table that was decoded, returns what is to be had of it.
    """

    def __init__(
        self,
        schema: pa.Schema,
        columns: Collection[str] | None,
        width: float | None,
        times: bool,
        most: int,
        finish: Callable[[pa.Table], pa.Table],
        *,
        use_threads: bool,
    ) -> None:
        self._use_threads = use_threads
        self._schema, self._columns, self._width, self._times = schema, columns, width, times
        self._most, self._finish = most, finish
        self._alike: Alike | None = None

    def join(self, files: Sequence[tuple[str, bytes]]) -> dict[str, Joined]:
        """Put files together as far as they are alike.

        :param files: path and content of each.
        :return: by path, what it is decoded with.
        """
        found: dict[str, Joined] = {}
        rest = [_File(path, data, footer) for path, data in files if (footer := _footer(data)) is not None]
        for _ in range(MOST_KINDS):
            if len(rest) < FEWEST_FILES:
                break
            try:
                some, rest = self._like_the_first(rest)
            except (Unlike, ValueError):
                rest = rest[1:]
                continue
            try:
                joined = None if some is None else self._joined(some)
            except (pa.ArrowException, OSError, DataError):
                continue
            if joined is not None:
                found |= dict.fromkeys(joined.numbers, joined)
        return found

    def _joined(self, some: _Together) -> Joined | None:
        """What those are decoded with whose pages have the rows that they say, if these are enough.

        :raises pa.ArrowException: they cannot be opened. :raises DataError: they cannot be decoded in this way.
        """
        file = self._open(some)
        checked = some.with_their_rows(file.leaves)
        if checked is None:
            return None
        if checked is not some:
            file = self._open(checked)
        return Joined(file, checked, self._width, self._most, self._decoded)

    def _decoded(self, file: ParquetInput, row_groups: Sequence[int]) -> pa.Table:
        return self._finish(file.row_groups(row_groups, use_threads=self._use_threads))

    def _like_the_first(self, files: Sequence[_File]) -> tuple[_Together | None, list[_File]]:
        """Those that are like the first one, if they are enough, and the others.

        :raises ValueError: the first one is like none.
        """
        if self._alike is None or not self._alike.includes(files[0].footer):
            self._alike = Alike(files[0].footer)
        middles = [self._alike.middle(file.footer) for file in files]
        first = middles[0]
        if first is None or not first.groups:
            raise ValueError("no row groups")
        pairs = [(file, one) for file, one in zip(files, middles, strict=True) if one and one.groups == first.groups]
        groups, alike = find_pages([one.data for _, one in pairs], first.groups)
        sound = alike & _sound(groups, [file for file, _ in pairs], [one.rows for _, one in pairs])
        chosen = [file for (file, _), good in zip(pairs, sound, strict=True) if good]
        like = {file.path for (file, _), good in zip(pairs, alike, strict=True) if good}
        others = [file for file in files if file.path not in like]
        if len(chosen) < FEWEST_FILES:
            return None, others
        return _Together(self._alike, chosen, [group.of(sound) for group in groups]), others

    def _open(self, some: _Together) -> ParquetInput:
        """:raises pa.ArrowException: it cannot be opened. :raises DataError: it cannot be decoded in this way."""
        file = ParquetInput(some.files[0].path, pa.BufferReader(some.data), self._schema, self._times, self._columns)
        if file.reads_twice or file.metadata.num_row_groups != len(some.files) * len(some.groups):
            raise DataError("files that have to be decoded alone")
        return file


class _Together:
    """Files that are alike. :param groups: their row groups, with a number for each file."""

    def __init__(self, alike: Alike, files: Sequence[_File], groups: Sequence[Group]) -> None:
        self._alike, self.files, self.groups = alike, files, groups
        sizes = np.array([len(file.data) for file in files], np.int64)
        self._begins = np.cumsum(sizes) - sizes
        self.numbers = {file.path: number * len(groups) for number, file in enumerate(files)}
        self.data = b"".join([*(file.data for file in files), self._footer()])

    def with_their_rows(self, leaves: Sequence[int] | None) -> _Together | None:
        """Those whose pages hold as many rows as they say: a row too many of one makes up for one that another lacks.

        :param leaves: numbers of the columns that are read; None for all.
        :return: None if they are too few.
        """
        good = with_rows_in_pages(self.data, self._begins, self.groups, leaves)
        if good.all():
            return self
        files = [file for file, sound in zip(self.files, good, strict=True) if sound]
        if len(files) < FEWEST_FILES:
            return None
        return _Together(self._alike, files, [group.of(good) for group in self.groups])

    def _footer(self) -> bytes:
        """One that says where pages are in all files, one behind the other, with what follows it."""
        template = _Template()
        for group in self.groups:
            self._describe(group, template)
        groups = len(self.files) * len(self.groups)
        rows = sum(int(group.rows.sum()) for group in self.groups)
        return self._alike.joined([Middle(rows, groups, template.filled())])

    def _describe(self, group: Group, template: _Template) -> None:
        template.add(_COLUMNS, *start_of_structures(len(group.leaves)))
        for leaf in group.leaves:
            # Where the column itself is described in the file is not known any more, and nobody reads it.
            template.add(_NUMBER_AFTER_NEXT, 0, _NEXT_STRUCTURE, *leaf.constant)
            template.add_number(_NEXT_NUMBER, leaf.values + 1)
            template.add_number(_NEXT_NUMBER, leaf.uncompressed)
            template.add_number(_NEXT_NUMBER, leaf.compressed)
            template.add_number(_NUMBER_AFTER_NEXT, leaf.data + self._begins)
            if leaf.dictionary is not None:
                there = leaf.dictionary > 0
                template.add_number(_NUMBER_AFTER_NEXT, np.where(there, leaf.dictionary + self._begins, 0))
            template.add(_END, _END)
        template.add_number(_NEXT_NUMBER, group.size)
        # One row more than there are. pyarrow stops where the pages end, so a column whose pages hold more rows than
        # its file says is told by its length, before they are taken for rows of the next file. pyarrow 18 goes by the
        # number of values of the column, which is one more, too.
        template.add_number(_NEXT_NUMBER, group.rows + 1)
        template.add(_END)


class _Template:
    """Bytes that are the same for each file, with places for numbers that are not."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._places: list[int] = []
        self._numbers: list[Numbers] = []

    def add(self, *stored: int) -> None:
        self._bytes.extend(stored)

    def add_number(self, header: int, numbers: Numbers) -> None:
        """:param numbers: one for each file."""
        self._bytes.append(header)
        self._places.append(len(self._bytes))
        self._bytes.extend(bytes(_NUMBER_BYTES))
        self._numbers.append(numbers)

    def filled(self) -> bytes:
        """For each file, one after another."""
        numbers = np.stack(self._numbers, axis=1)
        stored = np.tile(np.frombuffer(bytes(self._bytes), np.uint8), (len(numbers), 1))
        digits = ((2 * numbers[:, :, None]) >> _SHIFTS) & 0x7F | _MORE
        places = np.array(self._places)[:, None] + np.arange(_NUMBER_BYTES)
        stored[:, places.ravel()] = digits.reshape(len(numbers), -1)
        return stored.tobytes()


class Joined:
    """Files that are decoded as one, as many row groups at a time as there is memory for.

    :param files: of which ``file`` is made.
    :param decode: decodes some row groups.
    :ivar numbers: of each file that of its first row group.
    """

    def __init__(
        self,
        file: ParquetInput,
        files: _Together,
        width: float | None,
        most: int,
        decode: Callable[[ParquetInput, Sequence[int]], pa.Table],
    ) -> None:
        self._file: ParquetInput | None = file
        self._decode_groups, self._most = decode, most
        self._groups = len(files.groups)
        self.numbers = files.numbers
        rows = np.stack([group.rows for group in files.groups], axis=1).ravel()
        stored = np.stack([_stored(group, file.leaves) for group in files.groups], axis=1).ravel()
        # No value is longer than all stored bytes.
        self._bytes = rows * stored if width is None else np.maximum(stored, np.ceil(rows * width).astype(np.int64))
        self._rows, self._firsts = rows, rows
        self._decoded = range(0)
        self._table: pa.Table | None = None
        self._width = 0.0

    def rows(self, path: str, row_group: int) -> JoinedRows | None:
        """A row group of one of the files; None where it has to be decoded alone."""
        if row_group >= self._groups:
            return None
        number = self.numbers[path] + row_group
        if number not in self._decoded and not self._decode(number):
            return None
        place = number - self._decoded.start
        return JoinedRows(self._table, int(self._firsts[place]), int(self._rows[number]), self._width)

    def _decode(self, first: int) -> bool:
        """Have as many row groups decoded as there is memory for, in place of those before."""
        self._table, self._decoded = None, range(0)
        if self._file is None:
            return False
        count = int(np.searchsorted(np.cumsum(self._bytes[first:]), self._most, side="right"))
        if not count:
            return False
        rows = self._rows[first : first + count]
        try:
            table = self._decode_groups(self._file, range(first, first + count))
        except (pa.ArrowException, OSError, DataError):
            table = None
        if table is None or table.num_rows != rows.sum():
            # Each of them will be decoded alone.
            self._file = None
            return False
        self._decoded, self._table, self._firsts = range(first, first + count), table, np.cumsum(rows) - rows
        self._width = table.nbytes / max(table.num_rows, 1)
        return True


def _footer(data: bytes) -> bytes | None:
    """A file's footer with what follows it, None if there is none."""
    length = int.from_bytes(data[-TRAILER_BYTES:-4], "little") + TRAILER_BYTES
    return data[-length:] if data.endswith(_MAGIC) and TRAILER_BYTES < length <= len(data) else None


def _sound(groups: Sequence[Group], files: Sequence[_File], rows: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Of which files each column has a value in each row, and its pages inside of the file."""
    sizes = np.array([len(file.data) for file in files], np.int64)
    good: npt.NDArray[np.bool_] = reduce(operator.add, [group.rows for group in groups]) == np.array(rows)
    for group in groups:
        good &= (group.rows < _TOO_LARGE - 1) & (group.size < _TOO_LARGE)
        for leaf in group.leaves:
            first = leaf.first
            good &= (leaf.values == group.rows) & (leaf.uncompressed < _TOO_LARGE)
            good &= (first > 0) & (first + leaf.compressed <= sizes)
    return good


def _stored(group: Group, leaves: Sequence[int] | None) -> Numbers:
    """Bytes of the columns that are read, uncompressed."""
    if leaves is None:
        return group.size
    return reduce(operator.add, [group.leaves[number].uncompressed for number in leaves])
