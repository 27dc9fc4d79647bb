"""One session's connection to the engine: translation, transactions, temporary tables."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from fakesnow.conn import FakeSnowflakeConnection
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.sql import translate
from airflow_provider_snowflake_batch.local.sql.arrow import table_of
from airflow_provider_snowflake_batch.local.sql.batches import insert_from, literal_columns, read_from, with_moments
from airflow_provider_snowflake_batch.local.sql.casts import round_casts
from airflow_provider_snowflake_batch.local.sql.catalog import Name
from airflow_provider_snowflake_batch.local.sql.dates import keep_dates
from airflow_provider_snowflake_batch.local.sql.declarations import changed_columns, declarations
from airflow_provider_snowflake_batch.local.sql.file_loads import FileLoads
from airflow_provider_snowflake_batch.local.sql.fitting import fit_writes, limits, text_columns
from airflow_provider_snowflake_batch.local.sql.guard import guard
from airflow_provider_snowflake_batch.local.sql.keys import take_keys
from airflow_provider_snowflake_batch.local.sql.lineage import as_declared, declared_outputs
from airflow_provider_snowflake_batch.local.sql.names import Names
from airflow_provider_snowflake_batch.local.sql.parameters import TIMEZONE
from airflow_provider_snowflake_batch.local.sql.swap import swap, swapped_table
from airflow_provider_snowflake_batch.local.sql.temporary import TemporaryTables, table_of_statement
from airflow_provider_snowflake_batch.local.sql.texts import write_texts
from airflow_provider_snowflake_batch.local.sql.transactions import Transactions
from airflow_provider_snowflake_batch.local.sql.types import is_nested, result_column
from airflow_provider_snowflake_batch.local.sql.using_template import fill_template, template_of
from airflow_provider_snowflake_batch.local.sql.variants import compare_variants
from airflow_provider_snowflake_batch.local.stages.reading import rewrite_stage_reads
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.engine import Engine

SELECT, INSERT, UPDATE, DELETE, MERGE = 0x1000, 0x3100, 0x3200, 0x3300, 0x3400
DDL, TCL = 0x6000, 0x5000
_CONFLICT_RETRIES = 20
_MERGE_ACTIONS = {"INSERT": "inserted", "UPDATE": "updated", "DELETE": "deleted"}
_COUNTS = {
    exp.Insert: (INSERT, ("number of rows inserted",)),
    exp.Update: (UPDATE, ("number of rows updated", "number of multi-joined rows updated")),
    exp.Delete: (DELETE, ("number of rows deleted",)),
}


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
        self.names = Names(session, self._columns_of, engine.has_twin)
        self.file_loads = FileLoads(engine, self, self._duck)
        self.cut_text = False
        """Whether text that is too long for its column is cut instead of refused."""
        self._written: Name | None = None
        """The table that the statement of just now writes to, under the name that the session knows."""
        self._registered = itertools.count()

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
            return self._engine.known_columns(name)
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
        with self._relations() as relation:
            tree = translate.parse(translate.normalize(statement, relation))
            if not describe_only and (literals := literal_columns(tree)) is not None:
                assert isinstance(tree, exp.Insert)
                with self._rows(literals) as (source, names):
                    insert_from(tree, source, names)
                    return self.write(tree)
            if not describe_only and isinstance(tree, exp.Create) and template_of(tree) is not None:
                fill_template(tree, lambda query: self._cell(statement, query))
            guard(tree)
            if isinstance(tree, (exp.Transaction, exp.Commit, exp.Rollback)):
                self.transactions.run(tree)
                return Result([Column("status")], [("Statement executed successfully.",)], statement_type=TCL)
            translate.name_projections(tree)
            translate.list_stars(tree)
            rewrite_stage_reads(tree, statement)
            tree = translate.fill_in(statement, tree)
            if isinstance(tree, exp.Query):
                return self._query(tree, describe_only)
            if describe_only:
                return self._described(tree)
            return self.write(tree)

    def _cell(self, statement: Statement, query: exp.Query) -> Any:
        """The one value of a query inside of a statement."""
        guard(query)
        rewrite_stage_reads(query, statement)
        filled = translate.fill_in(statement, query.copy())
        assert isinstance(filled, exp.Query)
        rows = self._query(filled, describe_only=False).fetch()
        return rows[0][0] if rows else None

    def execute_batch(self, statement: Statement, columns: Sequence[Sequence[Any]]) -> Result:
        self.enter_namespace()
        with self._relations() as relation:
            tree = translate.parse(translate.normalize(statement, relation))
            if not isinstance(tree, exp.Insert):
                raise not_supported("A batch of bind variables for anything but INSERT")
            guard(tree)
            columns = with_moments(tree, columns, self._kinds)
            with self._rows(columns) as (source, names):
                read_from(tree, source, names)
                return self.write(translate.fill_in(statement, tree))

    def _kinds(self, table: exp.Table, names: Sequence[Expr]) -> list[str]:
        """Snowflake's types of a table's columns: of these, or of all."""
        _, columns = self._bind(exp.select(*(names or [exp.Star()])).from_(table.copy()))
        return [column.type for column in columns]

    @contextmanager
    def _rows(self, columns: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[str]]]:
        """A relation of these columns, for one statement: its name and theirs."""
        names = [f"B{number}" for number in range(1, len(columns) + 1)]
        source = f"{translate.REGISTERED}{next(self._registered)}"
        self._duck.register(source, pa.table({n: pa.array(c) for n, c in zip(names, columns, strict=True)}))
        try:
            yield source, names
        finally:
            self._duck.unregister(source)

    @contextmanager
    def stream(self, statement: Statement) -> Iterator[tuple[Sequence[Column], pa.RecordBatchReader]]:
        """A query's columns and its rows as they come."""
        self.enter_namespace()
        with self._relations() as relation:
            tree = translate.parse(translate.normalize(statement, relation))
            guard(tree)
            if not isinstance(tree, exp.Query):
                raise SnowflakeError("SQL compilation error:\nA query is expected.", errno=1003, sqlstate="42000")
            translate.name_projections(tree)
            rewrite_stage_reads(tree, statement)
            rows, columns = self._bind(translate.fill_in(statement, tree))
            reader = rows.to_arrow_reader(65536)
            try:
                yield columns, reader
            finally:
                # An open result would keep the connection from its next statement.
                reader.close()

    @contextmanager
    def _relations(self) -> Iterator[Any]:
        """Results of table functions, readable for one statement."""
        names: list[str] = []

        def register(result: Result) -> str:
            name = f"{translate.REGISTERED}{next(self._registered)}"
            table = table_of(result)
            self._duck.register(name, table)
            names.append(name)
            listed = ", ".join(
                f"PARSE_JSON({_quoted(column.name)}) AS {_quoted(column.name)}"
                if column.type in ("VARIANT", "OBJECT", "ARRAY")
                else _quoted(column.name)
                for column in result.columns
            )
            return f"(SELECT {listed} FROM {_quoted(name)})"

        try:
            yield register
        finally:
            for name in names:
                self._duck.unregister(name)

    def _query(self, tree: exp.Query, describe_only: bool) -> Result:
        rows, columns = self._bind(tree)
        if describe_only:
            return Result(columns, statement_type=SELECT)
        return Result(columns, table=rows.to_arrow_table(), statement_type=SELECT)

    def _lookup(self, table: exp.Table) -> dict[str, str]:
        try:
            return self.declared(self._session.qualify(translate.table_parts(table)))
        except SnowflakeError:
            return {}

    def _bind(self, tree: Expr) -> tuple[duckdb.DuckDBPyRelation, list[Column]]:
        declared = declared_outputs(tree, self._lookup)
        self.temporary.redirect(tree)
        sql = self.translated(tree)[-1].sql(dialect="duckdb")
        rows = self._duck.sql(sql)
        types = [str(kind) for kind in rows.types]
        columns = [
            as_declared(result_column(name, kind), declared.get(name))
            for name, kind in zip(rows.columns, types, strict=True)
        ]
        if any(is_nested(kind) for kind in types):
            listed = ", ".join(
                f"to_json({_quoted(name)}) AS {_quoted(name)}" if is_nested(kind) else _quoted(name)
                for name, kind in zip(rows.columns, types, strict=True)
            )
            rows = rows.select(listed) if len(set(rows.columns)) == len(rows.columns) else rows
        return rows, columns

    def write(self, tree: Expr) -> Result:
        """Run DDL or DML."""
        statement_type, counts = next((entry for kind, entry in _COUNTS.items() if isinstance(tree, kind)), (DDL, ()))
        is_ddl = not isinstance(tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge))
        if is_ddl:
            # Snowflake commits before and after each DDL statement.
            self.transactions.commit()
        elif not self.transactions.open and self._session.parameters.get("AUTOCOMMIT", True) is False:
            self.transactions.begin()
        columns = declarations(tree)
        if not columns and isinstance(tree, exp.Create) and isinstance(tree.expression, exp.Query):
            columns = list(declared_outputs(tree.expression, self._lookup).items())
        keys = take_keys(tree)
        self._written = None if is_ddl else self.target(tree)
        change = self.temporary.change(tree)
        self.temporary.redirect(tree)
        if isinstance(tree, exp.Merge):
            return self._merge(tree)
        if counts:
            affected = self._retried(tree)
            values = [affected] + [0] * (len(counts) - 1)
            return Result(
                [Column(name, "FIXED", precision=19, scale=0) for name in counts],
                [values],
                statement_type=statement_type,
            )
        if change is not None:
            self._run(tree)
            return Result.message(self.temporary.changed(tree, change, dict(columns)))
        target = self.target(tree)
        if target is not None and (other := swapped_table(tree)) is not None:
            swap(self._engine, self._session, self._duck, target, other)
            return Result.message("Statement executed successfully.")
        if isinstance(tree, exp.TruncateTable) and tree.args.get("exists"):
            # DuckDB's TRUNCATE has no IF EXISTS.
            if not self._engine.has_table(
                self._session, self._session.qualify(translate.table_parts(tree.expressions[0]))
            ):
                return Result.message("Statement executed successfully.")
            tree.set("exists", None)
        is_drop_if_exists = isinstance(tree, exp.Drop) and tree.args.get("exists")
        if is_drop_if_exists and target is not None and not self._engine.has_table(self._session, target):
            return Result.message("Drop statement executed successfully (object already dropped or does not exist).")
        is_create_if_missing = isinstance(tree, exp.Create) and tree.args.get("exists")
        if is_create_if_missing and target is not None and self._engine.has_table(self._session, target):
            return Result.message(f"{target[2]} already exists, statement succeeded.")
        if not isinstance(tree, exp.Alter) or tree.args.get("actions"):
            self._define(tree)
        if isinstance(tree, exp.TruncateTable):
            for table in tree.expressions:
                self._engine.emptied(self._session.qualify(translate.table_parts(table)))
        elif target is not None:
            self._note(tree, target, columns, keys)
            if isinstance(tree, exp.Drop):
                return Result.message(f"{target[2]} successfully dropped.")
            if isinstance(tree, exp.Create):
                return Result.message(f"{str(tree.args['kind']).capitalize()} {target[2]} successfully created.")
        return Result.message("Statement executed successfully.")

    def target(self, tree: Expr) -> Name | None:
        """The table that a statement defines or writes to."""
        table = table_of_statement(tree)
        return None if table is None else self._session.qualify(translate.table_parts(table))

    def _note(
        self, tree: Expr, name: Name, columns: Sequence[tuple[str, str]], keys: Sequence[tuple[str, str]]
    ) -> None:
        """Keep the catalog up with DDL that has succeeded."""
        catalog, kind = self._engine.catalog, str(tree.args.get("kind")).upper()
        if isinstance(tree, exp.Create):
            catalog.record(kind, *name)
            catalog.declare(name, columns or self._copied(tree))
            catalog.add_keys(name, keys)
            self._engine.emptied(name)
        elif isinstance(tree, exp.Drop):
            self._engine.dropped(name)
        elif isinstance(tree, exp.Alter):
            for action in tree.args.get("actions") or []:
                if isinstance(action, exp.AlterRename):
                    catalog.rename(name, self._session.qualify(translate.table_parts(action.this)))
            catalog.declare(name, columns, replace=False)
            for column, new_name, declared in changed_columns(tree):
                catalog.change_column(name, column, new_name, declared)
            catalog.add_keys(name, keys)

    def _copied(self, tree: exp.Create) -> list[tuple[str, str]]:
        """The declared columns of the table that CREATE TABLE … LIKE or CLONE copies."""
        like = tree.find(exp.LikeProperty)
        clone = tree.args.get("clone")
        source = like.this if like is not None else clone.this if isinstance(clone, exp.Clone) else None
        return list(self._lookup(source).items()) if isinstance(source, exp.Table) else []

    def _retried(self, tree: Expr) -> int:
        """Run DML; outside a transaction, wait for a concurrent writer instead of failing as DuckDB does."""
        statements = [part.sql(dialect="duckdb") for part in self._fitted(tree, self.translated(tree))]
        for attempt in range(_CONFLICT_RETRIES):
            try:
                with self._engine.write_lock:
                    counts = [self._duck.execute(sql).fetchall() for sql in statements]
                return int(counts[-1][0][0]) if counts[-1] else 0
            except duckdb.TransactionException:
                if self.transactions.open or attempt == _CONFLICT_RETRIES - 1:
                    raise
                time.sleep(0.02 * (attempt + 1))
        raise AssertionError("unreachable")

    def _fitted(self, tree: Expr, parts: list[Expr]) -> list[Expr]:
        """The translated parts of a write, with text columns getting text that fits."""
        target = self._written
        # The values of a VALUES are literals: only too long ones can be wrong.
        of_table = limits if isinstance(tree, exp.Insert) and isinstance(tree.expression, exp.Values) else text_columns
        lengths = of_table(self.declared(target)) if target is not None else {}
        if target is not None and lengths:
            columns = [column.name for column in self._engine.columns(self._session, target)]
            for part in parts:
                fit_writes(part, lengths, columns, cut=self.cut_text)
        return parts

    def _merge(self, tree: exp.Merge) -> Result:
        cursor = self._fake.cursor()
        self.names.check(tree)
        (translated,) = self._fitted(tree, [self._meant(cursor._transform(tree, None))])
        sql = translated.sql(dialect="duckdb")
        with self._engine.write_lock:
            done = Counter(action for (action,) in self._duck.execute(f"{sql} RETURNING merge_action").fetchall())
        possible = merge_actions(tree)
        return Result(_merge_columns(possible), [[done[action] for action in possible]], statement_type=MERGE)

    def _define(self, tree: Expr) -> None:
        """Run DDL, and keep what the information schema shows of it and DuckDB has no place for."""
        parts = self.translated(tree)
        with self._engine.write_lock:
            for part in parts:
                self._duck.execute(part.sql(dialect="duckdb")).fetchall()
                if found := part.args.get("table_comment"):
                    table, comment = found
                    self._engine.keep_comment(self._session.qualify(translate.table_parts(table)), comment)
                if found := part.args.get("text_lengths"):
                    target = table_of_statement(part)
                    assert target is not None
                    self._engine.keep_text_lengths(self._session.qualify(translate.table_parts(target)), found)
        self._engine.catalog_changed()

    def _run(self, tree: Expr) -> None:
        with self._engine.write_lock:
            for part in self.translated(tree):
                self._duck.execute(part.sql(dialect="duckdb"))

    def translated(self, tree: Expr) -> list[Expr]:
        """The statement in the engine's own SQL: one tree, or one for each part that the engine takes apart."""
        cursor = self._fake.cursor()
        self.names.check(tree)
        return [self._meant(cursor._transform(part, None)) for part in cursor._transform_explode(tree)]

    def _meant(self, tree: Expr) -> Expr:
        """The engine's SQL with Snowflake's meaning where the two differ."""
        types = self._columns_by_type(tree)
        tree = round_casts(_with_quoted_names(tree))
        tree = keep_dates(tree, {name for name, kinds in types.items() if kinds == {"DATE"}})
        return write_texts(compare_variants(tree, {name for name, kinds in types.items() if "JSON" in kinds}))

    def _described(self, tree: Expr) -> Result:
        for kind, (statement_type, counts) in _COUNTS.items():
            if isinstance(tree, kind):
                columns = [Column(name, "FIXED", precision=19, scale=0) for name in counts]
                return Result(columns, statement_type=statement_type)
        if isinstance(tree, exp.Merge):
            return Result(_merge_columns(merge_actions(tree)), statement_type=MERGE)
        return Result([Column("status")], statement_type=DDL)

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
            self._duck.execute(f"USE {_quoted(database)}.{_quoted(inner)}")
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

    def close(self) -> None:
        self.transactions.rollback()
        self._duck.close()


def merge_actions(tree: exp.Merge) -> list[str]:
    """What the WHEN clauses of a MERGE may do, in the order of the answer's columns."""
    found = set()
    for when in tree.args["whens"].expressions:
        then = when.args["then"]
        found.add("DELETE" if isinstance(then, exp.Var) else type(then).__name__.upper())
    return [action for action in _MERGE_ACTIONS if action in found]


def _merge_columns(actions: Sequence[str]) -> list[Column]:
    return [Column(f"number of rows {_MERGE_ACTIONS[action]}", "FIXED", precision=19, scale=0) for action in actions]


def _with_quoted_names(tree: Expr) -> Expr:
    """Quote every name, since some that Snowflake allows, such as AT, are DuckDB's keywords."""
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("quoted", True)
    return tree


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
