"""One schema for all part files, whichever process wrote them.

A model without a signature may return integers for one batch and nulls or floats for the next, and input files may hold
a column in different types. Types that go together have a common wider type (`common_types`).

**Names.** An output column takes the place of an input column of the same name, without regard to case, as
``ModelVersion.run`` of ``snowflake-ml-python`` does with a DataFrame. The manifest warns of each such column. Batches
that spell an output differently in upper and lower case do not go together: each spelling would be a column with gaps,
and loading into a table would take them for one.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from functools import partial

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.manifest import Column
from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.values import only_nan
from airflow_provider_snowflake_batch.worker.values.common_types import NoCommonType, common_schema, converted, misfit
from airflow_provider_snowflake_batch.worker.values.pandas_types import is_of_pandas
from airflow_provider_snowflake_batch.worker.values.texts import valid_categories

# The name of an output without a name, or of the first of several.
UNNAMED = "output_feature_0"


class OtherCase(NoCommonType):
    """A column is spelled in another case in some batches."""


def join(first: pa.Schema, second: pa.Schema, where: str = "") -> pa.Schema:
    """The narrowest schema that holds the rows of both.

    :param where: which rows the second one is of, in words.
    :raises DataError: a column has types that do not go together.
    """
    among = f" ({where})" if where else ""
    try:
        return joined(first, second)
    except OtherCase as error:
        raise DataError(f"{error}{among}") from None
    except NoCommonType as error:
        raise DataError(f"the model returned different types for different batches: {error}{among}") from None


def joined(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """As `join`.

    :raises NoCommonType: a column has types that do not go together; the message names it.
    """
    if first.equals(second, check_metadata=True):
        return first
    first, second = _without_nothing(first, second), _without_nothing(second, first)
    _check_case(first, second)
    try:
        joint = common_schema(_without_nan(first), _without_nan(second))
    except NoCommonType:
        # Raises an error that names the types as they are, without the effect of marks.
        common_schema(first, second)
        raise
    fields = []
    for field in joint:
        try:
            fields.append(only_nan.joined(field, _field(first, field.name), _field(second, field.name)))
        except NoCommonType as error:
            raise NoCommonType(f"column {field.name!r}: {error}") from None
    return pa.schema(fields)


def _check_case(first: pa.Schema, second: pa.Schema) -> None:
    """:raises OtherCase: a column of one is in the other only in another spelling."""
    spelled = {name.upper(): name for name in second.names if name not in first.names}
    for name in first.names if spelled else ():
        if name not in second.names and name.upper() in spelled:
            raise OtherCase(
                f"some batches have a column {name!r} and others {spelled[name.upper()]!r}: name it alike in all; "
                "where one of them is an input column, which is written as it came, give the output another name"
            )


def _field(schema: pa.Schema, name: str) -> pa.Field | None:
    place = schema.get_field_index(name)
    return None if place < 0 else schema.field(place)


def marked(table: pa.Table) -> pa.Table:
    """What a model returned, with marks where it holds nothing but NaN and NULL (`only_nan`)."""
    fields = list(table.schema)
    found = [only_nan.marked(field, column.chunks) for field, column in zip(fields, table.columns, strict=True)]
    if all(map(operator.is_, found, fields)):
        # The usual case, which needs no new table.
        return table.replace_schema_metadata(None)
    return pa.table(table.columns, schema=pa.schema(found))


def unmarked(schema: pa.Schema) -> pa.Schema:
    """The schema as files have it."""
    return pa.schema([only_nan.unmarked(field) for field in schema])


def _without_nan(schema: pa.Schema) -> pa.Schema:
    return pa.schema([only_nan.without_nan(field) for field in schema])


def _without_nothing(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """The schema less the column of a batch with nothing for any row, if another batch has outputs of other names.

    A list of objects, each a row, is nothing but None for such a batch, so that their names could not be told.

    :raises NoCommonType: the other has outputs of other names, and there are values without one.
    """
    place = one.get_field_index(UNNAMED)
    if place < 0 or UNNAMED in other.names or not set(other.names) - set(one.names):
        return one
    if not pa.types.is_null(only_nan.without_nan(one.field(place)).type):
        named = ", ".join(name for name in other.names if name not in one.names)
        raise NoCommonType(f"values without a name for some rows, and {named} for others")
    return one.remove(place)


class Misfit(DataError):
    """A value cannot be had in the type that its column has for all rows.

    :param row: which row of the table it is, from 0.
    """

    def __init__(self, column: str, row: int, kind: pa.DataType, reason: str) -> None:
        super().__init__(f"column {column!r} is {kind} for all rows, and a value cannot be had as that: {reason}")
        self.row = row


def fit(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows in a schema that holds theirs; a column they lack is null.

    :raises Misfit: a value cannot be had in the other type exactly.
    """
    if table.schema.equals(schema, check_metadata=True):
        return table
    columns = []
    for field in schema:
        index = table.schema.get_field_index(field.name)
        if index < 0:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(index)
        try:
            columns.append(converted(column, field.type))
        except (pa.ArrowException, ValueError) as error:
            row, reason = misfit(column, partial(converted, kind=field.type)) or (0, str(error))
            raise Misfit(field.name, row, field.type, reason) from None
    return pa.table(columns, schema=schema)


def no_rows(schema: pa.Schema) -> pa.Table:
    """A table without rows. ``Schema.empty_table`` does not know tensors as they are read from a file."""
    return pa.Table.from_batches([], schema)


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
    columns = [valid_categories(inputs.column(name)) for name in kept] + outputs.columns
    fields = [pa.field(name, inputs.schema.field(name).type) for name in kept]
    return pa.table(columns, schema=pa.schema([*fields, *outputs.schema]))


def columns(schema: pa.Schema) -> list[Column]:
    """The columns as the manifest names them."""
    return [Column(one.name, type_name(one.type), one.nullable) for one in schema]


def type_name(kind: pa.DataType) -> str:
    """A type as the manifest names it: alike for a schema in memory and one read from a file.

    Parquet calls the items of a list "element", Arrow "item"; the name means nothing. A reader that has not loaded
    pandas sees what its types store.
    """
    if is_of_pandas(kind):
        return type_name(kind.storage_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        fields = (kind.field(index) for index in range(kind.num_fields))
        return f"struct<{', '.join(f'{field.name}: {type_name(field.type)}' for field in fields)}>"
    if pa.types.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {type_name(kind.item_type)}>"
    return str(kind)
