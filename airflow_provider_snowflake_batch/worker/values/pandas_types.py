"""The types that pandas adds to Arrow: periods and intervals, which it writes into Parquet files.

What they store are numbers, whose meaning is in the type alone: a period's is the count of its months or days, an
interval's two ends without which of them belongs to it. Arrow knows such a type in a file once pandas has registered
it, which it does when it needs one. So whether a process knew them would depend on what else it has done.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

PERIODS = "pandas.period"
INTERVALS = "pandas.interval"
_NAME = b"ARROW:extension:name"
_NAMES = {PERIODS.encode(), INTERVALS.encode()}


def is_of_pandas(kind: pa.DataType) -> bool:
    """Whether a type is one of pandas' own."""
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name in (PERIODS, INTERVALS)


def described(kind: pa.DataType) -> str:
    """A type in words, with what makes it differ from others of its name."""
    if not isinstance(kind, pa.BaseExtensionType) or not is_of_pandas(kind):
        return str(kind)
    return f"{kind.extension_name} {kind.__arrow_ext_serialize__().decode()}"


def with_pandas_types(schema: pa.Schema) -> pa.Schema:
    """A schema as it was read, whose periods and intervals are such.

    pandas is loaded only if there are any: it is not needed to find out which files there are.
    """
    if not any(field.metadata and field.metadata.get(_NAME) in _NAMES for field in schema):
        return schema
    import pandas as pd

    pa.array(pd.PeriodIndex([], freq="D"))
    known: pa.Schema = pa.ipc.read_schema(pa.py_buffer(schema.serialize()))
    return known


def interval_columns(values: Any) -> pa.StructArray:
    """Intervals as objects of ``left``, ``right`` and ``closed``: which of the ends belong to it, in pandas' words.

    :param values: pandas' array of them.
    """
    ends = [pa.array(end) for end in (values.left, values.right)]
    closed = pa.array([values.closed] * len(values), pa.string())
    return pa.StructArray.from_arrays([*ends, closed], ["left", "right", "closed"], mask=pa.array(values.isna()))
