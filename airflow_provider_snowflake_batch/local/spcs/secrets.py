"""What containers get of secrets: environment variables, or files.

https://docs.snowflake.com/en/developer-guide/snowpark-container-services/specification-reference, containers.secrets.
A record of a container names the secret only; its content is read when the container starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, does_not_exist, invalid_specification
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job, Secret
from airflow_provider_snowflake_batch.local.spcs.specification import SecretSpecification
from airflow_provider_snowflake_batch.local.spcs.store import Store


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
