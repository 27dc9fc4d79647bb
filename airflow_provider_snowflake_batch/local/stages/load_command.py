"""COPY INTO <table> as it is written, and what it means for one file: the checks, and the INSERT.

Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from airflow_provider_snowflake_batch.local.clauses import properties
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor, quoted
from airflow_provider_snowflake_batch.local.sessions import Session
from airflow_provider_snowflake_batch.local.sql import translate
from airflow_provider_snowflake_batch.local.stages.files import StageFile
from airflow_provider_snowflake_batch.local.stages.formats import FileFormat, malformed
from airflow_provider_snowflake_batch.local.stages.parquet_files import (
    ParquetReading,
    bytes_as_text,
    first_with_empty_text,
)
from airflow_provider_snowflake_batch.local.stages.parquet_files import columns as parquet_columns
from airflow_provider_snowflake_batch.local.stages.reading import location_of
from airflow_provider_snowflake_batch.local.stages.stages import Stages

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sql.catalog import TableColumn

_OPTIONS = (
    "FILE_FORMAT", "FILES", "PATTERN", "PURGE", "FORCE", "ON_ERROR", "MATCH_BY_COLUMN_NAME",
    "RETURN_FAILED_ONLY", "ENFORCE_LENGTH", "TRUNCATECOLUMNS", "SIZE_LIMIT",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Load:
    """A COPY INTO <table> as written.

    :param columns: the target columns named after the table, or None for all.
    :param query: the transforming SELECT, or None for the files as they are.
    """

    table: tuple[str, str, str]
    columns: list[str] | None
    location: str
    query: str | None
    format: FileFormat
    options: dict[str, Any]

    @property
    def matching(self) -> str:
        return self.says("MATCH_BY_COLUMN_NAME", "NONE")

    def says(self, name: str, default: str = "") -> str:
        return str(self.options.get(name, default)).upper()


@dataclass(frozen=True, slots=True)
class Tolerance:
    """ON_ERROR: how many errors of a file it takes until the file is left out.

    :param stages: whether rows are looked at before any is inserted; ABORT_STATEMENT needs that not.
    :param goes_on: CONTINUE: load the rows that are good, however few.
    """

    stages: bool = False
    goes_on: bool = False
    count: int | None = None
    percent: int | None = None

    @classmethod
    def of(cls, text: str) -> Tolerance:
        if text == "ABORT_STATEMENT":
            return cls()
        if text == "CONTINUE":
            return cls(stages=True, goes_on=True)
        match = re.fullmatch(r"SKIP_FILE(?:_(\d+)(%?))?", text)
        if match is None:
            raise compilation_error(f"invalid value '{text}' for property 'ON_ERROR'.")
        number = int(match[1] or 1)
        return cls(stages=True, percent=number) if match[2] else cls(stages=True, count=number)

    def limit(self, rows: int) -> int:
        """The errors that leave out a file of so many rows."""
        if self.percent is not None:
            return rows * self.percent // 100 + 1
        return rows if self.count is None else self.count


def parse(session: Session, stages: Stages, cursor: Cursor) -> Load:
    """Read the statement after its keywords.

    :raises SnowflakeError: for a stage, a file format or an option that is not there.
    """
    table = session.qualify(cursor.name())
    columns = None
    if cursor.looking_at("("):
        inner = Cursor(cursor.parenthesised())
        columns = [inner.name()[0]]
        while inner.accept(","):
            columns.append(inner.name()[0])
        inner.end()
    query = None
    if not cursor.accept("FROM"):
        # The files of the table's own stage.
        location = "@" + quoted(*table[:2], f"%{table[2]}")
    elif cursor.looking_at("("):
        query = cursor.parenthesised()
        location = _location_in(query)
    else:
        location = cursor.stage()
    options = properties(cursor, _OPTIONS)
    stage, _ = stages.resolve(session, location)
    given = options.get("FILE_FORMAT", stage.options.get("FILE_FORMAT"))
    found = stages.formats.resolve(session, given)
    return Load(table, columns, location, query, found, options)


def _location_in(query: str) -> str:
    tree = translate.parse(query)
    locations = [location for table in tree.find_all(exp.Table) if (location := location_of(table)) is not None]
    if len(locations) != 1:
        raise compilation_error("COPY INTO a table reads from one stage location.")
    return locations[0]


def check(command: Load, columns: Sequence[TableColumn], file: StageFile) -> None:
    """:raises SnowflakeError: for a file whose fields do not fit the table's columns."""
    _check_matched(command, columns, file)
    _check_bytes(command, columns, file)


