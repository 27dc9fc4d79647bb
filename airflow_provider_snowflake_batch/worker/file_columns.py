"""Batches whose columns name files: the files are read, many at once, and the model gets their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.loaders import Content, Loader
from airflow_provider_snowflake_batch.worker.row_batch import Origin, RowBatch, cut, without

# A batch of file contents is cut short at this size, whatever the number of rows asked for.
FILE_BATCH_BYTES = 64 * 1024 * 1024
FILE_THREADS = 32

Contents = dict[str, list[Content | DataError]]


class FileColumns:
    """Puts files' content in the place of their paths.

    :param loaders: the columns whose values stand for files.
    :param quarantine: set rows aside whose files cannot be had, instead of ending with the first.
    """

    def __init__(self, loaders: Mapping[str, Loader], *, quarantine: bool) -> None:
        self._loaders = loaders
        self._quarantine = quarantine
        self._pool = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="file")

    def batches(self, table: pa.Table, origins: tuple[Origin, ...]) -> Iterator[RowBatch]:
        """The rows with their files, in as many batches as the files' size asks for.

        :raises DataError: a file cannot be had.
        """
        start = held = 0
        contents: Contents = {column: [] for column in self._loaders}
        paths = {column: table.column(column).to_pylist() for column in self._loaders}
        for stop in range(FILE_THREADS, table.num_rows + FILE_THREADS, FILE_THREADS):
            stop = min(stop, table.num_rows)
            begin = start + len(next(iter(contents.values())))
            held += self._load(contents, {column: paths[column][begin:stop] for column in paths})
            if held >= FILE_BATCH_BYTES or stop == table.num_rows:
                rows = table.slice(start, stop - start)
                yield self._batch(RowBatch(rows, rows, cut(origins, start, stop), 2 * rows.nbytes), contents, held)
                start, held = stop, 0
                contents = {column: [] for column in self._loaders}

    def group(self, rows: RowBatch) -> RowBatch:
        """The rows of a group with their files. A group is whole or bad: one bad row makes all of it bad.

        :raises DataError: a file cannot be had.
        """
        contents: Contents = {column: [] for column in self._loaders}
        held = self._load(contents, {column: rows.table.column(column).to_pylist() for column in self._loaders})
        batch = self._batch(rows, contents, held)
        if not batch.bad:
            return batch
        error = f"{batch.bad[0].error} ({batch.bad[0].where()}, in this group)"
        nothing = rows.table.slice(0, 0)
        return RowBatch(nothing, nothing, (), 0, rows.label, [rows.as_bad(error)])

    def _load(self, contents: Contents, paths: Mapping[str, list[str | None]]) -> int:
        """Add the files of some rows; the number of their bytes."""
        held = 0
        for column, loader in self._loaders.items():
            for content in loader.load_all(paths[column], self._pool):
                if isinstance(content, (bytes, str)):
                    held += len(content)
                contents[column].append(content)
        return held

    def _batch(self, rows: RowBatch, contents: Contents, held: int) -> RowBatch:
        errors: dict[int, tuple[str, str]] = {}
        model_rows = rows.table
        for column, values in contents.items():
            for place, value in enumerate(values):
                if isinstance(value, DataError):
                    errors.setdefault(place, (value.message, column))
                    values[place] = None
            array = pa.array(values, type=self._loaders[column].kind)
            model_rows = model_rows.set_column(model_rows.column_names.index(column), column, array)
        batch = replace(rows, model_rows=model_rows, bytes=rows.bytes + 2 * held)
        if not errors:
            return batch
        if not self._quarantine:
            place, (message, column) = min(errors.items())
            raise DataError(f"{message} (column {column!r}, {batch.slice(place, place + 1).as_bad('').where()})")
        texts = {place: f"{message} (column {column!r})" for place, (message, column) in errors.items()}
        return without(batch, texts)
