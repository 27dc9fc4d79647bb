"""Plain SQL behind one interface. Everything that knows of fakesnow and DuckDB is in this room.

fakesnow translates Snowflake's SQL to DuckDB's and keeps the information schema; DuckDB stores and computes. One
DuckDB instance serves all sessions; each database is one file under the state directory.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

import fakesnow.transforms
from fakesnow import info_schema, macros
from fakesnow.instance import GLOBAL_DATABASE_NAME, FakeSnow
from fakesnow.transforms import show

from airflow_provider_snowflake_batch.local.errors import already_exists, does_not_exist
from airflow_provider_snowflake_batch.local.sql.catalog import Catalog, Name, Relation, TableColumn
from airflow_provider_snowflake_batch.local.sql.connection import EngineConnection
from airflow_provider_snowflake_batch.local.sql.faults import snowflake_error
from airflow_provider_snowflake_batch.local.sql.types import TEXT_LENGTH, declared, result_column
from airflow_provider_snowflake_batch.local.sql.unload import write_parquet
from airflow_provider_snowflake_batch.local.statements import CURRENT, Column, Result, Statement

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    from airflow_provider_snowflake_batch.local.server import LocalSnowflake
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.file_loads import FileLoads
    from airflow_provider_snowflake_batch.local.sql.tolerant import StagedRows
    from airflow_provider_snowflake_batch.local.stages.reading import ReadOptions

T = TypeVar("T")
_GLOBAL = f"{GLOBAL_DATABASE_NAME}._fs_information_schema"
_COMMENTS = f"{_GLOBAL}._fs_tables_ext x ON (ext_table_catalog, ext_table_schema, ext_table_name) ="
_COLUMN_TYPES = (
    "SELECT column_name, data_type FROM duckdb_columns() WHERE (database_name, schema_name, table_name) = (?, ?, ?) "
    "AND NOT internal ORDER BY column_index"
)
_SEQUENCE = re.compile(r"nextval\('(.+)'\)")
# What the engine names the sequence behind AUTOINCREMENT.
_IDENTITY = "_fs_seq_"
_HIDDEN_SCHEMAS = ("main", "information_schema", "pg_catalog", "_fs_information_schema")


# It reads its results in a way that copies them once more; they are small.
warnings.filterwarnings("ignore", message="Arrow output on a DB-API result", module="fakesnow")


def _as_written(expression: Any) -> Any:
    return expression


# fakesnow reads every argument of SUM, AVG … as DOUBLE, which makes the sum of integers a float.
fakesnow.transforms.numeric_agg_implicit_cast = _as_written


class Engine:
    """The SQL engine.

    :param server: for the state directory and the handlers' rooms.
    """

    def __init__(self, server: LocalSnowflake) -> None:
        self._server = server
        self._folder = server.state.databases
        self.catalog = Catalog(server.state)
        self._fake = FakeSnow(
            create_database_on_connect=False, create_schema_on_connect=False, db_path=str(self._folder)
        )
        self._root = self._fake.duck_conn
        self._connections: dict[int, EngineConnection] = {}
        self._lock = threading.Lock()
        self._known: dict[Name, dict[str, str] | None] = {}
        self._known_version = 0
        # DuckDB fails the second of two concurrent writers of one table; Snowflake lets it wait.
        self.write_lock = threading.RLock()
        self._open_files()

    def _open_files(self) -> None:
        self._root.execute(f"DETACH {GLOBAL_DATABASE_NAME}")
        self._root.execute(f"ATTACH '{self._folder / 'catalog.duckdb'}' AS {GLOBAL_DATABASE_NAME}")
        self._root.execute(info_schema.fs_global_creation_sql())
        self._root.execute(show.fs_global_creation_sql())
        for path in sorted(self._folder.glob("*.db")):
            self._root.execute(f"ATTACH '{path}' AS {_quoted(unquote(path.stem))}")
        state = self._server.state
        directories = ", ".join(f"'{path}'" for path in (self._folder, state.stage_files, state.scratch))
        for setting in (
            f"temp_directory = '{state.scratch}'",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "python_enable_replacements = false",
            f"allowed_directories = [{directories}]",
            "enable_external_access = false",
        ):
            self._root.execute(f"SET GLOBAL {setting}")

    def connection(self, session: Session) -> EngineConnection:
        with self._lock:
            connection = self._connections.get(session.id)
            if connection is None:
                connection = EngineConnection(self, self._fake.connect(), session)
                self._connections[session.id] = connection
            return connection

    def execute(self, statement: Statement, *, describe_only: bool = False) -> Result:
        """Run one statement; the result keeps its rows as Arrow.

        :param describe_only: bind and type the statement without running it.
        :raises SnowflakeError: whatever goes wrong.
        """
        session = statement.session
        with session.lock, self._running(statement) as connection:
            try:
                return connection.execute(statement, describe_only=describe_only)
            except Exception as error:
                raise snowflake_error(error, statement.text) from error

    def execute_batch(self, statement: Statement, columns: Sequence[Sequence[Any]]) -> Result:
        """Run one INSERT for many rows of bind variables.

        :param columns: the values of each variable, one list a variable.
        """
        session = statement.session
        with session.lock, self._running(statement) as connection:
            try:
                return connection.execute_batch(statement, columns)
            except Exception as error:
                raise snowflake_error(error, statement.text) from error

    def run(self, session: Session, sql: str) -> Result:
        """Run a statement for another room; the result's ``rows`` are Python values."""
        result = self.execute(self._inner(session, sql))
        return Result(result.columns, result.fetch(), statement_type=result.statement_type)

    def describe(self, session: Session, sql: str) -> Sequence[Column]:
        """The columns that a query would have, without running it."""
        return self.execute(self._inner(session, sql), describe_only=True).columns

    def _inner(self, session: Session, sql: str) -> Statement:
        """A statement for another room, which ends with the client's statement that it is for."""
        outer = CURRENT.get()
        if outer is None:
            return Statement(sql, session, self._server, query_id="")
        return Statement(sql, session, self._server, outer.query_id, outer.cancelled)

    def copy_to_parquet(self, session: Session, query: str, folder: Path, max_rows_per_file: int = 1_000_000) -> int:
        """Write a query's rows as Parquet files ``part-00000.parquet`` … into a folder.

        Column names are Snowflake's, whole numbers are int64, semi-structured values JSON text; a query without rows
        still writes one file, which carries the schema.

        :param max_rows_per_file: rows after which the next file begins.
        :returns: the number of rows written.
        """
        with self.stream(session, query) as (columns, batches):
            return write_parquet(columns, batches, folder, max_rows_per_file)

    def commit(self, session: Session) -> None:
        """Commit what the session has open."""
        with session.lock:
            self.connection(session).transactions.commit()

    def has_table(self, session: Session, name: Name) -> bool:
        """Whether this session sees a table or view of this qualified name."""
        return name in self.connection(session).temporary or self.known_columns(name) is not None

    def known_columns(self, name: Name) -> Mapping[str, str] | None:
        """The columns of a permanent table or view of exactly this name with the engine's types, None if there is none.

        Those of INFORMATION_SCHEMA, which are the engine's affair, are none at all.
        """
        if name[1] == "INFORMATION_SCHEMA":
            return {}
        with self._lock:
            if name in self._known:
                return self._known[name]
            version = self._known_version
        hidden = name[1] in _HIDDEN_SCHEMAS or name[0] not in self.databases()
        rows = [] if hidden else self._query(_COLUMN_TYPES, name)
        found = {column: str(kind) for column, kind in rows} or None
        with self._lock:
            # What was read before a change of the catalog must not outlive it.
            if version == self._known_version:
                self._known[name] = found
        return found

    def has_twin(self, name: Name) -> bool:
        """Whether there is a permanent table or view whose name differs from this one in case only."""
        rows = self._query(
            "SELECT 1 FROM duckdb_columns() WHERE (database_name, schema_name) = (?, ?) AND table_name <> ? "
            "AND upper(table_name) = upper(?)",
            [*name, name[2]],
        )
        return bool(rows)

    def catalog_changed(self) -> None:
        """Note that a table, view, schema or database was made, changed or dropped."""
        with self._lock:
            self._known_version += 1
            self._known.clear()

    def keep_comment(self, name: Name, comment: str | None) -> None:
        """The comment of a table or view, where fakesnow's information schema looks for it."""
        if comment is not None:
            self._query(f"INSERT OR REPLACE INTO {_GLOBAL}._fs_tables_ext VALUES (?, ?, ?, ?)", [*name, comment])

    def keep_text_lengths(self, name: Name, lengths: Sequence[tuple[str, int]]) -> None:
        """The declared lengths of text columns, where fakesnow's information schema looks for them."""
        for column, length in lengths:
            values = [*name, column, length, min(length * 4, TEXT_LENGTH)]
            self._query(f"INSERT OR REPLACE INTO {_GLOBAL}._fs_columns_ext VALUES (?, ?, ?, ?, ?, ?)", values)

    def emptied(self, name: Name) -> None:
        """Note that a table holds nothing any more of what was loaded into it."""
        self._server.stages.loads.forget(name)

    def dropped(self, name: Name) -> None:
        """Note that a table is gone, and what was loaded into it and its stage with it."""
        self.catalog.forget(name)
        self.emptied(name)
        self._server.stages.drop_of_table(name)

    def swapped(self, first: Name, second: Name) -> None:
        """Note that two tables have exchanged their names: what is known of each goes with it."""
        self.catalog_changed()
        self.catalog.swap(first, second)
        self._server.stages.loads.swap(first, second)
        for table in ("_fs_tables_ext", "_fs_columns_ext"):
            key = "(ext_table_catalog, ext_table_schema, ext_table_name) = (?, ?, ?)"
            for old, new in ((first[2], "\0"), (second[2], first[2]), ("\0", second[2])):
                self._query(f"UPDATE {_GLOBAL}.{table} SET ext_table_name = ? WHERE {key}", [new, *first[:2], old])

    def load(self, statement: Statement, insert: exp.Insert, options: ReadOptions) -> int:
        """Run an INSERT that reads files of a stage; the number of rows."""
        return self._with_files(statement, lambda loads: loads.load(insert, statement, options))

    def stage_rows(
        self, statement: Statement, insert: exp.Insert, options: ReadOptions, skipped_lines: int
    ) -> StagedRows:
        """Evaluate the rows of such an INSERT without inserting any; call :meth:`drop_staged` in the end."""
        return self._with_files(statement, lambda loads: loads.stage(insert, statement, options, skipped_lines))

    def insert_staged(self, statement: Statement, staged: StagedRows) -> int:
        """Insert the staged rows that fit; how many."""
        return self._with_files(statement, lambda loads: loads.insert(staged))

    def drop_staged(self, statement: Statement, staged: StagedRows) -> None:
        self._with_files(statement, lambda loads: loads.drop(staged))

    def _with_files(self, statement: Statement, run: Callable[[FileLoads], T]) -> T:
        with statement.session.lock, self._running(statement) as connection:
            try:
                return run(connection.file_loads)
            except Exception as error:
                raise snowflake_error(error, statement.text) from error

    @contextmanager
    def cutting_text(self, session: Session, cuts: bool) -> Iterator[None]:
        """For the block, cut what is too long for its column instead of refusing it."""
        with session.lock:
            connection = self.connection(session)
            connection.cut_text = cuts
            try:
                yield
            finally:
                connection.cut_text = False

    @contextmanager
    def atomic(self, session: Session) -> Iterator[None]:
        """All writes of the block or none, unless the session has a transaction open that says so already."""
        with session.lock, self.connection(session).transactions.atomic():
            yield

    @contextmanager
    def stream(self, session: Session, query: str) -> Iterator[tuple[Sequence[Column], pa.RecordBatchReader]]:
        """A query's columns and its rows in Arrow batches, as the engine produces them."""
        statement = self._inner(session, query)
        with session.lock, self._running(statement) as connection:
            try:
                with connection.stream(statement) as found:
                    yield found
            except Exception as error:
                raise snowflake_error(error, statement.text) from error

    @contextmanager
    def _running(self, statement: Statement) -> Iterator[EngineConnection]:
        connection = self.connection(statement.session)
        outer, connection.query_id = connection.query_id, statement.query_id
        try:
            statement.check_cancelled()
            yield connection
        finally:
            connection.query_id = outer

    def interrupt(self, session: Session, query_id: str) -> None:
        """Stop what the engine runs for a query just now; an interrupt between two steps of it is lost."""
        connection = self._connections.get(session.id)
        if connection is not None and connection.query_id == query_id:
            connection.interrupt()

    def close_session(self, session: Session) -> None:
        """Roll back what is open and drop the session's temporary tables."""
        with self._lock:
            connection = self._connections.pop(session.id, None)
        if connection is not None:
            while not session.lock.acquire(timeout=0.05):
                connection.interrupt()
            try:
                connection.close()
            finally:
                session.lock.release()

    def close(self) -> None:
        for connection in list(self._connections.values()):
            connection.interrupt()
            connection.close()
        self._connections.clear()
        self._root.close()
        self.catalog.close()

    # Databases and schemas

    def databases(self) -> list[str]:
        rows = self._query("SELECT database_name FROM duckdb_databases() WHERE NOT internal ORDER BY 1")
        return [name for (name,) in rows if name not in ("memory", GLOBAL_DATABASE_NAME)]

    def schemas(self, database: str) -> list[str]:
        rows = self._query("SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? ORDER BY 1", [database])
        return [name for (name,) in rows if name not in _HIDDEN_SCHEMAS]

    def has_schema(self, database: str, schema: str) -> bool:
        return schema in self.schemas(database) or (schema == "INFORMATION_SCHEMA" and database in self.databases())

    def create_database(self, name: str) -> None:
        """:raises SnowflakeError: 2002 if it is there."""
        if name in self.databases():
            raise already_exists(name)
        path = self._folder / f"{quote(name, safe='')}.db"
        quoted = _quoted(name)
        with self.write_lock:
            self._root.execute(f"ATTACH '{path}' AS {quoted}")
            self._root.execute(info_schema.per_db_creation_sql(quoted).replace(f"'{quoted}'", f"'{name}'"))
            self._root.execute(macros.creation_sql(quoted))
            self._root.execute(f'CREATE SCHEMA IF NOT EXISTS {quoted}."PUBLIC"')
        self.catalog_changed()
        self.catalog.record("DATABASE", name)
        self.catalog.record("SCHEMA", name, "PUBLIC")

    def drop_database(self, name: str) -> None:
        """:raises SnowflakeError: 2003 if it is not there."""
        if name not in self.databases():
            raise does_not_exist("Database", name)
        with self.write_lock:
            self._leave(name)
            self._root.execute(f"DETACH {_quoted(name)}")
            for path in self._folder.glob(f"{quote(name, safe='')}.db*"):
                path.unlink()
        self.catalog_changed()
        self.catalog.forget_all(name)

    def _leave(self, database: str, schema: str | None = None) -> None:
        """Sessions whose current namespace is about to be dropped have none then."""
        for connection in list(self._connections.values()):
            connection.leave(database, schema)

    def create_schema(self, database: str, name: str) -> None:
        if database not in self.databases():
            raise does_not_exist("Database", database)
        if name in self.schemas(database):
            raise already_exists(f"{database}.{name}")
        with self.write_lock:
            self._root.execute(f"CREATE SCHEMA {_quoted(database)}.{_quoted(name)}")
        self.catalog.record("SCHEMA", database, name)

    def drop_schema(self, database: str, name: str) -> None:
        if name not in self.schemas(database):
            raise does_not_exist("Schema", f"{database}.{name}")
        with self.write_lock:
            self._leave(database, name)
            self._root.execute(f"DROP SCHEMA {_quoted(database)}.{_quoted(name)} CASCADE")
        self.catalog_changed()
        self.catalog.forget_all(database, name)

    # Tables and views

    def relations(self, session: Session) -> list[Relation]:
        """All tables and views that a session sees."""
        found = [
            Relation(
                database,
                schema,
                name,
                "TABLE",
                self.catalog.created("TABLE", database, schema, name),
                comment or "",
            )
            for database, schema, name, comment in self._query(
                "SELECT database_name, schema_name, table_name, x.comment FROM duckdb_tables() "
                f"LEFT JOIN {_COMMENTS} (database_name, schema_name, table_name) WHERE NOT temporary AND NOT internal"
            )
            if schema not in _HIDDEN_SCHEMAS and database != GLOBAL_DATABASE_NAME
        ]
        found += [
            Relation(
                database,
                schema,
                name,
                "VIEW",
                self.catalog.created("VIEW", database, schema, name),
                comment or "",
                text,
            )
            for database, schema, name, comment, text in self._query(
                "SELECT database_name, schema_name, view_name, x.comment, sql FROM duckdb_views() "
                f"LEFT JOIN {_COMMENTS} (database_name, schema_name, view_name) WHERE NOT internal"
            )
            if schema not in _HIDDEN_SCHEMAS and database != GLOBAL_DATABASE_NAME
        ]
        temporary = self.connection(session).temporary
        return [one for one in found if (one.database, one.schema, one.name) not in temporary] + [
            Relation(*name, "TEMPORARY", temporary.created[name]) for name in temporary
        ]

    def row_count(self, session: Session, name: Name) -> int:
        """The rows that the session sees in a table."""
        connection = self.connection(session)
        with session.lock:
            physical = ("temp", "main", connection.temporary[name]) if name in connection.temporary else name
            return int(connection.query(f"SELECT count(*) FROM {'.'.join(map(_quoted, physical))}", [])[0][0])

    def columns(self, session: Session, name: Name) -> list[TableColumn]:
        """The columns of a table or view.

        :raises SnowflakeError: 2003 if the session sees none of this name.
        """
        connection = self.connection(session)
        with session.lock:
            physical = ("temp", "main", connection.temporary[name]) if name in connection.temporary else name
            rows = connection.query(
                "SELECT column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns() "
                "WHERE (database_name, schema_name, table_name) = (?, ?, ?) ORDER BY column_index",
                list(physical),
            )
        if not rows:
            raise does_not_exist("Table", ".".join(name))
        keys = [] if name in connection.temporary else self.catalog.keys(name)
        primary = {column for kind, column in keys if kind == "PRIMARY KEY"}
        unique = {column for kind, column in keys if kind == "UNIQUE"}
        known = connection.declared(name)
        return [
            TableColumn(
                column,
                known.get(column) or declared(result_column(column, kind)),
                nullable,
                self._default(default),
                column in primary,
                column in unique,
                comment,
                is_identity=_IDENTITY in (default or ""),
            )
            for column, kind, nullable, default, comment in rows
        ]

    def _default(self, default: str | None) -> str | None:
        """A column's default as Snowflake shows it: no name of the sequence behind AUTOINCREMENT."""
        match = _SEQUENCE.fullmatch(default or "")
        if match is None:
            return default
        *_, name = match[1].replace('"', "").split(".")
        if not name.startswith(_IDENTITY):
            return f"{match[1].replace(chr(34), '')}.NEXTVAL"
        ((start, increment),) = self._query(
            "SELECT start_value, increment_by FROM duckdb_sequences() WHERE upper(sequence_name) = upper(?)", [name]
        )
        return f"IDENTITY START {start} INCREMENT {increment} NOORDER"

    def _query(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        with self._root.cursor() as cursor:
            return cursor.execute(sql, parameters or []).fetchall()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