def _check_bytes(command: Load, columns: Sequence[TableColumn], file: StageFile) -> None:
    """:raises SnowflakeError: "not supported" for bytes that are read as text and would be written as other bytes."""
    targets = {one.name.upper() for one in columns if one.declared.startswith("BINARY")}
    if command.columns is not None:
        targets &= {name.upper() for name in command.columns}
    if command.format.type != "PARQUET" or not targets:
        return
    for name in bytes_as_text(file.local, ParquetReading.of(command.format)):
        if name in command.query if command.query is not None else name.upper() in targets:
            raise not_supported(
                f"Bytes of the files' column {name} as text that goes into a BINARY column, where an account reads it "
                "as hexadecimal digits (BINARY_AS_TEXT = FALSE is missing in the file format),"
            )


def _check_matched(command: Load, columns: Sequence[TableColumn], file: StageFile) -> None:
    if command.format.type == "PARQUET" and command.matching != "NONE":
        check_values(file, command.format, command.matching, columns)


def insert_of(command: Load, columns: Sequence[TableColumn], file: StageFile) -> exp.Insert:
    """The INSERT that loads one file."""
    target = quoted(*command.table)
    names = command.columns or [column.name for column in columns]
    if command.matching not in ("NONE", "CASE_SENSITIVE", "CASE_INSENSITIVE"):
        raise compilation_error(f"invalid value '{command.matching}' for property 'MATCH_BY_COLUMN_NAME'.")
    if command.query is not None:
        if command.matching != "NONE":
            raise compilation_error("MATCH_BY_COLUMN_NAME cannot be combined with a SELECT that transforms the data.")
        select = command.query
        listed = command.columns
    elif command.format.type == "CSV":
        listed = names
        select = f"SELECT {', '.join(f'${number}' for number in range(1, len(names) + 1))} FROM {_text_of(command)}"
        if command.matching != "NONE":
            raise not_supported("MATCH_BY_COLUMN_NAME of CSV files")
    elif command.matching != "NONE":
        if command.columns is not None:
            raise not_supported("MATCH_BY_COLUMN_NAME with a list of columns")
        pairs = by_name(file, command.format, command.matching, columns)
        listed, select = list(pairs), f"SELECT {', '.join(pairs.values())} FROM {_text_of(command)}"
    else:
        semi_structured = [c for c in columns if c.name in names and re.match("VARIANT|OBJECT|ARRAY", c.declared)]
        if len(names) != 1 or not semi_structured:
            raise SnowflakeError(
                f"SQL compilation error:\n{command.format.type} file format can produce one and only one column of "
                "type variant, object, or array. Load data into separate columns using the MATCH_BY_COLUMN_NAME copy "
                "option or copy with transformation.",
                errno=2019,
                sqlstate="0A000",
            )
        listed, select = names, f"SELECT $1 FROM {_text_of(command)}"
    heading = f" ({', '.join(quoted(name) for name in listed)})" if listed else ""
    tree = translate.parse(f"INSERT INTO {target}{heading} {select}")
    assert isinstance(tree, exp.Insert)
    _cast(tree, [column for name in (listed or names) for column in columns if column.name == name], command)
    return tree


