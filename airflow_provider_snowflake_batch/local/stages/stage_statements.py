"""Statements about stages and file formats: CREATE, ALTER, DROP, SHOW, DESCRIBE, LIST, REMOVE, COPY INTO."""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from airflow_provider_snowflake_batch.local.clauses import drop, properties, property_value, show_clauses
from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.sql.show import DESCRIBE, shown
from airflow_provider_snowflake_batch.local.stages.files import ListedFile, OtherFiles, remove_files, stage_files
from airflow_provider_snowflake_batch.local.stages.formats import FileFormats, file_format
from airflow_provider_snowflake_batch.local.stages.loading import Rooms, load
from airflow_provider_snowflake_batch.local.stages.reading import StageReads
from airflow_provider_snowflake_batch.local.stages.stages import Stage, Stages
from airflow_provider_snowflake_batch.local.stages.unloading import unload
from airflow_provider_snowflake_batch.local.state import StateDirectory
from airflow_provider_snowflake_batch.local.statements import Handler, Result, Statement, columns_of, statement

_STAGE_OPTIONS = ("ENCRYPTION", "DIRECTORY", "FILE_FORMAT", "COMMENT")
_TEMPORARY = ("", "TEMP ", "TEMPORARY ", "SCOPED TEMP ", "SCOPED TEMPORARY ")


def _create(kind: str) -> Callable[[Handler], Handler]:
    replaces = ("", "OR REPLACE ")
    return statement(*(f"CREATE {a}{b}{kind}" for a, b in itertools.product(replaces, _TEMPORARY)))


def _modifiers(cursor: Cursor) -> tuple[bool, bool]:
    """Whether the words before the cursor say OR REPLACE, and TEMPORARY."""
    words = [token.value for token in cursor.tokens[: cursor.at]]
    return "REPLACE" in words, "TEMP" in words or "TEMPORARY" in words


_STAGES_OF_BINDS = ("SYSTEMBIND", "SNOWPARK_TEMP_STAGE_BIND")
"""What drivers call the stage for large lists of bind variables; without it they send them with the statement."""


@_create("STAGE")
def create_stage(statement: Statement, cursor: Cursor, formats: FileFormats, stages: Stages) -> Result:
    or_replace, temporary = _modifiers(cursor)
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    parts = cursor.name()
    if parts[-1] in _STAGES_OF_BINDS:
        raise not_supported("A stage for bind variables, which drivers then send with the statement,")
    if any(token.kind == "word" and token.value == "URL" for token in cursor.tokens[cursor.at :]):
        raise not_supported("An external stage")
    found = properties(cursor, _STAGE_OPTIONS)
    if (given := found.get("FILE_FORMAT")) is not None:
        formats.resolve(statement.session, given)
    created = stages.create(
        statement.session,
        parts,
        temporary=temporary,
        or_replace=or_replace,
        if_not_exists=if_not_exists,
        comment=str(found.pop("COMMENT", "")),
        options=found,
    )
    if not created:
        return Result.message(f"{parts[-1]} already exists, statement succeeded.")
    return Result.message(f"Stage area {parts[-1]} successfully created.")


@statement("ALTER STAGE")
def alter_stage(statement: Statement, cursor: Cursor, stages: Stages) -> Result:
    if_exists = cursor.accept("IF", "EXISTS")
    parts = cursor.name()
    session = statement.session
    if if_exists and stages.find(*session.qualify(parts)) is None:
        return Result.message("Statement executed successfully.")
    stage = stages.get(session, parts)
    if cursor.accept("SET"):
        found = properties(cursor, _STAGE_OPTIONS)
        comment = found.pop("COMMENT", None)
        stages.update(stage, comment=comment, options=found)
        return Result.message("Statement executed successfully.")
    if cursor.accept("REFRESH"):
        # The directory table reads the folder itself, so it is never behind.
        cursor.end()
        return Result(columns_of("file, status"), [], statement_type=0x6000)
    raise not_supported(f"ALTER STAGE {cursor.rest()}")


@statement("DROP STAGE")
def drop_stage(statement: Statement, cursor: Cursor, stages: Stages) -> Result:
    session = statement.session
    return drop(cursor, session.qualify, lambda name: stages.find(*name) is not None, partial(stages.drop, session))


@statement("SHOW STAGES", "SHOW TERSE STAGES")
def show_stages(statement: Statement, cursor: Cursor, databases: Databases, stages: Stages) -> Result:
    clauses = show_clauses(cursor, statement.session, databases)
    visible = [stage for stage in stages.list() if stage.session_id in (None, statement.session.id)]
    rows = [
        (
            stage.created, stage.short_name, stage.database, stage.schema, "", "N", "N", stage.owner, stage.comment,
            None, _kind(stage), None, None, None, None, "ROLE",
            "Y" if _directory(stage.options) else "N",
        )
        for stage in clauses.select(visible, lambda stage: (stage.short_name, stage.database, stage.schema))
    ]  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), name, database_name, schema_name, url, has_credentials, "
        "has_encryption_key, owner, comment, region, type, cloud, notification_channel, storage_integration, "
        "endpoint, owner_role_type, directory_enabled",
        rows,
    )


