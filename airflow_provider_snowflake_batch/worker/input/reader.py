"""The rows of a task, in batches of the size the model is called with."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input.batch_size import MOST_ROWS, BatchSize
from airflow_provider_snowflake_batch.worker.input.content import Content, TaskDigest
from airflow_provider_snowflake_batch.worker.input.decoded_size import DecodedSize
from airflow_provider_snowflake_batch.worker.input.file_columns import ROWS_AT_ONCE, FileColumns
from airflow_provider_snowflake_batch.worker.input.files_ahead import FilesAhead
from airflow_provider_snowflake_batch.worker.input.joined_files import Joiner
from airflow_provider_snowflake_batch.worker.input.parquet_input import ParquetInput, holds_times
from airflow_provider_snowflake_batch.worker.input.plan import RowRange, Task, repeated
from airflow_provider_snowflake_batch.worker.input.row_batch import Origin, RowBatch, merge
from airflow_provider_snowflake_batch.worker.input.sources import Source, sources
from airflow_provider_snowflake_batch.worker.processes import limits
from airflow_provider_snowflake_batch.worker.values.schemas import Misfit, fit

WHOLE_ROW_GROUP_BYTES = 64 * 1024 * 1024
# A row group that is too large is decoded in pieces of so many bytes, or of one row.
PIECE_BYTES = 16 * 1024 * 1024
MOST_PIECES = 8
# Tables of fewer rows are copied together soon, while the processor's cache still holds them.
SMALL_ROWS = 1024
SMALL_PIECES = 16
# The first rows of what is read tell how wide rows are in memory.
PROBED_ROWS = 256


def rows_at_once(file: ParquetInput, row_group: int, fixed_width: float | None, flat: bool) -> int | None:
    """The most rows of a row group that may be decoded at a time; None if it can be decoded whole.

    :param fixed_width: bytes of a row in memory if all take as many.
    :param flat: no column is nested, so there are as many values as rows.
    :raises DataError: it has a row for which there is no memory.
    """
    group = file.metadata.row_group(row_group)
    stored, rows = group.total_byte_size, group.num_rows
    if file.leaves is not None:
        stored = sum(group.column(number).total_uncompressed_size for number in file.leaves)
    if fixed_width is not None:
        fits = max(stored, rows * fixed_width) <= WHOLE_ROW_GROUP_BYTES
        return None if fits else max(1, min(MOST_ROWS, int(PIECE_BYTES / max(fixed_width, 1.0))))
    # A quick answer for small row groups, of which there may be very many: no value is longer than all stored bytes.
    if flat and rows * stored <= WHOLE_ROW_GROUP_BYTES:
        return None
    size = DecodedSize(file.reader, file.source, row_group, WHOLE_ROW_GROUP_BYTES, file.leaves)
    if max(stored, size.bytes) <= WHOLE_ROW_GROUP_BYTES:
        return None
    row, row_bytes = size.largest_row
    if row_bytes > max(limits.free_memory(), WHOLE_ROW_GROUP_BYTES):
        first_row = file.first_row(row_group)
        raise DataError(
            f"row {first_row + row} of input file {file.path} takes {row_bytes / 2**30:.1f} GiB in memory, more "
            "than there is, and a row cannot be divided"
        )
    return size.rows_within(MOST_ROWS, PIECE_BYTES)


class Pieces:
    """Parts of tables in a row that become one, with small ones copied together."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._small: list[pa.Table] = []
        self._part: tuple[pa.Table, int, int] | None = None
        self.rows = 0

    def add(self, table: pa.Table, start: int, stop: int) -> None:
        """Add rows of a table. :param stop: the first one that is not added."""
        self.rows += stop - start
        if self._part is not None:
            last, first, end = self._part
            if last is table and end == start:
                # Rows of files that were decoded together stay together.
                self._part = (table, first, stop)
                return
            self._add_part()
        self._part = (table, start, stop)

    def _add_part(self) -> None:
        if self._part is None:
            return
        table, start, stop = self._part
        self._part = None
        table = table if stop - start == table.num_rows else table.slice(start, stop - start)
        if table.num_rows > SMALL_ROWS:
            self._join_small()
            self._tables.append(table)
            return
        self._small.append(table)
        if len(self._small) == SMALL_PIECES:
            self._join_small()

    def _join_small(self) -> None:
        if len(self._small) > 1:
            self._tables.append(pa.concat_tables(self._small).combine_chunks())
        else:
            self._tables.extend(self._small)
        self._small = []

    def table(self) -> pa.Table:
        self._add_part()
        self._join_small()
        table = pa.concat_tables(self._tables) if len(self._tables) > 1 else self._tables[0]
        # Each piece costs time in every later step. Copying many of them together costs less.
        return table.combine_chunks() if len(self._tables) > MOST_PIECES else table


