"""Functions about the session and the account, and RESULT_SCAN."""

from __future__ import annotations

import json

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.functions import Arguments, scalar_function, table_function
from airflow_provider_snowflake_batch.local.protocol.login import SERVER_VERSION
from airflow_provider_snowflake_batch.local.statements import Result, Statement

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
def current_account(statement: Statement, arguments: Arguments) -> str:
    return statement.server.defaults.account.upper()


@scalar_function("CURRENT_ACCOUNT_NAME")
def current_account_name(statement: Statement, arguments: Arguments) -> str:
    return statement.server.defaults.account.upper()


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
def current_version(statement: Statement, arguments: Arguments) -> str:
    return SERVER_VERSION


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
def current_transaction(statement: Statement, arguments: Arguments) -> str | None:
    transactions = statement.server.engine.connection(statement.session).transactions
    return str(transactions.id) if transactions.open else None


@scalar_function("CURRENT_AVAILABLE_ROLES")
def current_available_roles(statement: Statement, arguments: Arguments) -> str:
    return json.dumps(sorted(statement.server.objects.roles()))


@scalar_function("CURRENT_SECONDARY_ROLES")
def current_secondary_roles(statement: Statement, arguments: Arguments) -> str:
    return json.dumps({"roles": "", "value": ""})


@scalar_function("LAST_QUERY_ID")
def last_query_id(statement: Statement, arguments: Arguments) -> str | None:
    """``LAST_QUERY_ID([n])``: negative counts from the newest, positive from the session's first kept."""
    ids = statement.session.last_query_ids
    number = int(arguments.get(0, default=-1))
    index = number if number < 0 else number - 1
    return ids[index] if -len(ids) <= index < len(ids) else None


@table_function("RESULT_SCAN")
def result_scan(statement: Statement, arguments: Arguments) -> Result:
    query_id = arguments.get(0)
    query = statement.server.queries.find(str(query_id)) if query_id else None
    if query is None or query.error is not None:
        raise SnowflakeError(f"Statement {query_id} not found", errno=709, sqlstate="02000")
    if query.finished is None:
        raise SnowflakeError(
            f"SQL compilation error:\nStatement {query_id} is still running.", errno=711, sqlstate="02000"
        )
    if query.result is None:
        raise SnowflakeError(f"Result for query {query_id} has expired", errno=710, sqlstate="02000")
    return query.result


@scalar_function("SYSTEM$CANCEL_ALL_QUERIES")
def cancel_all_queries(statement: Statement, arguments: Arguments) -> str:
    """Cancel what a session runs, except for this statement."""
    wanted = str(arguments.get(0))
    queries = statement.server.queries
    cancelled = 0
    for session in statement.server.sessions.all():
        if str(session.id) == wanted:
            for query in queries.running(session):
                if query.id != statement.query_id:
                    queries.cancel(query)
                    cancelled += 1
    return f"{cancelled} queries cancelled."


@scalar_function("SYSTEM$CANCEL_QUERY")
def cancel_query(statement: Statement, arguments: Arguments) -> str:
    query = statement.server.queries.find(str(arguments.get(0)))
    if query is None or query.finished is not None:
        return "Identified SQL statement is not currently executing."
    statement.server.queries.cancel(query)
    return f"query [{query.id}] terminated."


@scalar_function("SYSTEM$WAIT")
def wait(statement: Statement, arguments: Arguments) -> str:
    """``SYSTEM$WAIT(amount [, 'MILLISECONDS' | 'SECONDS' | 'MINUTES' | 'HOURS'])``."""
    amount, unit = float(arguments.get(0, default=0)), str(arguments.get(1, default="SECONDS")).upper()
    factors = {"MILLISECONDS": 0.001, "SECONDS": 1.0, "MINUTES": 60.0, "HOURS": 3600.0}
    if unit not in factors:
        raise SnowflakeError(f"Invalid time unit '{unit}' for SYSTEM$WAIT.", errno=1045, sqlstate="22023")
    statement.sleep(amount * factors[unit])
    return f"waited {arguments.get(0)} {unit.lower()}"
