"""A handler's result as an Arrow table that the SQL engine can read."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from airflow_provider_snowflake_batch.local.statements import Column, Result


def table_of(result: Result) -> pa.Table:
    """The result's rows as Arrow; VARIANT, OBJECT and ARRAY as JSON text."""
    if result.table is not None:
        return result.table.rename_columns([column.name for column in result.columns])
    arrays = [
        pa.array([_value(row[index], column) for row in result.rows], type=arrow_type(column))
        for index, column in enumerate(result.columns)
    ]
    return pa.table(arrays, names=[column.name for column in result.columns])


def _value(value: Any, column: Column) -> Any:
    if value is not None and column.type == "TEXT" and not isinstance(value, str):
        return str(value)
    return value


def arrow_type(column: Column) -> pa.DataType:
    if column.type == "FIXED":
        return pa.decimal128(column.precision or 38, column.scale) if column.scale else pa.int64()
    if column.type == "REAL":
        return pa.float64()
    if column.type == "BOOLEAN":
        return pa.bool_()
    if column.type == "DATE":
        return pa.date32()
    if column.type == "TIME":
        return pa.time64("us")
    if column.type == "TIMESTAMP_NTZ":
        return pa.timestamp("us")
    if column.type.startswith("TIMESTAMP"):
        return pa.timestamp("us", tz="UTC")
    if column.type == "BINARY":
        return pa.binary()
    return pa.string()
