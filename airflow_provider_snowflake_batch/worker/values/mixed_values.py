"""Python's values of several types as one Arrow array: as if each came in a batch of its own.

Arrow takes the type of the first value for all. So 1 after a time becomes a moment of 1970, true after 0.5 becomes the
number 1, and in the other order both are errors. Here values are separated by their types, and converted to the type
that these have in common, as the batches of a job are (`common_types`).
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.values.common_types import common_of, converted

# The largest 64-bit whole number with a sign.
_MOST = 2**63 - 1
_LEAST = -(2**63)
# In this order, since in Python a bool is an int, and a datetime is a date.
_KINDS = (bool, int, float, str, bytes, datetime.datetime, datetime.date, datetime.timedelta)


def mixed(values: Sequence[Any]) -> pa.Array:
    """Values as an array of the type that they have in common. NaN beside what has no NaN is missing.

    :param values: Python's own, lists and dicts of such, and None.
    :raises pa.ArrowException, ValueError, TypeError, OverflowError: they have none that is exact.
    """
    of_kind: dict[Any, list[int]] = {}
    for place, value in enumerate(values):
        if value is not None:
            of_kind.setdefault(_kind(value), []).append(place)
    numbers = of_kind.get(float, [])
    as_numbers = of_kind.keys() <= {int, float} or of_kind.keys() <= {"large", float}
    if not as_numbers and all(values[place] != values[place] for place in numbers):
        of_kind.pop(float, None)
    arrays = {kind: _alike(kind, [values[place] for place in places]) for kind, places in of_kind.items()}
    if not arrays:
        return pa.nulls(len(values))
    common = common_of(array.type for array in arrays.values())
    parts = [converted(pa.chunked_array([array]), common) for array in arrays.values()]
    together = pa.concat_arrays([chunk for part in parts for chunk in part.chunks])
    order = np.full(len(values), -1)
    order[[place for places in of_kind.values() for place in places]] = np.arange(len(together))
    return together.take(pa.array(order, mask=order < 0))


def _kind(value: Any) -> Any:
    """One of Python's types, ``large`` for whole numbers that leave no room for a sign, ``huge`` beyond 64 bits."""
    if isinstance(value, Mapping):
        return dict
    if isinstance(value, (list, tuple)):
        return list
    if isinstance(value, int) and not isinstance(value, bool) and not _LEAST <= value <= _MOST:
        return "large" if 0 < value <= 2 * _MOST + 1 else "huge"
    return next((kind for kind in _KINDS if isinstance(value, kind)), type(value))


def _alike(kind: Any, values: Sequence[Any]) -> pa.Array:
    """An array of values of one kind, none of them None."""
    if kind is list:
        lengths = [len(value) for value in values]
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64()).cast(pa.int32())
        return pa.ListArray.from_arrays(offsets, mixed([item for value in values for item in value]))
    if kind is dict:
        names = list(dict.fromkeys(name for value in values for name in value))
        return pa.StructArray.from_arrays([mixed([value.get(name) for value in values]) for name in names], names)
    if kind == "huge":
        # Arrow finds a type of 38 digits or of 76, whichever holds them.
        return pa.array([decimal.Decimal(value) for value in values])
    return pa.array(values, pa.uint64() if kind == "large" else None)
