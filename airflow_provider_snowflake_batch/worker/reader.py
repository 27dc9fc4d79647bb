"""The rows of a task, in batches of the size the model is called with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.batch_size import BatchSize
from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.loaders import Content, Loader
from airflow_provider_snowflake_batch.worker.plan import RowRange, Task

WHOLE_ROW_GROUP_BYTES = 64 * 1024 * 1024
# A batch of file contents is cut short at this size, whatever the number of rows asked for.
FILE_BATCH_BYTES = 64 * 1024 * 1024
FILE_THREADS = 32


@dataclass(frozen=True)
class Origin:
    """Consecutive rows of one file, counted from 0."""

    path: str
    first_row: int
    rows: int


@dataclass
class RowBatch:
    """Rows for one call of the model.

    :param table: the input columns as they are passed through to the output.
    :param model_rows: the same rows as the model gets them, with the content of files in place of their paths.
    :param bytes: memory held by the rows.
    :param label: which rows these are, where their origins do not say it.
    """

    table: pa.Table
    model_rows: pa.Table
    origins: tuple[Origin, ...]
    bytes: int
    label: str | None = None

    def where(self) -> str:
        """Which rows these are, in words."""
        if self.label is not None:
            return self.label
        texts = [f"rows {one.first_row}–{one.first_row + one.rows - 1} of file {one.path}" for one in self.origins[:3]]
        more = len(self.origins) - 3
        return "; ".join(texts) + (f"; and of {more} more" if more > 0 else "")


class TaskReader:
    """Reads tasks.

    :param open_file: from a file's path in the plan to its path here.
    :param schema: the schema that all files are read with.
    :param batch_size: tells the rows of each batch.
    :param loaders: columns whose values stand for files.
    """

    def __init__(
        self,
        open_file: Callable[[str], Path],
        schema: pa.Schema,
        batch_size: BatchSize,
        loaders: Mapping[str, Loader],
        *,
        use_threads: bool,
    ) -> None:
        self._open_file = open_file
        self._schema = schema
        self._batch_size = batch_size
        self._loaders = loaders
        self._use_threads = use_threads
        self._current: tuple[str, pq.ParquetFile] | None = None
        self._pool = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="file") if loaders else None

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
            self._current = (path, pq.ParquetFile(self._open_file(path)))
        return self._current[1]

    def _shared(self, table: pa.Table, path: str) -> pa.Table:
        if table.schema.equals(self._schema):
            return table
        try:
            return table.select(self._schema.names).cast(self._schema)
        except (pa.ArrowException, KeyError) as error:
            raise DataError(f"input file {path} does not fit the other files: {error}") from None

    def _finished(self, pending: list[pa.Table], origins: list[Origin]) -> Iterator[RowBatch]:
        table = pa.concat_tables(pending) if len(pending) > 1 else pending[0]
        merged = _merged(origins)
        if not self._loaders:
            yield RowBatch(table, table, merged, 2 * table.nbytes)
            return
        yield from self._with_files(table, merged)

    def _with_files(self, table: pa.Table, origins: tuple[Origin, ...]) -> Iterator[RowBatch]:
        assert self._pool is not None
        paths = {column: table.column(column).to_pylist() for column in self._loaders}
        start = 0
        contents: dict[str, list[Content]] = {column: [] for column in paths}
        held = 0
        for stop in range(FILE_THREADS, table.num_rows + FILE_THREADS, FILE_THREADS):
            stop = min(stop, table.num_rows)
            begin = start + len(next(iter(contents.values())))
            for column, loader in self._loaders.items():
                loaded = self._load(column, paths[column], begin, stop, loader, origins)
                contents[column].extend(loaded)
                held += sum(len(item) for item in loaded if item is not None)
            if held >= FILE_BATCH_BYTES or stop == table.num_rows:
                yield self._file_batch(table.slice(start, stop - start), contents, cut(origins, start, stop), held)
                start, held = stop, 0
                contents = {column: [] for column in paths}

    def _load(
        self,
        column: str,
        paths: list[str | None],
        start: int,
        stop: int,
        loader: Loader,
        origins: tuple[Origin, ...],
    ) -> list[Content]:
        assert self._pool is not None
        outcomes = loader.load_all(paths[start:stop], self._pool)
        for offset, outcome in enumerate(outcomes):
            if isinstance(outcome, DataError):
                (origin,) = cut(origins, start + offset, start + offset + 1)
                raise DataError(f"{outcome.message} (column {column!r}, row {origin.first_row} of file {origin.path})")
        return [outcome for outcome in outcomes if not isinstance(outcome, DataError)]

    def _file_batch(
        self,
        table: pa.Table,
        contents: Mapping[str, list[Content]],
        origins: tuple[Origin, ...],
        held: int,
    ) -> RowBatch:
        model_rows = table
        for column, values in contents.items():
            array = pa.array(values, type=self._loaders[column].kind)
            model_rows = model_rows.set_column(model_rows.column_names.index(column), column, array)
        return RowBatch(table, model_rows, origins, 2 * (table.nbytes + held))


def _merged(origins: list[Origin]) -> tuple[Origin, ...]:
    merged: list[Origin] = []
    for one in origins:
        if merged and merged[-1].path == one.path and merged[-1].first_row + merged[-1].rows == one.first_row:
            last = merged.pop()
            one = Origin(last.path, last.first_row, last.rows + one.rows)
        merged.append(one)
    return tuple(merged)


def cut(origins: tuple[Origin, ...], start: int, stop: int) -> tuple[Origin, ...]:
    """The origins of some of the rows."""
    found: list[Origin] = []
    position = 0
    for one in origins:
        first, last = max(start, position), min(stop, position + one.rows)
        if first < last:
            found.append(Origin(one.path, one.first_row + first - position, last - first))
        position += one.rows
    return tuple(found)
