"""Opening Parquet files of any writer so that every value is read as it was written.

* UUID and JSON columns keep their types whoever wrote them, not only where pyarrow left its own schema in the file.
* INT96, the times of Hive, Impala and older Spark, holds nanoseconds of any year, which no Arrow type does. It is read
  in microseconds, as Spark does, because years beyond 1677 to 2262 are common in such files (9999-12-31 for "never");
  nanoseconds that this would cut off are an error that names the row.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.values.common_types import entries

_INT96_UNIT = "us"
_OPTIONS: dict[str, Any] = {"coerce_int96_timestamp_unit": _INT96_UNIT}
if "arrow_extensions_enabled" in inspect.signature(pq.ParquetFile).parameters:
    # pyarrow before 21 does not know it.
    _OPTIONS["arrow_extensions_enabled"] = True


def open_reader(source: pa.NativeFile, **options: Any) -> pq.ParquetReader:
    """pyarrow's reader below `ParquetFile`, which takes a tenth longer for a small file.

    :raises pa.ArrowException: it is no Parquet file.
    """
    reader = pq.ParquetReader()
    reader.open(source, **_OPTIONS, **options)
    return reader


class ParquetInput:
    """An open input file.

    :param path: its path in the plan, for errors.
    :param source: what it is read from.
    :param schema: the input's, which tells whether there can be times at all.
    :param times: whether there can be, where that is known already.
    :param columns: those that are read; None for all.
    :ivar leaves: numbers of the leaves that are read; None for all.
    """

    def __init__(
        self,
        path: str,
        source: pa.NativeFile,
        schema: pa.Schema,
        times: bool | None = None,
        columns: Collection[str] | None = None,
    ) -> None:
        self.path = path
        self.source = source
        # A source in memory needs no buffer.
        self._buffered = isinstance(source, pa.OSFile)
        self.reader = open_reader(source, pre_buffer=self._buffered)
        self.metadata: pq.FileMetaData = self.reader.metadata
        # There may be hundreds of thousands of files, and making a schema takes as long as reading a small one.
        times = holds_times(schema) if times is None else times
        self.leaves = None if columns is None else _leaves(self.reader, columns)
        self._int96 = _int96_leaves(self.metadata, self.reader.schema_arrow) if times else []
        if self.leaves is not None:
            self._int96 = [number for number in self._int96 if number in self.leaves]
        self._again: pq.ParquetReader | None = None

    def close(self) -> None:
        self.source.close()

    def row_group(self, number: int, *, use_threads: bool) -> pa.Table:
        """A row group.

        :raises pa.ArrowException: it cannot be read.
        :raises DataError: a time has nanoseconds that would be lost.
        """
        table = self.reader.read_row_group(number, column_indices=self.leaves, use_threads=use_threads)
        if self._int96:
            again = self._nanoseconds().read_row_group(number, column_indices=self._int96, use_threads=use_threads)
            self._check(table, again, self.first_row(number))
        return table

    @property
    def reads_twice(self) -> bool:
        """Whether there are times of which more is read than what is returned."""
        return bool(self._int96)

    def row_groups(self, numbers: Sequence[int], *, use_threads: bool) -> pa.Table:
        """Row groups of a file that is not read twice, as one table.

        :raises pa.ArrowException: they cannot be read.
        """
        return self.reader.read_row_groups(list(numbers), column_indices=self.leaves, use_threads=use_threads)

    def batches(self, rows: int, row_groups: list[int], *, use_threads: bool) -> Iterator[pa.Table]:
        """Row groups in pieces of some rows.

        :raises pa.ArrowException: they cannot be read.
        :raises DataError: a time has nanoseconds that would be lost.
        """
        if len(row_groups) > 1 and any(map(_holds_categories, self.reader.schema_arrow.types)):
            # One by one, since each row group has its own categories, and Arrow cannot unify those inside of lists and
            # objects.
            for number in row_groups:
                yield from self.batches(rows, [number], use_threads=use_threads)
            return
        pieces = self.reader.iter_batches(
            rows, row_groups=row_groups, column_indices=self.leaves, use_threads=use_threads
        )
        if not self._int96:
            yield from (pa.Table.from_batches([piece]) for piece in pieces)
            return
        others = self._nanoseconds().iter_batches(
            rows, row_groups=row_groups, column_indices=self._int96, use_threads=use_threads
        )
        first_row = self.first_row(row_groups[0]) if row_groups else 0
        for piece, other in zip(pieces, others, strict=True):
            table = pa.Table.from_batches([piece])
            self._check(table, pa.Table.from_batches([other]), first_row)
            yield table
            first_row += table.num_rows

    def first_row(self, row_group: int) -> int:
        """The number of a row group's first row within the file."""
        return sum(self.metadata.row_group(number).num_rows for number in range(row_group))

    def unreadable(self, row_groups: Collection[int], error: Exception) -> DataError:
        """Why these row groups could not be read, with the column and the rows that it is about, if there is one.

        pyarrow names neither. What no reader takes for sound may be one column of hundreds, which can be left out.
        """
        for number in row_groups:
            for name, leaves in _leaves_by_column(self.reader):
                if self.leaves is not None and leaves[0] not in self.leaves:
                    continue
                try:
                    self.reader.read_row_group(number, column_indices=leaves, use_threads=False)
                except (pa.ArrowException, OSError) as reason:
                    first = self.first_row(number)
                    last = first + self.metadata.row_group(number).num_rows - 1
                    return DataError(
                        f"cannot read input file {self.path}: column {name!r}, in one of the rows {first} to {last}: "
                        f"{reason}"
                    )
        return DataError(f"cannot read input file {self.path}: {error}")

    def _nanoseconds(self) -> pq.ParquetReader:
        """A second reader, which reads nanoseconds: a difference tells what the first one has cut off."""
        if self._again is None:
            self._again = pq.ParquetReader()
            self._again.open(
                self.source, metadata=self.metadata, pre_buffer=self._buffered, coerce_int96_timestamp_unit="ns"
            )
        return self._again

    def _check(self, table: pa.Table, again: pa.Table, first_row: int) -> None:
        for name, column in zip(again.column_names, again.columns, strict=True):
            row = _cut_off(table.column(name), column)
            if row is not None:
                raise DataError(
                    f"input column {name!r} has a time with nanoseconds, stored as INT96, of which microseconds are "
                    f"read; write it as a TIMESTAMP of nanoseconds (row {first_row + row} of file {self.path})"
                )


