"""The columns that Parquet files have in common, as INFER_SCHEMA reports them.

What Snowflake answers for a column whose type differs among the files is not documented. Here it is a type that holds
the values of all of them; where there is none, the function refuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.jobs.column_types import common_type
from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.stages.files import StageFile
from airflow_provider_snowflake_batch.local.stages.parquet_files import ParquetReading
from airflow_provider_snowflake_batch.local.stages.parquet_files import columns as parquet_columns


@dataclass(slots=True)
class InferredColumn:
    """A column of one or more files.

    :param kind: its type, or None while every file holds nothing but NULL in it.
    :param order: its place in the first file that has it.
    :param whole: the files in which it holds whole numbers or decimals.
    """

    kind: str | None
    nullable: bool
    order: int
    files: list[StageFile] = field(default_factory=list)
    whole: list[StageFile] = field(default_factory=list)


def infer_columns(
    files: Iterable[StageFile], reading: ParquetReading, *, ignore_case: bool
) -> dict[str, InferredColumn]:
    """Every column of the files, by name.

    :param reading: what the file format makes of them.
    :raises SnowflakeError: for what is no Parquet file, and a column without a type for all files.
    """
    columns: dict[str, InferredColumn] = {}
    for file in files:
        for number, of_file in enumerate(parquet_columns(file.local, reading)):
            name = of_file.name.upper() if ignore_case else of_file.name
            column = columns.setdefault(name, InferredColumn(None, False, number))
            column.nullable |= of_file.nullable
            _take(column, name, of_file.type, file)
    for name, column in columns.items():
        if column.kind == "REAL":
            for file in column.whole:
                check_exact(file, name, "INFER_SCHEMA", ignore_case=ignore_case)
    return columns


def _take(column: InferredColumn, name: str, kind: pa.DataType, file: StageFile) -> None:
    if not pa.types.is_null(kind):
        told = snowflake_type(kind)
        common = told if column.kind is None else common_type(column.kind, told)
        if common is None:
            raise not_supported(
                f"INFER_SCHEMA of files whose column {name} is {told} ({file.path}) and {column.kind} (files before it)"
            )
        column.kind = common
        if is_exact(kind):
            column.whole.append(file)
    column.files.append(file)


def is_exact(kind: pa.DataType) -> bool:
    """Whether a type's values have more digits than floating-point numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _changes(number: int | Decimal) -> bool:
    """Whether a number becomes another one as a floating-point number."""
    near = float(number)
    return int(near) != number if number == int(number) else Decimal(repr(near)) != number


def check_exact(file: StageFile, name: str, what: str, *, ignore_case: bool = False) -> None:
    """Hold that numbers that other files have as floating-point ones do not change when they are read as such.

    :param what: for the error: what is asked of the files.
    :raises SnowflakeError: "not supported" if one would.
    """
    with pq.ParquetFile(file.local) as parquet:
        spelled = [each for each in parquet.schema_arrow.names if (each.upper() if ignore_case else each) == name]
        for batch in parquet.iter_batches(columns=spelled):
            for values in batch.columns:
                if any(value is not None and _changes(value) for value in values.to_pylist()):
                    raise not_supported(
                        f"{what} of files whose column {name} holds numbers with more digits than floating-point ones "
                        f"({file.path}) and floating-point ones (other files)"
                    )


def snowflake_type(kind: pa.DataType) -> str:
    """The Snowflake type of a Parquet column; what has none of its own is VARIANT."""
    if pa.types.is_dictionary(kind):
        # How the writer kept the values says nothing of what they are.
        return snowflake_type(kind.value_type)
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_integer(kind):
        return "NUMBER(38, 0)"
    if pa.types.is_floating(kind):
        return "REAL"
    if pa.types.is_decimal(kind):
        return f"NUMBER({kind.precision}, {kind.scale})"
    if pa.types.is_date(kind):
        return "DATE"
    if pa.types.is_time(kind):
        return "TIME"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP_LTZ" if kind.tz else "TIMESTAMP_NTZ"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return "BINARY"
    if (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    ):
        return "TEXT"
    return "VARIANT"
