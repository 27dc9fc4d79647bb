"""Plain SQL behind one interface. Everything that knows of fakesnow and DuckDB is in this room.

fakesnow translates Snowflake's SQL to DuckDB's and keeps the information schema; DuckDB stores and computes. One
DuckDB instance serves all sessions; each database is one file under the state directory.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import duckdb
import fakesnow.transforms
from fakesnow import info_schema
from fakesnow.instance import GLOBAL_DATABASE_NAME, FakeSnow
from fakesnow.transforms import show

from airflow_provider_snowflake_batch.local.functions import Functions
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.arrow import write_parquet
from airflow_provider_snowflake_batch.local.sql.catalog import Catalog
from airflow_provider_snowflake_batch.local.sql.checkpoints import NEVER, Checkpoints
from airflow_provider_snowflake_batch.local.sql.connection import EngineConnection
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.sql.engine_errors import snowflake_error
from airflow_provider_snowflake_batch.local.sql.file_loads import FileReads, StageReads, no_stages
from airflow_provider_snowflake_batch.local.sql.macros import define
from airflow_provider_snowflake_batch.local.sql.streams import Streams
from airflow_provider_snowflake_batch.local.sql.tables import Tables
from airflow_provider_snowflake_batch.local.state import StateDirectory
from airflow_provider_snowflake_batch.local.statements import CURRENT, Column, Result, Statement

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.file_loads import FileLoads, StagedRows

T = TypeVar("T")


# It reads its results in a way that copies them once more; they are small.
warnings.filterwarnings("ignore", message="Arrow output on a DB-API result", module="fakesnow")


def _as_written(expression: Any) -> Any:
    return expression


# fakesnow reads every argument of SUM, AVG … as DOUBLE, which makes the sum of integers a float.
fakesnow.transforms.numeric_agg_implicit_cast = _as_written


class Engine:
    """The SQL engine.

    :param state: where its databases lie.
    :param functions: what the server answers itself within a query.
    """

    def __init__(self, state: StateDirectory, functions: Functions) -> None:
        self.functions = functions
        self.read_stages: StageReads = no_stages
        """What makes a stage in a FROM readable: the room of the stages, once there is one."""
        self._state = state
        self._folder = state.databases
        self.catalog = Catalog(state)
        self._fake = FakeSnow(
            create_database_on_connect=False, create_schema_on_connect=False, db_path=str(self._folder)
        )
        self._root = self._fake.duck_conn
        files: dict[str, Path] = {}
        self.checkpoints = Checkpoints(self._root, self.connections, files)
        self.databases = Databases(self, self.catalog, self._folder, files, self._root)
        self.tables = Tables(self, self.catalog)
        self.streams = Streams(state, self)
        self._connections: dict[int, EngineConnection] = {}
        self._lock = threading.Lock()
        # DuckDB fails the second of two concurrent writers of one table; Snowflake lets it wait.
        self.write_lock = threading.RLock()
        self._open_files(files)
        self.checkpoints.start()

    def _open_files(self, files: dict[str, Path]) -> None:
        files[GLOBAL_DATABASE_NAME] = self._folder / "catalog.duckdb"
        files |= {unquote(path.stem): path for path in sorted(self._folder.glob("*.db"))}
        self._root.execute(f"SET GLOBAL checkpoint_threshold = '{NEVER}'")
        self._root.execute(f"DETACH {GLOBAL_DATABASE_NAME}")
        for name, path in files.items():
            self._root.execute(f"ATTACH '{path}' AS {quoted(name)}")
        self._root.execute(info_schema.fs_global_creation_sql())
        self._root.execute(show.fs_global_creation_sql())
        define(self._root)
        state = self._state
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

    def connections(self) -> list[EngineConnection]:
        """Those of all sessions that have run a statement."""
        return list(self._connections.values())

    def execute(self, statement: Statement, *, describe_only: bool = False) -> Result:
        """Run one statement; the result keeps its rows as Arrow.

        :param describe_only: bind and type the statement without running it.
        :raises SnowflakeError: whatever goes wrong.
        """
        session = statement.session
        with session.lock, self._running(statement) as connection:
            return self._healed(
                lambda: connection.execute(statement, describe_only=describe_only), connection, statement.text
            )

    def execute_batch(self, statement: Statement, columns: Sequence[Sequence[Any]]) -> Result:
        """Run one INSERT for many rows of bind variables.

        :param columns: the values of each variable, one list a variable.
        """
        session = statement.session
        with session.lock, self._running(statement) as connection:
            return self._healed(lambda: connection.execute_batch(statement, columns), connection, statement.text)

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
            return Statement(sql, session, query_id="")
        return Statement(sql, session, outer.query_id, outer.cancelled)

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

    def load(self, statement: Statement, insert: exp.Insert, read: FileReads) -> int:
        """Run an INSERT that reads files of a stage; the number of rows.

        :param read: makes the files in the INSERT readable.
        """
        return self._with_files(statement, lambda loads: loads.load(insert.copy(), statement, read))

    def stage_rows(self, statement: Statement, insert: exp.Insert, read: FileReads, skipped_lines: int) -> StagedRows:
        """Evaluate the rows of such an INSERT without inserting any; call :meth:`drop_staged` in the end."""
        return self._with_files(statement, lambda loads: loads.stage(insert.copy(), statement, read, skipped_lines))

    def insert_staged(self, statement: Statement, staged: StagedRows) -> int:
        """Insert the staged rows that fit; how many."""
        return self._with_files(statement, lambda loads: loads.insert(staged))

    def drop_staged(self, statement: Statement, staged: StagedRows) -> None:
        self._with_files(statement, lambda loads: loads.drop(staged))

    def _with_files(self, statement: Statement, run: Callable[[FileLoads], T]) -> T:
        with statement.session.lock, self._running(statement) as connection:
            return self._healed(lambda: run(connection.file_loads), connection, statement.text)

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
                self.checkpoints.heal(error, connection, self.checkpoints.generation)
                raise snowflake_error(error, statement.text) from error

    @contextmanager
    def _running(self, statement: Statement) -> Iterator[EngineConnection]:
        connection = self.connection(statement.session)
        self._ready(connection)
        outer, connection.query_id = connection.query_id, statement.query_id
        try:
            statement.check_cancelled()
            yield connection
        finally:
            connection.query_id = outer

    def _healed(self, run: Callable[[], T], connection: EngineConnection | None, text: str = "") -> T:
        """Run something, once more if a database had to be attached again for it.

        :raises SnowflakeError: whatever goes wrong.
        """
        generation = self.checkpoints.generation
        self._ready(connection)
        try:
            return run()
        except Exception as error:
            if not self.checkpoints.heal(error, connection, generation):
                raise snowflake_error(error, text) from error
        self._ready(connection)
        try:
            return run()
        except Exception as error:
            raise snowflake_error(error, text) from error

    def _ready(self, connection: EngineConnection | None) -> None:
        try:
            self.checkpoints.ready(connection)
        except duckdb.Error as error:
            raise snowflake_error(error) from error

    def _current(self) -> EngineConnection | None:
        """The connection of the client's statement that this thread answers, if it has one yet."""
        statement = CURRENT.get()
        return None if statement is None else self._connections.get(statement.session.id)

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
        self.checkpoints.stop()
        for connection in list(self._connections.values()):
            connection.interrupt()
            connection.close()
        self._connections.clear()
        self._root.close()
        self.catalog.close()
        self.streams.close()

    def query(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a query in DuckDB's own SQL, of no session.

        :raises SnowflakeError: whatever goes wrong.
        """

        def run() -> list[tuple[Any, ...]]:
            with self._root.cursor() as cursor:
                return cursor.execute(sql, parameters or []).fetchall()

        connection = self._current()
        while True:
            generation = self.checkpoints.generation
            found = self._healed(run, connection)
            if generation == self.checkpoints.generation or not sql.startswith("SELECT"):
                return found
            # A database that is not there for a moment is in no list.
