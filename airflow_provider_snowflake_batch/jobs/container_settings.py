"""What a task says of the container that the worker runs in: environment, secrets, integrations, stages, volume.

https://docs.snowflake.com/en/developer-guide/snowpark-container-services/specification-reference
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.contract.cluster import PORTS_VARIABLE, parse_ports
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.spec_fields import is_template

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.qualify import Namespace

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Names of variables that the worker uses itself, or that Snowflake sets.
_RESERVED = re.compile(r"(BATCH|SNOWFLAKE)_.*|TMPDIR")
SECRET_KEYS = ("secret_string", "username", "password")
# Limits of the page above, and of …/service-network-communications.
_MOST_SECRETS = 50
_MOST_INTEGRATIONS = 10
DEFAULT_SECRET_KEY = SECRET_KEYS[0]
_VOLUME_SIZE = re.compile(r"([1-9]\d*)Gi")
# …/block-storage-volume: the widest limits of all clouds, since the task does not know on which one the account is.
_MOST_GIB = 65536
_VOLUME_SPEED = {"iops": (3000, 80000), "throughput": (125, 2400)}


def names(field: str, value: Any, what: str) -> tuple[str, ...]:
    """A list of texts without any twice.

    :raises InvalidJobError: if it is something else.
    """
    if not isinstance(value, (list, tuple)) or not value:
        raise InvalidJobError(field, f"expected a list of {what}, got {value!r}.")
    for item in value:
        if not isinstance(item, str) or not item.strip() or "\0" in item:
            raise InvalidJobError(field, f"expected a list of {what}, which {item!r} is not one of.")
        if value.count(item) > 1:
            raise InvalidJobError(field, f"{item!r} stands there twice.")
    return tuple(value)


def environment(field: str, value: Any) -> Mapping[str, str]:
    """Environment variables: numbers and flags as texts.

    :raises InvalidJobError: if a name is none, or belongs to the worker or to Snowflake.
    """
    if not isinstance(value, Mapping):
        raise InvalidJobError(field, f"expected a dict from names to texts, got {type(value).__name__}.")
    for name, content in value.items():
        _check_variable(field, name)
        if not isinstance(content, (str, int, float)) or "\0" in str(content):
            # The message leaves the value out: somebody may have put a secret here, although it does not belong here.
            raise InvalidJobError(f"{field}[{name!r}]", f"expected a text, got {_kind(content)}.")
        if name == PORTS_VARIABLE:
            try:
                parse_ports(str(content))
            except ValueError as error:
                raise InvalidJobError(f"{field}[{name!r}]", f"{error}.") from None
    return MappingProxyType({name: str(content) for name, content in value.items()})


def secrets(field: str, value: Any) -> Mapping[str, Any]:
    """Environment variables that hold secrets.

    :raises InvalidJobError: if a name is no variable's, or a secret is not named as one.
    """
    if not isinstance(value, Mapping):
        raise InvalidJobError(field, f"expected a dict from variables to secrets, got {type(value).__name__}.")
    if len(value) > _MOST_SECRETS:
        raise InvalidJobError(field, f"{len(value)} secrets; Snowflake takes at most {_MOST_SECRETS}.")
    checked: dict[str, Any] = {}
    for name, given in value.items():
        _check_variable(field, name)
        where = f"{field}[{name!r}]"
        parts = {"secret": given} if isinstance(given, str) else given
        if not isinstance(parts, Mapping) or not {"secret"} <= set(parts) <= {"secret", "key"}:
            raise InvalidJobError(where, "expected the secret's name, or a dict with secret and key.")
        if not isinstance(parts["secret"], str):
            raise InvalidJobError(where, "expected the secret's name, which is a text.")
        if "{{" not in parts["secret"]:
            QualifiedName.parse(parts["secret"], field=where)
        key = parts.get("key", DEFAULT_SECRET_KEY)
        if key not in SECRET_KEYS and "{{" not in str(key):
            raise InvalidJobError(where, f"key {key!r} is not one of {', '.join(SECRET_KEYS)}.")
        checked[name] = given if isinstance(given, str) else dict(parts)
    return MappingProxyType(checked)


def qualified_secrets(given: Mapping[str, Any], namespace: Namespace) -> dict[str, Any]:
    """The same secrets with database and schema. A service looks for others in its own schema, which need not be the
    session's.

    :param given: as :func:`secrets` returns them.
    :raises InvalidJobError: if a name is partial and there is nothing to fill in.
    """
    full: dict[str, Any] = {}
    for variable, parts in given.items():
        field = f"job_spec.secrets[{variable!r}]"
        name = parts if isinstance(parts, str) else parts["secret"]
        secret = str(namespace.name(QualifiedName.parse(name, field=field), field))
        full[variable] = secret if isinstance(parts, str) else {**parts, "secret": secret}
    return full


def integrations(field: str, value: Any) -> tuple[str, ...]:
    """:raises InvalidJobError: if it is no list of names, or too long a one."""
    listed = names(field, value, "external access integrations")
    if len(listed) > _MOST_INTEGRATIONS:
        raise InvalidJobError(field, f"{len(listed)} integrations; Snowflake takes at most {_MOST_INTEGRATIONS}.")
    for name in listed:
        if "{{" not in name:
            Identifier.parse(name, field=field)
    return listed


def stages(field: str, value: Any) -> tuple[str, ...]:
    """:raises InvalidJobError: if it is no list of stages."""
    listed = names(field, value, "stages")
    for name in listed:
        if "{{" not in name and StagePath.parse(name, field=field).path:
            raise InvalidJobError(field, f"{name!r}: name the stage without a path, which the rows' own paths have.")
    return listed


def block_volume(field: str, value: Any) -> Mapping[str, Any]:
    """A block storage volume: its size, and how fast it is.

    :raises InvalidJobError: if no cloud has such a volume.
    """
    known = ("size", *_VOLUME_SPEED)
    if not isinstance(value, Mapping) or "size" not in value or not set(value) <= set(known):
        raise InvalidJobError(field, f"expected a dict with size, and perhaps iops and throughput, got {value!r}.")
    checked: dict[str, Any] = {"size": value["size"]}
    if not is_template(value["size"]):
        size = _VOLUME_SIZE.fullmatch(value["size"].strip()) if isinstance(value["size"], str) else None
        if size is None or int(size[1]) > _MOST_GIB:
            raise InvalidJobError(
                f"{field}['size']", f"expected '1Gi' to '{_MOST_GIB}Gi', in whole Gi, got {value['size']!r}."
            )
        checked["size"] = size[0]
    for name, (least, most) in _VOLUME_SPEED.items():
        if name in value:
            checked[name] = _whole_number(f"{field}[{name!r}]", value[name], least, most)
    return MappingProxyType(checked)


def _whole_number(field: str, value: Any, least: int, most: int) -> Any:
    if is_template(value):
        return value
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise InvalidJobError(field, f"expected a whole number from {least} to {most}, got {value!r}.")
    return number


def _kind(content: Any) -> str:
    return "a text with a NUL character" if isinstance(content, str) else type(content).__name__


def _check_variable(field: str, name: Any) -> None:
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        raise InvalidJobError(field, f"{name!r} is not the name of an environment variable.")
    if _RESERVED.fullmatch(name):
        raise InvalidJobError(field, f"{name} is set by the worker's job or by Snowflake: choose another name.")