class Part(NamedTuple):
    """Rows of a file, and where they are in a table.

    :param first_row: number of the first of them within the file.
    :param start: the same in the table.
    :param width: bytes of a row of the table, on average; None if all rows have the same.
    """

    first_row: int
    table: pa.Table
    start: int
    rows: int
    width: float | None


class RowGroupRows:
    """The rows of a row group, which is decoded once from front to back, however many tasks share it.

    :param name: of the row group. :param count: its rows. :param tables: these rows, in order.
    :ivar first: number of the first row that can still be had.
    """

    def __init__(self, name: tuple[str, int], count: int, tables: Iterator[pa.Table]) -> None:
        self.name = name
        self.first = 0
        self._count, self._tables = count, tables
        self._table: pa.Table | None = None

    @property
    def used_up(self) -> bool:
        """Whether the last row has been taken."""
        return self.first >= self._count

    def take(self, first: int, last: int) -> pa.Table | None:
        """Rows from ``first`` on, all up to ``last`` or as many as lie together; what is before them is gone.

        :return: at least one row, or None if the row group ends before.
        """
        while self._table is None or first >= self.first + self._table.num_rows:
            self.first += 0 if self._table is None else self._table.num_rows
            self._table = None
            self._table = next(self._tables, None)
            if self._table is None:
                return None
        table, skipped = self._table, first - self.first
        taken = _part(table, skipped, min(last - first, table.num_rows - skipped))
        self.first = first + taken.num_rows
        rest = table.num_rows - skipped - taken.num_rows
        self._table = table.slice(table.num_rows - rest) if rest else None
        return taken


