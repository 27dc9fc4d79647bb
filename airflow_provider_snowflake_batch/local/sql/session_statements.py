"""Statements and functions about the session: USE, ALTER SESSION, SET, SHOW PARAMETERS, CURRENT_ROLE and the like."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from airflow_provider_snowflake_batch.local.account_objects import Account, AccountObjects
from airflow_provider_snowflake_batch.local.clauses import like
from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    cannot_be_performed,
    does_not_exist,
    not_supported,
)
from airflow_provider_snowflake_batch.local.functions import Arguments, read_constant, scalar_function
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sessions import Session
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.sql.parameters import PARAMETERS, check_known, check_parameter
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement, statement

_DONE = "Statement executed successfully."
_USE = 0x4300


@statement("USE DATABASE")
def use_database(statement: Statement, cursor: Cursor, databases: Databases) -> Result:
    (name,) = cursor.name()
    cursor.end()
    _enter_database(statement, databases, name)
    return _used()


@statement("USE SCHEMA")
def use_schema(statement: Statement, cursor: Cursor, databases: Databases) -> Result:
    parts = cursor.name()
    cursor.end()
    _enter_schema(statement, databases, parts)
    return _used()


@statement("USE WAREHOUSE")
def use_warehouse(statement: Statement, cursor: Cursor, objects: AccountObjects) -> Result:
    (name,) = cursor.name()
    cursor.end()
    if name not in objects.warehouses():
        raise cannot_be_performed()
    statement.session.warehouse = name
    return _used()


@statement("USE ROLE")
def use_role(statement: Statement, cursor: Cursor, objects: AccountObjects) -> Result:
    (name,) = cursor.name()
    cursor.end()
    if name not in objects.roles():
        raise does_not_exist("Role", name)
    statement.session.role = name
    return _used()


@statement("USE SECONDARY ROLES")
def use_secondary_roles(statement: Statement, cursor: Cursor) -> Result:
    if not (cursor.accept("ALL") or cursor.accept("NONE")):
        raise not_supported("USE SECONDARY ROLES with a list of roles")
    cursor.end()
    return _used()


@statement("USE")
def use(statement: Statement, cursor: Cursor, databases: Databases) -> Result:
    parts = cursor.name()
    cursor.end()
    if len(parts) == 1:
        _enter_database(statement, databases, parts[0])
    else:
        _enter_schema(statement, databases, parts)
    return _used()


def _enter_database(statement: Statement, databases: Databases, name: str) -> None:
    if name not in databases.names():
        raise cannot_be_performed()
    statement.session.database = name
    statement.session.schema = "PUBLIC" if databases.has_schema(name, "PUBLIC") else None


def _enter_schema(statement: Statement, databases: Databases, parts: tuple[str, ...]) -> None:
    database = parts[0] if len(parts) == 2 else statement.session.database
    if len(parts) > 2 or database is None or not databases.has_schema(database, parts[-1]):
        raise cannot_be_performed()
    statement.session.database, statement.session.schema = database, parts[-1]


def _used() -> Result:
    return Result([Column("status")], [(_DONE,)], statement_type=_USE)


@statement("ALTER SESSION SET")
def alter_session_set(statement: Statement, cursor: Cursor, engine: Engine) -> Result:
    while not cursor.done:
        name = cursor.next().value.upper()
        cursor.expect("=")
        value = _parameter_value(cursor)
        check_known(name)
        check_parameter(name, value)
        if name == "AUTOCOMMIT" and value:
            engine.commit(statement.session)
        statement.session.parameters[name] = value
        cursor.accept(",")
    return Result.message(_DONE)


@statement("ALTER SESSION UNSET")
def alter_session_unset(statement: Statement, cursor: Cursor) -> Result:
    while not cursor.done:
        statement.session.parameters.pop(cursor.next().value.upper(), None)
        cursor.accept(",")
    return Result.message(_DONE)


def _parameter_value(cursor: Cursor) -> Any:
    token = cursor.peek()
    if token is not None and token.kind == "word" and token.value not in ("TRUE", "FALSE", "NULL"):
        return cursor.next().text
    return read_constant(cursor)


@statement("SET")
def set_variable(statement: Statement, cursor: Cursor, engine: Engine) -> Result:
    """``SET name = expression`` and ``SET (a, b) = (x, y)``; expressions are evaluated by the engine."""
    if cursor.looking_at("("):
        names = [part.strip().upper() for part in cursor.parenthesised().split(",")]
        cursor.expect("=")
        expressions = f"({cursor.parenthesised()})"
        row = engine.run(statement.session, f"SELECT {expressions[1:-1]}").rows[0]
    else:
        names = [cursor.next().value]
        cursor.expect("=")
        row = engine.run(statement.session, f"SELECT {cursor.rest().rstrip().rstrip(';')}").rows[0]
    for name, value in zip(names, row, strict=True):
        statement.session.variables[name] = _sql_literal(value)
    return Result.message(_DONE)


@statement("UNSET")
def unset_variable(statement: Statement, cursor: Cursor) -> Result:
    for name in re.split(r"[\s,()]+", cursor.rest().rstrip(";")):
        statement.session.variables.pop(name.upper(), None)
    return Result.message(_DONE)


def _sql_literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, (int, float)) or type(value).__name__ == "Decimal":
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


@statement("SHOW PARAMETERS")
def show_parameters(statement: Statement, cursor: Cursor) -> Result:
    pattern = cursor.string() if cursor.accept("LIKE") else None
    if cursor.accept("IN") or cursor.accept("FOR"):
        scope = cursor.next().value
        if not cursor.done:
            cursor.name()
    else:
        scope = "SESSION"
    cursor.end()
    given = statement.session.parameters
    known = PARAMETERS | {name: (value, "") for name, value in given.items() if name not in PARAMETERS}
    rows = []
    for name, (default, description) in sorted(known.items()):
        if not like(pattern, name):
            continue
        is_set = scope == "SESSION" and name in given
        value = given[name] if is_set else default
        rows.append((name, _text(value), _text(default), "SESSION" if is_set else "", description, _kind(default)))
    columns = [Column(name) for name in ("key", "value", "default", "level", "description", "type")]
    return Result(columns, rows, statement_type=0x4400)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: Any) -> str:
    return {bool: "BOOLEAN", int: "NUMBER"}.get(type(value), "STRING")


REGION = "LOCAL"
ORGANIZATION = "LOCAL"


_OF_SESSION: dict[str, Callable[[Session], str | None]] = {
    "CURRENT_CLIENT": lambda session: None,
    "CURRENT_DATABASE": lambda session: session.database,
    "CURRENT_IP_ADDRESS": lambda session: "127.0.0.1",
    "CURRENT_ORGANIZATION_NAME": lambda session: ORGANIZATION,
    "CURRENT_REGION": lambda session: REGION,
    "CURRENT_ROLE": lambda session: session.role,
    "CURRENT_SCHEMA": lambda session: session.schema,
    "CURRENT_SCHEMAS": lambda session: json.dumps([f"{session.database}.{session.schema}"] if session.schema else []),
    "CURRENT_SECONDARY_ROLES": lambda session: json.dumps({"roles": "", "value": ""}),
    "CURRENT_SESSION": lambda session: str(session.id),
    "CURRENT_USER": lambda session: session.user,
    "CURRENT_WAREHOUSE": lambda session: session.warehouse,
}


def _of_session(name: str, value: Callable[[Session], str | None]) -> None:
    @scalar_function(name)
    def current(statement: Statement, arguments: Arguments) -> str | None:
        return value(statement.session)


for _name, _value in _OF_SESSION.items():
    _of_session(_name, _value)


@scalar_function("CURRENT_ACCOUNT", "CURRENT_ACCOUNT_NAME")
def current_account(statement: Statement, arguments: Arguments, account: Account) -> str:
    return account.name.upper()


@scalar_function("CURRENT_VERSION")
def current_version(statement: Statement, arguments: Arguments, account: Account) -> str:
    return account.version


@scalar_function("CURRENT_STATEMENT")
def current_statement(statement: Statement, arguments: Arguments) -> str:
    return statement.text


@scalar_function("CURRENT_TRANSACTION")
def current_transaction(statement: Statement, arguments: Arguments, engine: Engine) -> str | None:
    transactions = engine.connection(statement.session).transactions
    return str(transactions.id) if transactions.open else None


@scalar_function("CURRENT_AVAILABLE_ROLES")
def current_available_roles(statement: Statement, arguments: Arguments, objects: AccountObjects) -> str:
    return json.dumps(sorted(objects.roles()))


@scalar_function("SYSTEM$WAIT")
def wait(statement: Statement, arguments: Arguments) -> str:
    """``SYSTEM$WAIT(amount [, 'MILLISECONDS' | 'SECONDS' | 'MINUTES' | 'HOURS'])``."""
    amount, unit = float(arguments.get(0, default=0)), str(arguments.get(1, default="SECONDS")).upper()
    factors = {"MILLISECONDS": 0.001, "SECONDS": 1.0, "MINUTES": 60.0, "HOURS": 3600.0}
    if unit not in factors:
        raise SnowflakeError(f"Invalid time unit '{unit}' for SYSTEM$WAIT.", errno=1045, sqlstate="22023")
    statement.sleep(amount * factors[unit])
    return f"waited {arguments.get(0)} {unit.lower()}"
