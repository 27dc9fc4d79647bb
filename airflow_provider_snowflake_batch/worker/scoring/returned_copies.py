"""Copies of what a model returned, so that the model's next call does not change it.

Some models write each batch into the same memory (a preallocated array, an I/O binding, a CUDA graph, the same list of
dicts), and would otherwise change rows that wait to be written. A generator would run the model's code in the thread
that writes.

Arrays and frames of numbers and texts, the usual case, are copied. Everything else becomes the columns that are written
before the model is called again: Arrow's objects, which may share any memory, and lists of lists, for example. That has
to be done anyway, and Python's objects cannot be read while the model holds the interpreter.
"""

from __future__ import annotations

import array
import collections
import copy
import dataclasses
import datetime
import decimal
import pickle
import uuid
from collections.abc import Iterable, Iterator, Mapping, MappingView, Sequence, Set
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.values.tensors import as_arrow, as_numpy

_SAMPLE = 16
# About the bytes of a small Python object.
_OBJECT_BYTES = 64
# Types whose values cannot change.
_FIXED = (
    str, bytes, bool, int, float, complex, type(None), decimal.Decimal, uuid.UUID, Enum, np.bool_, np.number,
    np.datetime64, datetime.date, datetime.time, datetime.timedelta, type(pd.NA), type(pd.NaT),
)  # fmt: skip
# Extension types of pandas whose copies share no memory, unlike those over Arrow.
_COPIED = (
    pd.Int8Dtype, pd.Int16Dtype, pd.Int32Dtype, pd.Int64Dtype, pd.UInt8Dtype, pd.UInt16Dtype, pd.UInt32Dtype,
    pd.UInt64Dtype, pd.Float32Dtype, pd.Float64Dtype, pd.BooleanDtype, pd.DatetimeTZDtype, pd.PeriodDtype,
)  # fmt: skip
# Types that hold their items. Others may make an item anew each time that it is asked for.
_HOLDERS = (
    list, tuple, str, bytes, bytearray, memoryview, Set, Mapping, MappingView, range, array.array, collections.deque,
    collections.UserList, pd.Index, pd.api.extensions.ExtensionArray, pa.Table, pa.RecordBatch, pa.Array,
    pa.ChunkedArray,
)  # fmt: skip


def owned(returned: Any) -> tuple[Any, bool]:
    """The same values in memory that the model has no hand in; what gives one value after the other as a list.

    :return: the values, and whether they are safe. If not, they are to be stored before the model is called again.
    :raises DataError: an iterator gives what cannot be copied.
    """
    if isinstance(returned, Iterator):
        # Copied one by one: an iterator may give its next item in the memory of the first.
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
    if isinstance(returned, Mapping) and not isinstance(returned, dict):
        # Copied one by one: the mapping may make each column in the memory of the one before.
        return {name: _kept(value) for name, value in returned.items()}, True
    if isinstance(returned, Mapping):
        values = {name: owned(value) for name, value in returned.items()}
        return {name: value for name, (value, _) in values.items()}, all(safe for _, safe in values.values())
    if type(returned) in (list, tuple):
        return type(returned)(returned), _all_fixed(returned)
    plain = as_numpy(as_arrow(returned))
    if plain is not returned:
        return owned(plain)
    return owned(iter(returned)) if _makes_its_items(returned) else (returned, False)


def _makes_its_items(returned: Any) -> bool:
    """Whether items may be made while they are asked for, as by a data loader or a sequence of somebody's own."""
    return isinstance(returned, Iterable) and not isinstance(returned, _HOLDERS)


def _kept(item: Any) -> Any:
    """A copy of what an iterator gave, all the way down.

    :raises DataError: it cannot be copied.
    """
    if isinstance(item, _FIXED):
        return item
    if isinstance(item, pa.Scalar):
        return detached(pa.table([pa.repeat(item, 1)], names=["item"])).column(0)[0]
    item = as_numpy(as_arrow(item))
    values, safe = owned(item)
    if safe:
        return values
    if isinstance(item, (pa.Table, pa.RecordBatch)):
        return detached(item if isinstance(item, pa.Table) else pa.Table.from_batches([item]))
    if isinstance(item, pd.DataFrame):
        columns = {place: _kept(item.iloc[:, place]) for place in range(item.shape[1])}
        frame = pd.DataFrame(columns, index=item.index)
        frame.columns = item.columns
        return frame
    if isinstance(item, pd.Series) and item.dtype == object:
        return pd.Series(_kept_cells(item), item.index, name=item.name)
    if isinstance(item, np.ndarray) and item.dtype == object:
        return _kept_cells(item).reshape(item.shape)
    if isinstance(item, (list, tuple)):
        cells = _kept_cells(item).tolist()
        return cells if isinstance(item, list) else tuple(cells)
    if isinstance(item, Mapping):
        return {name: _kept(value) for name, value in item.items()}
    if dataclasses.is_dataclass(item):
        twin = copy.copy(item)
        for field in dataclasses.fields(item):
            object.__setattr__(twin, field.name, _kept(getattr(item, field.name)))
        return twin
    return _copy(item)


def _kept_cells(items: Any) -> np.ndarray[Any, Any]:
    values = items if isinstance(items, (list, tuple)) else np.asarray(items).reshape(-1)
    cells = np.empty(len(values), object)
    cells[:] = [_kept(value) for value in values]
    return cells


def _copy(item: Any) -> Any:
    if isinstance(item, memoryview):
        return bytes(item)
    try:
        # Copies of columns over Arrow, and of Arrow's objects, share memory. Pickling them does not.
        arrow = isinstance(item, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray))
        return pickle.loads(pickle.dumps(item)) if arrow else copy.deepcopy(item)
    except Exception as error:
        raise DataError(
            f"the model returned an iterator of {type(item).__name__}, which cannot be kept while it goes on "
            f"({error}); return a list of values that do not change"
        ) from None


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
    if isinstance(returned, pa.Scalar):
        # A map of Arrow's is a Mapping, but its ``values`` is no method.
        return int(pa.repeat(returned, 1).nbytes) + _OBJECT_BYTES
    if isinstance(returned, Mapping):
        return sum(size_of(value) for value in returned.values()) + _OBJECT_BYTES
    if isinstance(returned, (list, tuple)):
        return _of_items(returned)
    return _OBJECT_BYTES


def _of_items(items: Sequence[Any] | Any) -> int:
    count = len(items)
    places = range(0, count, max(1, count // _SAMPLE))
    return sum(size_of(items[place]) for place in places) * count // max(len(places), 1) + _OBJECT_BYTES
