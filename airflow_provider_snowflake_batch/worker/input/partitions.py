"""``partition_column``: every group of rows goes to the model whole, in one call.

The rows of a group may lie anywhere in the input. They are brought together in one pass: whoever does it reads the
input once and spreads it over bucket files on its own disk by a hash of the column; a bucket is a task. Memory is
bounded by constants while reading and by the largest group while predicting, not by the input. NULL is a group of its
own, as for Snowflake's partitioned functions; so is NaN, and 0.0 equals -0.0.
"""

from __future__ import annotations

import bisect
import contextlib
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.errors import DataError, OutputError, Refused
from airflow_provider_snowflake_batch.worker.input.categories import (
    Categories,
    bucket_schema,
    grouped_schema,
    in_categories,
    read_categories,
)
from airflow_provider_snowflake_batch.worker.input.file_columns import FileColumns
from airflow_provider_snowflake_batch.worker.input.parquet_input import ParquetInput
from airflow_provider_snowflake_batch.worker.input.plan import TASK_ROWS, Plan, RowRange, Task, file_path
from airflow_provider_snowflake_batch.worker.input.reader import PROBED_ROWS, in_schema
from airflow_provider_snowflake_batch.worker.input.row_batch import Origin, RowBatch
from airflow_provider_snowflake_batch.worker.values.schemas import fit

BUCKET_BYTES = 64 * 1024 * 1024
MOST_BUCKETS = 512
# So many bytes are read before buckets are written, so that their files do not consist of tiny pieces. All bytes read
# count, since a few rows of a bucket keep the whole table in memory that they came in.
PENDING_BYTES = 64 * 1024 * 1024
CRUMB_BYTES = 1024 * 1024
READ_ROWS = 65_536
READ_BYTES = 16 * 1024 * 1024
# Groups are taken out of a bucket together up to so many bytes.
TAKEN_BYTES = 16 * 1024 * 1024
FILE_COLUMN = "__SOURCE_FILE"
ROW_COLUMN = "__SOURCE_ROW"


