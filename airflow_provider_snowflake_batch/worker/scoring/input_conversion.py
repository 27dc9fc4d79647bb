"""Input columns become what the model is called with.

**Types** follow the signature, as the inference functions that ``snowflake-ml-python`` generates do, with two
differences that change no value: a numeric column without nulls, and any floating column (null is NaN), is a plain
numpy column rather than a pandas extension array. Integer and boolean columns with nulls, and strings, are pandas'
nullable types. Columns of one numeric type together are one contiguous block, rows together, and the DataFrame is a
view of it.

**Memory** is the argument's own (`own_memory`): a model may work in place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.base import ColumnChoice, DataForm
from airflow_provider_snowflake_batch.worker.models.columns import holds_text, match_columns
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.values import decimals
from airflow_provider_snowflake_batch.worker.values.common_types import check_order
from airflow_provider_snowflake_batch.worker.values.declared_types import GIVEN, declared
from airflow_provider_snowflake_batch.worker.values.nested import check_moments, exact_list, objects
from airflow_provider_snowflake_batch.worker.values.own_memory import own_array, own_table, own_values
from airflow_provider_snowflake_batch.worker.values.pandas_types import is_of_pandas
from airflow_provider_snowflake_batch.worker.values.python_values import from_objects
from airflow_provider_snowflake_batch.worker.values.texts import check_texts, has_texts, valid_categories

# From pandas 3 on each text is decoded when it is read, which is too late to tell its row.
_TEXT_KEEPS_ITS_BYTES = int(pd.__version__.partition(".")[0]) >= 3
_NO_TEXT = "a text is not valid UTF-8; store it as bytes"
_NULLABLE: dict[pa.DataType, Any] = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}

#: What files hold: for the columns that name them, the bytes for each row.
Files = Mapping[str, Sequence[bytes | None]]


class InputConverter:
    """Turns a batch of input columns into the argument of the model.

    :param columns: the input's columns.
    :param signature: what the model takes, or None for columns as they are.
    :param wanted: without a signature, the columns that the model takes, or what chooses them; None for all.
    :param passed: the columns that are written beside what the model returns, whether it takes them or not.
    :raises Refused: a column that the model takes is missing or ambiguous.
    """

    def __init__(
        self,
        columns: Sequence[str],
        signature: Signature | None,
        form: DataForm,
        wanted: Sequence[str] | ColumnChoice | None = None,
        passed: Sequence[str] = (),
    ) -> None:
        self._form = form
        self._passed = frozenset(passed)
        self._checked: tuple[pa.Schema, list[tuple[int, str]]] | None = None
        self._wanted: dict[str, str] | None = None
        if callable(wanted):
            self._wanted = dict(wanted(columns))
        elif wanted is not None:
            self._wanted = dict(zip(wanted, match_columns(wanted, columns, "model input"), strict=True))
        self._features: list[tuple[str, Feature]] | None = None
        self._block_type: pa.DataType | None = None
        if signature is not None:
            found = match_columns([one.name for one in signature.inputs], columns, "model input")
            pairs = list(zip(found, signature.inputs, strict=True))
            self._features = pairs
            kinds = {one.arrow_type() for _, one in pairs if one.scalar}
            if len(kinds) == 1 and all(one.scalar for _, one in pairs):
                (kind,) = kinds
                self._block_type = kind if pa.types.is_integer(kind) or pa.types.is_floating(kind) else None

    @property
    def columns(self) -> set[str] | None:
        """The input columns that the model gets; None for all."""
        if self._features is not None:
            return {column for column, _ in self._features}
        return None if self._wanted is None else set(self._wanted.values())

    def __call__(self, table: pa.Table, files: Files | None = None) -> Any:
        """The model's argument for these rows.

        :param files: what files hold, in place of the columns of that name.
        :raises DataError: a value cannot be had in the type that the signature states, or a text is not UTF-8.
        """
        files = files or {}
        table = self._with_texts(table, files)
        if self._form == "arrow":
            table = _with_files(table, files)
        if self._features is None:
            wanted = {name: name for name in table.column_names} if self._wanted is None else self._wanted
            if self._form == "arrow":
                return own_table(pa.table([table.column(column) for column in wanted.values()], names=list(wanted)))
            return _natural_frame(table, wanted, files)
        if self._form == "arrow":
            arrays = [_typed(table.column(column), one, column) for column, one in self._features]
            return own_table(pa.table(arrays, names=[one.name for _, one in self._features]))
        if self._block_type is not None and not any(column in files for column, _ in self._features):
            frame = self._block(table, self._block_type)
            if frame is not None:
                return frame
        return pd.DataFrame(
            {one.name: _feature(table, files, column, one) for column, one in self._features}, copy=False
        )

    def _with_texts(self, table: pa.Table, files: Files) -> pa.Table:
        """The table, once what it has for text is known to be such."""
        if self._checked is None or not self._checked[0].equals(table.schema):
            self._checked = table.schema, self._texts(table.schema)
        for place, use in self._checked[1]:
            field, column = table.schema.field(place), table.column(place)
            if field.name in files:
                continue
            try:
                check_texts(column)
                if pa.types.is_dictionary(field.type):
                    table = table.set_column(place, field, valid_categories(column))
            except ValueError:
                raise DataError(f"input column {field.name!r} ({field.type}) cannot be {use}: {_NO_TEXT}") from None
        return table

    def _texts(self, schema: pa.Schema) -> list[tuple[int, str]]:
        """Places of the columns whose texts are to be checked, and what for. What pandas decodes is not among them."""
        given = set(schema.names) if self.columns is None else self.columns
        found = []
        for place, field in enumerate(schema):
            decoded = self._form == "pandas" and self._features is None and not pa.types.is_dictionary(field.type)
            if has_texts(field.type) and field.name in (self._passed if decoded else {*given, *self._passed}):
                if field.name not in given:
                    found.append((place, "passed through"))
                elif not decoded:
                    found.append((place, "given to the model"))
        return found

    def _block(self, table: pa.Table, kind: pa.DataType) -> pd.DataFrame | None:
        assert self._features is not None
        arrays = [_typed(table.column(column), one, column) for column, one in self._features]
        if not pa.types.is_floating(kind) and any(array.null_count for array in arrays):
            return None
        return block_frame(arrays, [one.name for _, one in self._features], kind.to_pandas_dtype())


def block_frame(arrays: Sequence[pa.ChunkedArray], names: Sequence[str], dtype: Any) -> pd.DataFrame:
    """A DataFrame that is a view of one block in which the values of a row lie together."""
    rows = len(arrays[0]) if arrays else 0
    if arrays and all(array.num_chunks == 1 for array in arrays):
        columns = pa.RecordBatch.from_arrays([array.chunk(0) for array in arrays], names=[""] * len(arrays))
        # In one pass and without the interpreter's lock. Column by column, every column would touch all cache lines of
        # the block.
        tensor = columns.to_tensor(null_to_nan=pa.types.is_floating(arrays[0].type), row_major=True)
        return pd.DataFrame(tensor.to_numpy(), columns=list(names), copy=False)
    block = own_array((rows, len(arrays)), dtype)
    start = 0
    # Piece by piece for the same reason.
    for piece in pa.table(list(arrays), names=[""] * len(arrays)).to_batches():
        block[start : start + len(piece)] = piece.to_tensor(
            null_to_nan=pa.types.is_floating(arrays[0].type), row_major=True
        ).to_numpy()
        start += len(piece)
    return pd.DataFrame(block, columns=list(names), copy=False)


def _with_files(table: pa.Table, files: Files) -> pa.Table:
    """The table with what files hold as Arrow columns."""
    for column, contents in files.items():
        array = pa.array(contents, pa.large_binary())
        table = table.set_column(table.column_names.index(column), column, array)
    return table


def _bytes_array(contents: Sequence[bytes | None]) -> Any:
    """The bytes objects that were read, since an Arrow column would copy them in and out again."""
    array = np.empty(len(contents), dtype=object)
    array[:] = contents
    return array


def _feature(table: pa.Table, files: Files, column: str, feature: Feature) -> Any:
    contents = files.get(column)
    if contents is None:
        return _series(table.column(column), feature, column)
    if feature.scalar and feature.dtype == "BYTES":
        return _bytes_array(contents)
    return _series(pa.chunked_array([pa.array(contents, pa.large_binary())]), feature, column)


def _natural_frame(table: pa.Table, wanted: Mapping[str, str], files: Files) -> pd.DataFrame:
    """Columns as they are. :param wanted: names in the frame to columns of the table."""
    read = {name: files[column] for name, column in wanted.items() if column in files}
    # Looked up once: finding thousands of columns by their names takes longer than converting them.
    columns = dict(zip(table.column_names, table.columns, strict=True))
    plain = {name: columns[column] for name, column in wanted.items() if name not in read}
    frame = _plain_frame(plain)
    if not read:
        return frame
    return _put_together(list(wanted), frame, {name: _bytes_array(contents) for name, contents in read.items()})


def _put_together(names: Sequence[str], frame: pd.DataFrame, others: Mapping[str, Any]) -> pd.DataFrame:
    """Columns of a frame and others, in the order of the names."""
    return pd.DataFrame({name: others[name] if name in others else frame[name] for name in names}, copy=False)


def _plain_frame(columns: Mapping[str, pa.ChunkedArray]) -> pd.DataFrame:
    kinds = {column.type for column in columns.values()}
    if len(kinds) == 1 and len(columns) > 1:
        (kind,) = kinds
        floating = pa.types.is_floating(kind)
        if floating or (pa.types.is_integer(kind) and not any(column.null_count for column in columns.values())):
            return block_frame(list(columns.values()), list(columns), kind.to_pandas_dtype())
    try:
        return _mixed_frame(columns)
    except (pa.ArrowException, ValueError, OverflowError, KeyError) as error:
        for name, column in columns.items():
            try:
                _mixed_frame({name: column})
            except (pa.ArrowException, ValueError, OverflowError, KeyError) as reason:
                raise _not_given(name, column, reason) from None
        raise DataError(f"the input columns cannot be given to the model: {error}") from None


def _not_given(name: str, column: pa.ChunkedArray, reason: Exception) -> DataError:
    why = str(reason)
    zone = getattr(column.type, "tz", None)
    if zone is not None and "zoneinfo" in why:
        # Without pytz, Arrow takes a zone that it does not find for a library that it does not find.
        why = f"there is no time zone {zone!r}"
    elif isinstance(reason, KeyError):
        why = f"there is no time zone {reason}"
    elif isinstance(reason, UnicodeDecodeError) or "Wrapping" in why or "UTF8" in why:
        # The latter two are what Arrow says of it.
        why = _NO_TEXT
    return DataError(f"input column {name!r} ({column.type}) cannot be given to the model: {why}")


def _mixed_frame(columns: Mapping[str, pa.ChunkedArray]) -> pd.DataFrame:
    numbers = {name: _without_decimals(_stored(column)) for name, column in columns.items()}
    others: dict[str, Any] = {}
    for name, column in numbers.items():
        if pa.types.is_timestamp(column.type) or pa.types.is_duration(column.type):
            check_moments(column)
        elif _TEXT_KEEPS_ITS_BYTES and holds_text(column.type):
            column.validate(full=True)
        if is_of_pandas(column.type):
            others[name] = column.to_pandas().copy()
        elif pa.types.is_nested(column.type) or isinstance(column.type, pa.BaseExtensionType):
            others[name] = _whole_objects(column)
        elif column.null_count and column.type in _NULLABLE:
            # Each column by itself, so that its type does not depend on the columns beside it.
            others[name] = column.to_pandas(types_mapper=_NULLABLE.get)
        elif _has_moments_of_a_zone(column.type):
            others[name] = column.to_pandas().copy()
        elif _is_view(column):
            others[name] = own_values(column)
    plain = [name for name in numbers if name not in others]
    table = pa.table([numbers[name] for name in plain], names=plain)
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, date_as_object=False)
    return _put_together(list(columns), frame, others) if others else frame


def _has_moments_of_a_zone(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _is_view(column: pa.ChunkedArray) -> bool:
    """Whether pandas would have the memory of the column itself."""
    types, kind = pa.types, column.type
    numbers = types.is_integer(kind) or types.is_floating(kind)
    return not column.null_count and (numbers or types.is_timestamp(kind) or types.is_duration(kind))


def _storage(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if not isinstance(kind, pa.BaseExtensionType):
        return column
    check_order(kind)
    return _storage(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))


def _stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """What a column of an extension type stores; a UUID stays one, and so do pandas' own types."""
    return column if isinstance(column.type, pa.UuidType) or is_of_pandas(column.type) else _storage(column)