def _kind(stage: Stage) -> str:
    """The type that SHOW STAGES tells; by "NO CSE" clients know a stage with server-side encryption."""
    encrypted_by_client = _as_dict(stage.options.get("ENCRYPTION")).get("TYPE", "SNOWFLAKE_FULL") == "SNOWFLAKE_FULL"
    return f"INTERNAL{' TEMPORARY' if stage.temporary else ''}{'' if encrypted_by_client else ' NO CSE'}"


def _directory(options: dict[str, Any]) -> bool:
    given = options.get("DIRECTORY")
    return isinstance(given, dict) and given.get("ENABLE") is True


@statement("DESCRIBE STAGE", "DESC STAGE")
def describe_stage(statement: Statement, cursor: Cursor, stages: Stages) -> Result:
    stage = stages.get(statement.session, cursor.name())
    cursor.end()
    encryption = stage.options.get("ENCRYPTION") or {}
    rows = [
        (
            "STAGE_FILE_FORMAT",
            "TYPE",
            "String",
            str((_as_dict(stage.options.get("FILE_FORMAT"))).get("TYPE", "CSV")),
            "CSV",
        ),
        ("STAGE_LOCATION", "URL", "String", "", ""),
        ("DIRECTORY", "ENABLE", "Boolean", str(_directory(stage.options)).lower(), "false"),
        ("STAGE_ENCRYPTION", "TYPE", "String", str(_as_dict(encryption).get("TYPE", "SNOWFLAKE_FULL")), ""),
    ]
    return shown("parent_property, property, property_type, property_value, property_default", rows, DESCRIBE)


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@statement("LIST", "LS")
def list_files(statement: Statement, cursor: Cursor, stages: Stages, other_files: OtherFiles) -> Result:
    files: Sequence[ListedFile]
    if other_files.follow(cursor):
        _, files = other_files.find(statement.session, cursor.string())
        cursor.end()
    else:
        location, pattern = _location_and_pattern(cursor)
        files = stage_files(stages, statement.session, location, pattern)
    rows = [(file.name, file.size, file.md5, _http_date(file.modified)) for file in files]
    return shown("name, size:NUMBER, md5, last_modified", rows)


@statement("REMOVE", "RM")
def remove(statement: Statement, cursor: Cursor, stages: Stages) -> Result:
    location, pattern = _location_and_pattern(cursor)
    files = stage_files(stages, statement.session, location, pattern)
    stage, _ = stages.resolve(statement.session, location)
    remove_files(files, stage.folder)
    return shown("name, result", [(file.name, "removed") for file in files], 0x4000)


def _location_and_pattern(cursor: Cursor) -> tuple[str, str | None]:
    location = cursor.stage()
    pattern = None
    if cursor.accept("PATTERN"):
        cursor.expect("=")
        pattern = cursor.string()
    cursor.end()
    return location, pattern


def _http_date(moment: datetime.datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


@_create("FILE FORMAT")
def create_file_format(statement: Statement, cursor: Cursor, formats: FileFormats) -> Result:
    or_replace, temporary = _modifiers(cursor)
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    parts = cursor.name()
    options: dict[str, Any] = {}
    while not cursor.done:
        name = cursor.next().value
        cursor.expect("=")
        options[name] = property_value(cursor)
        cursor.accept(",")
    comment = str(options.pop("COMMENT", ""))
    created = formats.create(
        statement.session,
        parts,
        file_format(options),
        temporary=temporary,
        or_replace=or_replace,
        if_not_exists=if_not_exists,
        comment=comment,
    )
    if not created:
        return Result.message(f"{parts[-1]} already exists, statement succeeded.")
    return Result.message(f"File format {parts[-1]} successfully created.")


@statement("DROP FILE FORMAT")
def drop_file_format(statement: Statement, cursor: Cursor, formats: FileFormats) -> Result:
    session = statement.session
    there = {row[:3] for row in formats.list()}
    return drop(cursor, session.qualify, lambda name: name in there, partial(formats.drop, session))


@statement("SHOW FILE FORMATS")
def show_file_formats(statement: Statement, cursor: Cursor, databases: Databases, formats: FileFormats) -> Result:
    clauses = show_clauses(cursor, statement.session, databases)
    found = clauses.select(formats.list(), lambda row: (row[2], row[0], row[1]))
    rows = [
        (
            datetime.datetime.fromisoformat(created), name, database, schema, kind, owner, comment,
            json.dumps({"TYPE": kind, **json.loads(options)}), "ROLE",
        )
        for database, schema, name, kind, options, created, owner, comment in found
    ]  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), name, database_name, schema_name, type, owner, comment, "
        "format_options, owner_role_type",
        rows,
    )


@statement("COPY INTO")
def copy_into(
    statement: Statement, cursor: Cursor, engine: Engine, stages: Stages, reads: StageReads, state: StateDirectory
) -> Result:
    target = cursor.peek()
    if target is not None and target.kind in ("stage", "string"):
        return unload(statement, engine, stages, state.scratch, cursor)
    return load(statement, Rooms(engine, stages, reads), cursor)


@statement("COPY FILES INTO")
def copy_files(statement: Statement, cursor: Cursor) -> Result:
    raise not_supported("COPY FILES")
