"""Texts that are none: bytes which are not UTF-8, in columns that Arrow and Parquet take for text.

Neither checks who makes an array or writes a file. Other readers, Snowflake's among them, refuse the whole file for
one such text. So a text that is written has been checked, whether a model returned it or it came with the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.values.common_types import bring_nested, decoded, entries, is_list


def check_texts(column: pa.ChunkedArray) -> None:
    """Hold that texts are UTF-8, also those inside of lists, objects and maps, and those of categories that are used.

    :param column: without views.
    :raises ValueError: one is not.
    """
    for chunk in column.chunks if has_texts(column.type) else ():
        _check_texts(chunk)


def has_texts(kind: pa.DataType) -> bool:
    """Whether values of a type are, or hold, texts."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return has_texts(kind.storage_type)
    if types.is_dictionary(kind):
        return has_texts(kind.value_type)
    inner = (kind.field(index).type for index in range(kind.num_fields)) if types.is_nested(kind) else ()
    return is_text(kind) or any(map(has_texts, inner))


def is_text(kind: pa.DataType) -> bool:
    """Whether values of a type are texts, JSON included."""
    if isinstance(kind, pa.BaseExtensionType):
        return is_text(kind.storage_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def valid_categories(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Categories without those that are no UTF-8: a file has each of them for all of its rows, whichever use it.

    :param column: of any type; others than categories stay what they are.
    :raises ValueError: a row has one.
    """
    if not pa.types.is_dictionary(column.type) or not has_texts(column.type):
        return column
    return pa.chunked_array([_with_valid_categories(chunk) for chunk in column.chunks], column.type)


def _with_valid_categories(array: pa.DictionaryArray) -> pa.DictionaryArray:
    if _are_texts(array.dictionary):
        return array
    _check_texts(array)
    values = array.dictionary
    valid = np.array([_are_texts(values[place : place + 1]) for place in range(len(values))])
    places = pa.array(np.maximum(np.cumsum(valid), 1) - 1, array.type.index_type)
    return pa.DictionaryArray.from_arrays(
        places.take(array.indices), values.filter(pa.array(valid)), ordered=array.type.ordered
    )


def _are_texts(array: pa.Array) -> bool:
    try:
        _check_texts(array)
    except ValueError:
        return False
    return True


def readable(table: pa.Table) -> pa.Table:
    """The rows with U+FFFD in place of what is no UTF-8, so that every reader takes the file they are written into."""
    for place, column in enumerate(table.columns):
        try:
            check_texts(column)
            valid_categories(column)
        except ValueError:
            chunks = [_replaced(chunk, column.type) for chunk in column.chunks]
            table = table.set_column(place, table.schema.field(place), pa.chunked_array(chunks, column.type))
    return table


def _replaced(array: pa.Array, kind: pa.DataType) -> pa.Array:
    types = pa.types
    if not has_texts(kind):
        return array
    if isinstance(kind, pa.BaseExtensionType):
        return kind.wrap_array(_replaced(array.storage, kind.storage_type))
    if types.is_dictionary(kind):
        values = _replaced(array.dictionary, kind.value_type)
        return pa.DictionaryArray.from_arrays(array.indices, values, ordered=kind.ordered)
    if types.is_fixed_size_list(kind):
        items = array.values.slice(array.offset * kind.list_size, len(array) * kind.list_size)
        return pa.FixedSizeListArray.from_arrays(_replaced(items, kind.value_type), type=kind, mask=array.is_null())
    if types.is_nested(kind):
        return bring_nested(array, kind, _replaced)
    texts = (None if one is None else one.decode("utf-8", "replace") for one in as_bytes(array).to_pylist())
    return pa.array(texts, kind)


def as_bytes(texts: Any) -> Any:
    """The bytes of texts, of an array, a column or a single one, in the same memory."""
    return texts.cast(pa.large_binary() if pa.types.is_large_string(texts.type) else pa.binary())


def _check_texts(array: pa.Array) -> None:
    types, kind = pa.types, array.type
    if isinstance(kind, pa.BaseExtensionType):
        _check_texts(array.storage)
    elif types.is_dictionary(kind):
        if has_texts(kind) and not _are_texts(array.dictionary):
            _check_texts(decoded(array))
    elif types.is_struct(kind):
        for field in array.flatten():
            _check_texts(field)
    elif types.is_map(kind):
        _check_texts(entries(array).flatten())
    elif is_list(kind):
        _check_texts(array.flatten())
    elif is_text(kind) and not _is_ascii(array):
        try:
            as_bytes(array).cast(kind)
        except pa.ArrowInvalid:
            raise ValueError("a text in it is no UTF-8; return bytes as such, or decode them") from None


def _is_ascii(array: pa.Array) -> bool:
    """Whether all bytes are ASCII, as those of most texts are: this costs next to nothing."""
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        return True
    offset = np.int64 if pa.types.is_large_string(array.type) else np.int32
    edges: np.ndarray = np.frombuffer(offsets, offset, array.offset + len(array) + 1)
    first, last = edges[array.offset], edges[array.offset + len(array)]
    return bool(first == last or np.frombuffer(data, np.int8)[first:last].min() >= 0)
