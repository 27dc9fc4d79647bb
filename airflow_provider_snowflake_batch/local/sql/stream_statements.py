"""CREATE, DROP, DESCRIBE and SHOW STREAM, and SYSTEM$STREAM_HAS_DATA.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-stream
"""

from __future__ import annotations

from typing import Any

from airflow_provider_snowflake_batch.local.clauses import drop, properties, show_clauses
from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, scalar_function
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.sql.show import DESCRIBE, SHOW, shown
from airflow_provider_snowflake_batch.local.sql.streams import Stream, Streams
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of, moment, statement

_SHOWN = columns_of(
    "created_on:TIMESTAMP_LTZ(3), name, database_name, schema_name, owner, comment, table_name, source_type, "
    "base_tables, type, stale, mode, stale_after:TIMESTAMP_LTZ(3), invalid_reason, owner_role_type"
)


@statement("CREATE STREAM", "CREATE OR REPLACE STREAM")
def create_stream(statement: Statement, cursor: Cursor, streams: Streams) -> Result:
    session = statement.session
    or_replace = cursor.tokens[1].value == "OR"
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = session.qualify(cursor.name())
    cursor.expect("ON")
    if not cursor.accept("TABLE"):
        raise not_supported(f"A stream on a {cursor.next().value}")
    table = session.qualify(cursor.name())
    if cursor.looking_at("AT") or cursor.looking_at("BEFORE"):
        raise not_supported("A stream that begins in the past (SHOW_INITIAL_ROWS = TRUE begins with all rows)")
    options = properties(cursor, ("APPEND_ONLY", "SHOW_INITIAL_ROWS", "COMMENT"))
    if if_not_exists and name in {one.qualified for one in streams.all()}:
        return Result.message(f"{name[2]} already exists, statement succeeded.")
    stream = Stream(
        *name, table, session.role or "", append_only=options.get("APPEND_ONLY") is True,
        comment=str(options.get("COMMENT", "")),
    )  # fmt: skip
    streams.create(session, stream, or_replace=or_replace, with_rows=options.get("SHOW_INITIAL_ROWS") is True)
    return Result.message(f"Stream {name[2]} successfully created.")


@statement("ALTER STREAM")
def alter_stream(statement: Statement, cursor: Cursor) -> Result:
    raise not_supported("ALTER STREAM (CREATE OR REPLACE STREAM does the same)")


@statement("DROP STREAM")
def drop_stream(statement: Statement, cursor: Cursor, streams: Streams) -> Result:
    there = {one.qualified for one in streams.all()}
    return drop(cursor, statement.session.qualify, lambda name: name in there, streams.drop)


@statement("SHOW STREAMS")
def show_streams(statement: Statement, cursor: Cursor, databases: Databases, streams: Streams) -> Result:
    clauses = show_clauses(cursor, statement.session, databases)
    found = clauses.select(streams.all(), lambda one: (one.name, one.database, one.schema))
    return shown(_SHOWN, [_row(one) for one in found], SHOW)


@statement("DESCRIBE STREAM", "DESC STREAM")
def describe_stream(statement: Statement, cursor: Cursor, streams: Streams) -> Result:
    name = statement.session.qualify(cursor.name())
    cursor.end()
    return shown(_SHOWN, [_row(streams.get(name))], DESCRIBE)


def _row(stream: Stream) -> tuple[Any, ...]:
    table = ".".join(stream.table)
    return (
        moment(stream.created), stream.name, stream.database, stream.schema, stream.owner, stream.comment, table,
        "Table", table, "DELTA", "false", "APPEND_ONLY" if stream.append_only else "DEFAULT", None, "N/A", "ROLE",
    )  # fmt: skip


@scalar_function("SYSTEM$STREAM_HAS_DATA")
def stream_has_data(statement: Statement, arguments: Arguments, streams: Streams, engine: Engine) -> bool:
    session = statement.session
    stream = streams.get(session.qualify(Cursor(str(arguments.get(0))).name()))
    with session.lock:
        return streams.has_data(engine.connection(session), stream)
