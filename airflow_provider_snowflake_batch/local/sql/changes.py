"""INSERT, UPDATE, DELETE and MERGE: run, counted, repeated when another writer was first."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import duckdb
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.shortages import shortage
from airflow_provider_snowflake_batch.local.sql.catalog import Name
from airflow_provider_snowflake_batch.local.sql.fitting import fit_writes, limits, text_columns
from airflow_provider_snowflake_batch.local.statements import Column, Result

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.connection import EngineConnection
    from airflow_provider_snowflake_batch.local.sql.engine import Engine

CHANGES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
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

    def run(self, tree: Expr) -> Result:
        """:param tree: one of :data:`CHANGES`; it is changed."""
        # Under the name that the session knows, which the statement loses for a temporary table.
        target = self._connection.target(tree)
        self._connection.temporary.redirect(tree)
        if isinstance(tree, exp.Merge):
            return self._merge(tree, target)
        statement_type, counts = next(entry for kind, entry in _COUNTS.items() if isinstance(tree, kind))
        values = [self._retried(tree, target)] + [0] * (len(counts) - 1)
        return Result(_count_columns(counts), [values], statement_type=statement_type)

    def _retried(self, tree: Expr, target: Name | None) -> int:
        """Run DML; outside a transaction, wait for a concurrent writer instead of failing as DuckDB does."""
        statements = [
            part.sql(dialect="duckdb") for part in self._fitted(tree, target, self._connection.translated(tree))
        ]
        self._connection.transactions.check()
        for attempt in range(_CONFLICT_RETRIES):
            try:
                with self._engine.write_lock:
                    counts = [self._duck.execute(sql).fetchall() for sql in statements]
                return int(counts[-1][0][0]) if counts[-1] else 0
            except duckdb.TransactionException as error:
                is_last = attempt == _CONFLICT_RETRIES - 1
                if self._connection.transactions.open or is_last or shortage(error) is not None:
                    raise
                time.sleep(0.02 * (attempt + 1))
        raise AssertionError("unreachable")

    def _fitted(self, tree: Expr, target: Name | None, parts: list[Expr]) -> list[Expr]:
        """The translated parts of a write, with text columns getting text that fits."""
        # The values of a VALUES are literals: only too long ones can be wrong.
        of_table = limits if isinstance(tree, exp.Insert) and isinstance(tree.expression, exp.Values) else text_columns
        lengths = of_table(self._connection.declared(target)) if target is not None else {}
        if target is not None and lengths:
            columns = [column.name for column in self._engine.tables.columns(self._session, target)]
            for part in parts:
                fit_writes(part, lengths, columns, cut=self._connection.cut_text)
        return parts

    def _merge(self, tree: exp.Merge, target: Name | None) -> Result:
        (translated,) = self._fitted(tree, target, [self._connection.translated_whole(tree)])
        sql = translated.sql(dialect="duckdb")
        self._connection.transactions.check()
        with self._engine.write_lock:
            done = Counter(action for (action,) in self._duck.execute(f"{sql} RETURNING merge_action").fetchall())
        possible = merge_actions(tree)
        return Result(_merge_columns(possible), [[done[action] for action in possible]], statement_type=MERGE)


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
    return [Column(name, "FIXED", precision=19, scale=0) for name in names]