def _whole_objects(column: pa.ChunkedArray) -> np.ndarray:
    arrays = [objects(chunk) for chunk in column.chunks]
    return arrays[0] if len(arrays) == 1 else np.concatenate([np.empty(0, dtype=object), *arrays])


def _without_decimals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Snowflake unloads NUMBER as decimal; models compute with whole and floating-point numbers.

    Which of them follows from the column's type, and a value that the number does not hold exactly is an error.
    """
    kind = column.type
    if not pa.types.is_decimal(kind):
        return column
    if kind.scale <= 0:
        return pa.chunked_array([decimals.whole_numbers(chunk) for chunk in column.chunks], pa.int64())
    return pa.chunked_array([decimals.floats(chunk, exactly=True) for chunk in column.chunks], pa.float64())


def _typed(column: pa.ChunkedArray, feature: Feature, name: str) -> pa.ChunkedArray:
    """The column in the Arrow type of the signature."""
    kind = feature.arrow_type()
    if column.type == kind:
        return column
    try:
        if not feature.scalar and holds_text(column.type):
            column = _parsed(column, name, kind)
        found = declared(column, kind, GIVEN)
        if pa.types.is_timestamp(kind):
            check_moments(found)
        return found
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"input column {name!r} ({column.type}) cannot be read as {feature.dtype}: {error}") from None


def _parsed(column: pa.ChunkedArray, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """Snowflake unloads ARRAY, OBJECT and VARIANT as JSON text."""
    try:
        values = [None if text is None else json.loads(text) for text in column.to_pylist()]
        # Without the type, since with it Arrow would cut off fractions without a word.
        found = from_objects(values)
        return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        raise DataError(f"input column {name!r} is not JSON of the signature's type {kind}: {error}") from None


def _series(column: pa.ChunkedArray, feature: Feature, name: str) -> Any:
    if feature.dtype == "OBJECT" or not feature.scalar:
        return _objects(column, feature, name)
    array = _typed(column, feature, name)
    kind = array.type
    if pa.types.is_string(kind):
        try:
            texts = array.to_numpy()
        except pa.ArrowException as error:
            raise _not_given(name, column, error) from None
        return pd.Series(texts, dtype=pd.StringDtype() if feature.nullable else object)
    if pa.types.is_binary(kind):
        return pd.Series(array.to_numpy(), dtype=object)
    if kind in _NULLABLE and array.null_count:
        return array.to_pandas(types_mapper=_NULLABLE.get)
    return pd.Series(own_values(array) if _is_view(array) else array.to_numpy(), copy=False)


def _python(column: pa.ChunkedArray, name: str) -> list[Any]:
    try:
        return exact_list(column)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise _not_given(name, column, error) from None


def _objects(column: pa.ChunkedArray, feature: Feature, name: str) -> Any:
    """Lists and objects as Python's own, as Snowflake hands ARRAY and OBJECT to a Python function."""
    try:
        column = _storage(column)
    except ValueError as error:
        raise _not_given(name, column, error) from None
    text = holds_text(column.type)
    values: list[Any]
    if feature.dtype == "OBJECT" and text:
        try:
            values = [None if item is None else json.loads(item) for item in column.to_pylist()]
        except UnicodeDecodeError as error:
            raise _not_given(name, column, error) from None
        except ValueError as error:
            raise DataError(f"input column {name!r} is not JSON: {error}") from None
    elif feature.dtype == "OBJECT":
        values = _python(column, name)
    else:
        values = _python(_typed(column, feature, name), name)
    series = np.empty(len(values), dtype=object)
    series[:] = values
    return pd.Series(series, dtype=object)
