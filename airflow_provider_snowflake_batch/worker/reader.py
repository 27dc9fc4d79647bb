"""The rows of a task, in batches of the size the model is called with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.batch_size import BatchSize
from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.file_columns import FileColumns
from airflow_provider_snowflake_batch.worker.plan import RowRange, Task
from airflow_provider_snowflake_batch.worker.row_batch import Origin, RowBatch, merge

WHOLE_ROW_GROUP_BYTES = 64 * 1024 * 1024
WHOLE_FILE_BYTES = 1024 * 1024
MOST_PIECES = 8


class TaskReader:
    """Reads tasks.

    :param open_file: from a file's path in the plan to its path here.
    :param schema: the schema that all files are read with.
    :param batch_size: tells the rows of each batch.
    :param files: reads the files that columns name, if any do.
    """

    def __init__(
        self,
        open_file: Callable[[str], Path],
        schema: pa.Schema,
        batch_size: BatchSize,
        files: FileColumns | None,
        *,
        use_threads: bool,
    ) -> None:
        self._open_file = open_file
        self._schema = schema
        self._batch_size = batch_size
        self._files = files
        self._use_threads = use_threads
        self._current: tuple[str, pq.ParquetFile] | None = None

    def batches(self, task: Task) -> Iterator[RowBatch]:
        """All rows of a task, in order.

        :raises DataError: a file cannot be read, or a row names a file that cannot be had.
        """
        width = task.bytes / max(task.rows, 1)
        size = self._batch_size.rows(width)
        pending: list[pa.Table] = []
        origins: list[Origin] = []
        rows = 0
        for piece in task.ranges:
            for first_row, table in self._pieces(piece, size):
                start = 0
                while start < table.num_rows:
                    count = min(size - rows, table.num_rows - start)
                    pending.append(table.slice(start, count))
                    origins.append(Origin(piece.path, first_row + start, count))
                    rows += count
                    start += count
                    if rows == size:
                        yield from self._finished(pending, origins)
                        pending, origins, rows = [], [], 0
                        size = self._batch_size.rows(width)
        if pending:
            yield from self._finished(pending, origins)

    def _pieces(self, piece: RowRange, size: int) -> Iterator[tuple[int, pa.Table]]:
        position = 0
        first, last = piece.skip, piece.skip + piece.rows
        try:
            for table in self._tables(piece, size):
                start, stop = max(first - position, 0), min(last - position, table.num_rows)
                if start < stop:
                    shared = self._shared(table.slice(start, stop - start), piece.path)
                    yield piece.first_row + position + start - first, shared
                position += table.num_rows
                if position >= last:
                    return
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read input file {piece.path}: {error}") from None
        if position < last:
            raise DataError(f"input file {piece.path} has changed: row group {piece.row_group} ends early")

    def _tables(self, piece: RowRange, size: int) -> Iterator[pa.Table]:
        """The row group in pieces that fit into memory; whole if it does, which is twice as fast."""
        file = self._file(piece.path)
        if file.metadata.row_group(piece.row_group).total_byte_size <= WHOLE_ROW_GROUP_BYTES:
            yield file.read_row_group(piece.row_group, use_threads=self._use_threads)
            return
        for batch in file.iter_batches(size, row_groups=[piece.row_group], use_threads=self._use_threads):
            yield pa.Table.from_batches([batch])

    def _file(self, path: str) -> pq.ParquetFile:
        if self._current is None or self._current[0] != path:
            if self._current is not None:
                self._current[1].close()
            self._current = (path, self._opened(self._open_file(path)))
        return self._current[1]

    def _opened(self, path: Path) -> pq.ParquetFile:
        if path.stat().st_size > WHOLE_FILE_BYTES:
            return pq.ParquetFile(path)
        # One read instead of one for the footer and several for the columns.
        return pq.ParquetFile(pa.BufferReader(path.read_bytes()), pre_buffer=False)

    def _shared(self, table: pa.Table, path: str) -> pa.Table:
        if table.schema.equals(self._schema):
            return table
        try:
            return table.select(self._schema.names).cast(self._schema)
        except (pa.ArrowException, KeyError) as error:
            raise DataError(f"input file {path} does not fit the other files: {error}") from None

    def _finished(self, pending: list[pa.Table], origins: list[Origin]) -> Iterator[RowBatch]:
        table = pa.concat_tables(pending) if len(pending) > 1 else pending[0]
        if len(pending) > MOST_PIECES:
            # Many small files: each of their pieces would cost more in every later step than copying it does here.
            table = table.combine_chunks()
        merged = merge(origins)
        if self._files is None:
            yield RowBatch(table, table, merged, 2 * table.nbytes)
        else:
            yield from self._files.batches(table, merged)
