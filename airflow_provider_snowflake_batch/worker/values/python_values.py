"""Python's values, and those of libraries, as an Arrow array.

Arrow finds the type by itself, and converts most values exactly. It drops the time of a datetime beside a date, the
zone of some times, and nanoseconds: such values are converted to one type first, or refused. Values of several types
are converted here (`mixed_values`).
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.values.mixed_values import mixed
from airflow_provider_snowflake_batch.worker.values.nested import exact_list
from airflow_provider_snowflake_batch.worker.values.tensors import as_numpy, known_type

_PLAIN = {str, bytes, bool, int, float, type(None)}
# Types that Arrow converts to one type by itself, exactly and in any order.
_NUMBERS = {int, float}
_TIMES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
# What keeps an order, and becomes a list. (A namedtuple is an object.)
_LISTS = (list, tuple, range, collections.deque, pd.Series, pd.Index, pd.api.extensions.ExtensionArray)
_OF_DTYPE = {"b": bool, "i": int, "u": int, "f": float, "S": bytes, "U": str}


@dataclass
class Seen:
    """What there is among some values that Arrow would not keep apart.

    :param for_text: they become JSON, and no column.
    """

    for_text: bool = False
    dates: bool = False
    naive: bool = False
    zoned: bool = False
    nanoseconds: bool = False
    nan: bool = False
    kinds: set[Any] = field(default_factory=set)


def from_objects(items: Sequence[Any], seen: Seen | None = None) -> pa.Array | pa.ChunkedArray:
    """Values as an array of the type that they have in common. NaN is a number; beside other values it is missing.

    :param seen: is told what there is among them.
    :raises pa.ArrowException, ValueError, TypeError, OverflowError: they have none.
    """
    seen = Seen() if seen is None else seen
    if are_plain(items):
        values = items
        seen.kinds.update(set(map(type, items)) - {type(None)})
        seen.nan = seen.kinds >= _NUMBERS and any(map(_is_nan, items))
    else:
        values = [_plain(item, seen) for item in items]
    if seen.zoned and (seen.naive or seen.dates):
        raise ValueError("there are times with a zone and times without")
    if seen.nanoseconds:
        return _nanoseconds(values)
    if seen.dates and seen.naive:
        values = [_dates_as_times(value) for value in values]
    kinds = set(seen.kinds)
    if seen.dates and seen.naive:
        kinds.discard(datetime.date)
    if not kinds <= _NUMBERS and len(kinds) > 1:
        return mixed(values)
    try:
        # Without type=kind, with which Arrow would cut off fractions without a word.
        return pa.array(values)
    except (OverflowError, pa.ArrowInvalid, pa.ArrowTypeError):
        return mixed(values)


def are_plain(items: Sequence[Any]) -> bool:
    """Whether values are Python's own and Arrow is exact in all of them, told without going through them in Python."""
    return set(map(type, items)) <= _PLAIN


def nan_apart(items: Sequence[Any], seen: Seen) -> tuple[pa.DataType, pa.DataType] | None:
    """The types of values without their NaN, and of NaN alone; None where there is no NaN, or it is no question.

    :param seen: what there is among them.
    """
    if not seen.nan or not seen.kinds & {int, decimal.Decimal}:
        return None
    if are_plain(items):
        if any(type(item) is float and item == item for item in items):
            return None
        return from_objects([None if type(item) is float else item for item in items]).type, pa.float64()
    values = [plain(item) for item in items]
    others, nan = ([_only(value, nan=nan) for value in values] for nan in (False, True))
    return from_objects(others).type, from_objects(nan).type


def _only(value: Any, *, nan: bool) -> Any:
    """A plain value with nothing but NaN in it, or without."""
    if isinstance(value, dict):
        return {name: _only(item, nan=nan) for name, item in value.items()}
    if isinstance(value, list):
        return [_only(item, nan=nan) for item in value]
    return value if _is_nan(value) is nan else None


def is_missing(value: Any) -> bool:
    """Whether a value says that there is none: None, or what pandas has for it; NaN is one beside what has no NaN."""
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, (float, np.floating, np.datetime64, np.timedelta64, decimal.Decimal)) and bool(
        value != value
    )


