"""What COPY INTO a table asks of one session's connection: files of a stage as the rows of an INSERT."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.sql.column_values import limits
from airflow_provider_snowflake_batch.local.sql.partial_loads import StagedRows, insert_good, stage_rows

if TYPE_CHECKING:
    import duckdb

    from airflow_provider_snowflake_batch.local.sql.catalog import Name, TableColumn
    from airflow_provider_snowflake_batch.local.sql.connection import EngineConnection
    from airflow_provider_snowflake_batch.local.sql.engine import Engine
    from airflow_provider_snowflake_batch.local.statements import Statement

FileReads = Callable[[Expr], object]
"""Makes the files of a stage in a tree readable to the engine."""
StageReads = Callable[[Expr, "Statement"], object]
"""The same for all stages that a statement's tree names."""


def no_stages(tree: Expr, statement: Statement) -> None:
    """:raises SnowflakeError: for a stage in a FROM, which nobody reads."""
    if any(str(table.this.this).startswith("@") for table in tree.find_all(exp.Table)):
        raise not_supported("A stage in a FROM")


class FileLoads:
    """The loads of one connection. Use it with the session's lock held."""

    def __init__(self, engine: Engine, connection: EngineConnection, duck: duckdb.DuckDBPyConnection) -> None:
        self._engine = engine
        self._connection = connection
        self._duck = duck
        self._numbers = itertools.count()

    def load(self, tree: exp.Insert, statement: Statement, read: FileReads) -> int:
        """Run an INSERT whose query reads files of a stage; the number of rows."""
        self._connection.enter_namespace()
        read(tree)
        return int(self._connection.write(self._connection.meant(statement, tree)).fetch()[0][0])

    def stage(self, tree: exp.Insert, statement: Statement, read: FileReads, skipped_lines: int) -> StagedRows:
        """Evaluate the rows of such an INSERT; :meth:`insert` inserts those that fit.

        :param skipped_lines: the lines of the file before its first row.
        """
        self._connection.enter_namespace()
        read(tree)
        target = self._connection.target(tree)
        assert target is not None
        columns = self._columns(statement, tree, target)
        filled = self._connection.meant(statement, tree)
        self._connection.temporary.redirect(filled)
        (translated,) = self._connection.translated(filled)
        assert isinstance(translated, exp.Insert)
        lengths = limits(self._connection.declared(target))
        name, cut = f"_load_{next(self._numbers)}", self._connection.cut_text
        return stage_rows(self._duck, translated, columns, lengths, name, skipped_lines, cut=cut)

    def insert(self, staged: StagedRows) -> int:
        """Insert the staged rows that fit; how many."""
        with self._engine.write_lock:
            row = self._duck.execute(insert_good(staged)).fetchone()
        assert row is not None
        return int(row[0])

    def drop(self, staged: StagedRows) -> None:
        self._duck.execute(f"DROP TABLE IF EXISTS {staged.table}")

    def _columns(self, statement: Statement, tree: exp.Insert, target: Name) -> list[TableColumn]:
        columns = {column.name: column for column in self._engine.tables.columns(statement.session, target)}
        if isinstance(tree.this, exp.Schema):
            return [columns[one.name if one.quoted else one.name.upper()] for one in tree.this.expressions]
        return list(columns.values())
