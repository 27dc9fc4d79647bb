"""SHOW of databases, schemas, tables, views, columns, warehouses, roles and users; DESCRIBE of tables."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_snowflake_batch.local.account_objects import Account, AccountObjects
from airflow_provider_snowflake_batch.local.clauses import ShowClauses, show_clauses
from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.catalog import Relation
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.sql.tables import Tables
from airflow_provider_snowflake_batch.local.statements import Column, Handler, Result, Statement, columns_of, statement

SHOW = 0x4400
DESCRIBE = 0x4500
_SYSTEM_OWNER = "SYSADMIN"


_TERSE = ("created_on", "name", "kind", "database_name", "schema_name")


def _with_terse(kind: str | None = None) -> Callable[[Handler], Handler]:
    """A SHOW that knows TERSE too, which has five columns.

    :param kind: what TERSE says of each, where the SHOW has no such column.
    """

    def decorate(show: Handler) -> Handler:
        @functools.wraps(show)
        def shown_or_terse(statement: Statement, cursor: Cursor, **parts: Any) -> Result:
            is_terse = cursor.tokens[1].value == "TERSE"
            result = show(statement, cursor, **parts)
            if not is_terse:
                return result
            names = [column.name for column in result.columns]
            rows = [[row[names.index(one)] if one in names else kind for one in _TERSE] for row in result.rows or []]
            return shown("created_on:TIMESTAMP_LTZ(3), name, kind, database_name, schema_name", rows)

        return shown_or_terse

    return decorate


def shown(columns: str | Sequence[Column], rows: Sequence[Sequence[Any]], statement_type: int = SHOW) -> Result:
    """The answer of a SHOW.

    :param columns: these, or what :func:`columns_of` makes them of.
    """
    listed = columns_of(columns) if isinstance(columns, str) else columns
    return Result(listed, rows, statement_type=statement_type)


@statement("SHOW DATABASES", "SHOW TERSE DATABASES")
@_with_terse()
def show_databases(statement: Statement, cursor: Cursor, databases: Databases, engine: Engine) -> Result:
    clauses = show_clauses(cursor, statement.session, databases, level="ACCOUNT")
    rows = [
        (
            engine.catalog.created("DATABASE", name), name, "N", _flag(name == statement.session.database), "",
            _SYSTEM_OWNER, "", "", "1", "STANDARD", "ROLE",
        )
        for name in clauses.select(engine.databases.names(), lambda name: (name,))
    ]  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), name, is_default, is_current, origin, owner, comment, options, "
        "retention_time, kind, owner_role_type",
        rows,
    )


@statement("SHOW SCHEMAS", "SHOW TERSE SCHEMAS")
@_with_terse()
def show_schemas(statement: Statement, cursor: Cursor, databases: Databases, engine: Engine) -> Result:
    session = statement.session
    clauses = show_clauses(cursor, statement.session, databases, level="DATABASE")
    if clauses.scope == "SCHEMA":
        clauses.database, clauses.schema = clauses.schema, None
    names = [
        (schema, database)
        for database in ([clauses.database] if clauses.database else engine.databases.names())
        for schema in [*engine.databases.schemas(database), "INFORMATION_SCHEMA"]
    ]
    rows = [
        (
            engine.catalog.created("SCHEMA", database, schema), schema, "N",
            _flag((database, schema) == (session.database, session.schema)), database,
            "" if schema == "INFORMATION_SCHEMA" else _SYSTEM_OWNER, "", "", "1", "ROLE",
        )
        for schema, database in clauses.select(names, lambda name: name)
    ]  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), name, is_default, is_current, database_name, owner, comment, options, "
        "retention_time, owner_role_type",
        rows,
    )


def _relations(statement: Statement, tables: Tables, clauses: ShowClauses) -> list[Relation]:
    if clauses.schema == "INFORMATION_SCHEMA":
        raise not_supported("SHOW of what is in INFORMATION_SCHEMA")
    relations = tables.relations(statement.session)
    return clauses.select(relations, lambda relation: (relation.name, relation.database, relation.schema))


def _row_count(statement: Statement, tables: Tables, relation: Relation) -> int | None:
    if relation.kind == "VIEW":
        return None
    name = (relation.database, relation.schema, relation.name)
    return tables.row_count(statement.session, name)


@statement("SHOW TABLES", "SHOW TERSE TABLES")
@_with_terse()
def show_tables(statement: Statement, cursor: Cursor, databases: Databases, tables: Tables) -> Result:
    clauses = show_clauses(cursor, statement.session, databases)
    rows = [
        (
            table.created, table.name, table.database, table.schema, table.kind, table.comment, "",
            _row_count(statement, tables, table), 0,
            _SYSTEM_OWNER, "1", "OFF", "OFF", "OFF", "N", "N", "ROLE", "N", "N", "N", "N", "N",
        )
        for table in _relations(statement, tables, clauses)
        if table.kind != "VIEW"
    ]  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), name, database_name, schema_name, kind, comment, cluster_by, "
        "rows:NUMBER, bytes:NUMBER, owner, retention_time, automatic_clustering, change_tracking, "
        "search_optimization, is_external, enable_schema_evolution, owner_role_type, is_event, is_hybrid, "
        "is_iceberg, is_dynamic, is_immutable",
        rows,
    )


@statement("SHOW VIEWS", "SHOW TERSE VIEWS")
@_with_terse("VIEW")
def show_views(statement: Statement, cursor: Cursor, databases: Databases, tables: Tables) -> Result:
    clauses = show_clauses(cursor, statement.session, databases)
    rows = [
        (
            view.created, view.name, "", view.database, view.schema, _SYSTEM_OWNER, view.comment, view.text, "false",
            "false", "ROLE", "OFF",
        )
        for view in _relations(statement, tables, clauses)
        if view.kind == "VIEW"
    ]  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), name, reserved, database_name, schema_name, owner, comment, text, "
        "is_secure, is_materialized, owner_role_type, change_tracking",
        rows,
    )


def _plain_kind(kind: str) -> str:
    """What SHOW OBJECTS says of a relation: it does not tell transient tables from others."""
    return "TABLE" if kind == "TRANSIENT" else kind


@statement("SHOW OBJECTS", "SHOW TERSE OBJECTS")
@_with_terse()
def show_objects(statement: Statement, cursor: Cursor, databases: Databases, tables: Tables) -> Result:
    clauses = show_clauses(cursor, statement.session, databases)
    rows = [
        (
            relation.created, relation.name, relation.database, relation.schema, _plain_kind(relation.kind),
            relation.comment, "",
            _row_count(statement, tables, relation), 0, _SYSTEM_OWNER, "1", "ROLE", "N", "N", "N",
        )
        for relation in _relations(statement, tables, clauses)
    ]  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), name, database_name, schema_name, kind, comment, cluster_by, "
        "rows:NUMBER, bytes:NUMBER, owner, retention_time, owner_role_type, is_hybrid, is_dynamic, "
        "is_iceberg",
        rows,
    )


@statement("DESCRIBE TABLE", "DESC TABLE", "DESCRIBE VIEW", "DESC VIEW", "DESCRIBE", "DESC")
def describe_table(statement: Statement, cursor: Cursor, tables: Tables) -> Result:
    parts = cursor.name()
    if cursor.accept("TYPE"):
        cursor.expect("=")
        if cursor.accept("STAGE"):
            raise not_supported("DESCRIBE … TYPE = STAGE (DESCRIBE STAGE tells the options of a stage)")
        cursor.expect("COLUMNS")
    cursor.end()
    rows = [
        (
            column.name, column.declared, "COLUMN", "Y" if column.nullable else "N", column.default,
            _flag(column.primary_key), _flag(column.unique), None, None, column.comment, None, None,
        )
        for column in tables.columns(statement.session, statement.session.qualify(parts))
    ]  # fmt: skip
    return shown(
        "name, type, kind, null?, default, primary key, unique key, check, expression, comment, policy name, "
        "privacy domain",
        rows,
        DESCRIBE,
    )


@statement(
    *(f"{verb} {kind}" for verb in ("DESCRIBE", "DESC") for kind in ("FUNCTION", "PROCEDURE", "RESULT", "SEARCH"))
)
def describe_others(statement: Statement, cursor: Cursor) -> Result:
    raise not_supported(" ".join(token.value for token in cursor.tokens[:2]))


@statement("SHOW WAREHOUSES")
def show_warehouses(
    statement: Statement, cursor: Cursor, databases: Databases, objects: AccountObjects, account: Account
) -> Result:
    clauses = show_clauses(cursor, statement.session, databases, level="ACCOUNT")
    rows = []
    for warehouse in clauses.select(objects.all("WAREHOUSE"), lambda one: (one.name,)):
        given = warehouse.properties
        rows.append(
            (
                warehouse.name, "STARTED", str(given.get("WAREHOUSE_TYPE", "STANDARD")),
                str(given.get("WAREHOUSE_SIZE", "X-Small")), 1, 1, 1, 0, 0,
                _flag(warehouse.name == account.warehouse),
                _flag(warehouse.name == statement.session.warehouse),
                given.get("AUTO_SUSPEND", 600), str(given.get("AUTO_RESUME", True)).lower(), warehouse.created,
                warehouse.created, warehouse.created, warehouse.owner, str(given.get("COMMENT", "")), "null", "ROLE",
            )
        )  # fmt: skip
    return shown(
        "name, state, type, size, min_cluster_count:NUMBER, max_cluster_count:NUMBER, "
        "started_clusters:NUMBER, running:NUMBER, queued:NUMBER, is_default, is_current, "
        "auto_suspend:NUMBER, auto_resume, created_on:TIMESTAMP_LTZ(3), resumed_on:TIMESTAMP_LTZ(3), "
        "updated_on:TIMESTAMP_LTZ(3), owner, comment, resource_monitor, owner_role_type",
        rows,
    )


@statement("SHOW ROLES")
def show_roles(
    statement: Statement, cursor: Cursor, databases: Databases, objects: AccountObjects, account: Account
) -> Result:
    clauses = show_clauses(cursor, statement.session, databases, level="ACCOUNT")
    rows = [
        (
            role.created, role.name, _flag(role.name == account.role),
            _flag(role.name == statement.session.role), "Y", 1, 0, 0, role.owner,
            str(role.properties.get("COMMENT", "")),
        )
        for role in clauses.select(objects.all("ROLE"), lambda one: (one.name,))
    ]  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), name, is_default, is_current, is_inherited, assigned_to_users:NUMBER, "
        "granted_to_roles:NUMBER, granted_roles:NUMBER, owner, comment",
        rows,
    )


@statement("SHOW USERS")
def show_users(statement: Statement, cursor: Cursor, databases: Databases, account: Account) -> Result:
    clauses = show_clauses(cursor, statement.session, databases, level="ACCOUNT")
    now = datetime.datetime.now(datetime.UTC)
    users = clauses.select([statement.session.user], lambda name: (name,))
    return shown(
        "name, created_on:TIMESTAMP_LTZ(3), login_name, display_name, disabled, default_role",
        [(name, now, name, name, "false", account.role) for name in users],
    )


def _flag(value: bool) -> str:
    return "Y" if value else "N"
