"""Copies of the rows for the model, which may change what it is called with.

The rows of a batch are needed again: they are passed through beside the predictions, set aside if they are bad, or
given to the model in smaller batches if it fails. And several batches share the memory of what was read of a file.
Marking the memory as read-only is not enough: PyTorch writes to it nevertheless, and whether a model that works in
place fails would depend on which columns have a NULL.

The memory comes from Arrow's allocator, which keeps it for the next batch. malloc would return it to the system, and
getting it again takes longer than the copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


def own_array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array with arbitrary values."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not size:
        return np.empty(shape, dtype)
    return np.frombuffer(pa.allocate_buffer(size), dtype).reshape(shape)


def own_copy(values: np.ndarray) -> np.ndarray:
    """The same values."""
    copy = own_array(values.shape, values.dtype)
    copy[...] = values
    return copy


def own_values(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A column of numbers, moments or durations as NumPy has it, in writable memory that nothing else uses."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts: list[np.ndarray] = [chunk.to_numpy(zero_copy_only=False) for chunk in chunks]
    if len(parts) == 1 and parts[0].flags.writeable:
        # Arrow has just made this array, so nothing else uses its memory.
        return parts[0]
    if not parts:
        return np.asarray(column.to_numpy())
    values = own_array((len(column),), parts[0].dtype)
    start = 0
    for part in parts:
        values[start : start + len(part)] = part
        start += len(part)
    return values


def own_table(table: pa.Table) -> pa.Table:
    """A table whose numbers lie in memory that nothing else uses, each column in one piece.

    Texts and bytes stay where they are and cannot be written to, since models do not get them as arrays of numbers.
    """
    return pa.table([_own_column(column) for column in table.columns], schema=table.schema)


def _own_column(column: pa.ChunkedArray) -> Any:
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        # One piece cannot hold so much text.
        return pa.chunked_array([_own(chunk) for chunk in whole.chunks], column.type)
    return _own(whole)


def _own(array: pa.Array) -> pa.Array:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return kind.wrap_array(_own(array.storage))
    if pa.types.is_null(kind):
        return array
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(_own(array.indices), _own(array.dictionary), ordered=kind.ordered)
    if _is_text(kind):
        read_only = [None if buffer is None else buffer.slice() for buffer in array.buffers()]
        return pa.Array.from_buffers(kind, len(array), read_only, array.null_count, array.offset)
    # Of a slice of a larger array, only that part is copied.
    return pa.concat_arrays([array, array.slice(0, 0)])


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    )