class TaskReader:
    """Reads tasks.

    :param path_of: from a file's path in the plan to its path here.
    :param schema: the schema that all files are read with.
    :param columns: those that are read; None for all.
    :param batch_size: tells the rows of each batch.
    :param files: reads the files that columns name, if any do.
    """

    def __init__(
        self,
        path_of: Callable[[str], str],
        schema: pa.Schema,
        batch_size: BatchSize,
        files: FileColumns | None,
        *,
        use_threads: bool,
        columns: Collection[str] | None = None,
    ) -> None:
        # At least one column is read, since without any the number of rows would be unknown.
        self._columns = columns if columns and len(columns) < len(schema) else None
        if self._columns is not None:
            schema = pa.schema([field for field in schema if field.name in self._columns])
        self._digest = TaskDigest()
        self._schema = schema
        self._batch_size = batch_size
        self._files = files
        self._use_threads = use_threads
        self._source: Source | None = None
        self._current: ParquetInput | None = None
        self._fixed_width = _fixed_width(schema)
        self._times = holds_times(schema)
        self._decoded_rows = self._decoded_bytes = 0.0
        self._flat = not any(map(pa.types.is_nested, schema.types))
        # Each file has its own categories.
        joins = self._flat and not any(map(pa.types.is_dictionary, schema.types))
        self._sources = sources(path_of)
        self._files_ahead = FilesAhead(self._sources, self._joiner() if joins else None)
        self._rows_left: RowGroupRows | None = None

    def batches(self, task: Task) -> Iterator[RowBatch]:
        """All rows of a task, in order.

        :raises DataError: a file cannot be read, or a row names a file that cannot be had.
        """
        size = self._rows(task)
        self._digest = TaskDigest()
        names = list(dict.fromkeys(piece.path for piece in task.ranges))
        if self._current is not None and names[:1] == [self._current.path]:
            names.pop(0)
        self._files_ahead.begin(names)
        pieces, origins = Pieces(), list[Origin]()
        for piece in task.ranges:
            for part in self._parts(piece):
                done = 0
                if part.width is not None and self._files is None:
                    # Asked again for each part, since rows may become wider.
                    fitting = self._batch_size.rows(part.width)
                    if pieces.rows >= fitting:
                        yield from self._finished(pieces, origins, self._row_bytes(task))
                        pieces, origins = Pieces(), []
                    size = min(size, fitting)
                while done < part.rows:
                    count = min(size - pieces.rows, part.rows - done)
                    pieces.add(part.table, part.start + done, part.start + done + count)
                    origins.append(Origin(piece.path, part.first_row + done, count))
                    done += count
                    if pieces.rows == size:
                        yield from self._finished(pieces, origins, self._row_bytes(task))
                        pieces, origins = Pieces(), []
                        size = self._rows(task)
        if origins:
            yield from self._finished(pieces, origins, self._row_bytes(task))

    def content(self) -> Content:
        """What was read for the task whose batches were asked for last, once all of them were taken."""
        return self._digest.content()

    def _rows(self, task: Task) -> int:
        """Rows that are put together; where they name files, these say how many make a batch."""
        size = self._batch_size.rows(self._row_bytes(task))
        return size if self._files is None else math.ceil(ROWS_AT_ONCE / size) * size

    def _row_bytes(self, task: Task) -> float:
        return max(task.bytes / max(task.rows, 1), self._width)

    @property
    def _width(self) -> float:
        """Bytes of a row in memory, on average: what a file stores once may be there for each row."""
        if self._fixed_width is not None:
            return self._fixed_width
        return self._decoded_bytes / max(self._decoded_rows, 1.0)

    def _decoded(self, table: pa.Table) -> pa.Table:
        # Of many small tables, the first ones are measured.
        if self._fixed_width is None and (table.num_rows > SMALL_ROWS or self._decoded_rows < PROBED_ROWS):
            self._decoded_rows += table.num_rows
            self._decoded_bytes += table.nbytes
        return table

    def _joiner(self) -> Joiner:
        def finished(table: pa.Table) -> pa.Table:
            return in_schema(self._decoded(table), self._schema, "", 0)

        width, most = self._fixed_width, WHOLE_ROW_GROUP_BYTES
        return Joiner(self._schema, self._columns, width, self._times, most, finished, use_threads=self._use_threads)

    def _parts(self, piece: RowRange) -> Iterator[Part]:
        current = self._current is not None and self._current.path == piece.path
        small = None if current or piece.skip else self._files_ahead.small_rows(piece.path, piece.row_group)
        if small is not None and small.decoded.rows == piece.rows:
            self._close()
            self._digest.add(small.digest, small.seen)
            rows = small.decoded
            width = rows.width if self._fixed_width is None else None
            yield Part(piece.first_row, rows.table, rows.first, rows.rows, width)
            return
        for first_row, table in self._pieces(piece):
            width = table.nbytes / max(table.num_rows, 1) if self._fixed_width is None else None
            yield Part(first_row, table, 0, table.num_rows, width)

    def _pieces(self, piece: RowRange) -> Iterator[tuple[int, pa.Table]]:
        first, last = piece.skip, piece.skip + piece.rows
        try:
            rows = self._row_group(piece)
            while first < last:
                table = rows.take(first, last)
                if table is None:
                    raise DataError(f"input file {piece.path} has changed: row group {piece.row_group} ends early")
                first_row = piece.first_row + first - piece.skip
                yield first_row, in_schema(table, self._schema, piece.path, first_row)
                first += table.num_rows
        except (pa.ArrowException, OSError) as error:
            file = self._current
            if file is not None and file.path == piece.path and isinstance(error, pa.ArrowException):
                raise file.unreadable([piece.row_group], error) from None
            raise DataError(f"cannot read input file {piece.path}: {error}") from None
        finally:
            # Dropped before the next row group is asked for, to free its memory. A row group that was left in the
            # middle is begun again.
            if first < last or self._rows_left is None or self._rows_left.used_up:
                self._rows_left = None

    def _row_group(self, piece: RowRange) -> RowGroupRows:
        """The rows of a row group; tasks that share one follow each other, and go on where the one before ended."""
        file = self._file(piece.path)
        self._load(file, piece.row_group)
        name = (piece.path, piece.row_group)
        if self._rows_left is None or self._rows_left.name != name or self._rows_left.first > piece.skip:
            self._rows_left = None
            count = file.metadata.row_group(piece.row_group).num_rows
            self._rows_left = RowGroupRows(name, count, self._tables(file, piece.row_group))
        return self._rows_left

    def _tables(self, file: ParquetInput, row_group: int) -> Iterator[pa.Table]:
        """The row group in pieces that fit into memory; whole if it does, which is twice as fast."""
        if self._fixed_width is None and not self._decoded_rows:
            # This takes longer than it seems: all of the row group is read, and most of it decompressed, for the first
            # row.
            probe = next(file.batches(PROBED_ROWS, [row_group], use_threads=False), None)
            if probe is not None:
                self._decoded(probe)
        most = rows_at_once(file, row_group, self._fixed_width, self._flat)
        if most is None:
            yield self._decoded(file.row_group(row_group, use_threads=self._use_threads))
            return
        for table in file.batches(most, [row_group], use_threads=self._use_threads):
            yield self._decoded(table)

    def _file(self, path: str) -> ParquetInput:
        if self._current is None or self._current.path != path:
            self._close()
            self._source = self._files_ahead.take(path)
            self._current = ParquetInput(path, self._source.native, self._schema, self._times, self._columns)
        return self._current

    def _load(self, file: ParquetInput, row_group: int) -> None:
        """Have a row group in memory, as it is stored, and count it as read."""
        if row_group >= file.metadata.num_row_groups:
            raise DataError(f"input file {file.path} has changed: it has no row group {row_group}")
        assert self._source is not None
        self._digest.add(self._source.load(file.metadata, row_group), self._source.seen)

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()
        self._source = self._current = self._rows_left = None

    def _finished(self, pieces: Pieces, origins: list[Origin], width: float) -> Iterator[RowBatch]:
        table, merged = pieces.table(), merge(origins)
        if self._files is None:
            # Calculated where possible: asking thousands of columns for their size takes as long as writing the
            # results.
            held = table.nbytes if self._fixed_width is None else math.ceil(table.num_rows * self._fixed_width)
            yield RowBatch(table, table, merged, 2 * held)
        else:
            yield from self._files.batches(table, merged, lambda: self._batch_size.rows(width))


