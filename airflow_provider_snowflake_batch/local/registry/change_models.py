"""CREATE, ALTER, COMMENT ON and DROP MODEL.

https://docs.snowflake.com/en/sql-reference/sql/create-model, …/alter-model, …/alter-model-add-version,
…/alter-model-modify-version, …/alter-model-drop-version, …/drop-model
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from airflow_provider_snowflake_batch.local.clauses import drop
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.registry.registry import ModelRegistry
from airflow_provider_snowflake_batch.local.stages.stages import Stages
from airflow_provider_snowflake_batch.local.statements import Result, Statement, statement

_DONE = "Statement executed successfully."


@statement("CREATE MODEL", "CREATE OR REPLACE MODEL")
def create_model(statement: Statement, cursor: Cursor, stages: Stages, registry: ModelRegistry) -> Result:
    replace = cursor.tokens[1].value == "OR"
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    parts = cursor.name()
    if cursor.looking_at("WITH", "LIVE"):
        raise not_supported("CREATE MODEL … WITH LIVE VERSION")
    version = cursor.name()[0] if cursor.accept("WITH", "VERSION") else "V1"
    cursor.expect("FROM")
    source = _source(statement, stages, registry, cursor)
    comment = None
    if cursor.accept("COMMENT"):
        cursor.expect("=")
        comment = cursor.string()
    cursor.end()
    existing = registry.find(statement.session, parts)
    if existing is not None and if_not_exists:
        return Result.message(f"{parts[-1]} already exists, statement succeeded.")
    if existing is not None and replace:
        registry.drop(statement.session, parts)
    registry.create(statement.session, parts, version, source, comment)
    return Result.message(f"Model {parts[-1]} successfully created.")


@statement("ALTER MODEL")
def alter_model(statement: Statement, cursor: Cursor, stages: Stages, registry: ModelRegistry) -> Result:
    session = statement.session
    if_exists = cursor.accept("IF", "EXISTS")
    parts = cursor.name()
    if if_exists and registry.find(session, parts) is None:
        return Result.message(_DONE)
    registry.get(session, parts)
    if cursor.accept("ADD", "VERSION"):
        version = cursor.name()[0]
        cursor.expect("FROM")
        source = _source(statement, stages, registry, cursor)
        cursor.end()
        registry.add_version(session, parts, version, source)
    elif cursor.accept("DROP", "VERSION"):
        version = cursor.name()[0]
        cursor.end()
        registry.drop_version(session, parts, version)
    elif cursor.accept("MODIFY", "VERSION"):
        _modify_version(statement, registry, parts, cursor)
    elif cursor.accept("VERSION"):
        _alias(statement, registry, parts, cursor)
    elif cursor.accept("RENAME", "TO"):
        new = cursor.name()
        cursor.end()
        registry.rename(session, parts, new)
    elif cursor.accept("SET", "TAG"):
        _set_tags(statement, registry, parts, cursor)
    elif cursor.accept("UNSET", "TAG"):
        _unset_tags(statement, registry, parts, cursor)
    elif cursor.accept("SET"):
        _set_properties(statement, registry, parts, cursor)
    elif cursor.looking_at("ADD", "LIVE") or cursor.looking_at("COMMIT"):
        raise not_supported("A live version of a model")
    else:
        raise cursor.unexpected("ADD VERSION, DROP VERSION, MODIFY VERSION, VERSION, RENAME TO, SET or UNSET TAG")
    return Result.message(_DONE)


@statement("COMMENT ON MODEL", "COMMENT IF EXISTS ON MODEL")
def comment_on_model(statement: Statement, cursor: Cursor, registry: ModelRegistry) -> Result:
    parts = cursor.name()
    cursor.expect("IS")
    comment = cursor.string()
    cursor.end()
    if cursor.tokens[1].value == "IF" and registry.find(statement.session, parts) is None:
        return Result.message(_DONE)
    model = registry.get(statement.session, parts)
    model.comment = comment
    registry.save(model)
    return Result.message(_DONE)


@statement("DROP MODEL")
def drop_model(statement: Statement, cursor: Cursor, registry: ModelRegistry) -> Result:
    session = statement.session
    return drop(
        cursor, session.qualify, lambda name: registry.find(session, name) is not None, partial(registry.drop, session)
    )


def _source(statement: Statement, stages: Stages, registry: ModelRegistry, cursor: Cursor) -> Path:
    """The folder behind ``@stage/path`` or ``MODEL <name> [VERSION <version>]``; cursor placed after FROM."""
    if cursor.accept("MODEL"):
        parts = cursor.name()
        version = cursor.name()[0] if cursor.accept("VERSION") else None
        resolved = registry.resolve(statement.session, parts, version)
        return Path(resolved.folder)
    _, path = stages.resolve(statement.session, cursor.stage())
    return Path(path)


def _modify_version(statement: Statement, registry: ModelRegistry, parts: tuple[str, ...], cursor: Cursor) -> None:
    version = cursor.name()[0]
    cursor.expect("SET")
    model = registry.get(statement.session, parts)
    record = model.version(version)
    while not cursor.done:
        option = cursor.next().value
        cursor.expect("=")
        if option == "COMMENT":
            record.comment = cursor.string()
        elif option == "METADATA":
            record.metadata = _metadata(cursor.string())
        else:
            raise compilation_error(f"invalid property '{option}' for a model version.")
        cursor.accept(",")
    registry.save(model)


def _metadata(text: str) -> dict[str, object]:
    try:
        metadata = json.loads(text)
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise SnowflakeError("METADATA of a model version must be a JSON object.", errno=398505, sqlstate="22000")
    return metadata


def _alias(statement: Statement, registry: ModelRegistry, parts: tuple[str, ...], cursor: Cursor) -> None:
    version = cursor.name()[0]
    alias = None
    if cursor.accept("SET", "ALIAS"):
        cursor.expect("=")
        alias = cursor.name()[0]
    else:
        cursor.expect("UNSET", "ALIAS")
    cursor.end()
    registry.set_alias(statement.session, parts, version, alias)


def _set_properties(statement: Statement, registry: ModelRegistry, parts: tuple[str, ...], cursor: Cursor) -> None:
    model = registry.get(statement.session, parts)
    while not cursor.done:
        option = cursor.next().value
        cursor.expect("=")
        if option == "COMMENT":
            model.comment = cursor.string()
        elif option == "DEFAULT_VERSION":
            token = cursor.peek()
            name = cursor.string() if token is not None and token.kind == "string" else cursor.name()[0]
            model.default_version = model.version(name).name
        else:
            raise compilation_error(f"invalid property '{option}' for 'MODEL'.")
        cursor.accept(",")
    registry.save(model)


def _set_tags(statement: Statement, registry: ModelRegistry, parts: tuple[str, ...], cursor: Cursor) -> None:
    model = registry.get(statement.session, parts)
    while True:
        tag = ".".join(statement.session.qualify(cursor.name()))
        cursor.expect("=")
        model.tags[tag] = cursor.string()
        if cursor.done:
            break
        cursor.expect(",")
    registry.save(model)


def _unset_tags(statement: Statement, registry: ModelRegistry, parts: tuple[str, ...], cursor: Cursor) -> None:
    model = registry.get(statement.session, parts)
    while True:
        model.tags.pop(".".join(statement.session.qualify(cursor.name())), None)
        if cursor.done:
            break
        cursor.expect(",")
    registry.save(model)
