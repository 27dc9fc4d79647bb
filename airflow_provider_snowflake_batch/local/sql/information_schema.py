"""INFORMATION_SCHEMA: TABLES and COLUMNS, with row counts and declared types, VIEWS, SCHEMATA and DATABASES.

Source: https://docs.snowflake.com/en/sql-reference/info-schema
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_snowflake_batch.local.functions import information_schema_view
from airflow_provider_snowflake_batch.local.sql.catalog import Relation, TableColumn
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.sql.tables import Tables
from airflow_provider_snowflake_batch.local.sql.types import TEXT_LENGTH
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of

_OWNER = "SYSADMIN"
_IDENTITY = re.compile(r"IDENTITY START (-?\d+) INCREMENT (-?\d+) \w+")
_KINDS = {"TABLE": "BASE TABLE", "TRANSIENT": "BASE TABLE", "TEMPORARY": "LOCAL TEMPORARY", "VIEW": "VIEW"}


def _relations(statement: Statement, tables: Tables, database: str) -> list[Relation]:
    found = tables.relations(statement.session)
    return sorted((one for one in found if one.database == database), key=lambda one: (one.schema, one.name))


# In Snowflake's order; those that are never anything but NULL here are listed all the same, since clients select them.
_TABLES = [
    "TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_OWNER", "TABLE_TYPE", "IS_TRANSIENT", "CLUSTERING_KEY",
    "ROW_COUNT", "BYTES", "RETENTION_TIME", "SELF_REFERENCING_COLUMN_NAME", "REFERENCE_GENERATION",
    "USER_DEFINED_TYPE_CATALOG", "USER_DEFINED_TYPE_SCHEMA", "USER_DEFINED_TYPE_NAME", "IS_INSERTABLE_INTO",
    "IS_TYPED", "COMMIT_ACTION", "CREATED", "LAST_ALTERED", "LAST_DDL", "LAST_DDL_BY", "AUTO_CLUSTERING_ON",
    "COMMENT", "IS_TEMPORARY", "IS_ICEBERG", "IS_DYNAMIC", "IS_IMMUTABLE", "IS_HYBRID",
]  # fmt: skip
_COLUMNS = [
    "TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME", "ORDINAL_POSITION", "COLUMN_DEFAULT", "IS_NULLABLE",
    "DATA_TYPE", "CHARACTER_MAXIMUM_LENGTH", "CHARACTER_OCTET_LENGTH", "NUMERIC_PRECISION", "NUMERIC_PRECISION_RADIX",
    "NUMERIC_SCALE", "DATETIME_PRECISION", "INTERVAL_TYPE", "INTERVAL_PRECISION", "CHARACTER_SET_CATALOG",
    "CHARACTER_SET_SCHEMA", "CHARACTER_SET_NAME", "COLLATION_CATALOG", "COLLATION_SCHEMA", "COLLATION_NAME",
    "DOMAIN_CATALOG", "DOMAIN_SCHEMA", "DOMAIN_NAME", "UDT_CATALOG", "UDT_SCHEMA", "UDT_NAME", "SCOPE_CATALOG",
    "SCOPE_SCHEMA", "SCOPE_NAME", "MAXIMUM_CARDINALITY", "DTD_IDENTIFIER", "IS_SELF_REFERENCING", "IS_IDENTITY",
    "IDENTITY_GENERATION", "IDENTITY_START", "IDENTITY_INCREMENT", "IDENTITY_MAXIMUM", "IDENTITY_MINIMUM",
    "IDENTITY_CYCLE", "IDENTITY_ORDERED", "SCHEMA_EVOLUTION_RECORD", "COMMENT", "DATA_TYPE_ALIAS",
]  # fmt: skip
_VIEWS = [
    "TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_OWNER", "VIEW_DEFINITION", "CHECK_OPTION", "IS_UPDATABLE",
    "INSERTABLE_INTO", "IS_SECURE", "CREATED", "LAST_ALTERED", "LAST_DDL", "LAST_DDL_BY", "COMMENT",
]  # fmt: skip
_SCHEMATA = [
    "CATALOG_NAME", "SCHEMA_NAME", "SCHEMA_OWNER", "IS_TRANSIENT", "IS_MANAGED_ACCESS", "RETENTION_TIME",
    "DEFAULT_CHARACTER_SET_CATALOG", "DEFAULT_CHARACTER_SET_SCHEMA", "DEFAULT_CHARACTER_SET_NAME", "SQL_PATH",
    "CREATED", "LAST_ALTERED", "COMMENT", "OWNER_ROLE_TYPE",
]  # fmt: skip
_DATABASES = [
    "DATABASE_NAME", "DATABASE_OWNER", "IS_TRANSIENT", "COMMENT", "CREATED", "LAST_ALTERED", "RETENTION_TIME", "TYPE",
    "OWNER_ROLE_TYPE",
]  # fmt: skip
_NUMBERS = {
    "ROW_COUNT", "BYTES", "RETENTION_TIME", "ORDINAL_POSITION", "CHARACTER_MAXIMUM_LENGTH", "CHARACTER_OCTET_LENGTH",
    "NUMERIC_PRECISION", "NUMERIC_PRECISION_RADIX", "NUMERIC_SCALE", "DATETIME_PRECISION",
}  # fmt: skip
_MOMENTS = {"CREATED", "LAST_ALTERED", "LAST_DDL"}


@information_schema_view("TABLES")
def tables(statement: Statement, database: str, tables: Tables) -> Result:
    return _result(_TABLES, [_table(statement, tables, one) for one in _relations(statement, tables, database)])


@information_schema_view("COLUMNS")
def columns(statement: Statement, database: str, tables: Tables) -> Result:
    rows = []
    for one in _relations(statement, tables, database):
        name = (one.database, one.schema, one.name)
        for position, column in enumerate(tables.columns(statement.session, name), start=1):
            rows.append(_place(one) | {"ORDINAL_POSITION": position} | _column(column))
    return _result(_COLUMNS, rows)


@information_schema_view("VIEWS")
def views(statement: Statement, database: str, tables: Tables) -> Result:
    rows = [
        _place(one)
        | dict.fromkeys(_MOMENTS, one.created)
        | dict.fromkeys(("IS_UPDATABLE", "INSERTABLE_INTO", "IS_SECURE"), "NO")
        | {"TABLE_OWNER": _OWNER, "LAST_DDL_BY": _OWNER, "VIEW_DEFINITION": one.text, "CHECK_OPTION": "NONE"}
        | {"COMMENT": one.comment or None}
        for one in _relations(statement, tables, database)
        if one.kind == "VIEW"
    ]
    return _result(_VIEWS, rows)


@information_schema_view("SCHEMATA")
def schemata(statement: Statement, database: str, engine: Engine) -> Result:
    rows = [
        {"CATALOG_NAME": database, "SCHEMA_NAME": schema}
        | dict.fromkeys(("IS_TRANSIENT", "IS_MANAGED_ACCESS"), "NO")
        | dict.fromkeys(_MOMENTS, engine.catalog.created("SCHEMA", database, schema))
        | {"SCHEMA_OWNER": None if schema == "INFORMATION_SCHEMA" else _OWNER, "RETENTION_TIME": 1}
        | {"OWNER_ROLE_TYPE": "ROLE"}
        for schema in (*engine.databases.schemas(database), "INFORMATION_SCHEMA")
    ]
    return _result(_SCHEMATA, rows)


@information_schema_view("DATABASES")
def databases(statement: Statement, database: str, engine: Engine) -> Result:
    rows = [
        {"DATABASE_NAME": name, "DATABASE_OWNER": _OWNER, "IS_TRANSIENT": "NO", "RETENTION_TIME": 1}
        | {"TYPE": "STANDARD", "OWNER_ROLE_TYPE": "ROLE"}
        | dict.fromkeys(_MOMENTS, engine.catalog.created("DATABASE", name))
        for name in engine.databases.names()
    ]
    return _result(_DATABASES, rows)


def _result(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Result:
    kinds = dict.fromkeys(_NUMBERS, ":NUMBER") | dict.fromkeys(_MOMENTS, ":TIMESTAMP_LTZ(3)")
    listed = columns_of(",".join(f"{name}{kinds.get(name, '')}" for name in names))
    return Result(listed, [[row.get(name) for name in names] for row in rows])


def _place(one: Relation) -> dict[str, Any]:
    return {"TABLE_CATALOG": one.database, "TABLE_SCHEMA": one.schema, "TABLE_NAME": one.name}


def _table(statement: Statement, tables: Tables, one: Relation) -> dict[str, Any]:
    no = ("IS_TRANSIENT", "AUTO_CLUSTERING_ON", "IS_ICEBERG", "IS_DYNAMIC", "IS_IMMUTABLE", "IS_HYBRID")
    found = _place(one) | dict.fromkeys(no, "NO") | dict.fromkeys(_MOMENTS, one.created)
    found |= {"TABLE_OWNER": _OWNER, "LAST_DDL_BY": _OWNER, "TABLE_TYPE": _KINDS[one.kind], "IS_TYPED": "YES"}
    found |= {"IS_TRANSIENT": _yes(one.kind == "TRANSIENT")}
    found |= {"COMMENT": one.comment or None, "IS_TEMPORARY": _yes(one.kind == "TEMPORARY")}
    if one.kind == "VIEW":
        return found | {"IS_INSERTABLE_INTO": "NO"}
    count = tables.row_count(statement.session, (one.database, one.schema, one.name))
    return found | {"IS_INSERTABLE_INTO": "YES", "ROW_COUNT": count, "BYTES": 0, "RETENTION_TIME": 1}


def _column(column: TableColumn) -> dict[str, Any]:
    found: dict[str, Any] = {
        "COLUMN_NAME": column.name,
        "COLUMN_DEFAULT": None if column.is_identity else column.default,
        "IS_NULLABLE": _yes(column.nullable),
        "IS_SELF_REFERENCING": "NO",
        "IS_IDENTITY": _yes(column.is_identity),
        "COMMENT": column.comment,
    }
    if identity := _IDENTITY.fullmatch(column.default or ""):
        found |= {"IDENTITY_START": identity[1], "IDENTITY_INCREMENT": identity[2], "IDENTITY_CYCLE": "NO"}
        found |= {"IDENTITY_GENERATION": "BY DEFAULT", "IDENTITY_ORDERED": "NO"}
    match = re.fullmatch(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?", column.declared)
    assert match is not None, column.declared
    name, first, second = match.groups()
    if name == "VARCHAR":
        length = {"CHARACTER_MAXIMUM_LENGTH": int(first), "CHARACTER_OCTET_LENGTH": min(int(first) * 4, TEXT_LENGTH)}
        return found | {"DATA_TYPE": "TEXT"} | length
    if name == "BINARY":
        length = {"CHARACTER_MAXIMUM_LENGTH": int(first), "CHARACTER_OCTET_LENGTH": int(first)}
        return found | {"DATA_TYPE": name} | length
    if name == "NUMBER":
        scale = {"NUMERIC_PRECISION": int(first), "NUMERIC_PRECISION_RADIX": 10, "NUMERIC_SCALE": int(second or 0)}
        return found | {"DATA_TYPE": name} | scale
    return found | {"DATA_TYPE": name, "DATETIME_PRECISION": int(first) if first and name.startswith("TIME") else None}


def _yes(value: bool) -> str:
    return "YES" if value else "NO"
