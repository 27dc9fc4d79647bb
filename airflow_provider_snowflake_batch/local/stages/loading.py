"""COPY INTO <table>: files of a stage into a table.

Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.sql.file_loads import FileReads
from airflow_provider_snowflake_batch.local.stages.file_relations import ReadOptions
from airflow_provider_snowflake_batch.local.stages.files import StageFile, remove_files, stage_files
from airflow_provider_snowflake_batch.local.stages.load_command import Load, Tolerance, check, insert_of, parse
from airflow_provider_snowflake_batch.local.stages.reading import StageReads
from airflow_provider_snowflake_batch.local.stages.stages import Stages
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement, columns_of

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sql.catalog import TableColumn
    from airflow_provider_snowflake_batch.local.sql.file_loads import StagedRows

_COPY = 0x3600
_NOT_THE_FILE = (2, 904, 1003, 2003)
"""Errors of the statement, which no file is at fault for."""
_COLUMNS = columns_of(
    "file, status, rows_parsed:NUMBER, rows_loaded:NUMBER, error_limit:NUMBER, errors_seen:NUMBER, first_error, "
    "first_error_line:NUMBER, first_error_character:NUMBER, first_error_column_name"
)


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
    command = parse(statement.session, rooms.stages, cursor)
    tolerance = Tolerance.of(command.says("ON_ERROR", "ABORT_STATEMENT"))
    engine, session = rooms.engine, statement.session
    columns = engine.tables.columns(session, command.table)
    files = _files(statement, rooms, command)
    if files:
        # A statement that cannot fit its table fails even if there is nothing new to load.
        insert_of(command, columns, files[0])
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
    options = _options(command, planned.file, keeps_rejects=True)
    skipped = int(command.format.options.get("SKIP_HEADER", 0))
    tree = insert_of(command, columns, planned.file)
    try:
        check(command, columns, planned.file)
        planned.staged = rooms.engine.stage_rows(statement, tree, _read(statement, rooms, options), skipped)
    except SnowflakeError as error:
        if error.errno in _NOT_THE_FILE:
            raise
        planned.row = (planned.file.name, "LOAD_FAILED", 0, 0, 1, 1, error.message, None, None, None)


def _options(command: Load, file: StageFile, *, keeps_rejects: bool) -> ReadOptions:
    return ReadOptions(
        command.format,
        None,
        [file],
        keeps_rejects=keeps_rejects,
        matched=command.matching != "NONE",
        is_exact=command.query is None,
    )


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
    options = _options(command, file, keeps_rejects=False)
    try:
        check(command, columns, file)
        insert = insert_of(command, columns, file)
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