def _leaves(reader: pq.ParquetReader, columns: Collection[str]) -> list[int]:
    """Numbers of the leaves of some columns."""
    if reader.metadata.num_columns == len(reader.schema_arrow):
        return [number for number, name in enumerate(reader.schema_arrow.names) if name in columns]
    return [number for name, leaves in _leaves_by_column(reader) if name in columns for number in leaves]


def _leaves_by_column(reader: pq.ParquetReader) -> Iterator[tuple[str, list[int]]]:
    start = 0
    for field in reader.schema_arrow:
        stop = start + _leaf_count(field.type)
        yield field.name, list(range(start, stop))
        start = stop


def _int96_leaves(metadata: pq.FileMetaData, schema: pa.Schema) -> list[int]:
    """Numbers of the leaves of all columns that are, or hold, times of this kind."""
    found: list[int] = []
    start = 0
    for kind in schema.types:
        stop = start + _leaf_count(kind)
        if _holds_times(kind) and any(
            metadata.schema.column(number).physical_type == "INT96" for number in range(start, stop)
        ):
            found.extend(range(start, stop))
        start = stop
    return found


def holds_times(schema: pa.Schema) -> bool:
    """Whether a column is, or holds, times, so that files may store them as INT96."""
    return any(map(_holds_times, schema.types))


def _inner(kind: pa.DataType) -> list[pa.DataType]:
    return [kind.field(index).type for index in range(kind.num_fields)] if pa.types.is_nested(kind) else []


def _leaf_count(kind: pa.DataType) -> int:
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    if pa.types.is_map(kind):
        return _leaf_count(kind.key_type) + _leaf_count(kind.item_type)
    return sum(map(_leaf_count, _inner(kind))) if pa.types.is_nested(kind) else 1


def _holds_times(kind: pa.DataType) -> bool:
    return any(map(_holds_times, _inner(kind))) or pa.types.is_timestamp(kind)


def _holds_categories(kind: pa.DataType) -> bool:
    return any(pa.types.is_dictionary(one) or _holds_categories(one) for one in _inner(kind))


def _cut_off(column: pa.ChunkedArray, again: pa.ChunkedArray) -> int | None:
    """The first row whose nanoseconds are not in the microseconds."""
    first, one, other = 0, _whole(column), _whole(again)
    if not _any_lost(one, other):
        return None
    while len(one) > 1:
        half = len(one) // 2
        if _any_lost(one[:half], other[:half]):
            one, other = one[:half], other[:half]
        else:
            first, one, other = first + half, one[half:], other[half:]
    return first


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _any_lost(micros: pa.Array, nanos: pa.Array) -> bool:
    if micros.type == nanos.type:
        return False
    if pa.types.is_timestamp(nanos.type):
        # Outside of 64 bits both wrap around in the same way, so that their difference stays right.
        wide = micros.view(pa.int64()).fill_null(0).to_numpy() * np.int64(1000)
        return not np.array_equal(wide, nanos.view(pa.int64()).fill_null(0).to_numpy())
    if pa.types.is_map(nanos.type):
        return _any_lost(entries(micros), entries(nanos))
    if pa.types.is_struct(nanos.type):
        return any(_any_lost(*pair) for pair in zip(micros.flatten(), nanos.flatten(), strict=True))
    return _any_lost(micros.flatten(), nanos.flatten())