def plain(value: Any) -> Any:
    """A value of Python's own types all the way down."""
    return _plain(value, Seen(for_text=True))


def _plain(value: Any, seen: Seen) -> Any:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, enum.Enum):
        return _plain(value.value, seen)
    if isinstance(value, (str, bytes, bool, int, float)):
        seen.kinds.add(type(value))
        if value != value:
            seen.nan = True
        return value
    if isinstance(value, np.generic):
        return _numpy_scalar(value, seen)
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return _time(value, seen)
    if isinstance(value, pa.Scalar):
        exact = value.is_valid and "time64[ns]" in str(value.type)
        # Not by pa.array, which fails if a list or map inside of it is NULL (pyarrow 26).
        return _plain(exact_list(pa.repeat(value, 1))[0] if exact else value.as_py(), seen)
    if isinstance(value, decimal.Decimal) and not value.is_finite():
        if value.is_infinite():
            raise ValueError("decimals have no infinity; return floating-point numbers")
        return None
    if isinstance(value, (uuid.UUID, pd.Period)):
        seen.kinds.add(str)
        return str(value)
    if isinstance(value, pd.Interval):
        return {
            "left": _plain(value.left, seen),
            "right": _plain(value.right, seen),
            "closed": _plain(value.closed, seen),
        }
    if (named := _fields_of(value)) is not None:
        return _plain(named, seen)
    if isinstance(value, pd.Series) and value.index.inferred_type == "string":
        # An object, as those of `pandas.DataFrame.iterrows` are: the next row may have its labels in another order.
        value = _labelled(value)
    value = as_numpy(value)
    if isinstance(value, np.ndarray):
        return _array(value, seen) if value.ndim else _of_no_dimension(value, seen)
    if isinstance(value, Mapping):
        named = {name_of(key): _plain(item, seen) for key, item in value.items()}
        if len(named) < len(value):
            raise ValueError(f"an object has keys that are the same as text: {', '.join(map(repr, value))}")
        # Parquet has no objects without keys, so such an object is NULL, whatever keys others have.
        return named if named or seen.for_text else None
    if isinstance(value, tuple) and hasattr(value, "_fields") and not isinstance(value, pa.MonthDayNano):
        return {name: _plain(item, seen) for name, item in zip(value._fields, value, strict=True)}
    if isinstance(value, _LISTS) and not isinstance(value, pa.MonthDayNano):
        return [_plain(item, seen) for item in value]
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return [_plain(item, seen) for item in exact_list(value)]
    if isinstance(value, (set, frozenset)):
        raise ValueError("a set keeps no order; return a list")
    seen.kinds.add(type(value))
    return value


def name_of(key: Any) -> str:
    """A key, or a column's label, as text; an enum's member is its value, as it is elsewhere."""
    return str(key.value if isinstance(key, enum.Enum) else key)


def _fields_of(value: Any) -> Any:
    """What an object of a class with stated fields holds, by name; None for anything else."""
    kind: Any = type(value)
    names: Any
    if dataclasses.is_dataclass(kind):
        names = [one.name for one in dataclasses.fields(kind)]
    elif callable(getattr(kind, "model_dump", None)):
        # Pydantic's, with what it says of itself.
        return value.model_dump()
    elif hasattr(kind, "__attrs_attrs__"):
        names = [one.name for one in kind.__attrs_attrs__]
    else:
        # Those of msgspec.
        names = getattr(kind, "__struct_fields__", None)
    return None if names is None else {name: getattr(value, name) for name in names}


def _labelled(values: pd.Series[Any]) -> dict[Any, Any]:
    """A Series by its labels.

    :raises ValueError: two values have the same.
    """
    if not values.index.is_unique:
        twice = values.index[values.index.duplicated()].unique()
        raise ValueError(f"a Series has several values of one label: {', '.join(map(str, twice))}")
    return dict(zip(values.index, values, strict=True))


