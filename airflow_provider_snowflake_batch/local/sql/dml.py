"""INSERT, UPDATE, DELETE and MERGE: run, counted, repeated when another writer was first."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.shortages import shortage
from airflow_provider_snowflake_batch.local.sql.catalog import Name
from airflow_provider_snowflake_batch.local.sql.column_values import fit_writes, writers
from airflow_provider_snowflake_batch.local.sql.expressions import engine_sql
from airflow_provider_snowflake_batch.local.sql.offsets import keeps_moments, written_elsewhere
from airflow_provider_snowflake_batch.local.sql.translate import stored_name
from airflow_provider_snowflake_batch.local.statements import Column, Result

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.connection import EngineConnection
    from airflow_provider_snowflake_batch.local.sql.engine import Engine

INSERT, UPDATE, DELETE, MERGE, DDL = 0x3100, 0x3200, 0x3300, 0x3400, 0x6000
_CONFLICT_RETRIES = 20
_MERGE_ACTIONS = {"INSERT": "inserted", "UPDATE": "updated", "DELETE": "deleted"}
_COUNTS = {
    exp.Insert: (INSERT, ("number of rows inserted",)),
    exp.Update: (UPDATE, ("number of rows updated", "number of multi-joined rows updated")),
    exp.Delete: (DELETE, ("number of rows deleted",)),
}


class Changes:
    """The changes of one connection. Use it with the session's lock held."""

    def __init__(
        self, engine: Engine, connection: EngineConnection, session: Session, duck: duckdb.DuckDBPyConnection
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._session = session
        self._duck = duck
        self._numbers = itertools.count()

    def run(self, tree: Expr) -> Result:
        """:param tree: one of :data:`CHANGES`; it is changed."""
        # Under the name that the session knows, which the statement loses for a temporary table.
        target = self._connection.target(tree)
        if isinstance(tree, exp.Insert) and isinstance(tree.expression, exp.Query) and target is not None:
            self._refuse_other_clocks(tree, tree.expression, target)
        self._connection.temporary.redirect(tree)
        if isinstance(tree, exp.Merge):
            return self._merge(tree, target)
        statement_type, counts = next(entry for kind, entry in _COUNTS.items() if isinstance(tree, kind))
        values = self._retried(tree, target)[: len(counts)]
        return Result(_count_columns(counts), [values], statement_type=statement_type)

    def _refuse_other_clocks(self, insert: exp.Insert, query: exp.Query, target: Name) -> None:
        if not (written := self._connection.written(query)):
            return
        kinds = {column.name: column.declared for column in self._engine.tables.columns(self._session, target)}
        named = insert.this.expressions if isinstance(insert.this, exp.Schema) else []
        names = [stored_name(one) for one in named] or list(kinds)
        for name, column in zip(names, written, strict=False):
            if column.type == "TIMESTAMP_TZ" and not keeps_moments(kinds.get(name, "")):
                raise written_elsewhere(name)

    def _retried(self, tree: Expr, target: Name | None) -> list[int]:
        """Run DML; outside a transaction, wait for a concurrent writer instead of failing as DuckDB does.

        :returns: how many rows it changed, and how many of them it found more than one new value for.
        """
        overwrites = isinstance(tree, exp.Insert) and bool(tree.args.get("overwrite"))
        if overwrites:
            # The engine's own translation would delete the rows before the query has read them.
            tree.set("overwrite", None)
        (part,) = self._fitted(tree, target, self._connection.translated(tree))
        self._connection.transactions.check()
        for attempt in range(_CONFLICT_RETRIES):
            try:
                with self._engine.write_lock:
                    joined = self._multi_joined(part) if isinstance(part, exp.Update) and part.args.get("from_") else 0
                    counts = self._overwrite(part) if overwrites else self._rows(part)
                return [int(counts[0][0]) if counts else 0, joined]
            except duckdb.TransactionException as error:
                is_last = attempt == _CONFLICT_RETRIES - 1
                if self._connection.transactions.open or is_last or shortage(error) is not None:
                    raise
                time.sleep(0.02 * (attempt + 1))
        raise AssertionError("unreachable")

    def _multi_joined(self, update: exp.Update) -> int:
        """How many rows of its table an UPDATE … FROM joins with more than one other."""
        row = exp.column("rowid", table=update.this.alias_or_name, quoted=True)
        joined = exp.Select(expressions=[row], joins=[exp.Join(this=update.args["from_"].this.copy())])
        joined.set("from_", exp.From(this=update.this.copy()))
        joined.set("where", update.args["where"].copy() if update.args.get("where") else None)
        joined.set(
            "joins", [*joined.args["joins"], *(one.copy() for one in update.args["from_"].args.get("joins") or [])]
        )
        several = joined.group_by(row.copy()).having("count(*) > 1")
        return int(self._rows(exp.select("count(*)").from_(several.subquery("several")))[0][0])

    def _rows(self, tree: Expr) -> list[tuple[Any, ...]]:
        return self._duck.execute(engine_sql(tree)).fetchall()

    def _overwrite(self, insert: Expr) -> list[tuple[Any, ...]]:
        """Replace all rows of a table: the query sees those from before, and if anything fails they stay."""
        target = insert.this.this if isinstance(insert.this, exp.Schema) else insert.this
        with self._connection.transactions.atomic(), self._kept(insert):
            self._rows(exp.Delete(this=target.copy()))
            return self._rows(insert)

    @contextmanager
    def _kept(self, insert: Expr) -> Iterator[None]:
        """For the block, let the INSERT read the rows of its query, which are evaluated before."""
        query = insert.expression
        if isinstance(query, exp.Values) and not query.find(exp.Query):
            # Literals, among which DEFAULT may be, which a query cannot have.
            yield
            return
        name = f"_overwrite_{next(self._numbers)}"
        relation = engine_sql(query)
        self._duck.execute(f"CREATE TEMP TABLE {name} AS {relation}")
        insert.set("expression", exp.select("*").from_(exp.to_table(f"temp.main.{name}")))
        try:
            yield
        finally:
            insert.set("expression", query)
            self._drop_quietly(name)

    def _drop_quietly(self, name: str) -> None:
        # Where a failed statement has ended the transaction, the table is gone with it.
        with suppress(duckdb.TransactionException):
            self._duck.execute(f"DROP TABLE temp.main.{name}")

    def _fitted(self, tree: Expr, target: Name | None, parts: list[Expr]) -> list[Expr]:
        """The translated parts of a write, with each column getting values of its type."""
        of_literals = isinstance(tree, exp.Insert) and isinstance(tree.expression, exp.Values)
        declared = self._connection.declared(target) if target is not None else {}
        found = writers(declared, of_literals=of_literals, cut=self._connection.cut_text)
        if target is not None and found:
            columns = [column.name for column in self._engine.tables.columns(self._session, target)]
            for part in parts:
                fit_writes(part, found, columns)
        return parts

    def _merge(self, tree: exp.Merge, target: Name | None) -> Result:
        (translated,) = self._fitted(tree, target, [self._connection.translated_whole(tree)])
        sql = engine_sql(translated)
        self._connection.transactions.check()
        with self._engine.write_lock:
            done = Counter(action for (action,) in self._duck.execute(f"{sql} RETURNING merge_action").fetchall())
        possible = merge_actions(tree)
        return Result(_merge_columns(possible), [[done[action] for action in possible]], statement_type=MERGE)


def name_inserted(merge: exp.Merge, names: Sequence[str]) -> None:
    """Name all columns where an INSERT of a MERGE names none.

    :param names: the columns of the table; none for a table that is not there.
    :raises SnowflakeError: 2057 for another number of values.
    """
    for when in merge.args["whens"].expressions:
        then = when.args["then"]
        if not names or not isinstance(then, exp.Insert) or then.this is not None:
            continue
        if isinstance(then.expression, exp.Tuple):
            given = len(then.expression.expressions)
            if given != len(names):
                raise SnowflakeError(
                    "SQL compilation error:\nInsert value list does not match column list expecting "
                    f"{len(names)} but got {given}",
                    errno=2057,
                    sqlstate="42601",
                )
            columns = [exp.column(exp.to_identifier(name, quoted=True)) for name in names]
            then.set("this", exp.Tuple(expressions=columns))


def described(tree: Expr) -> Result:
    """What a statement that is no query would answer, without its counts."""
    for kind, (statement_type, counts) in _COUNTS.items():
        if isinstance(tree, kind):
            return Result(_count_columns(counts), statement_type=statement_type)
    if isinstance(tree, exp.Merge):
        return Result(_merge_columns(merge_actions(tree)), statement_type=MERGE)
    return Result([Column("status")], statement_type=DDL)


def merge_actions(tree: exp.Merge) -> list[str]:
    """What the WHEN clauses of a MERGE may do, in the order of the answer's columns."""
    found = set()
    for when in tree.args["whens"].expressions:
        then = when.args["then"]
        found.add("DELETE" if isinstance(then, exp.Var) else type(then).__name__.upper())
    return [action for action in _MERGE_ACTIONS if action in found]


def _merge_columns(actions: Sequence[str]) -> list[Column]:
    return _count_columns([f"number of rows {_MERGE_ACTIONS[action]}" for action in actions])


def _count_columns(names: Sequence[str]) -> list[Column]:
    return [Column(name, "FIXED", precision=19, scale=0, nullable=False) for name in names]
