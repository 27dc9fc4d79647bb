"""A session's transaction on its connection to the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlglot import Expr, exp

if TYPE_CHECKING:
    import duckdb


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
        if self.open:
            self.open = False
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
