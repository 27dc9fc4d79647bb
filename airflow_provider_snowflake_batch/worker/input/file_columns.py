"""Batches whose columns name files: the files are read, many at once if need be, and the model gets their content."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input.read_ahead import Admit, ReadAhead
from airflow_provider_snowflake_batch.worker.input.row_batch import FileBytes, Origin, RowBatch, cut, without

# A batch of file contents ends at this size, however many rows were asked for.
FILE_BATCH_BYTES = 64 * 1024 * 1024
# Rows whose files are read without a pause.
ROWS_AT_ONCE = 1024

Content = bytes | str | None
Row = tuple[str | DataError | None, ...]
RowContents = list[Content | DataError]


@dataclass(frozen=True)
class Loader:
    """How the values of a column become what the model gets.

    :param load: from the value in the input to what the model gets; raises `DataError` if a file cannot be read.
    :param kind: the Arrow type of the result; with 64-bit offsets, because a batch may hold more than 2 GiB.
    """

    load: Callable[[str | None, Admit], Content]
    kind: pa.DataType


class FileColumns:
    """Puts files' content in the place of their paths.

    :param loaders: the columns whose values stand for files.
    :param quarantine: set rows aside whose files cannot be had, instead of ending with the first.
    """

    def __init__(self, loaders: Mapping[str, Loader], *, quarantine: bool) -> None:
        self._loaders = loaders
        self._quarantine = quarantine
        self._load_each = [loader.load for loader in loaders.values()]
        self._files: ReadAhead[Row, RowContents] = ReadAhead(self._load)

    def batches(self, table: pa.Table, origins: tuple[Origin, ...], size: Callable[[], int]) -> Iterator[RowBatch]:
        """The rows with their files, in as many batches as the files' size asks for.

        :param size: tells the rows of the next batch.
        :raises DataError: a file cannot be had.
        """
        start = held = 0
        contents: list[RowContents] = []
        wanted = size()
        for row in self._files.results(self._rows(table)):
            contents.append(row)
            held += _bytes(row)
            stop = start + len(contents)
            if len(contents) >= wanted or held >= FILE_BATCH_BYTES or stop == table.num_rows:
                rows = table.slice(start, stop - start)
                yield self._batch(RowBatch(rows, rows, cut(origins, start, stop), 2 * rows.nbytes), contents, held)
                start, held, contents, wanted = stop, 0, [], size()

    def groups(self, groups: Iterable[RowBatch]) -> Iterator[RowBatch]:
        """Groups with their files. A group is whole or bad: one bad row makes all of it bad.

        :raises DataError: a file cannot be had.
        """
        under_way: deque[RowBatch] = deque()

        def rows() -> Iterator[Row]:
            for group in groups:
                under_way.append(group)
                yield from self._rows(group.table)

        contents: list[RowContents] = []
        for row in self._files.results(rows()):
            contents.append(row)
            if len(contents) == under_way[0].table.num_rows:
                yield self._group(under_way.popleft(), contents)
                contents = []

    def _group(self, rows: RowBatch, contents: list[RowContents]) -> RowBatch:
        batch = self._batch(rows, contents, sum(map(_bytes, contents)))
        if not batch.bad:
            return batch
        error = f"{batch.bad[0].error} ({batch.bad[0].where()}, in this group)"
        nothing = rows.table.slice(0, 0)
        return RowBatch(nothing, nothing, (), 0, rows.label, [rows.as_bad(error)])

    def _rows(self, table: pa.Table) -> Iterator[Row]:
        """The values that stand for files, row by row."""
        return zip(*(_texts(table.column(column)) for column in self._loaders), strict=True)

    def _load(self, row: Row, admit: Admit) -> RowContents:
        contents: RowContents = []
        for load, value in zip(self._load_each, row, strict=True):
            if isinstance(value, DataError):
                contents.append(value)
                continue
            try:
                contents.append(load(value, admit))
            except DataError as error:
                contents.append(error)
        return contents

    def _batch(self, rows: RowBatch, contents: list[RowContents], held: int) -> RowBatch:
        errors: dict[int, tuple[str, str]] = {}
        model_rows = rows.table
        files: dict[str, FileBytes] = {}
        for (column, loader), values in zip(self._loaders.items(), zip(*contents, strict=True), strict=True):
            for place, value in enumerate(values):
                if isinstance(value, DataError):
                    errors.setdefault(place, (value.message, column))
            good = [None if isinstance(value, DataError) else value for value in values]
            if pa.types.is_large_binary(loader.kind):
                files[column] = good
            else:
                array = pa.array(good, type=loader.kind)
                model_rows = model_rows.set_column(model_rows.column_names.index(column), column, array)
        batch = replace(rows, model_rows=model_rows, files=files, bytes=rows.bytes + 2 * held)
        if not errors:
            return batch
        if not self._quarantine:
            place, (message, column) = min(errors.items())
            raise DataError(f"{message} (column {column!r}, {batch.slice(place, place + 1).as_bad('').where()})")
        texts = {place: f"{message} (column {column!r})" for place, (message, column) in errors.items()}
        return without(batch, texts)


def _texts(column: pa.ChunkedArray) -> Sequence[str | DataError | None]:
    """The values of a column, with an error in place of each that is no text."""
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        return [_text(value) for value in column]


def _text(value: pa.Scalar) -> str | DataError | None:
    try:
        return value.as_py()  # type: ignore[no-any-return]
    except UnicodeDecodeError as error:
        return DataError(f"{error.object!r} is not valid UTF-8")


def _bytes(row: RowContents) -> int:
    held = 0
    for content in row:
        if isinstance(content, (bytes, str)):
            held += len(content)
    return held
