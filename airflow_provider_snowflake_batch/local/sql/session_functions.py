"""Functions about the session and the account."""

from __future__ import annotations

import json

from airflow_provider_snowflake_batch.local.account import Account
from airflow_provider_snowflake_batch.local.account_objects import AccountObjects
from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.functions import Arguments, scalar_function
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.statements import Statement

REGION = "LOCAL"
ORGANIZATION = "LOCAL"


@scalar_function("CURRENT_USER")
def current_user(statement: Statement, arguments: Arguments) -> str:
    return statement.session.user


@scalar_function("CURRENT_ROLE")
def current_role(statement: Statement, arguments: Arguments) -> str:
    return statement.session.role


@scalar_function("CURRENT_WAREHOUSE")
def current_warehouse(statement: Statement, arguments: Arguments) -> str | None:
    return statement.session.warehouse


@scalar_function("CURRENT_DATABASE")
def current_database(statement: Statement, arguments: Arguments) -> str | None:
    return statement.session.database


@scalar_function("CURRENT_SCHEMA")
def current_schema(statement: Statement, arguments: Arguments) -> str | None:
    return statement.session.schema


@scalar_function("CURRENT_SCHEMAS")
def current_schemas(statement: Statement, arguments: Arguments) -> str:
    session = statement.session
    return json.dumps([f"{session.database}.{session.schema}"] if session.schema else [])


@scalar_function("CURRENT_ACCOUNT")
def current_account(statement: Statement, arguments: Arguments, account: Account) -> str:
    return account.name.upper()


@scalar_function("CURRENT_ACCOUNT_NAME")
def current_account_name(statement: Statement, arguments: Arguments, account: Account) -> str:
    return account.name.upper()


@scalar_function("CURRENT_ORGANIZATION_NAME")
def current_organization_name(statement: Statement, arguments: Arguments) -> str:
    return ORGANIZATION


@scalar_function("CURRENT_REGION")
def current_region(statement: Statement, arguments: Arguments) -> str:
    return REGION


@scalar_function("CURRENT_SESSION")
def current_session(statement: Statement, arguments: Arguments) -> str:
    return str(statement.session.id)


@scalar_function("CURRENT_VERSION")
def current_version(statement: Statement, arguments: Arguments, account: Account) -> str:
    return account.version


@scalar_function("CURRENT_CLIENT")
def current_client(statement: Statement, arguments: Arguments) -> str | None:
    return None


@scalar_function("CURRENT_IP_ADDRESS")
def current_ip_address(statement: Statement, arguments: Arguments) -> str:
    return "127.0.0.1"


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


@scalar_function("CURRENT_SECONDARY_ROLES")
def current_secondary_roles(statement: Statement, arguments: Arguments) -> str:
    return json.dumps({"roles": "", "value": ""})


@scalar_function("SYSTEM$WAIT")
def wait(statement: Statement, arguments: Arguments) -> str:
    """``SYSTEM$WAIT(amount [, 'MILLISECONDS' | 'SECONDS' | 'MINUTES' | 'HOURS'])``."""
    amount, unit = float(arguments.get(0, default=0)), str(arguments.get(1, default="SECONDS")).upper()
    factors = {"MILLISECONDS": 0.001, "SECONDS": 1.0, "MINUTES": 60.0, "HOURS": 3600.0}
    if unit not in factors:
        raise SnowflakeError(f"Invalid time unit '{unit}' for SYSTEM$WAIT.", errno=1045, sqlstate="22023")
    statement.sleep(amount * factors[unit])
    return f"waited {arguments.get(0)} {unit.lower()}"
