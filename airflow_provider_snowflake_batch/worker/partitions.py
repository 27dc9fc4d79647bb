"""``partition_column``: every group of rows goes to the model whole, in one call.

The rows of a group may lie anywhere in the input. They are brought together in one pass: each replica reads the input
once and spreads it over bucket files on its own disk by a hash of the column; a bucket is a task. Memory is bounded by
a bucket while reading and by the largest group while predicting, not by the input. NULL is a group of its own, as for
Snowflake's partitioned functions.
"""

from __future__ import annotations

import shutil
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.errors import DataError, Refused
from airflow_provider_snowflake_batch.worker.file_columns import FileColumns
from airflow_provider_snowflake_batch.worker.plan import Plan, RowRange, Task, file_path
from airflow_provider_snowflake_batch.worker.row_batch import Origin, RowBatch

BUCKET_BYTES = 64 * 1024 * 1024
MOST_BUCKETS = 512
# Rows wait in memory until a bucket has so many bytes, so that its file is not made of crumbs.
PENDING_BYTES = 1024 * 1024
READ_ROWS = 65_536
FILE_COLUMN = "__SOURCE_FILE"
ROW_COLUMN = "__SOURCE_ROW"


class Buckets:
    """Bucket files in a directory of their own.

    :param root: the input. :param plan: its plan, of which only files and row ranges are used.
    :param column: the partition column, in the input's own spelling.
    """

    def __init__(self, root: Path, plan: Plan, column: str) -> None:
        assert plan.schema is not None
        self._root, self._plan, self._column = root, plan, column
        kind = plan.schema.field(column).type
        if pa.types.is_nested(kind):
            raise Refused(f"partition column {column!r} holds {kind}; groups are made of plain values only")
        self._schema = plan.schema.append(pa.field(FILE_COLUMN, pa.string())).append(pa.field(ROW_COLUMN, pa.int64()))
        # The count follows from the input alone, so that every replica makes the same buckets.
        self._count = max(1, min(MOST_BUCKETS, -(-plan.bytes // BUCKET_BYTES)))
        self._folder = Path(tempfile.mkdtemp(prefix="sfbatch-partitions-"))
        self._pending: list[list[pa.Table]] = [[] for _ in range(self._count)]
        self._pending_bytes = [0] * self._count
        self._rows = [0] * self._count
        self._bytes = [0] * self._count
        self._writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}

    def fill(self) -> Plan:
        """Read the whole input once.

        :return: the plan with the buckets as its tasks.
        :raises DataError: a file cannot be read.
        """
        for path, first_row, table in self._tables():
            rows = pa.array(np.arange(first_row, first_row + table.num_rows, dtype=np.int64))
            table = table.append_column(FILE_COLUMN, pa.array([path] * table.num_rows))
            self._spread(table.append_column(ROW_COLUMN, rows))
        for bucket in range(self._count):
            self._flush(bucket)
        for writer in self._writers.values():
            writer.close()
        tasks = tuple(
            Task(bucket, (RowRange(str(self._path(bucket)), 0, 0, 0, rows),), rows, self._bytes[bucket])
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
        for path in dict.fromkeys(piece.path for task in self._plan.tasks for piece in task.ranges):
            first_row = 0
            try:
                with pq.ParquetFile(file_path(self._root, path)) as file:
                    for batch in file.iter_batches(READ_ROWS):
                        table = pa.Table.from_batches([batch]).select(self._plan.schema.names).cast(self._plan.schema)
                        yield path, first_row, table
                        first_row += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"cannot read input file {path}: {error}") from None

    def _spread(self, table: pa.Table) -> None:
        buckets = bucket_numbers(table.column(self._column), self._count)
        order = np.argsort(buckets, kind="stable")
        edges = np.searchsorted(buckets[order], np.arange(self._count + 1))
        table = table.take(pa.array(order)) if self._count > 1 else table
        for bucket in np.unique(buckets):
            part = table.slice(int(edges[bucket]), int(edges[bucket + 1] - edges[bucket]))
            self._pending[bucket].append(part)
            self._pending_bytes[bucket] += part.nbytes
            if self._pending_bytes[bucket] >= PENDING_BYTES:
                self._flush(int(bucket))

    def _flush(self, bucket: int) -> None:
        if not self._pending[bucket]:
            return
        table = pa.concat_tables(self._pending[bucket]).combine_chunks()
        self._pending[bucket] = []
        self._rows[bucket] += table.num_rows
        self._bytes[bucket] += self._pending_bytes[bucket]
        self._pending_bytes[bucket] = 0
        if bucket not in self._writers:
            self._writers[bucket] = pa.ipc.new_file(str(self._path(bucket)), self._schema)
        self._writers[bucket].write_table(table)


def bucket_numbers(column: pa.ChunkedArray, count: int) -> np.ndarray:
    """The bucket of each row: the same for the same value in every process and on every machine."""
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
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

    def _groups(self, task: Task) -> Iterator[RowBatch]:
        (piece,) = task.ranges
        try:
            with pa.memory_map(piece.path) as source:
                table = pa.ipc.open_file(source).read_all()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read the rows of a partition again: {error}") from None
        # Rows lie in the input's order already, and the sort is stable.
        order = pc.sort_indices(table, sort_keys=[(self._column, "ascending")])
        table = table.take(order)
        key = table.column(self._column).combine_chunks()
        for start, stop in _runs(key):
            rows = table.slice(start, stop - start).combine_chunks()
            sources = (rows.column(FILE_COLUMN), rows.column(ROW_COLUMN))
            first = Origin(sources[0][0].as_py(), sources[1][0].as_py(), 1)
            plain = rows.drop_columns([FILE_COLUMN, ROW_COLUMN])
            where = f"{self._column} = {key[start].as_py()!r}, {len(rows)} rows, the first is row {first.first_row}"
            yield RowBatch(plain, plain, (first,), 2 * plain.nbytes, f"{where} of file {first.path}", sources=sources)


def _runs(key: pa.Array) -> Iterator[tuple[int, int]]:
    """Spans of equal values, NULL equal to NULL and NaN to NaN."""
    encoded = pc.dictionary_encode(key, null_encoding="encode").indices.to_numpy(zero_copy_only=False)
    edges = np.flatnonzero(np.diff(encoded)) + 1
    yield from zip([0, *edges.tolist()], [*edges.tolist(), len(encoded)], strict=True)
