"""One session's connection to the engine: translation, transactions, temporary tables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from fakesnow.conn import FakeSnowflakeConnection
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql import multitable, translate
from airflow_provider_snowflake_batch.local.sql.arrow import RegisteredRelations
from airflow_provider_snowflake_batch.local.sql.batch_inserts import (
    insert_from,
    literal_columns,
    read_from,
    with_moments,
)
from airflow_provider_snowflake_batch.local.sql.casts import round_casts, without_lengths
from airflow_provider_snowflake_batch.local.sql.catalog import Name
from airflow_provider_snowflake_batch.local.sql.dates import keep_dates
from airflow_provider_snowflake_batch.local.sql.ddl import Definitions
from airflow_provider_snowflake_batch.local.sql.declarations import fill_template, template_of
from airflow_provider_snowflake_batch.local.sql.dml import Changes, described, name_inserted
from airflow_provider_snowflake_batch.local.sql.expression_types import kind_of, write_types
from airflow_provider_snowflake_batch.local.sql.expressions import engine_sql
from airflow_provider_snowflake_batch.local.sql.file_loads import FileLoads
from airflow_provider_snowflake_batch.local.sql.guard import guard
from airflow_provider_snowflake_batch.local.sql.macros import TO_JSON, bind_once, write_json
from airflow_provider_snowflake_batch.local.sql.names import Names
from airflow_provider_snowflake_batch.local.sql.offsets import SESSION
from airflow_provider_snowflake_batch.local.sql.parameters import TIMEZONE
from airflow_provider_snowflake_batch.local.sql.query_types import (
    CHANGES,
    as_declared,
    declared_outputs,
    required_outputs,
)
from airflow_provider_snowflake_batch.local.sql.rewrites import fill_in
from airflow_provider_snowflake_batch.local.sql.select_clauses import fill_pivots, open_pivots
from airflow_provider_snowflake_batch.local.sql.temporary import TemporaryTables, table_of_statement
from airflow_provider_snowflake_batch.local.sql.texts import write_texts
from airflow_provider_snowflake_batch.local.sql.transactions import Transactions
from airflow_provider_snowflake_batch.local.sql.types import is_nested, result_column
from airflow_provider_snowflake_batch.local.sql.variants import compare_variants
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.engine import Engine

SELECT, TCL = 0x1000, 0x5000


class EngineConnection:
    """What the engine keeps for one session. Use it with the session's lock held."""

    def __init__(self, engine: Engine, fake: FakeSnowflakeConnection, session: Session) -> None:
        self._engine = engine
        self._fake = fake
        self._session = session
        self._duck: duckdb.DuckDBPyConnection = fake._duck_conn
        self._namespace: tuple[str | None, str | None] | None = None
        self._zone = "UTC"
        self.transactions = Transactions(self._duck)
        self.temporary = TemporaryTables(session)
        self.query_id: str | None = None
        """The query that it works for just now."""
        self.names = Names(session, self._columns_of, engine.tables.has_twin)
        self.file_loads = FileLoads(engine, self, self._duck)
        self.cut_text = False
        """Whether text that is too long for its column is cut instead of refused."""
        self._changes = Changes(engine, self, session, self._duck)
        self._definitions = Definitions(engine, self, session, self._duck)
        self._registered = RegisteredRelations(self._duck)

    def query(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Rows of a query in DuckDB's own SQL."""
        return self._duck.execute(sql, parameters).fetchall()

    def declared(self, name: Name) -> dict[str, str]:
        """The declared column types of a table that this session sees."""
        if name in self.temporary:
            return self.temporary.declared[name]
        return self._engine.catalog.declared(name)

    def _columns_of(self, name: Name) -> Mapping[str, str] | None:
        """The columns of a table or view with the engine's types."""
        if name[:2] != ("temp", "main"):
            return self._engine.tables.known_columns(name)
        rows = self.query(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE (database_name, schema_name, table_name) = (?, ?, ?)",
            name,
        )
        return {column: str(kind) for column, kind in rows} or None

    def _columns_by_type(self, tree: Expr) -> dict[str, set[str]]:
        """The engine's types of each column name, in all tables that a statement mentions."""
        found: dict[str, set[str]] = {}
        for table in tree.find_all(exp.Table):
            if not isinstance(table.this, exp.Identifier):
                continue
            try:
                name = self._session.qualify(translate.table_parts(table))
            except SnowflakeError:
                continue
            for column, kind in (self._columns_of(name) or {}).items():
                found.setdefault(column, set()).add(kind)
        return found

    # Running

    def execute(self, statement: Statement, *, describe_only: bool = False) -> Result:
        self.enter_namespace()
        with self._registered.results() as relation:
            text = self._normalized(statement, relation)
            tree = translate.parse(text)
            # Columns have the names of variables, not of their values.
            written = statement.text
            if pivots := open_pivots(tree):
                fill_pivots(tree, pivots, lambda query: self._inner_rows(statement, query))
                written = tree.sql(dialect="snowflake")
                tree = translate.parse(written)
            if not describe_only and (literals := literal_columns(tree)) is not None:
                assert isinstance(tree, exp.Insert)
                with self._registered.rows(literals) as (source, names):
                    insert_from(tree, source, names)
                    return self.write(tree)
            if not describe_only and isinstance(tree, exp.Create) and template_of(tree) is not None:
                fill_template(tree, lambda query: next((row[0] for row in self._inner_rows(statement, query)), None))
            self._guard(tree, statement)
            tree.meta["text"] = statement.text.strip().rstrip(";")
            if isinstance(tree, (exp.Transaction, exp.Commit, exp.Rollback)):
                self.transactions.run(tree)
                return Result([Column("status")], [("Statement executed successfully.",)], statement_type=TCL)
            translate.name_projections(tree, written)
            translate.list_stars(tree)
            if isinstance(tree, exp.Merge):
                name_inserted(tree, self._column_names(tree.this))
            self._engine.read_stages(tree, statement)
            with self._reading_streams(tree, consumes=not describe_only and not isinstance(tree, exp.Query)):
                if isinstance(tree, exp.MultitableInserts):
                    several = multitable.counted(tree) if describe_only else None
                    return several or self._insert_into_several(statement, tree, relation)
                tree = self.meant(statement, tree)
                if isinstance(tree, exp.Query):
                    return self._query(tree, describe_only)
                if describe_only:
                    return described(tree)
                return self.write(tree)

    def _insert_into_several(
        self, statement: Statement, tree: exp.MultitableInserts, relation: Callable[[Result], str]
    ) -> Result:
        if self._session.parameters.get("AUTOCOMMIT", True) is False:
            self.transactions.begin_unless_open()
        with self._engine.write_lock, self.transactions.atomic():
            query = self.meant(statement, tree.args["source"].copy())
            assert isinstance(query, exp.Query)
            result = self._query(query, describe_only=False)
            rows = multitable.typed_rows(relation(result), list(result.columns))
            answers = [self.write(self.meant(statement, insert)) for insert in multitable.inserts(tree, rows)]
        return multitable.counted(tree, [answer.rows[0][0] for answer in answers])

    @contextmanager
    def _reading_streams(self, tree: Expr, *, consumes: bool) -> Iterator[None]:
        """For the block, let a statement read streams; a change that does so moves them on when it is committed."""
        streams = self._engine.streams
        places = streams.in_statement(self._session, tree)
        streams.read(self, places)
        read = [stream for _, stream in places]
        if not read or not consumes:
            yield
            return
        is_change = isinstance(tree, (*CHANGES, exp.MultitableInserts))
        if is_change and self._session.parameters.get("AUTOCOMMIT", True) is False:
            self.transactions.begin_unless_open()
        if is_change and self.transactions.open:
            # All statements of a transaction see the same rows.
            yield
            streams.advance_at_commit(self, read)
            return
        self.transactions.commit()
        with self._engine.write_lock, self.transactions.atomic():
            yield
            streams.advance(self, read)

    def _guard(self, tree: Expr, statement: Statement) -> None:
        guard(tree, statement.text, self._engine.functions)

    def _normalized(self, statement: Statement, relation: Callable[[Result], str]) -> str:
        return translate.normalize(statement, relation, self._engine.functions, self._engine.databases)

    def meant(self, statement: Statement, tree: Expr) -> Expr:
        """The tree with what only the server knows filled in: types, functions, variables."""
        return fill_in(statement, write_types(tree, self.lookup), self._engine.functions)

    def _inner_rows(self, statement: Statement, query: exp.Query) -> Sequence[Sequence[Any]]:
        """The rows of a query inside of a statement."""
        self._guard(query, statement)
        self._engine.read_stages(query, statement)
        filled = self.meant(statement, query.copy())
        assert isinstance(filled, exp.Query)
        return self._query(filled, describe_only=False).fetch()

    def execute_batch(self, statement: Statement, columns: Sequence[Sequence[Any]]) -> Result:
        self.enter_namespace()
        with self._registered.results() as relation:
            tree = translate.parse(self._normalized(statement, relation))
            if not isinstance(tree, exp.Insert):
                raise not_supported("A batch of bind variables for anything but INSERT")
            self._guard(tree, statement)
            columns = with_moments(tree, columns, self._kinds)
            with self._registered.rows(columns) as (source, names):
                read_from(tree, source, names)
                return self.write(self.meant(statement, tree))

    def _kinds(self, table: exp.Table, names: Sequence[Expr]) -> list[str]:
        """Snowflake's types of a table's columns: of these, or of all."""
        _, columns = self._bind(exp.select(*(names or [exp.Star()])).from_(table.copy()))
        return [column.type for column in columns]

    @contextmanager
    def stream(self, statement: Statement) -> Iterator[tuple[Sequence[Column], pa.RecordBatchReader]]:
        """A query's columns and its rows as they come."""
        self.enter_namespace()
        with self._registered.results() as relation:
            text = self._normalized(statement, relation)
            tree = translate.parse(text)
            self._guard(tree, statement)
            if not isinstance(tree, exp.Query):
                raise SnowflakeError("SQL compilation error:\nA query is expected.", errno=1003, sqlstate="42000")
            translate.name_projections(tree, statement.text)
            self._engine.read_stages(tree, statement)
            rows, columns = self._bind(self.meant(statement, tree))
            reader = rows.to_arrow_reader(65536)
            try:
                yield columns, reader
            finally:
                # An open result would keep the connection from its next statement.
                reader.close()

    def _query(self, tree: exp.Query, describe_only: bool) -> Result:
        rows, columns = self._bind(tree)
        if describe_only:
            return Result(columns, statement_type=SELECT)
        return Result(columns, table=rows.to_arrow_table(), statement_type=SELECT)

    def lookup(self, table: exp.Table) -> dict[str, str]:
        """The declared column types of a table that a statement names, as far as they are known."""
        try:
            return self.declared(self._session.qualify(translate.table_parts(table)))
        except SnowflakeError:
            return {}

    def _column_names(self, table: exp.Table) -> list[str]:
        """All columns of a table that a statement names; none if it is not there."""
        try:
            name = self._session.qualify(translate.table_parts(table))
        except SnowflakeError:
            return []
        found = ("temp", "main", self.temporary[name]) if name in self.temporary else name
        return list(self._columns_of(found) or ())

    def _told(self, column: Column, required: Collection[str]) -> Column:
        """The column with what only the session and the tables know of it."""
        zone = self._zone if column.zone == SESSION else column.zone
        return replace(column, nullable=column.name not in required, zone=zone)

    def _required(self, table: exp.Table) -> Collection[str]:
        """The columns of a table that are NOT NULL, as far as they are known."""
        try:
            name = self._session.qualify(translate.table_parts(table))
        except SnowflakeError:
            return ()
        if name not in self.temporary:
            return self._engine.tables.required_columns(name)
        rows = self.query(
            "SELECT column_name FROM duckdb_columns() WHERE database_name = 'temp' AND table_name = ? "
            "AND NOT is_nullable",
            [self.temporary[name]],
        )
        return [column for (column,) in rows]

    def _bind(self, tree: Expr) -> tuple[duckdb.DuckDBPyRelation, list[Column]]:
        declared = declared_outputs(tree, self.lookup, kind_of)
        required = required_outputs(tree, self._required)
        self.temporary.redirect(tree)
        sql = engine_sql(self.translated(tree)[-1])
        self.transactions.check()
        rows = self._duck.sql(sql)
        types = [str(kind) for kind in rows.types]
        columns = [
            self._told(as_declared(result_column(name, kind), declared.get(name)), required)
            for name, kind in zip(rows.columns, types, strict=True)
        ]
        if any(is_nested(kind) for kind in types):
            listed = ", ".join(
                f"{TO_JSON}({quoted(name)}) AS {quoted(name)}" if is_nested(kind) else quoted(name)
                for name, kind in zip(rows.columns, types, strict=True)
            )
            rows = rows.select(listed) if len(set(rows.columns)) == len(rows.columns) else rows
        return rows, columns

    def written(self, query: exp.Query) -> list[Column]:
        """The columns of the query of an INSERT, if one of them is a TIMESTAMP_TZ."""
        query = translate.numbered(query)
        declared = declared_outputs(query, self.lookup, kind_of)
        return self._bind(query)[1] if any(kind.startswith("TIMESTAMP_TZ") for kind in declared.values()) else []

    def write(self, tree: Expr) -> Result:
        """Run DDL or DML."""
        self.transactions.check()
        if isinstance(tree, CHANGES):
            if not self.transactions.open and self._session.parameters.get("AUTOCOMMIT", True) is False:
                self.transactions.begin()
            return self._changes.run(tree)
        # Snowflake commits before and after each DDL statement.
        self.transactions.commit()
        return self._definitions.run(tree)

    def target(self, tree: Expr) -> Name | None:
        """The table that a statement defines or writes to."""
        table = table_of_statement(tree)
        return None if table is None else self._session.qualify(translate.table_parts(table))

    def translated(self, tree: Expr) -> list[Expr]:
        """The statement in the engine's own SQL: one tree, or one for each part that the engine takes apart."""
        cursor = self._fake.cursor()
        self.names.check(tree)
        return [self._meant(cursor._transform(part, None)) for part in cursor._transform_explode(tree)]

    def translated_whole(self, tree: Expr) -> Expr:
        """The statement in the engine's own SQL, not taken apart."""
        cursor = self._fake.cursor()
        self.names.check(tree)
        return self._meant(cursor._transform(tree, None))

    def _meant(self, tree: Expr) -> Expr:
        """The engine's SQL with Snowflake's meaning where the two differ."""
        types = self._columns_by_type(tree)
        tree = round_casts(without_lengths(_with_quoted_names(tree)))
        tree = keep_dates(tree, {name for name, kinds in types.items() if kinds == {"DATE"}})
        json_columns = {name for name, kinds in types.items() if "JSON" in kinds}
        tree = compare_variants(tree, json_columns, {name for name in json_columns if types[name] == {"JSON"}})
        return bind_once(write_json(write_texts(tree)))

    # Namespace and end

    def enter_namespace(self) -> None:
        """Make the session's database, schema and time zone those of the connection."""
        zone = str(self._session.parameters.get("TIMEZONE", TIMEZONE))
        if zone != self._zone:
            self._duck.execute(f"SET TimeZone = '{zone}'")
            self._zone = zone
        wanted = (self._session.database, self._session.schema)
        if wanted == self._namespace:
            return
        database, schema = wanted
        self._fake.database, self._fake._schema = database, schema
        self._fake.database_set, self._fake.schema_set = database is not None, schema is not None
        if database is None:
            self._duck.execute("USE memory")
        else:
            inner = "_fs_information_schema" if schema == "INFORMATION_SCHEMA" else schema or "main"
            self._duck.execute(f"USE {quoted(database, inner)}")
        self._namespace = wanted

    def leave(self, database: str, schema: str | None = None) -> None:
        """Leave a database, or a schema in it, that is about to be dropped."""
        if self._session.database == database and schema in (None, self._session.schema):
            self._session.database = database if schema else None
            self._session.schema = None
        # Its own thread enters the new namespace: another's statement may be running on the connection just now.
        self._namespace = None

    def interrupt(self) -> None:
        self._duck.interrupt()

    def give_way(self, seconds: float) -> bool:
        """Let go of every database: lose the transaction that is open, and what is left of the last result.

        :param seconds: how long a statement that runs may hold this up.
        :returns: whether it did; the statement still runs otherwise.
        """
        if not self._session.lock.acquire(timeout=seconds):
            return False
        try:
            self.transactions.lose()
            with contextlib.suppress(duckdb.Error):
                self._duck.execute("SELECT 1").fetchall()
        finally:
            self._session.lock.release()
        return True

    def close(self) -> None:
        self.transactions.rollback()
        self._duck.close()


def _with_quoted_names(tree: Expr) -> Expr:
    """Quote every name, since some that Snowflake allows, such as AT, are DuckDB's keywords."""
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("quoted", True)
    return tree
