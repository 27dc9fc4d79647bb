"""SHOW COLUMNS, SHOW PRIMARY, UNIQUE, IMPORTED and EXPORTED KEYS, SHOW and DESCRIBE of sequences."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from airflow_provider_snowflake_batch.local.clauses import like, show_clauses
from airflow_provider_snowflake_batch.local.errors import does_not_exist
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.catalog import Catalog, Name, TableColumn
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.sql.show import DESCRIBE, shown
from airflow_provider_snowflake_batch.local.sql.tables import Tables
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of, statement

_KEY_COLUMNS = columns_of(
    "created_on:TIMESTAMP_LTZ(3), database_name, schema_name, table_name, column_name, key_sequence:NUMBER, "
    "constraint_name, rely, comment"
)

_SEQUENCE_COLUMNS = columns_of(
    "name, database_name, schema_name, next_value:NUMBER, interval:NUMBER, created_on:TIMESTAMP_LTZ(3), owner, "
    "comment, owner_role_type, ordered"
)


def _tables(statement: Statement, engine: Engine, cursor: Cursor) -> list[Name]:
    """The tables that ``IN …`` names: one, a schema's, a database's, the account's."""
    session = statement.session
    database, schema = session.database, session.schema
    if cursor.accept("IN") or cursor.accept("FROM"):
        if cursor.accept("ACCOUNT"):
            database = schema = None
        elif cursor.accept("DATABASE"):
            database, schema = (session.database if cursor.done else cursor.name()[0]), None
        elif cursor.accept("SCHEMA"):
            parts = (session.schema or "",) if cursor.done else cursor.name()
            database, schema = (parts[0], parts[1]) if len(parts) == 2 else (session.database, parts[0])
        else:
            if not cursor.accept("TABLE"):
                cursor.accept("VIEW")
            return [session.qualify(cursor.name())]
    return [
        (relation.database, relation.schema, relation.name)
        for relation in engine.tables.relations(session)
        if database in (None, relation.database) and schema in (None, relation.schema)
    ]


@statement("SHOW COLUMNS")
def show_columns(statement: Statement, cursor: Cursor, tables: Tables, engine: Engine) -> Result:
    pattern = cursor.string() if cursor.accept("LIKE") else None
    named = _tables(statement, engine, cursor)
    cursor.end()
    rows = []
    for database, schema, table in sorted(named):
        for column in tables.columns(statement.session, (database, schema, table)):
            if like(pattern, column.name):
                rows.append(
                    (
                        table, schema, column.name, json.dumps(_data_type(column)),
                        "true" if column.nullable else "NOT_NULL", "" if column.is_identity else column.default or "",
                        "COLUMN", "", column.comment or "", database, column.default if column.is_identity else "",
                    )
                )  # fmt: skip
    return shown(
        "table_name, schema_name, column_name, data_type, null?, default, kind, expression, comment, "
        "database_name, autoincrement",
        rows,
    )


