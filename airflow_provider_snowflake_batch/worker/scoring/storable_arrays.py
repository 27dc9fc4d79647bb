"""The values of one output become an Arrow array of a type that Parquet and Snowflake hold.

Values of types that such files lack are kept in the nearest type: categories and run lengths as their values, extension
types as what they store, lists of one length as lists, times with a zone in UTC, periods, UUIDs and members of an Enum
as text or as their value, intervals as objects of their ends and which of them are closed.
"""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Iterable, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.signature import Feature
from airflow_provider_snowflake_batch.worker.values import only_nan, schemas
from airflow_provider_snowflake_batch.worker.values.common_types import MOST_DIGITS, check_order, converted, misfit
from airflow_provider_snowflake_batch.worker.values.declared_types import RETURNED, declared
from airflow_provider_snowflake_batch.worker.values.nested import exact_list
from airflow_provider_snowflake_batch.worker.values.pandas_types import described, interval_columns, is_of_pandas
from airflow_provider_snowflake_batch.worker.values.python_values import Seen, are_plain, from_objects, nan_apart, plain
from airflow_provider_snowflake_batch.worker.values.tensors import as_arrow, as_numpy, known_type
from airflow_provider_snowflake_batch.worker.values.texts import check_texts

# Lists have 32-bit offsets, as most readers of Parquet expect.
_MOST_ITEMS = 2**31 - 1
# Some readers of Parquet, such as Snowflake, do not know floating-point numbers of 16 bits, and read bytes instead.
_NEXT_TO = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary(), pa.float16(): pa.float32()}
# Columns of pandas whose numbers mean nothing without the column's type.
_OF_PANDAS = (pd.PeriodDtype, pd.IntervalDtype)


class OutputMisfit(DataError):
    """A value is not of the type that the signature states.

    :param row: which row of the output it is, from 0; None where that is not known.
    """

    def __init__(self, message: str, row: int | None) -> None:
        super().__init__(message)
        self.row = row


def storable_column(values: Any, feature: Feature | None, name: str) -> tuple[pa.Field, pa.Array | pa.ChunkedArray]:
    """One output as Arrow.

    :param feature: what the signature says of it, if there is one.
    :raises DataError: the values have no common type that can be stored, or do not fit the signature.
    """
    kind = feature.arrow_type() if feature else None
    try:
        if feature is not None and feature.dtype == "OBJECT":
            array = pa.array([_json(item) for item in _items(values)], type=kind)
            return pa.field(feature.name, array.type), array
        typed = _typed(values)
        field, array = _of_objects(list(_items(values)), name) if typed is None else (pa.field("", typed.type), typed)
        array = _storable(array)
        if typed is not None:
            # Python's texts have been encoded by Arrow, which can be relied on.
            _check_texts(array, kind, name)
        if feature is None:
            return field.with_name(name) if field.type == array.type else pa.field(name, array.type), array
        array = array if array.type == kind else _to_declared(array, kind, name)
        return pa.field(feature.name, array.type), array
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(_message(name, kind, error)) from None


