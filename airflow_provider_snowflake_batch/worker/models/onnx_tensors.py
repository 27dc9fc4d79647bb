"""Input columns as the tensors that an ONNX model takes, and the tensors that it returns as columns."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.errors import DataError, Refused
from airflow_provider_snowflake_batch.worker.models.columns import holds_text, match_column
from airflow_provider_snowflake_batch.worker.models.file_kind import named_outputs
from airflow_provider_snowflake_batch.worker.values import decimals

_TYPES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.str_,
}


@dataclass(frozen=True)
class TensorInput:
    """One input of a model.

    :param dtype: of its values.
    :param shape: of one row; None for any length.
    :param rows: how many rows it takes at once; None for any number.
    :param columns: the input columns that it is made of; empty for those that `of` finds.
    :param alone: it is the only one.
    """

    name: str
    dtype: Any
    shape: tuple[int | None, ...]
    rows: int | None
    columns: tuple[str, ...]
    alone: bool

    @classmethod
    def of_session(cls, node: Any, columns: Sequence[str], *, alone: bool) -> TensorInput:
        """:param node: as ``InferenceSession.get_inputs`` has it.

        :raises Refused: it is nothing that columns can be.
        """
        if node.type not in _TYPES:
            raise Refused(f"the ONNX model's input {node.name!r} is a {node.type}, which no column can be")
        if not node.shape:
            raise Refused(f"the ONNX model's input {node.name!r} has no dimension for rows")
        rows, *shape = [size if isinstance(size, int) and size > 0 else None for size in node.shape]
        return cls(node.name, _TYPES[node.type], tuple(shape), rows, tuple(columns), alone)

    def choose(self, columns: Sequence[str]) -> list[str]:
        """The input columns that it is made of.

        :raises Refused: they are not there, or are not as many as it takes.
        """
        what = f"column of the ONNX model's input {self.name!r}"
        found = [match_column(name, columns, what) for name in self.columns] if self.columns else self._own(columns)
        size = math.prod(one for one in self.shape if one is not None)
        if len(found) > 1 and (len(self.shape) != 1 or (self.shape[0] or len(found)) != len(found)):
            raise Refused(
                f"the ONNX model's input {self.name!r} takes {size} values a row, and gets the {len(found)} columns "
                f"{', '.join(found)}: name those that it is made of in model.columns or model.inputs"
            )
        return found

    def _own(self, columns: Sequence[str]) -> list[str]:
        try:
            return [match_column(self.name, columns, "ONNX model input")]
        except Refused:
            if self.alone:
                return list(columns)
            raise

    def tensor(self, table: pa.Table) -> np.ndarray:
        """Its value for some rows.

        :raises DataError: a value cannot be had in its type, or a list has another length.
        """
        names = self.choose(table.column_names)
        if len(names) > 1:
            return np.stack([self._values(table.column(name), name) for name in names], axis=1)
        (name,) = names
        column = table.column(name)
        if holds_text(column.type) and self.shape not in ((), (1,)) and self.dtype is not np.str_:
            column = _from_json(column, name)
        dimensions, values = _flat(column, name)
        array = self._values(values, name)
        if dimensions:
            array = array.reshape(table.num_rows, *dimensions)
        return self._shaped(array, name)

    def _shaped(self, array: np.ndarray, name: str) -> np.ndarray:
        given = array.shape[1:]
        fits = len(given) == len(self.shape) and all(
            one in (None, other) for one, other in zip(self.shape, given, strict=True)
        )
        if fits:
            return array
        if None not in self.shape and math.prod(given) == math.prod(self.shape):  # type: ignore[arg-type]
            return array.reshape(len(array), *self.shape)
        if self.shape == (None,) and not given:
            return array.reshape(-1, 1)
        wanted = " x ".join("any" if one is None else str(one) for one in self.shape) or "one value"
        raise DataError(
            f"input column {name!r} holds {' x '.join(map(str, given)) or 'one value'} a row, the ONNX model's input "
            f"{self.name!r} takes {wanted}"
        )

    def _values(self, column: pa.ChunkedArray, name: str) -> np.ndarray:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kind, dtype = column.type, self.dtype
        wanted = f"the ONNX model's input {self.name!r} takes {np.dtype(dtype).name}"
        if holds_text(kind) != (dtype is np.str_):
            raise DataError(f"input column {name!r} holds {kind}, {wanted}")
        floating = np.issubdtype(dtype, np.floating)
        if column.null_count and not floating:
            raise DataError(f"input column {name!r} holds NULL, {wanted}, which has none")
        try:
            if dtype is np.str_:
                return np.asarray(column.to_numpy(), dtype=object)
            if floating:
                return _floats(column, name, dtype, wanted)
            if pa.types.is_decimal(kind) and kind.scale <= 0:
                column = pa.chunked_array([decimals.whole_numbers(one) for one in column.chunks], pa.int64())
            if dtype is np.bool_ and not pa.types.is_boolean(kind):
                numbers = column.cast(pa.uint8())
                if pc.max(numbers).as_py() not in (None, 0, 1):
                    raise DataError(f"input column {name!r} holds other numbers than 0 and 1, {wanted}")
                column = numbers
            elif dtype is not np.bool_:
                column = column.cast(pa.from_numpy_dtype(dtype))
            return np.asarray(column.to_numpy(), dtype=dtype)
        except pa.ArrowException as error:
            raise DataError(f"input column {name!r} ({kind}), {wanted}: {error}") from None


def _floats(column: pa.ChunkedArray, name: str, dtype: Any, wanted: str) -> np.ndarray:
    """The nearest such numbers, NaN for NULL."""
    if pa.types.is_decimal(column.type):
        column = pa.chunked_array([decimals.floats(one, exactly=False) for one in column.chunks], pa.float64())
    kind = column.type
    if not pa.types.is_floating(kind):
        column = column.cast(pa.float64(), safe=False)
    exact = column.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(exact.astype(dtype))
    if values.dtype.itemsize < exact.dtype.itemsize:
        if (np.isinf(values) & np.isfinite(exact)).any():
            raise DataError(f"input column {name!r} holds a number that is too large: {wanted}")
        if not np.array_equal(values.astype(exact.dtype), exact, equal_nan=True):
            warnings.warn(
                f"input column {name!r} ({kind}) is rounded to the nearest numbers: {wanted}",
                stacklevel=2,
            )
    return values


def _from_json(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Snowflake unloads ARRAY and VECTOR as JSON text."""
    try:
        values = [None if text is None else json.loads(text) for text in column.to_pylist()]
        if not all(isinstance(one, list) for one in values):
            raise ValueError("a value is no list")
        return pa.chunked_array([pa.array(values)])
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(f"input column {name!r} is no JSON of lists of one length: {error}") from None


