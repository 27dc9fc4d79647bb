"""One schema for all part files, whichever process wrote them.

A model without a signature may return integers for one batch and nulls or floats for the next. Types that go together
have a common wider type; which one does not depend on the order in which batches are seen, so every task and every
replica arrives at the same schema.

**Names.** An output column takes the place of an input column of the same name, without regard to case, as
``ModelVersion.run`` of ``snowflake-ml-python`` does with a DataFrame. The manifest warns of each such column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError

# Digits of the largest 64-bit whole number, and of the largest NUMBER that Snowflake has.
INTEGER_DIGITS = 20
MOST_DIGITS = 38


def join(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """The narrowest schema that holds the rows of both.

    :raises DataError: a column has types that do not go together.
    """
    if first.equals(second):
        return first
    try:
        return pa.unify_schemas([_toward(first, second), _toward(second, first)], promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"the model returned different types for different batches: {error}") from None


def _toward(schema: pa.Schema, other: pa.Schema) -> pa.Schema:
    """The schema with types that Arrow would not bring together with the other's, or not without loss, widened."""
    for index, field in enumerate(schema):
        place = other.get_field_index(field.name)
        if place >= 0 and field.type != other.field(place).type:
            schema = schema.set(index, field.with_type(_meet(field.type, other.field(place).type)))
    return schema


def _meet(kind: pa.DataType, other: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind) and pa.types.is_decimal(other):
        return pa.decimal128(min(INTEGER_DIGITS + max(other.scale, 0), MOST_DIGITS), other.scale)
    if pa.types.is_date(kind) and pa.types.is_timestamp(other) and other.tz is None:
        return other
    return kind


def fit(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows in a schema that holds theirs; a column they lack is null.

    :raises DataError: a value is lost by the change of type.
    """
    if table.schema.equals(schema):
        return table
    try:
        columns = []
        for field in schema:
            index = table.schema.get_field_index(field.name)
            if index < 0:
                columns.append(pa.nulls(table.num_rows, field.type))
            else:
                columns.append(_cast(table.column(index), field.type))
        return pa.table(columns, schema=schema)
    except pa.ArrowException as error:
        raise DataError(f"the model's outputs cannot be stored in one type for all batches: {error}") from None


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type != kind and pa.types.is_nested(column.type) and _holds_nulls_only(column.type):
        # Arrow 26 loses the length of lists of nothing but nulls inside objects.
        return pa.chunked_array([pa.array(column.to_pylist(), type=kind)])
    return column.cast(kind)


def _holds_nulls_only(kind: pa.DataType) -> bool:
    """Whether somewhere in a type there is one of nothing but nulls."""
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):
        return any(_holds_nulls_only(kind.field(index).type) for index in range(kind.num_fields))
    return bool(pa.types.is_null(kind))


def kept_inputs(inputs: Sequence[str], outputs: Iterable[str]) -> list[str]:
    """The input columns that are passed through: those that no output column replaces."""
    replaced = {name.upper() for name in outputs}
    return [name for name in inputs if name.upper() not in replaced]


def replaced_inputs(inputs: Sequence[str], outputs: Iterable[str]) -> list[str]:
    """The input columns that an output column takes the place of."""
    kept = set(kept_inputs(inputs, outputs))
    return [name for name in inputs if name not in kept]


def output_table(inputs: pa.Table, outputs: pa.Table) -> pa.Table:
    """The rows as they are written: the input columns, then the outputs."""
    kept = kept_inputs(inputs.column_names, outputs.column_names)
    columns = [inputs.column(name) for name in kept] + outputs.columns
    fields = [inputs.schema.field(name) for name in kept] + list(outputs.schema)
    return pa.table(columns, schema=pa.schema([pa.field(field.name, field.type) for field in fields]))


def type_name(kind: pa.DataType) -> str:
    """A type as the manifest names it: alike for a schema in memory and one read from a file.

    Parquet calls the items of a list "element", Arrow "item"; the name means nothing.
    """
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        fields = (kind.field(index) for index in range(kind.num_fields))
        return f"struct<{', '.join(f'{field.name}: {type_name(field.type)}' for field in fields)}>"
    if pa.types.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {type_name(kind.item_type)}>"
    return str(kind)