def _typed(values: Any) -> Any:
    """An array of what says of which type it is; None for objects."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return _typed(values.to_pandas()) if _holds_pandas_types(values.type) else values
    if isinstance(values, np.ndarray) and values.dtype != object and not values.dtype.names:
        return pa.array(known_type(values)) if values.ndim == 1 else _nested(values)
    if isinstance(values, pd.Series) and values.dtype != object:
        if isinstance(values.dtype, pd.CategoricalDtype) and isinstance(values.cat.categories.dtype, _OF_PANDAS):
            # Not by astype, which has no missing interval between whole numbers.
            codes = values.cat.codes.to_numpy()
            return _typed(values.cat.categories.to_series()).take(pa.array(codes, mask=codes < 0))
        if isinstance(values.dtype, pd.IntervalDtype):
            return interval_columns(values.array)
        if isinstance(values.dtype, pd.PeriodDtype):
            return pa.array([None if pd.isna(item) else str(item) for item in values], pa.string())
        if isinstance(values.dtype, pd.SparseDtype):
            values = pd.Series(np.asarray(values.array))
        # By way of NumPy: of a Series, Arrow would make NULL of NaN.
        return pa.array(known_type(values.to_numpy()) if isinstance(values.dtype, np.dtype) else values)
    return None


def _of_objects(items: Sequence[Any], name: str) -> tuple[pa.Field, Any]:
    """An array of some values, and a field for it with the marks that only they tell (`only_nan`)."""
    if are_plain(items):
        return _of_values(items)
    items = [as_numpy(as_arrow(item)) for item in items]
    if set(map(type, items)) == {np.ndarray} and len({(item.dtype, item.ndim) for item in items}) == 1:
        return (_of_values if _array_kind(items[0]) is None else _of_arrays)(items)
    of_kind: dict[Any, list[int]] = {}
    for place, item in enumerate(items):
        if item is not None:
            of_kind.setdefault(_array_kind(item), []).append(place)
    if len(of_kind) == 1 and None not in of_kind:
        return _of_arrays(items)
    if not of_kind.keys() - {None}:
        return _of_values(items)
    # Arrays of several types, or arrays and values, become what each would be in a batch of its own.
    tables = []
    for kind, places in of_kind.items():
        field, array = (_of_values if kind is None else _of_arrays)([items[place] for place in places])
        tables.append(schemas.marked(pa.table([array], schema=pa.schema([field.with_name(name)]))))
    schema = reduce(schemas.joined, (table.schema for table in tables))
    fitting = []
    for table, places in zip(tables, of_kind.values(), strict=True):
        try:
            fitting.append(schemas.fit(table, schema))
        except schemas.Misfit as error:
            raise OutputMisfit(f"output {error.message}", places[error.row]) from None
    column = pa.concat_tables(fitting).column(0)
    order = np.full(len(items), -1)
    order[[place for places in of_kind.values() for place in places]] = np.arange(len(column))
    return schema.field(0), column.take(pa.array(order, mask=order < 0))


def _of_arrays(items: Sequence[Any]) -> tuple[pa.Field, pa.Array]:
    array = _ragged(items)
    return pa.field("", array.type), array


def _of_values(items: Sequence[Any]) -> tuple[pa.Field, Any]:
    seen = Seen()
    array = from_objects(items, seen)
    field, apart = pa.field("", array.type), nan_apart(items, seen)
    return field if apart is None else only_nan.marked_beside(field, *apart), array


def _holds_pandas_types(kind: pa.DataType) -> bool:
    return is_of_pandas(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _storable(array: Any) -> Any:
    """The array in a type that Parquet has."""
    kind = storable_type(array.type)
    if kind == array.type:
        return array
    return converted(array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]), kind)


def _check_texts(array: Any, kind: pa.DataType | None, name: str) -> None:
    column = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    try:
        check_texts(column)
    except ValueError as error:
        row, reason = misfit(column, check_texts) or (None, str(error))
        raise OutputMisfit(_message(name, kind, reason), row) from None


def storable_type(kind: pa.DataType) -> pa.DataType:
    """The type in which values of a type are written.

    :raises TypeError: there is none.
    """
    types = pa.types
    if is_of_pandas(kind):
        # As a column of its own it has been converted: what it stores does not say what it means.
        raise TypeError(f"there is {described(kind)} inside of another type; return it as a column of its own")
    if isinstance(kind, pa.BaseExtensionType):
        check_order(kind)
        if _holds_pickles(kind):
            raise TypeError("it holds pickled Python objects; return them in one of Arrow's types")
        # UUIDs become text, as those of Python do; otherwise Snowflake would read bytes.
        return pa.string() if isinstance(kind, pa.UuidType) else storable_type(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return storable_type(kind.value_type)
    if not types.is_nested(kind):
        return _flat(kind)
    if types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        # Parquet has no objects without keys.
        return pa.struct([(one.name, storable_type(one.type)) for one in fields]) if fields else pa.null()
    # Lists of one length do not stay such: another batch may have another length.
    if types.is_list(kind) or types.is_list_view(kind) or types.is_fixed_size_list(kind):
        return pa.list_(storable_type(kind.value_type))
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pa.large_list(storable_type(kind.value_type))
    if types.is_map(kind):
        return pa.map_(storable_type(kind.key_type), storable_type(kind.item_type))
    if types.is_union(kind):
        raise TypeError(f"files have no type for {kind}")
    return kind


def _holds_pickles(kind: pa.BaseExtensionType) -> bool:
    """Whether a type of Daft's or Ray Data's holds pickles, which results would hold as if they were values."""
    if kind.extension_name == "daft.super_extension":
        return b'"Python"' in kind.__arrow_ext_serialize__()
    return bool(kind.extension_name == "ray.data.arrow_pickled_object")


def _flat(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_timestamp(kind):
        # Parquet has no times in whole seconds.
        return pa.timestamp("ms" if kind.unit == "s" else kind.unit, None if kind.tz is None else "UTC")
    if types.is_time32(kind):
        return pa.time32("ms")
    if types.is_date(kind):
        return pa.date32()
    if types.is_decimal(kind) and kind.scale < 0:
        # Parquet has no decimals with a negative scale.
        digits = kind.precision - kind.scale
        return pa.decimal256(digits, 0) if digits > MOST_DIGITS else pa.decimal128(digits, 0)
    if types.is_interval(kind):
        raise TypeError(f"files have no type for {kind}")
    return _NEXT_TO.get(kind, kind)


def _to_declared(array: Any, kind: pa.DataType, name: str) -> pa.ChunkedArray:
    if pa.types.is_string(kind) and pa.types.is_nested(array.type):
        array = pa.array([_json(item) for item in exact_list(array)], type=kind)
    column = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    try:
        return declared(column, kind, RETURNED)
    except (pa.ArrowException, ValueError) as error:
        row, reason = misfit(column, partial(declared, kind=kind, reading=RETURNED)) or (None, str(error))
        raise OutputMisfit(_message(name, kind, reason), row) from None


def _message(name: str, kind: pa.DataType | None, reason: object) -> str:
    wanted = f" as {kind}, the type its signature states" if kind is not None else ""
    return f"the model's output {name!r} cannot be stored{wanted}: {reason}"


def _nested(values: np.ndarray[Any, Any]) -> pa.Array:
    """Rows of arrays as a column of lists, without a Python object for each value."""
    _check_items(values.size)
    # Unlike ascontiguousarray, this keeps the mask of a masked array.
    array: pa.Array = pa.array(known_type(values.reshape(-1)))
    for axis in range(values.ndim - 1, 0, -1):
        count, length = int(np.prod(values.shape[:axis])), values.shape[axis]
        array = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * length), array)
    return array


def _array_kind(item: Any) -> Any:
    """What arrays have in common that go into one column as they are; None for anything else."""
    if not isinstance(item, np.ndarray) or isinstance(item, np.ma.MaskedArray) or not item.ndim:
        return None
    return (item.dtype, item.ndim) if item.dtype.kind in "biufMm" else None


def _ragged(items: Sequence[Any]) -> pa.Array:
    """Arrays of one type and as many dimensions, of any lengths, as a column of lists; None is NULL."""
    arrays = [item for item in items if item is not None]
    _check_items(sum(item.size for item in arrays))
    array: pa.Array = pa.array(known_type(np.concatenate([item.reshape(-1) for item in arrays])))
    for axis in range(arrays[0].ndim - 1, 0, -1):
        lengths = np.concatenate([np.full(int(np.prod(item.shape[:axis])), item.shape[axis]) for item in arrays])
        array = pa.ListArray.from_arrays(_offsets(lengths), array)
    missing = np.array([item is None for item in items])
    offsets = _offsets(np.array([0 if item is None else len(item) for item in items]))
    return pa.ListArray.from_arrays(offsets, array, mask=pa.array(missing) if missing.any() else None)


def _offsets(lengths: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _check_items(count: int) -> None:
    if count > _MOST_ITEMS:
        raise ValueError(f"{count} numbers in lists are more than fit into one batch; lower max_batch_rows")


def _items(values: Any) -> Iterable[Any]:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return exact_list(values)
    if isinstance(values, np.ndarray) and values.ndim > 1 and not values.dtype.names:
        return values.tolist()  # type: ignore[no-any-return]
    return values  # type: ignore[no-any-return]


def _json(value: Any) -> str | None:
    simple = plain(value)
    return simple if simple is None or isinstance(simple, str) else json.dumps(simple, default=_in_json)


def _in_json(value: Any) -> Any:
    """What JSON has no type for: moments as text, decimals as the numbers that they are.

    :raises ValueError: a decimal has more digits than readers of JSON keep.
    :raises TypeError: JSON has nothing for it.
    """
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return str(value)
    if isinstance(value, decimal.Decimal):
        number = int(value) if value == value.to_integral_value() else float(value)
        if decimal.Decimal(repr(number)) != value:
            raise ValueError(f"{value} has more digits than a number in JSON keeps; return it as text")
        return number
    if isinstance(value, bytes):
        raise TypeError("JSON has no bytes; return them as Base64 text, or in an output of their own")
    raise TypeError(f"JSON has nothing for {type(value).__name__}")
