"""Arrays and tensors of any library as NumPy arrays of types that Arrow knows."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError

_TIME_UNITS = ("D", "s", "ms", "us", "ns")
_WIDEST_FLOAT = 8
# Format codes of the buffer protocol for bytes.
_BYTES = ("B", "b", "c")
#: Libraries whose types have code of their own, since each has its own NULL.
_OF_THEIR_OWN = ("numpy", "pandas", "pyarrow")


def as_numpy(value: Any) -> Any:
    """A tensor of any library as numpy; anything else as it is."""
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if isinstance(value, (str, bytes, int, float)) or value is None:
        return value
    if isinstance(value, array.array) or (isinstance(value, memoryview) and value.format not in _BYTES):
        # By NumPy, since Arrow would read a buffer of numbers as bytes.
        return np.asarray(value)
    for step in ("detach", "cpu"):
        if callable(getattr(value, step, None)):
            value = getattr(value, step)()
    if callable(getattr(value, "numpy", None)):
        try:
            return _plain_array(np.asarray(value.numpy()))
        except TypeError:
            # NumPy lacks the type, such as bfloat16.
            if not callable(getattr(value, "float", None)):
                raise
            return np.asarray(value.float().numpy())
    for dense in ("toarray", "todense"):
        if callable(getattr(value, dense, None)) and hasattr(value, "shape"):
            return np.asarray(getattr(value, dense)())
    if type(value).__module__.partition(".")[0] in ("jax", "jaxlib", "cupy"):
        return _plain_array(np.asarray(value.get() if hasattr(value, "get") else value))
    return _by_protocol(value)


def _by_protocol(value: Any) -> Any:
    """Arrays of libraries that are not known here, by what they offer to NumPy; anything else as it is."""
    kind = type(value)
    if kind.__module__.partition(".")[0] in _OF_THEIR_OWN or _speaks_arrow(kind):
        return value
    if hasattr(kind, "__array__") or hasattr(value, "__array_interface__"):
        try:
            return _plain_array(np.asarray(value))
        except (TypeError, ValueError):
            # Lists of different lengths, and numbers beside None, as awkward has them.
            if not callable(getattr(value, "to_list", None)):
                raise
            return value.to_list()
    return _plain_array(np.from_dlpack(value)) if hasattr(kind, "__dlpack__") else value


def as_arrow(value: Any) -> Any:
    """Frames and columns of other libraries that speak Arrow's C interface, as polars does, as Arrow's own.

    Frames that do not, as those of Dask and Modin, become frames of pandas: NumPy would make numbers of one type of all
    columns, and forget their names.

    :raises DataError: a column holds Python's objects, of which Arrow is given the addresses.
    """
    kind = type(value)
    if kind.__module__.partition(".")[0] in _OF_THEIR_OWN:
        return value
    if not _speaks_arrow(kind):
        return _as_pandas(value)
    _check_objects(value)
    if hasattr(kind, "__arrow_c_stream__"):
        try:
            return pa.table(value)
        except (pa.ArrowException, TypeError, ValueError):
            return pa.chunked_array(value)
    array = pa.array(value)
    return pa.RecordBatch.from_struct_array(array) if pa.types.is_struct(array.type) else array


def _as_pandas(value: Any) -> Any:
    """A frame of another library, or what is still to be computed, as pandas' own; anything else as it is."""
    if hasattr(type(value), "__dask_graph__") and callable(getattr(value, "compute", None)):
        return value.compute()
    if not (hasattr(value, "columns") and hasattr(value, "dtypes") and hasattr(type(value), "__array__")):
        return value
    if callable(getattr(value, "to_pandas", None)):
        return value.to_pandas()
    names = list(value.columns)
    if len(set(names)) < len(names):
        raise DataError(f"the model returned a frame with columns of the same name: {', '.join(map(str, names))}")
    index = np.asarray(value.index) if hasattr(value, "index") else None
    return pd.DataFrame({name: np.asarray(value[name]) for name in names}, index)


def _check_objects(value: Any) -> None:
    """Hold that no column is of Polars' type for Python's objects."""
    kinds = getattr(value, "dtypes", None)
    if "Object" in map(str, kinds if isinstance(kinds, list) else [getattr(value, "dtype", None)]):
        raise DataError("the model returned a column of Python's objects (Object); give it one of Polars' other types")


def _speaks_arrow(kind: type) -> bool:
    return hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__arrow_c_array__")


def _plain_array(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array that is indexed as any other, of a type of NumPy's own."""
    if isinstance(array, np.matrix):
        array = np.asarray(array)
    if array.dtype.type.__module__.partition(".")[0] != "ml_dtypes":
        return array
    # Types that JAX and TensorFlow add to NumPy become larger ones, which hold all of their values.
    name = array.dtype.name
    return array.astype(np.uint8 if name.startswith("uint") else np.int8 if name.startswith("int") else np.float32)


def known_type(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Times in a unit, and numbers of a width and an order of bytes, that Arrow has.

    :raises ValueError: a value is not the same in any.
    """
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind in "Mm":
        return _known_unit(values)
    if values.dtype.kind in "cV":
        raise ValueError(f"files have no type for {values.dtype}; return its parts as outputs of their own")
    if values.dtype.kind == "f" and values.dtype.itemsize > _WIDEST_FLOAT:
        narrow = values.astype(np.float64)
        if not np.array_equal(narrow.astype(values.dtype), values, equal_nan=True):
            raise ValueError(f"{values.dtype} holds digits that files have no type for; return it as float64")
        return narrow
    return values


def _known_unit(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    kind, unit = values.dtype.kind, np.datetime_data(values.dtype)
    if unit in ((one, 1) for one in _TIME_UNITS) and (kind, unit[0]) != ("m", "D"):
        return values
    if kind == "m" and unit[0] in ("Y", "M"):
        raise ValueError("months and years are no durations: they are not all equally long")
    if unit[0] == "generic" and not np.isnat(values).all():
        # NumPy would take them for seconds.
        raise ValueError(f"{values.dtype} has no unit, so nothing tells how long its values are; return it with one")
    known = values.astype(f"{kind}8[{'ns' if unit[0] in ('ps', 'fs', 'as') else 's' if unit[1] == 1 else 'us'}]")
    if not np.array_equal(known.astype(values.dtype).view(np.int64), values.view(np.int64)):
        raise ValueError(f"{values.dtype} holds times that files have no type for")
    return known