def _cast(tree: exp.Insert, columns: Sequence[TableColumn], command: Load) -> None:
    """Cast what a bare ``$1:"C"`` or ``$2`` reads to its column's type, as the assignment to the column would.

    A cast tells the reader of the files to take the file's own typed value, not its VARIANT. The text of a CSV file is
    parsed for a VARIANT column, and read by the format that the files have for dates and times.

    :raises SnowflakeError: "not supported" for such a format and a query of one's own.
    """
    is_csv = command.format.type == "CSV"
    select = tree.expression
    if not isinstance(select, exp.Select) or len(select.expressions) != len(columns):
        return
    projections: list[exp.Expr] = []
    for projection, column in zip(select.expressions, columns, strict=True):
        bare = projection.unalias()
        is_read = isinstance(bare, exp.Parameter) or (
            isinstance(bare, exp.JSONExtract) and isinstance(bare.this, exp.Parameter)
        )
        given = command.format.read_by(column.declared) if is_csv else "AUTO"
        if given.upper() != "AUTO" and (is_read or command.query is None):
            if command.query is not None:
                raise not_supported(
                    f"The format {given} of CSV files in a query (without it, TO_DATE and its kin take one)"
                )
            reader = f"TO_{column.declared.partition('(')[0]}"
            projections.append(exp.func(reader, bare.copy(), exp.Literal.string(given), dialect="snowflake"))
        elif is_read and is_csv and re.match("VARIANT|OBJECT|ARRAY", column.declared):
            projections.append(exp.ParseJSON(this=bare.copy()))
        elif is_read and not re.match("VARIANT|OBJECT|ARRAY", column.declared):
            # How long a text may be is the write's affair: there it may be cut instead of refused.
            kind = re.sub(r"^(VARCHAR|BINARY)\b.*", r"\1", column.declared)
            projections.append(exp.cast(bare.copy(), kind, dialect="snowflake"))
        else:
            projections.append(projection)
    select.set("expressions", projections)


def _text_of(command: Load) -> str:
    return "'" + command.location.replace("\\", "\\\\").replace("'", "''") + "'"


def by_name(file: StageFile, found: FileFormat, how: str, table: Sequence[TableColumn]) -> dict[str, str]:
    """The table's columns and what of the file goes into each, as SQL: NULL for those that the file has not.

    :param how: CASE_SENSITIVE or CASE_INSENSITIVE.
    :raises SnowflakeError: "not supported" for other than Parquet files, and for names that differ in case only.
    """
    return {
        column.name: f"$1:{quoted(source)}" if source is not None else "NULL"
        for column, source in _matches(file, found, how, table)
        # What a table counts itself is left to it.
        if source is not None or not column.is_identity
    }


def check_values(file: StageFile, found: FileFormat, how: str, table: Sequence[TableColumn]) -> None:
    """:raises SnowflakeError: 100069 for an empty text in a column that is matched, which Snowflake does not take."""
    names = [source for _, source in _matches(file, found, how, table) if source is not None]
    empty = first_with_empty_text(file.local, names, ParquetReading.of(found, matched=True))
    if empty is not None:
        raise malformed(
            f"Empty column value in column {empty}, which MATCH_BY_COLUMN_NAME does not take. Select the columns "
            f'instead, as in COPY INTO … FROM (SELECT $1:"{empty}" …).'
        )


def _matches(
    file: StageFile, found: FileFormat, how: str, table: Sequence[TableColumn]
) -> list[tuple[TableColumn, str | None]]:
    """Each column of the table with that of the file that goes into it."""
    if found.type != "PARQUET":
        raise not_supported(f"MATCH_BY_COLUMN_NAME of {found.type} files")
    sensitive = how == "CASE_SENSITIVE"
    inside: dict[str, str] = {}
    for column in parquet_columns(file.local, ParquetReading.of(found)):
        key = column.name if sensitive else column.name.upper()
        if key in inside:
            names = f"{inside[key]} and {column.name}"
            raise not_supported(f"MATCH_BY_COLUMN_NAME = {how} of the file '{file.path}', which has {names},")
        inside[key] = column.name
    return [(one, inside.get(one.name if sensitive else one.name.upper())) for one in table]