def _data_type(column: TableColumn) -> dict[str, Any]:
    """The JSON that SHOW COLUMNS gives for a type."""
    match = re.fullmatch(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?", column.declared)
    assert match is not None, column.declared
    name, first, second = match.groups()
    found: dict[str, Any] = {"type": {"NUMBER": "FIXED", "VARCHAR": "TEXT", "FLOAT": "REAL"}.get(name, name)}
    found["nullable"] = column.nullable
    if name == "NUMBER":
        found |= {"precision": int(first), "scale": int(second or 0)}
    elif name in ("VARCHAR", "BINARY"):
        found |= {"length": int(first), "byteLength": min(int(first) * 4, 16777216), "fixed": False}
    elif name.startswith("TIME"):
        found |= {"precision": 0, "scale": int(first or 9)}
    return found


@statement("SHOW PRIMARY KEYS", "SHOW TERSE PRIMARY KEYS")
def show_primary_keys(statement: Statement, cursor: Cursor, tables: Tables, catalog: Catalog, engine: Engine) -> Result:
    return shown(_KEY_COLUMNS, _keys(statement, tables, catalog, engine, cursor, "PRIMARY KEY"))


@statement("SHOW UNIQUE KEYS", "SHOW TERSE UNIQUE KEYS")
def show_unique_keys(statement: Statement, cursor: Cursor, tables: Tables, catalog: Catalog, engine: Engine) -> Result:
    return shown(_KEY_COLUMNS, _keys(statement, tables, catalog, engine, cursor, "UNIQUE"))


def _keys(
    statement: Statement, tables: Tables, catalog: Catalog, engine: Engine, cursor: Cursor, kind: str
) -> list[tuple[Any, ...]]:
    rows = []
    for name in sorted(_tables(statement, engine, cursor)):
        created = catalog.created("TABLE", *name)
        # Of a temporary table none are kept, although a table that it hides may have some.
        columns = {one.name for one in tables.columns(statement.session, name) if one.primary_key or one.unique}
        numbers: Counter[str] = Counter()
        for key in catalog.keys(name):
            if key.kind == kind and key.column in columns:
                numbers[key.constraint] += 1
                sequence = numbers[key.constraint]
                rows.append((created, *name, key.column, sequence, key.constraint, "false", None))
    cursor.end()
    return rows


@statement("SHOW IMPORTED KEYS", "SHOW TERSE IMPORTED KEYS")
def show_imported_keys(statement: Statement, cursor: Cursor, catalog: Catalog, engine: Engine) -> Result:
    return _foreign_keys(statement, cursor, catalog, engine, exported=False)


@statement("SHOW EXPORTED KEYS", "SHOW TERSE EXPORTED KEYS")
def show_exported_keys(statement: Statement, cursor: Cursor, catalog: Catalog, engine: Engine) -> Result:
    return _foreign_keys(statement, cursor, catalog, engine, exported=True)


def _foreign_keys(statement: Statement, cursor: Cursor, catalog: Catalog, engine: Engine, *, exported: bool) -> Result:
    """:param exported: whether the tables are those referred to, not those that have the keys."""
    tables = set(_tables(statement, engine, cursor))
    cursor.end()
    rows = []
    numbers: Counter[Name] = Counter()
    for table, to, key in catalog.foreign_keys():
        numbers[table] += 1
        if (to if exported else table) not in tables:
            continue
        name = key["name"] or f"SYS_CONSTRAINT_FK_{table[2]}_{numbers[table]}"
        primary = next((one.constraint for one in catalog.keys(to) if one.kind == "PRIMARY KEY"), None)
        pairs = zip(key["referenced"], key["columns"], strict=False)
        for sequence, (referenced, column) in enumerate(pairs, start=1):
            rows.append((
                catalog.created("TABLE", *table), *to, referenced, *table, column, sequence, key["update_rule"],
                key["delete_rule"], name, primary, "NOT DEFERRABLE", "false", None,
            ))  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), pk_database_name, pk_schema_name, pk_table_name, pk_column_name, "
        "fk_database_name, fk_schema_name, fk_table_name, fk_column_name, key_sequence:NUMBER, update_rule, "
        "delete_rule, fk_name, pk_name, deferrability, rely, comment",
        rows,
    )


@statement("SHOW SEQUENCES")
def show_sequences(statement: Statement, cursor: Cursor, databases: Databases, engine: Engine) -> Result:
    clauses = show_clauses(cursor, statement.session, databases)
    found = clauses.select(_sequences(engine), lambda row: (row[0], row[1], row[2]))
    return shown(_SEQUENCE_COLUMNS, found)


@statement("DESCRIBE SEQUENCE", "DESC SEQUENCE")
def describe_sequence(statement: Statement, cursor: Cursor, engine: Engine) -> Result:
    database, schema, name = statement.session.qualify(cursor.name())
    cursor.end()
    found = [row for row in _sequences(engine) if row[:3] == (name, database, schema)]
    if not found:
        raise does_not_exist("Sequence", f"{database}.{schema}.{name}")
    return shown(_SEQUENCE_COLUMNS, found, DESCRIBE)


def _sequences(engine: Engine) -> list[tuple[Any, ...]]:
    rows = engine.query(
        "SELECT sequence_name, database_name, schema_name, coalesce(last_value + increment_by, start_value), "
        "increment_by FROM duckdb_sequences() WHERE NOT starts_with(lower(sequence_name), '_fs_seq_')"
    )
    return [
        (*row, engine.catalog.created("SEQUENCE", row[1], row[2], row[0]), "SYSADMIN", "", "ROLE", "N") for row in rows
    ]
