"""What COPY INTO a table asks of one session's connection: files of a stage as the rows of an INSERT.

Where rows may not fit, for ON_ERROR = CONTINUE and SKIP_FILE, a file's rows are first evaluated into a table of the
connection, each as one value that is NULL where evaluating it fails; then those that are good are inserted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.sql.column_values import limits
from airflow_provider_snowflake_batch.local.sql.engine_errors import WIDTHS, other_width, snowflake_error
from airflow_provider_snowflake_batch.local.sql.expressions import call, engine_sql
from airflow_provider_snowflake_batch.local.sql.macros import TOO_LONG
from airflow_provider_snowflake_batch.local.sql.translate import stored_name

if TYPE_CHECKING:
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
            return [columns[stored_name(one)] for one in tree.this.expressions]
        return list(columns.values())


_ROW, _NUMBER = "_row", "_number"
REJECTS, REJECT_SCANS = "_rejects", "_reject_scans"
"""Where the engine's reader of CSV files notes lines without a row's shape, if it is asked to."""


@dataclass(slots=True)
class StagedRows:
    """What evaluating one file gave.

    :param table: the connection's table that holds the rows.
    :param parsed: all rows of the file.
    :param wrong: the condition in SQL for those that do not fit the target.
    :param errors: how many do not.
    :param first_error: the first one's message, with its line in the file and its column.
    """

    table: str
    insert: exp.Insert
    width: int
    wrong: str
    parsed: int
    errors: int
    first_error: str | None = None
    first_line: int | None = None
    first_column: str | None = None


def stage_rows(
    duck: duckdb.DuckDBPyConnection,
    insert: exp.Insert,
    columns: Sequence[TableColumn],
    lengths: dict[str, int],
    table: str,
    skipped_lines: int,
    *,
    cut: bool,
) -> StagedRows:
    """Evaluate the rows of an INSERT … SELECT, already in the engine's SQL, without inserting any.

    :param columns: those that the INSERT writes, in its order.
    :param lengths: the greatest length of the text columns that have one.
    :param skipped_lines: the lines of the file before its first row.
    :param cut: cut what is too long instead of counting it as an error.
    """
    select = insert.expression
    if not isinstance(select, exp.Select) or len(select.expressions) != len(columns):
        raise not_supported("ON_ERROR for this query over staged files")
    fields = []
    for number, (projection, column) in enumerate(zip(select.expressions, columns, strict=True)):
        value = projection.unalias().copy()
        if cut and column.name in lengths:
            limit = exp.Literal.number(lengths[column.name])
            value = call("left", exp.cast(value, exp.DataType.Type.TEXT), limit)
        fields.append(exp.PropertyEQ(this=exp.to_identifier(f"c{number}", quoted=True), expression=value))
    evaluated = select.copy()
    packed = call("try", call("struct_pack", *fields))
    numbered = exp.Window(this=exp.RowNumber())
    evaluated.set("expressions", [exp.alias_(packed, _ROW, quoted=True), exp.alias_(numbered, _NUMBER, quoted=True)])
    for name in (REJECTS, REJECT_SCANS):
        duck.execute(f"DROP TABLE IF EXISTS {name}")
    try:
        duck.execute(f"CREATE TEMP TABLE {table} AS {evaluated.sql(dialect='duckdb')}")
    except duckdb.BinderException as error:
        if "volatile" not in str(error):
            raise
        raise not_supported(
            "ON_ERROR other than ABORT_STATEMENT for a query with a division or a random value"
        ) from None
    wrong = _wrong(columns, {} if cut else lengths)
    good, bad = _counts(duck, table, wrong)
    rejected = _rejected(duck)
    staged = StagedRows(table, insert, len(columns), wrong, good + bad + len(rejected), bad + len(rejected))
    if staged.errors:
        _describe_first(duck, staged, select, columns, rejected, skipped_lines, {} if cut else lengths)
    return staged


def insert_good(staged: StagedRows) -> str:
    """The INSERT of the rows that fit."""
    listed = ", ".join(f"{_ROW}.c{number}" for number in range(staged.width))
    query = f"SELECT {listed} FROM {staged.table} WHERE NOT ({staged.wrong})"
    target = staged.insert.copy()
    target.set("expression", exp.maybe_parse(query, dialect="duckdb"))
    return engine_sql(target)


def _wrong(columns: Sequence[TableColumn], lengths: dict[str, int]) -> str:
    """The condition for a row that does not fit."""
    conditions = [f"{_ROW} IS NULL"]
    for number, column in enumerate(columns):
        if not column.nullable:
            conditions.append(f"{_ROW}.c{number} IS NULL")
        if column.name in lengths:
            conditions.append(f"coalesce(length({_ROW}.c{number}::VARCHAR) > {lengths[column.name]}, false)")
    return " OR ".join(conditions)


def _counts(duck: duckdb.DuckDBPyConnection, table: str, wrong: str) -> tuple[int, int]:
    row = duck.execute(f"SELECT count(*) FILTER (NOT ({wrong})), count(*) FILTER ({wrong}) FROM {table}").fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _rejected(duck: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    """Lines of a CSV file that have too few or too many fields."""
    try:
        found = duck.execute(f"SELECT line, any_value(error_message) FROM {REJECTS} GROUP BY line ORDER BY line")
    except duckdb.CatalogException:
        return []
    return [(int(line), _in_words(str(message))) for line, message in found.fetchall()]


def _in_words(message: str) -> str:
    widths = re.fullmatch(WIDTHS, message)
    return message if widths is None else other_width(widths[2], widths[1]).message


def _describe_first(
    duck: duckdb.DuckDBPyConnection,
    staged: StagedRows,
    select: exp.Select,
    columns: Sequence[TableColumn],
    rejected: list[tuple[int, str]],
    skipped_lines: int,
    lengths: dict[str, int],
) -> None:
    found = duck.execute(f"SELECT min({_NUMBER}) FROM {staged.table} WHERE {staged.wrong}").fetchone()
    number = None if found is None or found[0] is None else int(found[0])
    line = None if number is None else _line(number + skipped_lines, [one for one, _ in rejected])
    if rejected and (line is None or rejected[0][0] < line):
        staged.first_line, staged.first_error = rejected[0]
        return
    assert number is not None
    staged.first_line = line
    for index, column in enumerate(columns):
        try:
            value = _evaluate(duck, select, index, number)
        except duckdb.Error as error:
            staged.first_error, staged.first_column = snowflake_error(error).message, column.name
            return
        if value is None and not column.nullable:
            staged.first_error, staged.first_column = "NULL result in a non-nullable column", column.name
            return
        if value is not None and len(str(value)) > lengths.get(column.name, len(str(value))):
            staged.first_error, staged.first_column = f"String '{value}' {TOO_LONG}", column.name
            return
    raise SnowflakeError("A row of the file does not fit the table.", errno=100080, sqlstate="22000")


def _evaluate(duck: duckdb.DuckDBPyConnection, select: exp.Select, index: int, number: int) -> object:
    """One value of one row, or the error that it is."""
    # The rows are numbered first, so that no other row is evaluated.
    source = select.args["from_"].this
    inner = exp.Select(expressions=[exp.Star(), exp.alias_(exp.Window(this=exp.RowNumber()), _NUMBER, quoted=True)])
    inner.set("from_", exp.From(this=source.copy()))
    alias: Expr | None = source.args.get("alias")
    numbered = exp.Subquery(this=inner, alias=alias.copy() if alias is not None else None)
    query = exp.Select(expressions=[select.expressions[index].unalias().copy()])
    query.set("from_", exp.From(this=numbered))
    query = query.where(exp.EQ(this=exp.column(_NUMBER), expression=exp.Literal.number(number)))
    row = duck.execute(engine_sql(query)).fetchone()
    return None if row is None else row[0]


def _line(number: int, rejected: Sequence[int]) -> int:
    """The line of the n-th row that the reader took, between lines that it did not."""
    line = number
    for one in rejected:
        if one > line:
            break
        line += 1
    return line