def bucket_count(root: Path, plan: Plan) -> int:
    """How many buckets there are: it follows from the input alone, so that every replica makes the same.

    At least as many as there would be tasks without groups, since a model may take long for a row.

    :raises DataError: the first file cannot be read.
    """
    if plan.schema is None or not plan.tasks:
        return 1
    path = plan.tasks[0].ranges[0].path
    try:
        with contextlib.closing(_open(root, path, plan.schema)) as file:
            size = max(plan.bytes, int(plan.rows * _decoded_width(file, plan.schema)))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read input file {path}: {error}") from None
    return max(1, min(MOST_BUCKETS, max(-(-size // BUCKET_BYTES), -(-plan.rows // TASK_ROWS))))


class Buckets:
    """Bucket files in a directory of their own.

    :param root: the input. :param plan: its plan, of which only files and row ranges are used.
    :param column: the partition column, in the input's own spelling.
    :param owns: tells which buckets are written, by their numbers.
    """

    def __init__(self, root: Path, plan: Plan, column: str, owns: Callable[[int], bool]) -> None:
        assert plan.schema is not None
        self._root, self._column, self._owns = root, column, owns
        self._plan = replace(plan, schema=grouped_schema(plan.schema))
        for name in (FILE_COLUMN, ROW_COLUMN):
            if name in plan.schema.names:
                raise Refused(f"partition_column needs the name {name} for itself: the input has a column of that name")
        schema = bucket_schema(plan.schema)
        kind = schema.field(column).type
        if pa.types.is_nested(kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind):
            raise Refused(f"partition column {column!r} holds {kind}; groups are made of plain values only")
        self._input, self._categories = plan.schema, Categories(plan.schema)
        self._schema = schema.append(pa.field(FILE_COLUMN, pa.string())).append(pa.field(ROW_COLUMN, pa.int64()))
        self._count = bucket_count(root, plan)
        self._folder = Path(tempfile.mkdtemp(prefix="sfbatch-partitions-"))
        self._pending: list[list[pa.Table]] = [[] for _ in range(self._count)]
        self._pending_bytes = 0
        self._rows = [0] * self._count
        self._bytes = [0] * self._count
        self._writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}

    def fill(self) -> Plan:
        """Read the whole input once.

        :return: the plan with the buckets as its tasks.
        :raises DataError: a file cannot be read.
        :raises OutputError: the disk has no room for the groups.
        """
        for path, first_row, table in self._tables():
            rows = pa.array(np.arange(first_row, first_row + table.num_rows, dtype=np.int64))
            table = table.append_column(FILE_COLUMN, pa.array([path] * table.num_rows, pa.string()))
            self._spread(table.append_column(ROW_COLUMN, rows))
        self._flush()
        for writer in self._writers.values():
            writer.close()
        self._categories.write(self._folder)
        tasks = tuple(
            Task(bucket, (RowRange(str(self._path(bucket)), 0, 0, 0, rows),), rows, self._bytes[bucket], grouped=True)
            for bucket, rows in enumerate(self._rows)
            if rows
        )
        return replace(self._plan, tasks=tasks)

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket:04d}.arrow"

    def _tables(self) -> Iterator[tuple[str, int, pa.Table]]:
        assert self._plan.schema is not None
        width = 0.0
        for path in dict.fromkeys(piece.path for task in self._plan.tasks for piece in task.ranges):
            first_row = 0
            try:
                with contextlib.closing(_open(self._root, path, self._input)) as file:
                    width = width or _decoded_width(file, self._input)
                    rows = max(1, min(READ_ROWS, int(READ_BYTES / max(width, 1.0))))
                    for read in file.batches(rows, _row_groups(file), use_threads=False):
                        table = in_schema(read, self._input, path, first_row)
                        self._categories.add(table, path)
                        table = fit(table, bucket_schema(self._input))
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
            self._rows[bucket] += part.num_rows
            self._bytes[bucket] += part.nbytes
            if self._owns(bucket):
                self._pending[bucket].append(part)
        self._pending_bytes += table.nbytes
        if self._pending_bytes >= PENDING_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._pending_bytes = 0
        try:
            for bucket, tables in enumerate(self._pending):
                if tables:
                    self._pending[bucket] = []
                    if bucket not in self._writers:
                        self._writers[bucket] = pa.ipc.new_file(str(self._path(bucket)), self._schema)
                    table = pa.concat_tables(tables)
                    crumbs = table.nbytes < CRUMB_BYTES * len(tables)
                    self._writers[bucket].write_table(table.combine_chunks() if crumbs else table)
        except OSError as error:
            raise OutputError(
                f"cannot keep the groups of rows in {self._folder} (TMPDIR says where): {error}"
            ) from None


def _open(root: Path, path: str, schema: pa.Schema) -> ParquetInput:
    return ParquetInput(path, pa.OSFile(str(file_path(root, path))), schema)


def _row_groups(file: ParquetInput) -> list[int]:
    return list(range(file.metadata.num_row_groups))


def _decoded_width(file: ParquetInput, schema: pa.Schema) -> float:
    """Bytes of a row in memory, judged by the first rows: what a file stores once is there for each row."""
    first = next(file.batches(PROBED_ROWS, _row_groups(file), use_threads=False), None)
    if first is None:
        return 0.0
    table = fit(in_schema(first, schema, file.path, 0), bucket_schema(schema))
    return float(table.nbytes / max(table.num_rows, 1))


def _key(column: pa.ChunkedArray) -> pa.Array:
    """The values that groups are made by, in a form in which equal ones are the same."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _key(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))
    if pa.types.is_floating(kind):
        # Adding 0.0 makes 0.0 of -0.0, which equals it.
        return pc.add(pc.cast(column, pa.float64()), 0.0).combine_chunks()
    if pa.types.is_temporal(kind):
        # As numbers, because Python's times have no nanoseconds.
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        return column.view(pa.int64() if kind.bit_width == 64 else pa.int32())
    return column.combine_chunks()


def bucket_numbers(column: pa.ChunkedArray, count: int) -> np.ndarray:
    """The bucket of each row: the same for the same value in every process and on every machine."""
    encoded = pc.dictionary_encode(_key(column), null_encoding="encode")
    of_value = np.array(
        [
            zlib.crc32(b"\0" if value is None else str(value).encode()) % count
            for value in encoded.dictionary.to_pylist()
        ],
        dtype=np.int64,
    )
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    return of_value[indices] if len(indices) else np.zeros(0, dtype=np.int64)


class PartitionReader:
    """Reads a bucket as groups, each one batch: groups in the order of their value, rows in that of the input.

    :param column: the partition column, in the input's own spelling.
    :param files: reads the files that columns name, if any do.
    """

    def __init__(self, column: str, files: FileColumns | None = None) -> None:
        self._column = column
        self._files = files

    def batches(self, task: Task) -> Iterator[RowBatch]:
        """The groups of a task.

        :raises DataError: the bucket cannot be read, or a row names a file that cannot be had.
        """
        groups = self._groups(task)
        return groups if self._files is None else self._files.groups(groups)

    def content(self) -> None:
        """A bucket is made of all of the input, whose content is known once for all of them."""

    def _groups(self, task: Task) -> Iterator[RowBatch]:
        (piece,) = task.ranges
        try:
            with pa.memory_map(piece.path) as source:
                table = pa.ipc.open_file(source).read_all()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read the rows of a partition again: {error}") from None
        # Rows lie in the input's order already, and the sort is stable.
        key = _key(table.column(self._column))
        order = pc.array_sort_indices(key)
        most = max(1, int(TAKEN_BYTES * table.num_rows / max(table.nbytes, 1)))
        categories = read_categories(Path(piece.path).parent)
        rows = _Rows(table)
        runs = list(_runs(key.take(order)))
        while runs:
            # Some groups at a time, so that not all of the bucket is in memory.
            first = runs[0][0]
            count = max(1, bisect.bisect_right(runs, first + most, key=lambda run: run[1]))
            together = runs[:count]
            del runs[:count]
            taken = rows.take(order.slice(first, together[-1][1] - first).to_numpy().astype(np.int64))
            taken = in_categories(taken, categories)
            for start, stop in together:
                yield self._group(taken.slice(start - first, stop - start).combine_chunks())

    def _group(self, rows: pa.Table) -> RowBatch:
        sources = (rows.column(FILE_COLUMN), rows.column(ROW_COLUMN))
        first = Origin(sources[0][0].as_py(), sources[1][0].as_py(), 1)
        plain = rows.drop_columns([FILE_COLUMN, ROW_COLUMN])
        value = _shown(rows.column(self._column)[0])
        where = f"{self._column} = {value}, {len(rows)} rows, the first is row {first.first_row} of file {first.path}"
        return RowBatch(plain, plain, (first,), 2 * plain.nbytes, where, sources=sources)


class _Rows:
    """Rows of a table of many chunks. Arrow's own ``take`` makes one chunk of all the text in a column, each time."""

    def __init__(self, table: pa.Table) -> None:
        self._batches = table.to_batches()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def take(self, places: np.ndarray) -> pa.Table:
        """The rows at some places, in that order, as one chunk."""
        which = np.searchsorted(self._starts, places, side="right") - 1
        sorted_places = np.argsort(which, kind="stable")
        parts = []
        for number in np.unique(which):
            inside = places[sorted_places][which[sorted_places] == number] - self._starts[number]
            parts.append(self._batches[number].take(pa.array(inside)))
        back = np.empty(len(places), np.int64)
        back[sorted_places] = np.arange(len(places))
        return pa.Table.from_batches(parts).combine_chunks().take(pa.array(back))


def _shown(value: pa.Scalar) -> str:
    try:
        return repr(value.as_py())
    except ValueError:
        return str(value.cast(pa.string()))


def _runs(key: pa.Array) -> Iterator[tuple[int, int]]:
    """Spans of equal values, NULL equal to NULL and NaN to NaN."""
    encoded = pc.dictionary_encode(key, null_encoding="encode").indices.to_numpy(zero_copy_only=False)
    edges = np.flatnonzero(np.diff(encoded)) + 1
    yield from zip([0, *edges.tolist()], [*edges.tolist(), len(encoded)], strict=True)
