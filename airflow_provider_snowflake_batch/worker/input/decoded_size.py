"""How much memory the rows of a row group take once they are decoded, told before they are.

The footer's figures do not tell: in memory, each row has its own copy of a text that a dictionary holds once, or of a
prefix that texts share. The size of values of a fixed width follows from their number. Texts in a dictionary are first
read as a dictionary, which takes less memory and less than half of the time of decoding them, and tells the length of
each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
_OFFSET_BYTES = 4
_SHARING = {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}
_PREFIXES = "DELTA_BYTE_ARRAY"
# So many values of one column are measured together.
_VALUES_AT_ONCE = 1024 * 1024
# So many rows are decoded together where texts share prefixes, to measure the texts themselves.
_ROWS_WITH_PREFIXES = 256


class DecodedSize:
    """The memory of one row group, decoded.

    :param reader: the open file. :param source: what it is read from.
    :param enough: bytes; with fewer it need not be known more closely.
    :param leaves: numbers of those that are read; None for all.
    :ivar bytes: of all rows together; where they may be below ``enough``, no less than that.
    """

    def __init__(
        self,
        reader: pq.ParquetReader,
        source: pa.NativeFile,
        row_group: int,
        enough: int,
        leaves: Sequence[int] | None = None,
    ) -> None:
        metadata = reader.metadata
        group = metadata.row_group(row_group)
        self._rows = group.num_rows
        known, unknown, step = 0, [], max(self._rows, 1)
        for number in range(group.num_columns) if leaves is None else leaves:
            column = group.column(number)
            values = column.num_values
            width = _WIDTHS.get(column.physical_type, metadata.schema.column(number).length)
            if column.physical_type != "BYTE_ARRAY":
                known += values * max(width, 1)
                continue
            encodings = set(column.encodings)
            prefixes = _PREFIXES in encodings
            if (encodings & _SHARING or prefixes) and values * column.total_uncompressed_size > enough:
                unknown.append(number)
                per_row = max(values / max(self._rows, 1), 1.0)
                step = min(step, _ROWS_WITH_PREFIXES if prefixes else max(1, int(_VALUES_AT_ONCE / per_row)))
            else:
                known += column.total_uncompressed_size + values * _OFFSET_BYTES
        self._each = known / max(self._rows, 1)
        self._uneven: np.ndarray | None = None
        if unknown:
            self._uneven = np.concatenate([np.zeros(0), *_row_bytes(metadata, source, row_group, unknown, step)])
        self.bytes = known + (0.0 if self._uneven is None else float(self._uneven.sum()))

    def rows_within(self, most: int, limit: int) -> int:
        """The most rows, up to some, of which pieces can be made that take no more than some bytes each."""
        rows: int = max(1, min(most, self._rows))
        while rows > 1 and self._largest_piece(rows) > limit:
            rows //= 2
        return rows

    def _largest_piece(self, rows: int) -> float:
        largest: float = rows * self._each
        if self._uneven is not None and len(self._uneven):
            largest += float(np.add.reduceat(self._uneven, np.arange(0, len(self._uneven), rows)).max())
        return largest

    @property
    def largest_row(self) -> tuple[int, float]:
        """Number and bytes of the largest row, as far as rows differ."""
        if self._uneven is None or not len(self._uneven):
            return 0, self._each
        row = int(self._uneven.argmax())
        return row, self._each + float(self._uneven[row])


def _row_bytes(
    metadata: pq.FileMetaData, source: pa.NativeFile, row_group: int, leaves: list[int], step: int
) -> Iterator[np.ndarray]:
    """Bytes of each row in some columns."""
    group = metadata.row_group(row_group)
    columns = [group.column(number) for number in leaves]
    # pyarrow reads no dictionary from texts that share prefixes.
    names = [column.path_in_schema for column in columns if _PREFIXES not in column.encodings]
    reader = pq.ParquetReader()
    reader.open(source, metadata=metadata, read_dictionary=names)
    for batch in reader.iter_batches(step, row_groups=[row_group], column_indices=leaves, use_threads=False):
        total = np.zeros(batch.num_rows)
        for column in batch.columns:
            total += _value_bytes(column)
        yield total


def _value_bytes(array: Any) -> Any:
    """Bytes of each value, once no two share anything, as a NumPy array."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    kind = array.type
    if pa.types.is_dictionary(kind):
        each = np.append(_value_bytes(array.dictionary), 0.0)
        # NULL gets the index after the last one.
        places = array.indices.fill_null(len(array.dictionary)) if array.null_count else array.indices
        return each[places.to_numpy(zero_copy_only=False)]
    if pa.types.is_struct(kind):
        total = np.zeros(len(array))
        for field in array.flatten():
            total += _value_bytes(field)
        return total
    if pa.types.is_map(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if pa.types.is_map(kind):
            inner = _value_bytes(array.keys) + _value_bytes(array.items)
        else:
            inner = _value_bytes(array.values)
        ends = np.concatenate([[0.0], np.cumsum(inner)])
        offsets = array.offsets.to_numpy()
        return ends[offsets[1:]] - ends[offsets[:-1]] + _OFFSET_BYTES
    if pa.types.is_null(kind):
        return np.zeros(len(array))
    if pa.types.is_decimal(kind):
        return np.full(len(array), kind.bit_width / 8)
    lengths = pc.fill_null(pc.binary_length(array), 0)
    return lengths.to_numpy(zero_copy_only=False).astype(np.float64) + _OFFSET_BYTES
