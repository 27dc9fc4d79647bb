"""Functions about queries: LAST_QUERY_ID, RESULT_SCAN, SYSTEM$CANCEL_QUERY."""

from __future__ import annotations

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.functions import Arguments, scalar_function, table_function
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.protocol.queries import Queries
from airflow_provider_snowflake_batch.local.sessions import Sessions
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement, statement


@scalar_function("LAST_QUERY_ID")
def last_query_id(statement: Statement, arguments: Arguments) -> str | None:
    """``LAST_QUERY_ID([n])``: negative counts from the newest, positive from the session's first kept."""
    ids = statement.session.last_query_ids
    number = int(arguments.get(0, default=-1))
    index = number if number < 0 else number - 1
    return ids[index] if -len(ids) <= index < len(ids) else None


@table_function("RESULT_SCAN")
def result_scan(statement: Statement, arguments: Arguments, queries: Queries) -> Result:
    query_id = arguments.get(0)
    query = queries.find(str(query_id)) if query_id else None
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
def cancel_all_queries(statement: Statement, arguments: Arguments, queries: Queries, sessions: Sessions) -> str:
    """Cancel what a session runs, except for this statement."""
    wanted = str(arguments.get(0))
    cancelled = 0
    for session in sessions.all():
        if str(session.id) == wanted:
            for query in queries.running(session):
                if query.id != statement.query_id:
                    queries.cancel(query)
                    cancelled += 1
    return f"{cancelled} queries cancelled."


@scalar_function("SYSTEM$CANCEL_QUERY")
def cancel_query(statement: Statement, arguments: Arguments, queries: Queries) -> str:
    query = queries.find(str(arguments.get(0)))
    if query is None or query.finished is not None:
        return "Identified SQL statement is not currently executing."
    queries.cancel(query)
    return f"query [{query.id}] terminated."


@statement("SELECT SYSTEM$CANCEL_QUERY")
def select_cancel_query(statement: Statement, cursor: Cursor, queries: Queries, engine: Engine) -> Result:
    """The engine runs the statements of a session one after the other, and the one to cancel may be this session's."""
    ahead = [cursor.peek(place) for place in range(4)]
    if [token.kind if token is not None else None for token in ahead[1::2]] != ["string", None]:
        return engine.execute(statement)
    cursor.expect("(")
    query_id = cursor.string()
    cursor.expect(")")
    cursor.end()
    told = cancel_query(statement, Arguments([query_id]), queries)
    return Result([Column(f"SYSTEM$CANCEL_QUERY('{query_id.upper()}')")], [(told,)])
