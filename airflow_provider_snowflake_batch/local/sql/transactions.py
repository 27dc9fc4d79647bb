"""A session's transaction on its connection to the engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported


class Transactions:
    """Knows whether a transaction is open, which DuckDB does not say."""

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck
        self.open = False
        self._lost = False
        self._before_commit: dict[str, Callable[[], None]] = {}
        self.id = 0
        """Of the transaction that is open, or was the last one: nanoseconds since 1970, as Snowflake's."""

    def run(self, tree: Expr) -> None:
        """BEGIN, COMMIT or ROLLBACK; without an open transaction the last two do nothing, as with Snowflake."""
        if isinstance(tree, exp.Commit):
            self.commit()
        elif isinstance(tree, exp.Rollback):
            self.rollback()
        elif not self.open:
            self.begin()

    def begin(self) -> None:
        self.check()
        self._duck.begin()
        self.open, self.id = True, time.time_ns()

    def begin_unless_open(self) -> None:
        if not self.open:
            self.begin()

    def before_commit(self, key: str, run: Callable[[], None]) -> bool:
        """Let something happen at the end of the open transaction, if it is committed.

        :returns: False if the same was asked for before.
        """
        return self._before_commit.setdefault(key, run) is run

    def lose(self) -> None:
        """Roll back what is open without the client's asking; until it ends the transaction, its statements fail."""
        if self.open:
            with contextlib.suppress(duckdb.Error):
                # In a database that is unusable the end of a transaction is an error, too.
                self.rollback()
            self._lost = True

    def check(self) -> None:
        """:raises SnowflakeError: in a transaction that was lost."""
        if self._lost:
            raise SnowflakeError(
                "The transaction was rolled back because the local Snowflake found no room left on the disk. End it "
                "with ROLLBACK, make room, and run it again from its beginning.",
                errno=625,
                sqlstate="40000",
            )

    def commit(self) -> None:
        """Commit what is open.

        :raises SnowflakeError: when a statement of the transaction has failed: Snowflake would commit the others,
            DuckDB has undone them; when the transaction was lost.
        """
        try:
            self.check()
        finally:
            self._lost = False
        if not self.open:
            return
        self.open = False
        try:
            for run in self._before_commit.values():
                run()
            # DuckDB's own COMMIT of an aborted transaction says nothing.
            self._duck.execute("SELECT 1").fetchall()
        except duckdb.TransactionException:
            self._duck.rollback()
            raise not_supported(
                "A statement in this transaction has failed and the transaction was rolled back: committing the other "
                "statements"
            ) from None
        finally:
            self._before_commit.clear()
        self._duck.commit()

    def rollback(self) -> None:
        self._lost = False
        self._before_commit.clear()
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
