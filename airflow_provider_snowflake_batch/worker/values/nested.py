"""Lists, objects and maps as Python's and NumPy's own. A row's value does not depend on the other rows.

| In Arrow | Is |
|---|---|
| list of numbers, flags, dates, times without a zone, durations | a NumPy array of that type |
| list of whole numbers or flags with a NULL in it, list of anything else | a NumPy array of objects |
| object | a dict |
| map | a list of pairs |

NULL among floating-point numbers is NaN, among moments and durations in a list NaT, anywhere else None. pyarrow's
``to_pandas`` makes floats of all whole numbers if one in the batch is NULL, and whole numbers of nanoseconds. The
arrays have memory of their own, and can be written to.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.values.common_types import decoded, entries, is_list
from airflow_provider_snowflake_batch.worker.values.own_memory import own_copy

# NumPy stores NaT as this number.
_NAT = -(2**63)


def objects(array: pa.Array) -> np.ndarray:
    """The values as an array of objects.

    :raises ValueError: Python has no such value: a time of day with nanoseconds, a moment after the year 9999.
    """
    if pa.types.is_nested(array.type) and _is_plain(array) and not _ends_in_numbers(array.type):
        # pyarrow gives the same in half of the time.
        return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    return _object_array(_values(array))


def _ends_in_numbers(kind: pa.DataType) -> bool:
    """Whether these are lists of numbers, which pyarrow makes views of its own memory."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _ends_in_numbers(kind.value_type)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_plain(array: pa.Array) -> bool:
    """Whether pyarrow makes the same of it."""
    types, kind = pa.types, array.type
    if types.is_list(kind) or types.is_large_list(kind):
        return not types.is_struct(kind.value_type) and _is_plain(array.values)
    if types.is_struct(kind):
        children = [array.field(index) for index in range(kind.num_fields)]
        if len({field.name for field in kind}) < len(children):
            return False
        # pyarrow gives None for NULL in floating-point fields of an object, where NaN is wanted.
        dense = all(not (types.is_floating(one.type) and one.null_count) for one in children)
        return (
            not array.null_count and dense and all(not types.is_nested(one.type) and _is_plain(one) for one in children)
        )
    if types.is_integer(kind):
        return not array.null_count
    return bool(types.is_floating(kind) or types.is_string(kind))


def _object_array(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _values(array: pa.Array) -> list[Any]:
    """Each value as it stands alone or in an object."""
    types, kind = pa.types, array.type
    if isinstance(kind, pa.BaseExtensionType):
        return array.to_pylist() if isinstance(kind, pa.UuidType) else _values(array.storage)
    if types.is_dictionary(kind):
        return _values(decoded(array))
    if types.is_floating(kind):
        return array.to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]
    if (types.is_timestamp(kind) or types.is_duration(kind)) and kind.unit == "ns":
        check_moments(array)
        return [None if value is pd.NaT else value for value in array.to_pandas().astype(object).tolist()]
    if types.is_struct(kind):
        names = [field.name for field in kind]
        if len(set(names)) < len(names):
            raise ValueError("an object has fields of the same name")
        rows = zip(*map(_values, array.flatten()), strict=True)
        return _with_nulls(array, [dict(zip(names, row, strict=True)) for row in rows])
    if types.is_map(kind):
        return _with_nulls(array, [[(one["key"], one["value"]) for one in row] for row in _map_items(array)])
    if is_list(kind):
        return _with_nulls(array, _lists(array))
    return exact_list(array)


def check_moments(array: pa.Array | pa.ChunkedArray) -> None:
    """Hold that NumPy has each of these moments or durations: it takes the lowest number of any unit for NaT.

    :raises ValueError: one is that number.
    """
    numbers = array.cast(pa.int64())
    if pc.any(pc.equal(numbers, _NAT)).as_py():
        raise ValueError(f"{_NAT} as {array.type} is what NumPy takes for a missing one")


def exact_list(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """An array's ``to_pylist``, which cuts off the nanoseconds of a time of day without a word.

    :raises pa.ArrowInvalid: there are such, which Python's times do not have.
    """
    for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        _check_times_of_day(chunk)
    return array.to_pylist()  # type: ignore[no-any-return]


def _check_times_of_day(array: pa.Array) -> None:
    types, kind = pa.types, array.type
    if isinstance(kind, pa.BaseExtensionType):
        _check_times_of_day(array.storage)
    elif types.is_dictionary(kind):
        _check_times_of_day(array.dictionary)
    elif types.is_time64(kind) and kind.unit == "ns":
        array.cast(pa.time64("us"))
    elif types.is_map(kind):
        _check_times_of_day(entries(array))
    elif types.is_struct(kind):
        for child in array.flatten():
            _check_times_of_day(child)
    elif is_list(kind):
        _check_times_of_day(array.flatten())


def _with_nulls(array: pa.Array, values: list[Any]) -> list[Any]:
    if array.null_count:
        for place in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)):
            values[place] = None
    return values


def _map_items(array: pa.Array) -> list[Any]:
    pairs = pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])
    listed = entries(array)
    renamed = pa.ListArray.from_buffers(
        pa.list_(pairs),
        len(listed),
        listed.buffers()[:2],
        offset=listed.offset,
        children=[pa.StructArray.from_arrays([array.keys, array.items], fields=list(pairs))],
    )
    return _lists(renamed)


def _lists(array: pa.Array) -> list[Any]:
    items = array.flatten()
    edges = np.concatenate([[0], np.cumsum(pc.fill_null(pc.list_value_length(array), 0).to_numpy())])
    values = _dense(items)
    if values is None:
        values = objects(items)
    elif not values.flags.writeable:
        values = own_copy(values)
    length = len(values) // len(array) if len(array) else 0
    if length and np.array_equal(edges, np.arange(len(array) + 1) * length):
        # Lists of one length, such as embeddings, take half of the time in this way.
        found = list(values.reshape(len(array), length))
    else:
        found = [values[start:stop] for start, stop in itertools.pairwise(edges.tolist())]
    if items.null_count and (pa.types.is_integer(items.type) or pa.types.is_boolean(items.type)):
        with_nulls = objects(items)
        counted = np.concatenate([[0], np.cumsum(items.is_null().to_numpy(zero_copy_only=False))])
        for place in np.flatnonzero(counted[edges[1:]] > counted[edges[:-1]]):
            found[place] = with_nulls[edges[place] : edges[place + 1]]
    return found


def _dense(items: pa.Array) -> np.ndarray | None:
    """Items of a type that NumPy has, with something in place of NULL where it has none for it."""
    types, kind = pa.types, items.type
    if types.is_integer(kind) or types.is_boolean(kind):
        filled = pc.fill_null(items, pa.scalar(0, pa.int8()).cast(kind)) if items.null_count else items
        return filled.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    if types.is_date(kind):
        # In milliseconds, as pandas has a column of dates.
        return pc.cast(items, pa.timestamp("ms")).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    moments = types.is_duration(kind) or (types.is_timestamp(kind) and kind.tz is None)
    if moments:
        check_moments(items)
    plain = types.is_floating(kind) or moments
    return items.to_numpy(zero_copy_only=False) if plain else None
