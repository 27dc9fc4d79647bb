"""INFORMATION_SCHEMA.TABLES and COLUMNS, with row counts, creation times and declared types.

Sources: https://docs.snowflake.com/en/sql-reference/info-schema/tables and
https://docs.snowflake.com/en/sql-reference/info-schema/columns
"""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_snowflake_batch.local.functions import information_schema_view
from airflow_provider_snowflake_batch.local.sql.catalog import Relation, TableColumn
from airflow_provider_snowflake_batch.local.sql.show import moment, number
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement

_OWNER = "SYSADMIN"
_KINDS = {"TABLE": "BASE TABLE", "TEMPORARY": "LOCAL TEMPORARY", "VIEW": "VIEW"}


def _relations(statement: Statement, database: str) -> list[Relation]:
    found = statement.server.engine.relations(statement.session)
    return sorted((one for one in found if one.database == database), key=lambda one: (one.schema, one.name))


@information_schema_view("TABLES")
def tables(statement: Statement, database: str) -> Result:
    engine, session = statement.server.engine, statement.session
    rows = []
    for one in _relations(statement, database):
        is_view = one.kind == "VIEW"
        count = None if is_view else engine.row_count(session, (one.database, one.schema, one.name))
        rows.append(
            (
                one.database, one.schema, one.name, _OWNER, _KINDS[one.kind], "NO", None, count,
                None if is_view else 0, None if is_view else 1, "NO" if is_view else "YES", "YES", one.created,
                one.created, one.created, _OWNER, "NO", one.comment or None, _yes(one.kind == "TEMPORARY"), "NO", "NO",
                "NO",
            )
        )  # fmt: skip
    columns = [
        Column("TABLE_CATALOG"), Column("TABLE_SCHEMA"), Column("TABLE_NAME"), Column("TABLE_OWNER"),
        Column("TABLE_TYPE"), Column("IS_TRANSIENT"), Column("CLUSTERING_KEY"), number("ROW_COUNT"), number("BYTES"),
        number("RETENTION_TIME"), Column("IS_INSERTABLE_INTO"), Column("IS_TYPED"), moment("CREATED"),
        moment("LAST_ALTERED"), moment("LAST_DDL"), Column("LAST_DDL_BY"), Column("AUTO_CLUSTERING_ON"),
        Column("COMMENT"), Column("IS_TEMPORARY"), Column("IS_ICEBERG"), Column("IS_DYNAMIC"), Column("IS_HYBRID"),
    ]  # fmt: skip
    return Result(columns, rows)


@information_schema_view("COLUMNS")
def columns(statement: Statement, database: str) -> Result:
    engine, session = statement.server.engine, statement.session
    rows = [
        (
            one.database, one.schema, one.name, column.name, position, column.default, _yes(column.nullable),
            *_type(column), _yes(column.is_identity), column.comment,
        )
        for one in _relations(statement, database)
        for position, column in enumerate(engine.columns(session, (one.database, one.schema, one.name)), start=1)
    ]  # fmt: skip
    listed = [
        Column("TABLE_CATALOG"), Column("TABLE_SCHEMA"), Column("TABLE_NAME"), Column("COLUMN_NAME"),
        number("ORDINAL_POSITION"), Column("COLUMN_DEFAULT"), Column("IS_NULLABLE"), Column("DATA_TYPE"),
        number("CHARACTER_MAXIMUM_LENGTH"), number("CHARACTER_OCTET_LENGTH"), number("NUMERIC_PRECISION"),
        number("NUMERIC_PRECISION_RADIX"), number("NUMERIC_SCALE"), number("DATETIME_PRECISION"),
        Column("COLLATION_NAME"), Column("IS_IDENTITY"), Column("COMMENT"),
    ]  # fmt: skip
    return Result(listed, rows)


def _type(column: TableColumn) -> tuple[Any, ...]:
    """From DATA_TYPE to COLLATION_NAME."""
    match = re.fullmatch(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?", column.declared)
    assert match is not None, column.declared
    name, first, second = match.groups()
    size = int(first) if first else None
    if name == "VARCHAR":
        return ("TEXT", size, min((size or 0) * 4, 16777216), None, None, None, None, None)
    if name == "BINARY":
        return ("BINARY", size, size, None, None, None, None, None)
    if name == "NUMBER":
        return ("NUMBER", None, None, size, 10, int(second or 0), None, None)
    return (name, None, None, None, None, None, size if name.startswith("TIME") else None, None)


def _yes(value: bool) -> str:
    return "YES" if value else "NO"
