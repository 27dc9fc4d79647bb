"""A session's transaction on its connection to the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import not_supported


class Transactions:
    """Knows whether a transaction is open, which DuckDB does not say."""

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck
        self.open = False

    def run(self, tree: Expr) -> None:
        """BEGIN, COMMIT or ROLLBACK; without an open transaction the last two do nothing, as with Snowflake."""
        if isinstance(tree, exp.Commit):
            self.commit()
        elif isinstance(tree, exp.Rollback):
            self.rollback()
        elif not self.open:
            self.begin()

    def begin(self) -> None:
        self._duck.begin()
        self.open = True

    def commit(self) -> None:
        """Commit what is open.

        :raises SnowflakeError: when a statement of the transaction has failed: Snowflake would commit the others,
            DuckDB has undone them.
        """
        if not self.open:
            return
        self.open = False
        try:
            # DuckDB's own COMMIT of an aborted transaction says nothing.
            self._duck.execute("SELECT 1").fetchall()
        except duckdb.TransactionException:
            self._duck.rollback()
            raise not_supported(
                "A statement in this transaction has failed and the transaction was rolled back: committing the other "
                "statements"
            ) from None
        self._duck.commit()

    def rollback(self) -> None:
        if self.open:
            self.open = False
            self._duck.rollback()

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All writes of the block or none, unless a transaction is open that says so already."""
        if self.open:
            yield
            return
        self.begin()
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()