def in_schema(table: pa.Table, schema: pa.Schema, path: str, first_row: int) -> pa.Table:
    """Rows of an input file in the schema that all files have in common.

    :param first_row: number of the first of them within the file.
    :raises DataError: a value cannot be had in the common type, or a column has gone.
    """
    if table.schema.equals(schema):
        return table
    try:
        names = table.column_names
    except UnicodeDecodeError as error:
        raise DataError(f"input file {path} has changed: column name {error.object!r} is not valid UTF-8") from None
    missing = sorted(set(schema.names).difference(names))
    if missing:
        raise DataError(f"input file {path} has changed: it has no column {missing[0]!r}")
    twice = repeated(names)
    if twice:
        raise DataError(f"input file {path} has changed: it has two columns {twice[0]!r}")
    try:
        return fit(table, schema)
    except Misfit as error:
        raise DataError(f"input {error.message} (row {first_row + error.row} of file {path})") from None


def _fixed_width(schema: pa.Schema) -> float | None:
    """Bytes of a row in memory if that is the same for all rows."""
    if any(pa.types.is_dictionary(kind) for kind in schema.types):
        return None
    try:
        return float(sum(kind.bit_width for kind in schema.types)) / 8
    except ValueError:
        return None


def _part(table: pa.Table, start: int, count: int) -> pa.Table:
    return table if count == table.num_rows else table.slice(start, count)
