"""Streams on tables: the rows inserted since a stream was last read by a change.

A stream keeps a copy of its table as it was then, and its rows are what the table has beyond it. Where the table lacks
rows of the copy, because they were updated or deleted, reading is refused: which old row became which new one is not
known. Source: https://docs.snowflake.com/en/user-guide/streams-intro
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    already_exists,
    does_not_exist,
    not_supported,
)
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.databases import STREAM_COPIES
from airflow_provider_snowflake_batch.local.sql.translate import table_parts
from airflow_provider_snowflake_batch.local.state import StateDirectory

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.connection import EngineConnection
    from airflow_provider_snowflake_batch.local.sql.engine import Engine

Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as CREATE STREAM gave it; ``table`` is the qualified name of its table."""

    database: str
    schema: str
    name: str
    table: Name
    owner: str
    append_only: bool = False
    comment: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: float = field(default_factory=time.time)

    @property
    def qualified(self) -> Name:
        return self.database, self.schema, self.name

    @property
    def copy(self) -> str:
        return f'{quoted(self.database)}."{STREAM_COPIES}"."{self.id}"'


class Streams:
    """All streams.

    :param engine: holds the copies and reads the tables.
    """

    def __init__(self, state: StateDirectory, engine: Engine) -> None:
        self._control = state.control(
            "CREATE TABLE IF NOT EXISTS streams ("
            "database TEXT, schema TEXT, name TEXT, record TEXT, PRIMARY KEY (database, schema, name))"
        )
        self._engine = engine
        streams = [_stream(record) for (record,) in self._control.rows("SELECT record FROM streams")]
        self._streams = {stream.qualified: stream for stream in streams}

    def all(self) -> list[Stream]:
        return list(self._streams.values())

    def get(self, name: Name) -> Stream:
        """:raises SnowflakeError: 2003 if there is none."""
        if name not in self._streams:
            raise does_not_exist("Stream", ".".join(name))
        return self._streams[name]

    def create(self, session: Session, stream: Stream, *, or_replace: bool, with_rows: bool) -> None:
        """:param with_rows: whether the rows that the table has now are the stream's first ones.

        :raises SnowflakeError: 2002 if it is there, 2003 if there is no such table.
        """
        if stream.qualified in self._streams:
            if not or_replace:
                raise already_exists(stream.name)
            self.drop(stream.qualified)
        if stream.database != stream.table[0]:
            raise not_supported("A stream in another database than its table")
        self._engine.tables.columns(session, stream.table)
        database = quoted(stream.database)
        with self._engine.write_lock:
            self._engine.query(f'CREATE SCHEMA IF NOT EXISTS {database}."{STREAM_COPIES}"')
            rows = "WHERE FALSE" if with_rows else ""
            self._engine.query(f"CREATE TABLE {stream.copy} AS SELECT * FROM {quoted(*stream.table)} {rows}")
        with self._control.lock:
            self._control.insert("streams", *stream.qualified, json.dumps(asdict(stream)))
            self._streams[stream.qualified] = stream

    def drop(self, name: Name) -> None:
        stream = self.get(name)
        self._forget(stream)
        with self._engine.write_lock:
            self._engine.query(f"DROP TABLE IF EXISTS {stream.copy}")

    def drop_all(self, database: str, schema: str | None = None) -> None:
        """Those of a database or schema that is dropped."""
        for stream in self.all():
            if stream.database == database and schema is None:
                self._forget(stream)
            elif (stream.database, stream.schema) == (database, schema):
                self.drop(stream.qualified)

    def _forget(self, stream: Stream) -> None:
        with self._control.lock:
            self._control.run("DELETE FROM streams WHERE (database, schema, name) = (?, ?, ?)", *stream.qualified)
            del self._streams[stream.qualified]

    def has_data(self, connection: EngineConnection, stream: Stream) -> bool:
        """Whether a table has rows beyond the copy, or lacks some of it."""
        table = quoted(*stream.table)
        return any(
            connection.query(f"SELECT 1 FROM (SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}) LIMIT 1", [])
            for one, other in ((table, stream.copy), (stream.copy, table))
        )

    def in_statement(self, session: Session, tree: Expr) -> list[tuple[exp.Table, Stream]]:
        """The streams that a statement reads, with the places where it does."""
        if not self._streams:
            return []
        found = []
        for table in tree.find_all(exp.Table):
            if isinstance(table.this, exp.Identifier) and not _is_written(table):
                try:
                    name = session.qualify(table_parts(table))
                except SnowflakeError:
                    continue
                if name in self._streams and not self._engine.tables.has_table(session, name):
                    found.append((table, self._streams[name]))
        return found

    def read(self, connection: EngineConnection, places: Iterable[tuple[exp.Table, Stream]]) -> None:
        """Put the rows of the streams where a statement reads them.

        :raises SnowflakeError: "not supported" where rows of a stream's table were updated or deleted.
        """
        for table, stream in places:
            path = quoted(*stream.table)
            lost = f"SELECT 1 FROM (SELECT * FROM {stream.copy} EXCEPT ALL SELECT * FROM {path}) LIMIT 1"
            if connection.query(lost, []):
                raise not_supported(
                    f"The stream {stream.name} on a table whose rows were updated or deleted since it was last read "
                    "(CREATE OR REPLACE STREAM begins anew)"
                )
            rows: Expr = exp.maybe_parse(
                'SELECT *, \'INSERT\' AS "METADATA$ACTION", FALSE AS "METADATA$ISUPDATE", '
                f'SHA1(TO_JSON(OBJECT_CONSTRUCT_KEEP_NULL(*))) AS "METADATA$ROW_ID" FROM '
                f"(SELECT * FROM {path} EXCEPT ALL SELECT * FROM {stream.copy})",
                dialect="snowflake",
            )
            alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(stream.name, quoted=True))
            table.replace(exp.Subquery(this=rows, alias=alias.copy()))

    def advance_at_commit(self, connection: EngineConnection, streams: Iterable[Stream]) -> None:
        """Let streams begin, once the open transaction is committed, at what their tables hold now."""
        for stream in streams:
            now = f'temp.main."_stream_{stream.id}"'

            def advance(stream: Stream = stream, now: str = now) -> None:
                connection.query(f"DELETE FROM {stream.copy}", [])
                connection.query(f"INSERT INTO {stream.copy} SELECT * FROM {now}", [])
                connection.query(f"DROP TABLE {now}", [])

            if connection.transactions.before_commit(stream.id, advance):
                connection.query(f"CREATE TEMP TABLE {now} AS SELECT * FROM {quoted(*stream.table)}", [])

    def advance(self, connection: EngineConnection, streams: Iterable[Stream]) -> None:
        """Let streams begin at what their tables hold now, in the transaction that is open."""
        for stream in streams:
            connection.query(f"DELETE FROM {stream.copy}", [])
            connection.query(f"INSERT INTO {stream.copy} SELECT * FROM {quoted(*stream.table)}", [])

    def close(self) -> None:
        self._control.close()


def _is_written(table: exp.Table) -> bool:
    """Whether it is what a statement writes to."""
    above = table.parent
    if isinstance(above, exp.Schema):
        table, above = above, above.parent  # type: ignore[assignment]
    return isinstance(above, (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create)) and table.arg_key == "this"


def _stream(record: str) -> Stream:
    given = json.loads(record)
    return Stream(**given | {"table": tuple(given["table"])})
