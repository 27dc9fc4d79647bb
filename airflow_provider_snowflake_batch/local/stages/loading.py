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
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.sql.file_loads import FileReads
from airflow_provider_snowflake_batch.local.stages import matching
from airflow_provider_snowflake_batch.local.stages.csv_files import first_width
from airflow_provider_snowflake_batch.local.stages.files import StageFile, remove_files, stage_files
from airflow_provider_snowflake_batch.local.stages.formats import FileFormat
from airflow_provider_snowflake_batch.local.stages.parquet_files import ParquetReading, bytes_as_text
from airflow_provider_snowflake_batch.local.stages.reading import ReadOptions, StageReads, location_of
from airflow_provider_snowflake_batch.local.stages.stages import Stages
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sql.catalog import TableColumn
    from airflow_provider_snowflake_batch.local.sql.partial_loads import StagedRows

_OPTIONS = (
    "FILE_FORMAT", "FILES", "PATTERN", "PURGE", "FORCE", "ON_ERROR", "MATCH_BY_COLUMN_NAME",
    "RETURN_FAILED_ONLY", "ENFORCE_LENGTH", "TRUNCATECOLUMNS", "SIZE_LIMIT",
)  # fmt: skip
_COPY = 0x3600
_NOT_THE_FILE = (2, 904, 1003, 2003)
"""Errors of the statement, which no file is at fault for."""
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


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a load works with."""

    engine: Engine
    stages: Stages
    reads: StageReads


@dataclass(slots=True)
class Planned:
    """A file that the table does not hold yet, and what became of it."""

    file: StageFile
    staged: StagedRows | None = None
    row: tuple[Any, ...] = ()
    loaded: bool = False


def load(statement: Statement, rooms: Rooms, cursor: Cursor) -> Result:
    """Load the files that are new to the table."""
    command = _parse(statement, rooms, cursor)
    tolerance = Tolerance.of(command.says("ON_ERROR", "ABORT_STATEMENT"))
    engine, session = rooms.engine, statement.session
    columns = engine.tables.columns(session, command.table)
    files = _files(statement, rooms, command)
    if files:
        # A statement that cannot fit its table fails even if there is nothing new to load.
        _insert(command, columns, files[0])
    history = rooms.stages.loads
    known = set() if command.says("FORCE") == "TRUE" else history.loaded(command.table)
    rows: list[tuple[Any, ...]] = []
    fresh: list[Planned] = []
    for file in files:
        if (file.name, file.md5) in known:
            rows.append((file.name, "LOAD_SKIPPED", 0, 0, None, 1, "File was loaded before.", None, None, None))
        else:
            fresh.append(Planned(file))
    fresh = _within_limit(fresh, command.options.get("SIZE_LIMIT"))
    cuts = command.says("TRUNCATECOLUMNS") == "TRUE" or command.says("ENFORCE_LENGTH") == "FALSE"
    with engine.cutting_text(session, cuts):
        _run(statement, rooms, command, columns, fresh, tolerance)
    rows += [planned.row for planned in fresh]
    loaded = [planned.file for planned in fresh if planned.loaded]
    if command.says("PURGE") == "TRUE" and loaded:
        stage, _ = rooms.stages.resolve(session, command.location)
        remove_files(loaded, stage.folder)
    if command.says("RETURN_FAILED_ONLY") == "TRUE":
        rows = [row for row in rows if row[1] != "LOADED"]
    if not rows and not loaded:
        return Result([Column("status")], [("Copy executed with 0 files processed.",)], statement_type=_COPY)
    return Result(_COLUMNS, rows, statement_type=_COPY)


def _within_limit(fresh: list[Planned], limit: Any) -> list[Planned]:
    """SIZE_LIMIT: files up to the first that exceeds so many bytes in all."""
    if limit is None:
        return fresh
    chosen, total = [], 0
    for planned in fresh:
        if total > int(limit):
            break
        total += planned.file.size
        chosen.append(planned)
    return chosen


def _run(
    statement: Statement,
    rooms: Rooms,
    command: Load,
    columns: Sequence[TableColumn],
    fresh: list[Planned],
    tolerance: Tolerance,
) -> None:
    """Load all files, or none if one of them fails the statement."""
    engine, session = rooms.engine, statement.session
    history, before = rooms.stages.loads, None
    try:
        if tolerance.stages:
            # Before the transaction: a failure within would undo the files that are good.
            for planned in fresh:
                _stage(statement, rooms, command, columns, planned)
        with engine.atomic(session):
            for planned in fresh:
                if tolerance.stages:
                    _insert_staged(statement, rooms, planned, tolerance, command)
                else:
                    _load_file(statement, rooms, command, columns, planned)
            # Before the rows are committed: rows without their history would be loaded twice.
            before = history.record(command.table, [(one.file.name, one.file.md5) for one in fresh if one.loaded])
    except BaseException:
        history.restore(command.table, before)
        raise
    finally:
        for planned in fresh:
            if planned.staged is not None:
                engine.drop_staged(statement, planned.staged)


def _stage(statement: Statement, rooms: Rooms, command: Load, columns: Sequence[TableColumn], planned: Planned) -> None:
    options = ReadOptions(command.format, None, [planned.file], keeps_rejects=True, matched=command.matching != "NONE")
    skipped = int(command.format.options.get("SKIP_HEADER", 0))
    tree = _insert(command, columns, planned.file)
    try:
        _check_width(command, columns, planned.file)
        _check_matched(command, columns, planned.file)
        _check_bytes(command, columns, planned.file)
        planned.staged = rooms.engine.stage_rows(statement, tree, _read(statement, rooms, options), skipped)
    except SnowflakeError as error:
        if error.errno in _NOT_THE_FILE:
            raise
        planned.row = (planned.file.name, "LOAD_FAILED", 0, 0, 1, 1, error.message, None, None, None)


def _read(statement: Statement, rooms: Rooms, options: ReadOptions) -> FileReads:
    """What makes the files in an INSERT readable."""
    return lambda tree: rooms.reads.rewrite(tree, statement, options)


def _insert_staged(statement: Statement, rooms: Rooms, planned: Planned, tolerance: Tolerance, command: Load) -> None:
    staged, name = planned.staged, planned.file.name
    if staged is None:
        return
    limit = tolerance.limit(staged.parsed)
    column = None if staged.first_column is None else f'"{command.table[2]}"["{staged.first_column}"]'
    error = (staged.errors, staged.first_error, staged.first_line, 1 if staged.first_line is not None else None, column)
    if staged.errors and (staged.errors >= limit or staged.errors == staged.parsed) and not tolerance.goes_on:
        planned.row = (name, "LOAD_FAILED", staged.parsed, 0, limit, *error)
        return
    count = rooms.engine.insert_staged(statement, staged)
    status = "LOADED" if not staged.errors else "PARTIALLY_LOADED" if count else "LOAD_FAILED"
    planned.row = (name, status, staged.parsed, count, limit, *error)
    planned.loaded = count > 0 or not staged.errors


def _load_file(
    statement: Statement, rooms: Rooms, command: Load, columns: Sequence[TableColumn], planned: Planned
) -> None:
    file = planned.file
    options = ReadOptions(command.format, None, [file], matched=command.matching != "NONE")
    try:
        _check_width(command, columns, file)
        _check_matched(command, columns, file)
        _check_bytes(command, columns, file)
        insert = _insert(command, columns, file)
        count = rooms.engine.load(statement, insert, _read(statement, rooms, options))
    except SnowflakeError as error:
        if error.errno in _NOT_THE_FILE:
            raise
        raise SnowflakeError(
            f"{error.message}\n  File '{file.path}'\n"
            "If you would like to continue loading when an error is encountered, use other values such as "
            "'SKIP_FILE' or 'CONTINUE' for the ON_ERROR option.",
            errno=error.errno,
            sqlstate=error.sqlstate,
        ) from error
    planned.row = (file.name, "LOADED", count, count, 1, 0, None, None, None, None)
    planned.loaded = True


def _check_width(command: Load, columns: Sequence[TableColumn], file: StageFile) -> None:
    """:raises SnowflakeError: 100080 for a CSV file with more or fewer fields than there are columns to load."""
    lenient = not command.format.flag("ERROR_ON_COLUMN_COUNT_MISMATCH", True)
    if command.format.type != "CSV" or command.query is not None or lenient:
        return
    wanted, width = len(command.columns or columns), first_width(file.local, command.format)
    if width not in (None, wanted):
        raise SnowflakeError(
            f"Number of columns in file ({width}) does not match that of the corresponding table ({wanted}), use file "
            "format option error_on_column_count_mismatch=false to ignore this error",
            errno=100080,
            sqlstate="22000",
        )


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
        matching.check_values(file, command.format, command.matching, columns)


def _parse(statement: Statement, rooms: Rooms, cursor: Cursor) -> Load:
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
    stage, _ = rooms.stages.resolve(statement.session, location)
    given = options.get("FILE_FORMAT", stage.options.get("FILE_FORMAT"))
    found = rooms.stages.formats.resolve(statement.session, given)
    return Load(table, columns, location, query, found, options)


def _location_in(query: str) -> str:
    tree = translate.parse(query)
    locations = [location for table in tree.find_all(exp.Table) if (location := location_of(table)) is not None]
    if len(locations) != 1:
        raise compilation_error("COPY INTO a table reads from one stage location.")
    return locations[0]


def _files(statement: Statement, rooms: Rooms, command: Load) -> list[StageFile]:
    named = command.options.get("FILES")
    pattern = command.options.get("PATTERN")
    found = stage_files(rooms.stages, statement.session, command.location, pattern, anchored=True)
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
        pairs = matching.by_name(file, command.format, command.matching, columns)
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
    heading = f" ({', '.join(_quoted(name) for name in listed)})" if listed else ""
    tree = translate.parse(f"INSERT INTO {target}{heading} {select}")
    assert isinstance(tree, exp.Insert)
    _cast(
        tree, [column for name in (listed or names) for column in columns if column.name == name], command.format.type
    )
    return tree


def _cast(tree: exp.Insert, columns: Sequence[TableColumn], file_type: str) -> None:
    """Cast what a bare ``$1:"C"`` or ``$2`` reads to its column's type, as the assignment to the column would.

    A cast tells the reader of the files to take the file's own typed value, not its VARIANT. The text of a CSV file is
    parsed for a VARIANT column.

    :param file_type: the type of the files.
    """
    select = tree.expression
    if not isinstance(select, exp.Select) or len(select.expressions) != len(columns):
        return
    projections: list[exp.Expr] = []
    for projection, column in zip(select.expressions, columns, strict=True):
        bare = projection.unalias()
        is_read = isinstance(bare, exp.Parameter) or (
            isinstance(bare, exp.JSONExtract) and isinstance(bare.this, exp.Parameter)
        )
        if is_read and file_type == "CSV" and re.match("VARIANT|OBJECT|ARRAY", column.declared):
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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
