"""COPY INTO <table>: files of a stage into a table.

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
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql import translate
from airflow_provider_snowflake_batch.local.stages.files import StageFile, remove_files, stage_files
from airflow_provider_snowflake_batch.local.stages.formats import FileFormat
from airflow_provider_snowflake_batch.local.stages.reading import ReadOptions, location_of, parquet_columns
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sql.catalog import TableColumn

_OPTIONS = (
    "FILE_FORMAT", "FILES", "PATTERN", "PURGE", "FORCE", "ON_ERROR", "MATCH_BY_COLUMN_NAME",
    "RETURN_FAILED_ONLY", "ENFORCE_LENGTH", "TRUNCATECOLUMNS",
)  # fmt: skip
_COPY = 0x3600
_COLUMNS = [
    Column("file"),
    Column("status"),
    Column("rows_parsed", "FIXED", precision=38, scale=0),
    Column("rows_loaded", "FIXED", precision=38, scale=0),
    Column("error_limit", "FIXED", precision=38, scale=0),
    Column("errors_seen", "FIXED", precision=38, scale=0),
    Column("first_error"),
    Column("first_error_line", "FIXED", precision=38, scale=0),
    Column("first_error_character", "FIXED", precision=38, scale=0),
    Column("first_error_column_name"),
]


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

    def says(self, name: str, default: str = "") -> str:
        return str(self.options.get(name, default)).upper()


def load(statement: Statement, cursor: Cursor) -> Result:
    """Load the files that are new to the table, each file whole or not at all.

    ``ON_ERROR``: ABORT_STATEMENT (default) and SKIP_FILE are honoured.
    """
    command = _parse(statement, cursor)
    on_error = command.says("ON_ERROR", "ABORT_STATEMENT")
    if on_error not in ("ABORT_STATEMENT", "SKIP_FILE"):
        raise not_supported(f"ON_ERROR = {on_error}")
    engine, session = statement.server.engine, statement.session
    columns = engine.columns(session, command.table)
    files = _files(statement, command)
    if files:
        # A statement that cannot fit its table fails even if there is nothing new to load.
        _insert(command, columns, files[0])
    history = statement.server.stages.loads
    known = set() if command.says("FORCE") == "TRUE" else history.loaded(session, command.table)
    rows: list[tuple[Any, ...]] = []
    fresh = []
    for file in files:
        if (file.name, file.md5) in known:
            rows.append((file.name, "LOAD_SKIPPED", 0, 0, None, 1, "File was loaded before.", None, None, None))
        else:
            fresh.append(file)
    loaded = []
    with engine.atomic(session):
        for file in fresh:
            row = _load_file(statement, command, columns, file, on_error)
            rows.append(row)
            if row[1] == "LOADED":
                loaded.append(file)
    history.record(session, command.table, [(file.name, file.md5) for file in loaded])
    if command.says("PURGE") == "TRUE" and loaded:
        stage, _ = statement.server.stages.resolve(session, command.location)
        remove_files(loaded, stage.folder)
    if not rows:
        return Result([Column("status")], [("Copy executed with 0 files processed.",)], statement_type=_COPY)
    return Result(_COLUMNS, rows, statement_type=_COPY)


def _load_file(
    statement: Statement, command: Load, columns: Sequence[TableColumn], file: StageFile, on_error: str
) -> tuple[Any, ...]:
    options = ReadOptions(command.format, None, [file])
    try:
        count = statement.server.engine.load(statement, _insert(command, columns, file), options)
    except SnowflakeError as error:
        if on_error == "SKIP_FILE":
            return (file.name, "LOAD_FAILED", 0, 0, 1, 1, error.message, None, None, None)
        if error.errno in (904, 1003, 2003):
            raise
        raise SnowflakeError(
            f"{error.message}\n  File '{file.path}'\n"
            "If you would like to continue loading when an error is encountered, use other values such as "
            "'SKIP_FILE' for the ON_ERROR option.",
            errno=error.errno,
            sqlstate=error.sqlstate,
        ) from error
    return (file.name, "LOADED", count, count, 1, 0, None, None, None, None)


def _parse(statement: Statement, cursor: Cursor) -> Load:
    table = statement.session.qualify(cursor.name())
    columns = None
    if cursor.looking_at("("):
        inner = Cursor(cursor.parenthesised())
        columns = [inner.name()[0]]
        while inner.accept(","):
            columns.append(inner.name()[0])
        inner.end()
    cursor.expect("FROM")
    query = None
    if cursor.looking_at("("):
        query = cursor.parenthesised()
        location = _location_in(query)
    else:
        location = cursor.stage()
    options = properties(cursor, _OPTIONS)
    for name in ("TRUNCATECOLUMNS", "RETURN_FAILED_ONLY"):
        if str(options.get(name, "FALSE")).upper() == "TRUE":
            raise not_supported(f"{name} = TRUE")
    stage, _ = statement.server.stages.resolve(statement.session, location)
    given = options.get("FILE_FORMAT", stage.options.get("FILE_FORMAT"))
    found = statement.server.stages.formats.resolve(statement.session, given)
    return Load(table, columns, location, query, found, options)


def _location_in(query: str) -> str:
    tree = translate.parse(query)
    locations = [location for table in tree.find_all(exp.Table) if (location := location_of(table)) is not None]
    if len(locations) != 1:
        raise compilation_error("COPY INTO a table reads from one stage location.")
    return locations[0]


def _files(statement: Statement, command: Load) -> list[StageFile]:
    named = command.options.get("FILES")
    pattern = command.options.get("PATTERN")
    found = stage_files(statement.server, statement.session, command.location, pattern, anchored=True)
    if named is None:
        return found
    wanted = [str(name) for name in named]
    by_name = {file.relative: file for file in found}
    if missing := [name for name in wanted if name not in by_name]:
        raise SnowflakeError(
            f"Remote file '{missing[0]}' was not found. There are several potential causes. The file might not exist.",
            errno=100016,
            sqlstate="22000",
        )
    return [by_name[name] for name in wanted]


def _insert(command: Load, columns: Sequence[TableColumn], file: StageFile) -> exp.Insert:
    """The INSERT that loads one file."""
    target = ".".join(_quoted(part) for part in command.table)
    names = command.columns or [column.name for column in columns]
    if command.query is not None:
        select = command.query
        listed = command.columns
    elif command.format.type == "CSV":
        listed = names
        select = f"SELECT {', '.join(f'${number}' for number in range(1, len(names) + 1))} FROM {_stage(command)}"
        if command.says("MATCH_BY_COLUMN_NAME", "NONE") != "NONE":
            raise not_supported("MATCH_BY_COLUMN_NAME of CSV files")
    elif command.says("MATCH_BY_COLUMN_NAME", "NONE") != "NONE":
        listed, select = _by_name(command, columns, file)
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
        listed, select = names, f"SELECT $1 FROM {_stage(command)}"
    heading = f" ({', '.join(_quoted(name) for name in listed)})" if listed else ""
    tree = translate.parse(f"INSERT INTO {target}{heading} {select}")
    assert isinstance(tree, exp.Insert)
    _cast(tree, [column for name in (listed or names) for column in columns if column.name == name])
    return tree


def _by_name(command: Load, columns: Sequence[TableColumn], file: StageFile) -> tuple[list[str], str]:
    if command.format.type != "PARQUET":
        raise not_supported(f"MATCH_BY_COLUMN_NAME of {command.format.type} files")
    sensitive = command.says("MATCH_BY_COLUMN_NAME") == "CASE_SENSITIVE"
    inside = {name if sensitive else name.upper(): name for name in parquet_columns(file.local)}
    pairs = [
        (column.name, inside[key])
        for column in columns
        if (key := column.name if sensitive else column.name.upper()) in inside
    ]
    if not pairs:
        raise compilation_error(f"no column of the table is in the file '{file.path}'.")
    listed = ", ".join(f"$1:{_quoted(source)}" for _, source in pairs)
    return [name for name, _ in pairs], f"SELECT {listed} FROM {_stage(command)}"


def _cast(tree: exp.Insert, columns: Sequence[TableColumn]) -> None:
    """Cast what a bare ``$1:"C"`` or ``$2`` reads to its column's type, as the assignment to the column would.

    A cast tells the reader of the files to take the file's own typed value, not its VARIANT.
    """
    select = tree.expression
    if not isinstance(select, exp.Select) or len(select.expressions) != len(columns):
        return
    projections = []
    for projection, column in zip(select.expressions, columns, strict=True):
        bare = projection.unalias()
        is_read = isinstance(bare, exp.Parameter) or (
            isinstance(bare, exp.JSONExtract) and isinstance(bare.this, exp.Parameter)
        )
        if is_read and not re.match("VARIANT|OBJECT|ARRAY", column.declared):
            projections.append(exp.cast(bare.copy(), column.declared, dialect="snowflake"))
        else:
            projections.append(projection)
    select.set("expressions", projections)


def _stage(command: Load) -> str:
    return "'" + command.location.replace("\\", "\\\\").replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