def _flat(column: pa.ChunkedArray, name: str) -> tuple[list[int], pa.ChunkedArray]:
    """The dimensions of a column's lists, and all values in them.

    :raises DataError: they are not all equally long.
    """
    dimensions: list[int] = []
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    while pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_fixed_size_list(array.type):
        lengths = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) > 1 or None in lengths:
            raise DataError(f"input column {name!r} holds lists of different lengths: {lengths[:4]}")
        dimensions.append(lengths[0] if lengths else 0)
        array = array.flatten()
    return dimensions, pa.chunked_array([array])


def columns_of(name: str, value: Any, names: str | Sequence[str] | None) -> dict[str, Any]:
    """An output as columns.

    :param name: the output's own.
    :param names: of its column, or of the columns for its values; None for its own.
    :raises DataError: it has not as many values.
    """
    word = names if isinstance(names, str) else name
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        # A classifier returns a map from classes to probabilities for each row.
        labels = list(value[0])
        value = np.array([[row[label] for label in labels] for row in value])
        if names is None or isinstance(names, str):
            return named_outputs(word, value, labels)
    array = value if isinstance(value, np.ndarray) else np.asarray(value, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if names is None or isinstance(names, str):
        return {word: array}
    if array.ndim == 1 and len(names) == 1:
        return {names[0]: array}
    if array.ndim != 2 or array.shape[1] != len(names):
        count = array.shape[1] if array.ndim == 2 else " x ".join(map(str, array.shape[1:])) or 1
        raise DataError(
            f"the ONNX model's output {name!r} has {count} values a row, model.outputs has {len(names)} names"
        )
    return {one: array[:, index] for index, one in enumerate(names)}
