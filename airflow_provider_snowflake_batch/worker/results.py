"""What a model returned becomes Arrow columns: one array for each output, one value for each row.

Accepted: a pandas DataFrame or Series, a numpy array, anything with ``numpy()`` (a tensor), an Arrow table, a dict of
columns, a list of dicts (one a row), a tuple or list of arrays (one an output), a list of values (one a row).
Outputs without a name are called as ``snowflake-ml-python`` calls them: ``output_feature_0`` and so on, one for each
index of the second dimension.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature


def to_table(returned: Any, rows: int | None, signature: Signature | None) -> pa.Table:
    """The outputs as a table of as many rows as were given.

    :param rows: how many that is; None where the model may return any number.
    :raises DataError: the row count differs, the form is unknown, or values do not fit the signature.
    """
    columns = _columns(returned, rows)
    if not columns:
        raise DataError("the model returned no column")
    for name, values in columns.items():
        if rows is not None and len(values) != rows:
            raise DataError(f"the model returned {len(values)} rows for {rows} rows given (output {name!r})")
        if rows is None and len(values) != len(next(iter(columns.values()))):
            raise DataError(f"the model returned columns of different lengths (output {name!r})")
    features = _by_name(list(columns), signature)
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        feature = features.get(name)
        arrays[feature.name if feature else name] = _array(values, feature, name)
    return pa.table(arrays)


def _by_name(names: Sequence[str], signature: Signature | None) -> dict[str, Feature]:
    if signature is None:
        return {}
    outputs = signature.outputs
    exact = {one.name: one for one in outputs}
    found: dict[str, Feature] = {name: exact[name] for name in names if name in exact}
    for one in outputs:
        if one.name not in found:
            same = [name for name in names if name.upper() == one.name.upper() and name not in found]
            if same:
                found[same[0]] = one
    missing = [one.name for one in outputs if one not in found.values()]
    if missing:
        unnamed = [name for name in names if name not in found]
        if len(missing) == len(outputs) == len(names) and all(name.startswith("output_feature_") for name in unnamed):
            return dict(zip(names, outputs, strict=True))
        raise DataError(
            f"the model did not return the output {missing[0]!r} of its signature; it returned {', '.join(names)}"
        )
    return found


def _columns(returned: Any, rows: int | None) -> dict[str, Any]:
    if isinstance(returned, pd.DataFrame):
        if isinstance(returned.columns, pd.RangeIndex):
            return {f"output_feature_{index}": returned.iloc[:, index] for index in range(returned.shape[1])}
        names = [str(name) for name in returned.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"the model returned columns of the same name: {', '.join(twice)}")
        return {name: returned.iloc[:, index] for index, name in enumerate(names)}
    if isinstance(returned, pd.Series):
        return {"output_feature_0" if returned.name is None else str(returned.name): returned}
    if isinstance(returned, (pa.Table, pa.RecordBatch)):
        return dict(zip(returned.schema.names, returned.columns, strict=True))
    if isinstance(returned, (pa.Array, pa.ChunkedArray)):
        return {"output_feature_0": returned}
    returned = _as_numpy(returned)
    if isinstance(returned, np.ndarray):
        return _from_numpy(returned)
    if isinstance(returned, Mapping):
        return {str(name): _as_column(values) for name, values in returned.items()}
    if isinstance(returned, (list, tuple)):
        return _from_sequence(returned, rows)
    if isinstance(returned, Iterable) and not isinstance(returned, (str, bytes)):
        return _from_sequence(list(returned), rows)
    raise DataError(f"the model returned {type(returned).__name__}, which holds no rows")


def _as_numpy(value: Any) -> Any:
    """A tensor of any library as numpy; anything else as it is."""
    if isinstance(value, np.ndarray):
        return value
    for step in ("detach", "cpu"):
        if callable(getattr(value, step, None)):
            value = getattr(value, step)()
    if callable(getattr(value, "numpy", None)):
        return np.asarray(value.numpy())
    if hasattr(value, "toarray") and hasattr(value, "shape"):
        return np.asarray(value.toarray())
    return value


def _as_column(values: Any) -> Any:
    values = _as_numpy(values)
    if isinstance(values, (np.ndarray, pd.Series, pa.Array, pa.ChunkedArray, list)):
        if isinstance(values, np.ndarray) and values.ndim == 0:
            raise DataError("the model returned a single value where a column was expected")
        return values
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping)):
        return list(values)
    raise DataError(f"the model returned {type(values).__name__} where a column was expected")


def _from_numpy(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 0:
        raise DataError("the model returned a single value, which holds no rows")
    if array.ndim == 1:
        return {"output_feature_0": array}
    return {f"output_feature_{index}": array[:, index] for index in range(array.shape[1])}


def _from_sequence(values: Sequence[Any], rows: int | None) -> dict[str, Any]:
    if values and all(isinstance(item, Mapping) for item in values):
        names = dict.fromkeys(str(name) for item in values for name in item)
        return {name: [item.get(name) for item in values] for name in names}
    arrays = [_as_numpy(item) for item in values]
    if arrays and all(isinstance(item, np.ndarray) and item.ndim > 0 for item in arrays):
        # One array an output, as multi-output estimators return them; one array a row otherwise.
        per_output = isinstance(values, tuple) or len(arrays) != rows
        if per_output and len({len(item) for item in arrays}) == 1:
            if all(item.ndim == 1 for item in arrays):
                return {f"output_feature_{index}": item for index, item in enumerate(arrays)}
            return {f"output_feature_{index}": list(item) for index, item in enumerate(arrays)}
    return {"output_feature_0": list(values)}


def _array(values: Any, feature: Feature | None, name: str) -> pa.Array | pa.ChunkedArray:
    kind = feature.arrow_type() if feature else None
    try:
        if feature is not None and feature.dtype == "OBJECT":
            return pa.array([_json(item) for item in _items(values)], type=kind)
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            array: Any = values
        elif isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype != object:
            array = pa.array(values)
        elif isinstance(values, np.ndarray) and values.dtype != object:
            array = _nested(values)
        elif isinstance(values, pd.Series) and values.dtype != object:
            array = pa.array(values, from_pandas=True)
        else:
            plain = [_plain(item) for item in _items(values)]
            if kind is not None and pa.types.is_nested(kind):
                return pa.array(plain, type=kind)
            # Not with type=kind: together with from_pandas, Arrow would cut off fractions without a word.
            array = pa.array(plain, from_pandas=True)
        if pa.types.is_dictionary(array.type):
            array = pc.cast(array, array.type.value_type)
        if kind is None:
            return _storable(array)
        if array.type == kind:
            return array
        return _to_declared(array, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        wanted = f" as {kind}, the type its signature states" if kind is not None else ""
        raise DataError(f"the model's output {name!r} cannot be stored{wanted}: {error}") from None


def _storable(array: Any) -> Any:
    """The array with NULL for objects without keys, of which Parquet knows nothing."""
    kind = _without_empty_objects(array.type)
    if kind == array.type:
        return array
    return pa.array([_emptied(value, kind) for value in array.to_pylist()], type=kind)


def _without_empty_objects(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return pa.struct([(one.name, _without_empty_objects(one.type)) for one in fields]) if fields else pa.null()
    if pa.types.is_list(kind):
        return pa.list_(_without_empty_objects(kind.value_type))
    return kind


def _emptied(value: Any, kind: pa.DataType) -> Any:
    if value is None or pa.types.is_null(kind):
        return None
    if pa.types.is_list(kind):
        return [_emptied(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        fields = (kind.field(index) for index in range(kind.num_fields))
        return {one.name: _emptied(value[one.name], one.type) for one in fields}
    return value


def _to_declared(array: Any, kind: pa.DataType) -> Any:
    if pa.types.is_floating(kind):
        return pc.cast(array, kind, safe=False)
    if pa.types.is_string(kind) and pa.types.is_nested(array.type):
        return pa.array([_json(item) for item in array.to_pylist()], type=kind)
    return pc.cast(array, kind)


def _nested(values: np.ndarray[Any, Any]) -> pa.Array:
    """Rows of arrays as a column of lists, without a Python object for each value."""
    array: pa.Array = pa.array(np.ascontiguousarray(values).reshape(-1))
    for axis in range(values.ndim - 1, 0, -1):
        count, length = int(np.prod(values.shape[:axis])), values.shape[axis]
        array = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * length), array)
    return array


def _items(values: Any) -> Iterable[Any]:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values.to_pylist()  # type: ignore[no-any-return]
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return values.tolist()  # type: ignore[no-any-return]
    return values  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    """A value of Python's own types all the way down, so that Arrow can infer or check its type."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (str, bytes, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return None if isinstance(value, np.datetime64) and np.isnat(value) else value.item()
    value = _as_numpy(value)
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype != object else [_plain(item) for item in value.tolist()]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    if isinstance(value, pd.Series):
        return [_plain(item) for item in value.tolist()]
    return value


def _json(value: Any) -> str | None:
    plain = _plain(value)
    if plain is None or isinstance(plain, str):
        return plain
    return json.dumps(plain, default=str)
