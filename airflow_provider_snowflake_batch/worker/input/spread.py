"""Rows of an input, spread over files by a hash of one column: all rows with the same value are in files of one bucket.

Memory is bounded by constants, not by the input. NULL is a value of its own, as for Snowflake's partitioned functions;
so is NaN, and 0.0 equals -0.0.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.errors import DataError, OutputError, Refused
from airflow_provider_snowflake_batch.worker.input.categories import Categories, bucket_schema
from airflow_provider_snowflake_batch.worker.input.content import seen
from airflow_provider_snowflake_batch.worker.input.parquet_input import ParquetInput
from airflow_provider_snowflake_batch.worker.input.plan import Plan, file_path
from airflow_provider_snowflake_batch.worker.input.reader import PROBED_ROWS, in_schema
from airflow_provider_snowflake_batch.worker.values.schemas import fit
from airflow_provider_snowflake_batch.worker.values.texts import as_bytes, is_text

# So many bytes are read before buckets are written, so that their files do not consist of tiny pieces. All bytes read
# count, since a few rows of a bucket keep the whole table in memory that they came in.
PENDING_BYTES = 64 * 1024 * 1024
CRUMB_BYTES = 1024 * 1024
READ_ROWS = 65_536
READ_BYTES = 16 * 1024 * 1024
FILE_COLUMN = "__SOURCE_FILE"
ROW_COLUMN = "__SOURCE_ROW"


class RowGroups(NamedTuple):
    """Some row groups of a file, in order.

    :param rows: how many these are together.
    """

    path: str
    numbers: tuple[int, ...]
    rows: int


def row_groups(plan: Plan) -> list[RowGroups]:
    """All row groups that have rows, one by one."""
    found: dict[tuple[str, int], int] = {}
    for task in plan.tasks:
        for piece in task.ranges:
            found[piece.path, piece.row_group] = found.get((piece.path, piece.row_group), 0) + piece.rows
    return [RowGroups(path, (number,), rows) for (path, number), rows in found.items()]


def joined(single: Iterable[RowGroups]) -> list[RowGroups]:
    """The same, those of a file that follow each other together, so that a file is opened once."""
    found: list[RowGroups] = []
    for one in single:
        if found and found[-1].path == one.path:
            last = found.pop()
            one = RowGroups(one.path, last.numbers + one.numbers, last.rows + one.rows)
        found.append(one)
    return found


def check_column(schema: pa.Schema, column: str) -> None:
    """Hold that the rows of an input can be grouped by a column.

    :raises Refused: its values make no groups, or a column has a name that is needed here.
    """
    for name in (FILE_COLUMN, ROW_COLUMN):
        if name in schema.names:
            raise Refused(f"partition_column needs the name {name} for itself: the input has a column of that name")
    kind = bucket_schema(schema).field(column).type
    if pa.types.is_nested(kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind):
        raise Refused(f"partition column {column!r} holds {kind}; groups are made of plain values only")


class Changed(Exception):
    """A file is not the one that was planned, as far as size and times tell."""


class BucketFiles:
    """Writes rows into one file for each bucket.

    :param root: the input. :param schema: its own. :param column: the partition column, in the input's own spelling.
    :param count: of buckets. :param path: where the file of a bucket is to be.
    :param owns: tells which buckets are written, by their numbers.
    :ivar rows: of each bucket, those included that are not written. :ivar bytes: the same in memory.
    :ivar categories: all that were seen.
    """

    def __init__(
        self,
        root: Path,
        schema: pa.Schema,
        column: str,
        count: int,
        path: Callable[[int], Path],
        owns: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._root, self._input, self._column, self._count = root, schema, column, count
        self._path, self._owns = path, owns
        self._values = bucket_schema(schema)
        self._schema = self._values.append(pa.field(FILE_COLUMN, pa.string())).append(pa.field(ROW_COLUMN, pa.int64()))
        self._pending: list[list[pa.Table]] = [[] for _ in range(count)]
        self._pending_bytes = 0
        self._writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}
        self.rows = [0] * count
        self.bytes = [0] * count
        self.categories = Categories(schema)

    def fill(
        self, groups: Sequence[RowGroups], seen_before: Sequence[int] = (), tick: Callable[[], None] = lambda: None
    ) -> None:
        """Read some row groups, and write their rows.

        :param seen_before: what `content.seen` has to be for each of them, where that is to be held.
        :param tick: called again and again meanwhile; it may raise.
        :raises Changed: that of a file is another.
        :raises DataError: a file cannot be read.
        :raises OutputError: the disk has no room for the groups.
        """
        try:
            for path, first_row, table in self._tables(groups, seen_before):
                tick()
                rows = pa.array(np.arange(first_row, first_row + table.num_rows, dtype=np.int64))
                table = table.append_column(FILE_COLUMN, pa.array([path] * table.num_rows, pa.string()))
                self._spread(table.append_column(ROW_COLUMN, rows))
            self._flush()
        finally:
            with self._in_words():
                for writer in self._writers.values():
                    writer.close()

    def _tables(self, groups: Sequence[RowGroups], seen_before: Sequence[int]) -> Iterator[tuple[str, int, pa.Table]]:
        width = 0.0
        for number, (path, numbers, _) in enumerate(groups):
            try:
                place = file_path(self._root, path)
                with contextlib.closing(open_input(self._root, path, self._input)) as file:
                    if seen_before and seen(place.stat()) != seen_before[number]:
                        raise Changed(path)
                    first_row = file.first_row(numbers[0])
                    width = width or decoded_width(file, self._input)
                    rows = max(1, min(READ_ROWS, int(READ_BYTES / max(width, 1.0))))
                    for read in _readable(file, rows, numbers):
                        table = in_schema(read, self._input, path, first_row)
                        self.categories.add(table, path)
                        table = fit(table, self._values)
                        width = table.nbytes / max(table.num_rows, 1)
                        yield path, first_row, table
                        first_row += table.num_rows
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"cannot read input file {path}: {error}") from None

    def _spread(self, table: pa.Table) -> None:
        buckets = bucket_numbers(table.column(self._column), self._count)
        order = np.argsort(buckets, kind="stable")
        edges = np.searchsorted(buckets[order], np.arange(self._count + 1))
        table = table.take(pa.array(order)) if self._count > 1 else table
        for bucket in np.unique(buckets):
            part = table.slice(int(edges[bucket]), int(edges[bucket + 1] - edges[bucket]))
            self.rows[bucket] += part.num_rows
            self.bytes[bucket] += part.nbytes
            if self._owns(bucket):
                self._pending[bucket].append(part)
        self._pending_bytes += table.nbytes
        if self._pending_bytes >= PENDING_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._pending_bytes = 0
        with self._in_words():
            for bucket, tables in enumerate(self._pending):
                if tables:
                    self._pending[bucket] = []
                    if bucket not in self._writers:
                        self._writers[bucket] = pa.ipc.new_file(str(self._path(bucket)), self._schema)
                    table = pa.concat_tables(tables)
                    crumbs = table.nbytes < CRUMB_BYTES * len(tables)
                    self._writers[bucket].write_table(table.combine_chunks() if crumbs else table)

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            folder = self._path(0).parent
            raise OutputError(f"cannot keep the groups of rows in {folder} (TMPDIR says where): {error}") from None


def _readable(file: ParquetInput, rows: int, numbers: Sequence[int]) -> Iterator[pa.Table]:
    """Row groups in pieces of some rows.

    :raises DataError: a column cannot be read.
    """
    try:
        yield from file.batches(rows, list(numbers), use_threads=False)
    except pa.ArrowException as error:
        raise file.unreadable(numbers, error) from None


def open_input(root: Path, path: str, schema: pa.Schema) -> ParquetInput:
    """A file of the input."""
    return ParquetInput(path, pa.OSFile(str(file_path(root, path))), schema)


def decoded_width(file: ParquetInput, schema: pa.Schema) -> float:
    """Bytes of a row in memory, judged by the first rows: what a file stores once is there for each row."""
    first = next(_readable(file, PROBED_ROWS, range(file.metadata.num_row_groups)), None)
    if first is None:
        return 0.0
    table = fit(in_schema(first, schema, file.path, 0), bucket_schema(schema))
    return float(table.nbytes / max(table.num_rows, 1))


def key_values(column: pa.ChunkedArray) -> pa.Array:
    """The values that groups are made by, in a form in which equal ones are the same."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return key_values(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))
    if pa.types.is_floating(kind):
        # Adding 0.0 makes 0.0 of -0.0, which equals it.
        return pc.add(pc.cast(column, pa.float64()), 0.0).combine_chunks()
    if pa.types.is_temporal(kind):
        # As numbers, because Python's times have no nanoseconds.
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        return column.view(pa.int64() if kind.bit_width == 64 else pa.int32())
    column = column.combine_chunks()
    # Texts by their bytes, because those that are no UTF-8 are told row by row, and not here.
    return as_bytes(column) if is_text(kind) else column


def bucket_numbers(column: pa.ChunkedArray, count: int) -> np.ndarray:
    """The bucket of each row: the same for the same value in every process and on every machine."""
    encoded = pc.dictionary_encode(key_values(column), null_encoding="encode")
    texts = is_text(column.type)
    of_value = np.array(
        [
            zlib.crc32(b"\0" if value is None else value if texts else str(value).encode()) % count
            for value in encoded.dictionary.to_pylist()
        ],
        dtype=np.int64,
    )
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    return of_value[indices] if len(indices) else np.zeros(0, dtype=np.int64)
