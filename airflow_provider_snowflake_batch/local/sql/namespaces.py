"""CREATE, ALTER and DROP of databases, schemas, warehouses and roles."""

from __future__ import annotations

from functools import partial

from airflow_provider_snowflake_batch.local.account_objects import AccountObjects
from airflow_provider_snowflake_batch.local.clauses import drop, properties
from airflow_provider_snowflake_batch.local.errors import cannot_be_performed, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.statements import Result, Statement, statement

_WAREHOUSE_PROPERTIES = (
    "WAREHOUSE_SIZE", "WAREHOUSE_TYPE", "MAX_CLUSTER_COUNT", "MIN_CLUSTER_COUNT", "SCALING_POLICY", "AUTO_SUSPEND",
    "AUTO_RESUME", "INITIALLY_SUSPENDED", "COMMENT", "STATEMENT_TIMEOUT_IN_SECONDS", "ENABLE_QUERY_ACCELERATION",
    "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS", "MAX_CONCURRENCY_LEVEL", "RESOURCE_MONITOR",
)  # fmt: skip
_NAMESPACE_PROPERTIES = ("COMMENT", "DATA_RETENTION_TIME_IN_DAYS", "MAX_DATA_EXTENSION_TIME_IN_DAYS")


def _if_not_exists(cursor: Cursor) -> bool:
    return cursor.accept("IF", "NOT", "EXISTS")


@statement(
    "CREATE DATABASE", "CREATE TRANSIENT DATABASE", "CREATE OR REPLACE DATABASE", "CREATE OR REPLACE TRANSIENT DATABASE"
)
def create_database(statement: Statement, cursor: Cursor, databases: Databases, engine: Engine) -> Result:
    if_not_exists = _if_not_exists(cursor)
    (name,) = cursor.name()
    _no_clone(cursor)
    properties(cursor, _NAMESPACE_PROPERTIES)
    session = statement.session
    engine.commit(session)
    if name in engine.databases.names():
        if if_not_exists:
            return Result.message(f"{name} already exists, statement succeeded.")
        if cursor.sql[: cursor.sql.upper().index("DATABASE")].upper().split()[1:2] == ["OR"]:
            databases.drop(name)
    engine.databases.create(name)
    session.database, session.schema = name, "PUBLIC"
    return Result.message(f"Database {name} successfully created.")


@statement("DROP DATABASE")
def drop_database(statement: Statement, cursor: Cursor, databases: Databases) -> Result:
    def one(parts: tuple[str, ...]) -> tuple[str]:
        (name,) = parts
        return (name,)

    return drop(
        cursor, one, lambda name: name[0] in databases.names(), lambda name: databases.drop(name[0]), cascades=True
    )


@statement("CREATE SCHEMA", "CREATE TRANSIENT SCHEMA", "CREATE OR REPLACE SCHEMA", "CREATE OR REPLACE TRANSIENT SCHEMA")
def create_schema(statement: Statement, cursor: Cursor, databases: Databases, engine: Engine) -> Result:
    replace = cursor.sql.upper().split()[1:2] == ["OR"]
    if_not_exists = _if_not_exists(cursor)
    database, name = _schema_name(statement, cursor.name())
    _no_clone(cursor)
    cursor.accept("WITH", "MANAGED", "ACCESS")
    properties(cursor, _NAMESPACE_PROPERTIES)
    session = statement.session
    engine.commit(session)
    if engine.databases.has_schema(database, name):
        if if_not_exists:
            return Result.message(f"{name} already exists, statement succeeded.")
        if replace:
            databases.drop_schema(database, name)
    engine.databases.create_schema(database, name)
    session.database, session.schema = database, name
    return Result.message(f"Schema {name} successfully created.")


@statement("DROP SCHEMA")
def drop_schema(statement: Statement, cursor: Cursor, databases: Databases) -> Result:
    return drop(
        cursor,
        partial(_schema_name, statement),
        lambda name: databases.has_schema(*name),
        lambda name: databases.drop_schema(*name),
        cascades=True,
    )


def _schema_name(statement: Statement, parts: tuple[str, ...]) -> tuple[str, str]:
    if len(parts) == 2:
        return parts[0], parts[1]
    database, schema, _ = statement.session.qualify((*parts, ""))
    return database, schema


def _no_clone(cursor: Cursor) -> None:
    for word in ("CLONE", "FROM"):
        if cursor.looking_at(word):
            raise not_supported(f"{word} of a database or schema")


@statement("CREATE WAREHOUSE", "CREATE OR REPLACE WAREHOUSE")
def create_warehouse(statement: Statement, cursor: Cursor, objects: AccountObjects) -> Result:
    replace = cursor.sql.upper().split()[1:2] == ["OR"]
    if_not_exists = _if_not_exists(cursor)
    (name,) = cursor.name()
    created = objects.create(
        "WAREHOUSE",
        name,
        statement.session.role,
        properties(cursor, _WAREHOUSE_PROPERTIES),
        if_not_exists=if_not_exists,
        or_replace=replace,
    )
    if not created:
        return Result.message(f"{name} already exists, statement succeeded.")
    statement.session.warehouse = name
    return Result.message(f"Warehouse {name} successfully created.")


@statement("ALTER WAREHOUSE")
def alter_warehouse(statement: Statement, cursor: Cursor, objects: AccountObjects) -> Result:
    if_exists = cursor.accept("IF", "EXISTS")
    (name,) = cursor.name()
    if name not in objects.warehouses():
        if if_exists:
            return Result.message("Statement executed successfully.")
        raise cannot_be_performed()
    if cursor.accept("SET"):
        objects.alter("WAREHOUSE", name, properties(cursor, _WAREHOUSE_PROPERTIES))
    elif cursor.accept("RESUME"):
        cursor.accept("IF", "SUSPENDED")
    elif not cursor.accept("SUSPEND"):
        raise not_supported(f"ALTER WAREHOUSE {cursor.rest()}")
    cursor.end()
    return Result.message("Statement executed successfully.")


@statement("DROP WAREHOUSE")
def drop_warehouse(statement: Statement, cursor: Cursor, objects: AccountObjects) -> Result:
    return _drop(objects, cursor, "WAREHOUSE")


@statement("CREATE ROLE", "CREATE OR REPLACE ROLE")
def create_role(statement: Statement, cursor: Cursor, objects: AccountObjects) -> Result:
    replace = cursor.sql.upper().split()[1:2] == ["OR"]
    if_not_exists = _if_not_exists(cursor)
    (name,) = cursor.name()
    found = properties(cursor, ("COMMENT",))
    created = objects.create(
        "ROLE", name, statement.session.role, found, if_not_exists=if_not_exists, or_replace=replace
    )
    verb = "successfully created." if created else "already exists, statement succeeded."
    return Result.message(f"Role {name} {verb}")


@statement("DROP ROLE")
def drop_role(statement: Statement, cursor: Cursor, objects: AccountObjects) -> Result:
    return _drop(objects, cursor, "ROLE")


def _drop(objects: AccountObjects, cursor: Cursor, kind: str) -> Result:
    def names(parts: tuple[str, ...]) -> bool:
        return parts[0] in {one.name for one in objects.all(kind)}

    return drop(cursor, lambda parts: parts, names, lambda parts: objects.drop(kind, *parts))
