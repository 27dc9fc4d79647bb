"""Secrets: the statements, none of which tells what a secret holds, and what containers get of them.

https://docs.snowflake.com/en/sql-reference/sql/create-secret, …/alter-secret, …/desc-secret, …/show-secrets,
…/drop-secret, and containers.secrets in
https://docs.snowflake.com/en/developer-guide/snowpark-container-services/specification-reference.
A record of a container names the secret only; its content is read when the container starts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.local.clauses import drop, properties, show_clauses
from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    already_exists,
    compilation_error,
    does_not_exist,
    invalid_specification,
    not_supported,
)
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import service_clauses
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job, Secret
from airflow_provider_snowflake_batch.local.spcs.specification import SecretSpecification
from airflow_provider_snowflake_batch.local.spcs.store import Store
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement, columns_of, moment, statement


def references(job: Job, wanted: Iterable[SecretSpecification], store: Store) -> list[dict[str, str]]:
    """What a container's record says of its secrets.

    :raises SnowflakeError: 2003 for a secret that is not there, 395018 for one that has no such part.
    """
    found = []
    for item in wanted:
        cursor = Cursor(item.secret)
        parts = cursor.name()
        cursor.end()
        # Names are relative to the schema of the service.
        full_name = ".".join((*(job.database, job.schema)[: 3 - len(parts)], *parts))
        secret = get(store, full_name)
        if item.key is not None and item.key not in secret.content:
            raise invalid_specification(
                f"secret '{full_name}' of type {secret.type} has no '{item.key}', "
                f"only {', '.join(secret.content)} ('secretKeyRef')."
            )
        reference = {"secret": full_name, "variable": item.variable, "key": item.key, "folder": item.folder}
        found.append({name: value for name, value in reference.items() if value is not None})
    return found


def get(store: Store, full_name: str) -> Secret:
    """:raises SnowflakeError: 2003 if there is none of this name."""
    secret = store.find_secret(full_name)
    if secret is None:
        raise does_not_exist("Secret", full_name)
    return secret


def variables(container: Container, store: Store) -> dict[str, str]:
    """The environment variables that hold secrets.

    :raises SnowflakeError: if one was dropped meanwhile.
    """
    return {
        item["variable"]: _part(get(store, item["secret"]), item["key"])
        for item in container.secrets
        if "variable" in item
    }


def write_files(container: Container, store: Store) -> None:
    """Write the files that hold secrets, one for each part of a secret, into their folders.

    :raises SnowflakeError: if a secret was dropped meanwhile.
    """
    for item in container.secrets:
        if "folder" in item:
            _write(Path(container.mounts[item["folder"]]), get(store, item["secret"]).content)


def _part(secret: Secret, key: str) -> str:
    if key not in secret.content:
        raise SnowflakeError(f"Secret '{secret.full_name}' has no '{key}' any more.", errno=395018, sqlstate="22023")
    return secret.content[key]


def _write(folder: Path, content: Mapping[str, str]) -> None:
    for name, text in content.items():
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)


_PARTS = {"GENERIC_STRING": ("SECRET_STRING",), "PASSWORD": ("USERNAME", "PASSWORD")}
_DONE = "Statement executed successfully."
_CREATED = Column("created_on", "TIMESTAMP_LTZ", 0, 9)


@statement("CREATE SECRET", "CREATE OR REPLACE SECRET")
def create_secret(statement: Statement, cursor: Cursor, databases: Databases, store: Store) -> Result:
    or_replace = cursor.tokens[1].value == "OR"
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    database, schema, name = statement.session.qualify(cursor.name())
    full_name = f"{database}.{schema}.{name}"
    given = _given(cursor, ("TYPE", "SECRET_STRING", "USERNAME", "PASSWORD", "COMMENT"))
    kind = given.pop("TYPE", None)
    if kind is None:
        raise compilation_error("Missing option(s): [TYPE]")
    if kind not in _PARTS:
        raise not_supported(f"A secret of TYPE {kind}")
    comment = given.pop("COMMENT", None)
    if set(given) != set(_PARTS[kind]):
        raise compilation_error(f"A secret of TYPE {kind} has exactly {' and '.join(_PARTS[kind])}.")
    if not databases.has_schema(database, schema):
        raise does_not_exist("Schema", f"{database}.{schema}")
    if not or_replace and store.find_secret(full_name) is not None:
        if if_not_exists:
            return Result.message(f"{name} already exists, statement succeeded.")
        raise already_exists(full_name)
    content = {part.lower(): text for part, text in given.items()}
    owner = statement.session.role or ""
    store.save_secret(Secret(database, schema, name, kind, owner, time.time(), comment, content))
    return Result.message(f"Secret {name} successfully created.")


@statement("ALTER SECRET")
def alter_secret(statement: Statement, cursor: Cursor, store: Store) -> Result:
    if_exists = cursor.accept("IF", "EXISTS")
    full_name = service_clauses.full_name(statement, cursor.name())
    if if_exists and store.find_secret(full_name) is None:
        return Result.message(_DONE)
    secret = get(store, full_name)
    if cursor.accept("UNSET", "COMMENT"):
        cursor.end()
        given: dict[str, str] = {}
        secret = replace(secret, comment=None)
    else:
        cursor.expect("SET")
        given = _given(cursor, (*_PARTS[secret.type], "COMMENT"))
        secret = replace(secret, comment=given.pop("COMMENT", secret.comment))
    content = {part.lower(): text for part, text in given.items()}
    store.save_secret(replace(secret, content=secret.content | content))
    return Result.message(_DONE)


@statement("DROP SECRET")
def drop_secret(statement: Statement, cursor: Cursor, store: Store) -> Result:
    def remove(name: tuple[str, ...]) -> None:
        store.drop_secret(get(store, ".".join(name)).full_name)

    return drop(cursor, statement.session.qualify, lambda name: store.find_secret(".".join(name)) is not None, remove)


@statement("SHOW SECRETS")
def show_secrets(statement: Statement, cursor: Cursor, databases: Databases, store: Store) -> Result:
    chosen = show_clauses(cursor, statement.session, databases)
    found = chosen.select(store.secrets(), lambda one: (one.name, one.database, one.schema))
    names = columns_of("name, schema_name, database_name, owner, comment, secret_type, oauth_scopes, owner_role_type")
    return Result([_CREATED, *names], [(*_shown(one), None, "ROLE") for one in found])


@statement("DESCRIBE SECRET", "DESC SECRET")
def describe_secret(statement: Statement, cursor: Cursor, store: Store) -> Result:
    secret = get(store, service_clauses.full_name(statement, cursor.name()))
    cursor.end()
    names = columns_of(
        "name, schema_name, database_name, owner, comment, secret_type, username, "
        "oauth_access_token_expiry_time, oauth_refresh_token_expiry_time, oauth_scopes, integration_name"
    )
    username = secret.content.get("username")
    return Result([_CREATED, *names], [(*_shown(secret), username, None, None, None, None)])


def _shown(secret: Secret) -> tuple[Any, ...]:
    created = moment(secret.created_on)
    return created, secret.name, secret.schema, secret.database, secret.owner, secret.comment, secret.type


def _given(cursor: Cursor, allowed: tuple[str, ...]) -> dict[str, str]:
    given: Mapping[str, Any] = properties(cursor, allowed)
    for name, value in given.items():
        if not isinstance(value, str):
            # Not the value, which may be a secret all the same.
            raise compilation_error(f"invalid value for property '{name}', expected a string.")
    return dict(given)
