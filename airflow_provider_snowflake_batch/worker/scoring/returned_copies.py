"""What a model returned, made safe from what the model does next.

Models that write each batch into the same memory (a preallocated array, an I/O binding, a CUDA graph, the same list of
dicts) would otherwise change rows that wait to be written; and a generator would run the model's code in the thread
that writes.

Arrays and frames of numbers and texts, the usual case, are copied. Everything else, such as Arrow's own, which may lie
over any memory, and lists of lists, is made into the columns that are written before the model is called again: that
has to be done anyway, and Python's objects cannot be gone through while the model holds the interpreter.
"""

from __future__ import annotations

import copy
import datetime
import decimal
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

_SAMPLE = 16
# About what a small Python object takes.
_OBJECT_BYTES = 64
# Values that nobody can change.
_FIXED = (
    str, bytes, bool, int, float, complex, type(None), decimal.Decimal, uuid.UUID, Enum, np.bool_, np.number,
    np.datetime64, datetime.date, datetime.time, datetime.timedelta, type(pd.NA), type(pd.NaT),
)  # fmt: skip
# Extension types of pandas whose copies are copies; those over Arrow share its memory.
_COPIED = (
    pd.Int8Dtype, pd.Int16Dtype, pd.Int32Dtype, pd.Int64Dtype, pd.UInt8Dtype, pd.UInt16Dtype, pd.UInt32Dtype,
    pd.UInt64Dtype, pd.Float32Dtype, pd.Float64Dtype, pd.BooleanDtype, pd.DatetimeTZDtype, pd.PeriodDtype,
)  # fmt: skip


def owned(returned: Any) -> tuple[Any, bool]:
    """The same values in memory that the model has no hand in; iterators as lists.

    :return: the values, and whether they are safe. If not, they are to be stored before the model is called again.
    """
    if isinstance(returned, Iterator):
        # What it gave first may be the memory for what it gives next.
        returned = [_kept(item) for item in returned]
    if isinstance(returned, np.ndarray):
        if returned.dtype.hasobject:
            plain = returned.dtype == object and _all_fixed(returned.ravel())
            return (returned.copy() if plain else returned), plain
        return returned.copy(), True
    if isinstance(returned, pd.DataFrame):
        safe = all(_copies(returned.iloc[:, index]) for index in range(returned.shape[1]))
        return (returned.copy() if safe else returned), safe
    if isinstance(returned, pd.Series):
        safe = _copies(returned)
        return (returned.copy() if safe else returned), safe
    if callable(getattr(returned, "detach", None)) and callable(getattr(returned, "clone", None)):
        return returned.detach().clone(), True
    if isinstance(returned, Mapping):
        values = {name: owned(value) for name, value in returned.items()}
        return {name: value for name, (value, _) in values.items()}, all(safe for _, safe in values.values())
    if type(returned) in (list, tuple):
        return type(returned)(returned), _all_fixed(returned)
    return returned, False


def _kept(item: Any) -> Any:
    if isinstance(item, _FIXED):
        return item
    values, safe = owned(item)
    if safe:
        return values
    if isinstance(values, (pa.Table, pa.RecordBatch)):
        return detached(values if isinstance(values, pa.Table) else pa.Table.from_batches([values]))
    try:
        return copy.deepcopy(values)
    except Exception:
        # Not everything can be copied: what cannot is taken as it is.
        return values


def _copies(column: pd.Series[Any]) -> bool:
    """Whether a copy of a column shares nothing that can change with it."""
    if column.dtype == object:
        return _all_fixed(column.to_numpy())
    return isinstance(column.dtype, (np.dtype, *_COPIED))


def _all_fixed(items: Iterable[Any]) -> bool:
    values = items.tolist() if isinstance(items, np.ndarray) else items
    return all(issubclass(kind, _FIXED) for kind in set(map(type, values)))


def detached(table: pa.Table) -> pa.Table:
    """The same rows in memory of Arrow's own."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def size_of(returned: Any) -> int:
    """About how many bytes are held; lists and objects are judged by some of them."""
    if isinstance(returned, pd.DataFrame):
        return sum(size_of(returned.iloc[:, index]) for index in range(returned.shape[1]))
    if isinstance(returned, (pd.Series, np.ndarray)) and returned.dtype == object:
        return _of_items(returned.reshape(-1) if isinstance(returned, np.ndarray) else returned.array)
    size = getattr(returned, "nbytes", None)
    if isinstance(size, int):
        return size
    if isinstance(returned, (str, bytes, bytearray)):
        return len(returned) + _OBJECT_BYTES
    if isinstance(returned, Mapping):
        return sum(size_of(value) for value in returned.values()) + _OBJECT_BYTES
    if isinstance(returned, (list, tuple)):
        return _of_items(returned)
    return _OBJECT_BYTES


def _of_items(items: Sequence[Any] | Any) -> int:
    count = len(items)
    places = range(0, count, max(1, count // _SAMPLE))
    return sum(size_of(items[place]) for place in places) * count // max(len(places), 1) + _OBJECT_BYTES