def _array(value: np.ndarray[Any, Any], seen: Seen) -> list[Any]:
    if value.dtype.kind in "biuSU" or (value.dtype.kind == "f" and value.dtype.itemsize <= 8):
        seen.kinds.add(_OF_DTYPE[value.dtype.kind])
        seen.nan = seen.nan or (value.dtype.kind == "f" and bool(np.isnan(value).any()))
        return value.tolist()  # type: ignore[no-any-return]
    return [_plain(item, seen) for item in value]


def _of_no_dimension(value: np.ndarray[Any, Any], seen: Seen) -> Any:
    """An array that is a single value: a tensor without dimensions, or a row of a masked array."""
    if isinstance(value, np.ma.MaskedArray):
        if value.dtype.names:
            return {name: _plain(value[name], seen) for name in value.dtype.names}
        if np.ma.getmaskarray(value)[()]:
            return None
    return _plain(np.asarray(value)[()], seen)


def _numpy_scalar(value: np.generic, seen: Seen) -> Any:
    if isinstance(value, np.void) and value.dtype.names:
        return {name: _plain(value[name], seen) for name in value.dtype.names}
    if isinstance(value, np.longdouble):
        return _plain(float(known_type(np.asarray(value).reshape(1))[0]), seen)
    if not isinstance(value, (np.datetime64, np.timedelta64)):
        return _plain(value.item(), seen)
    if np.isnat(value):
        return None
    known: Any = known_type(np.asarray(value).reshape(1))[0]
    item = known.item()
    if not isinstance(item, int):
        return _time(item, seen)
    # Python's times cannot hold it. Those of pandas can, in units from seconds to nanoseconds.
    wide: Any = pd.Timestamp(known) if isinstance(known, np.datetime64) else pd.Timedelta(known)
    return _time(wide, seen)


def _time(value: Any, seen: Seen) -> Any:
    seen.kinds.add(next(kind for kind in _TIMES if isinstance(value, kind)))
    if isinstance(value, datetime.datetime):
        seen.zoned, seen.naive = seen.zoned or value.tzinfo is not None, seen.naive or value.tzinfo is None
        if isinstance(value, pd.Timestamp):
            seen.nanoseconds = seen.nanoseconds or value.nanosecond != 0
            return value if value.nanosecond else value.to_pydatetime()
    elif isinstance(value, datetime.date):
        seen.dates = True
    elif isinstance(value, datetime.time):
        if value.tzinfo is not None:
            raise ValueError(f"files have no type for a time of day with a zone: {value}")
    elif isinstance(value, pd.Timedelta):
        seen.nanoseconds = seen.nanoseconds or value.nanoseconds != 0
        return value if value.nanoseconds else value.to_pytimedelta()
    return value


def _nanoseconds(values: Sequence[Any]) -> pa.Array:
    """Moments or durations with nanoseconds, which Arrow would cut off. NaN says that there is none."""
    values = [None if _is_nan(value) else value for value in values]
    known = [value for value in values if value is not None]
    if all(isinstance(value, datetime.timedelta) for value in known):
        return pa.array(np.array([_unit(pd.Timedelta(value)) for value in values], "m8[ns]"))
    if not all(isinstance(value, datetime.date) for value in known):
        raise ValueError("there are nanoseconds inside objects or lists; return them in a column of their own")
    zone = next((value.tzinfo for value in known if isinstance(value, datetime.datetime)), None)
    moments = [pd.Timestamp(value) for value in values]
    in_utc = [moment if moment.tzinfo is None else moment.tz_convert(None) for moment in moments]
    return pa.array(
        np.array([_unit(moment) for moment in in_utc], "M8[ns]"),
        pa.timestamp("ns", None if zone is None else "UTC"),
    )


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and bool(value != value)


def _unit(value: Any) -> Any:
    return value.to_numpy() if value is pd.NaT else value.as_unit("ns").to_numpy()


def _dates_as_times(value: Any) -> Any:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day)
    if isinstance(value, dict):
        return {name: _dates_as_times(item) for name, item in value.items()}
    return [_dates_as_times(item) for item in value] if isinstance(value, list) else value
