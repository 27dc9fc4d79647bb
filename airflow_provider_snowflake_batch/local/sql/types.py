"""DuckDB's types as Snowflake reports them.

Source of the wire names and lengths: the ``rowtype`` of Snowflake's query responses as the Python connector reads it
(``snowflake.connector.constants.FIELD_TYPES``), and
https://docs.snowflake.com/en/sql-reference/intro-summary-data-types.
"""

from __future__ import annotations

import re

from airflow_provider_snowflake_batch.local.statements import Column

TEXT_LENGTH = 16777216
BINARY_LENGTH = 8388608

_INTEGERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
    "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
}  # fmt: skip
_TIMESTAMPS = {"TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def result_column(name: str, duckdb_type: str) -> Column:
    """The result column for one of DuckDB's.

    :param duckdb_type: as DuckDB prints it, for example ``DECIMAL(10,2)``.
    """
    if duckdb_type in _INTEGERS:
        return Column(name, "FIXED", precision=38, scale=0)
    if match := _DECIMAL.fullmatch(duckdb_type):
        return Column(name, "FIXED", precision=int(match[1]), scale=int(match[2]))
    if duckdb_type in ("DOUBLE", "FLOAT"):
        return Column(name, "REAL")
    if duckdb_type == "BOOLEAN":
        return Column(name, "BOOLEAN")
    if duckdb_type == "DATE":
        return Column(name, "DATE")
    if duckdb_type in ("TIME", "TIME_NS"):
        return Column(name, "TIME", precision=0, scale=9)
    if duckdb_type in _TIMESTAMPS:
        return Column(name, "TIMESTAMP_NTZ", precision=0, scale=9)
    if duckdb_type in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"):
        return Column(name, "TIMESTAMP_LTZ", precision=0, scale=9)
    if duckdb_type == "BLOB":
        return Column(name, "BINARY", length=BINARY_LENGTH)
    if duckdb_type == "JSON":
        return Column(name, "VARIANT")
    if duckdb_type.endswith("]"):
        return Column(name, "ARRAY")
    if duckdb_type.startswith(("STRUCT", "MAP")):
        return Column(name, "OBJECT")
    return Column(name, "TEXT", length=TEXT_LENGTH)


def is_nested(duckdb_type: str) -> bool:
    """Whether Snowflake would hold the value as semi-structured, so that it leaves the engine as JSON text."""
    return duckdb_type.endswith("]") or duckdb_type.startswith(("STRUCT", "MAP"))


def declared(column: Column) -> str:
    """The type of a result column as DDL and DESCRIBE write it."""
    if column.type == "FIXED":
        return f"NUMBER({column.precision},{column.scale})"
    if column.type == "REAL":
        return "FLOAT"
    if column.type == "TEXT":
        return f"VARCHAR({column.length or TEXT_LENGTH})"
    if column.type == "BINARY":
        return f"BINARY({column.length or BINARY_LENGTH})"
    if column.type.startswith("TIME"):
        return f"{column.type}({9 if column.scale is None else column.scale})"
    return column.type
