"""The service specification of EXECUTE JOB SERVICE.

https://docs.snowflake.com/en/developer-guide/snowpark-container-services/specification-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, invalid_specification, not_supported
from airflow_provider_snowflake_batch.local.spcs.yaml_rules import (
    anything,
    boolean,
    choice,
    cpu,
    free_mapping,
    gpu,
    integer,
    load,
    mapping,
    matching,
    memory,
    refused,
    scalar,
    sequence,
    text,
)

_NAME = matching(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "at most 63 lower-case letters, digits and '-'")
_MOUNT_PATH = matching(r"/.*[^/]|/", "an absolute path without a trailing slash")
_QUANTITIES = mapping({"cpu": cpu, "memory": memory, "nvidia.com/gpu": gpu})
_RESOURCES = mapping({"requests": _QUANTITIES, "limits": _QUANTITIES})

_MOST_SECRETS = 50


def _secret_name(value: Any, place: str) -> str:
    if isinstance(value, dict):
        named = mapping({"objectName": text, "objectReference": refused("A secret by reference")})(value, place)
        value = named.get("objectName")
    return text(value, place)


_SECRET = mapping(
    {
        "snowflakeSecret": _secret_name,
        "envVarName": matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable"),
        "secretKeyRef": choice("username", "password", "secret_string", "access_token"),
        "directoryPath": _MOUNT_PATH,
    },
    required=("snowflakeSecret",),
)
_CONTAINER = mapping(
    {
        "name": _NAME,
        "image": text,
        "command": sequence(scalar),
        "args": sequence(scalar),
        "env": free_mapping(scalar),
        "readinessProbe": refused("A readiness probe"),
        "livenessProbe": refused("A liveness probe"),
        "volumeMounts": sequence(
            mapping({"name": text, "mountPath": _MOUNT_PATH}, required=("name", "mountPath")), at_most=20
        ),
        "resources": _RESOURCES,
        "secrets": sequence(_SECRET, at_most=_MOST_SECRETS),
        "mountSessionToken": boolean,
        "sessionTokenConfig": refused("A configured session token"),
    },
    required=("name", "image"),
)
_ENDPOINT = mapping(
    {
        "name": _NAME,
        "port": integer(1, 65535),
        "portRange": matching(r"\d+-\d+", "<first port>-<last port>"),
        "protocol": choice("TCP", "HTTP", "HTTPS", ignore_case=True),
        "public": boolean,
        "corsSettings": anything,
    },
    required=("name",),
)
_STAGE_CONFIG = mapping(
    {"name": text, "metadataCache": text, "resources": _RESOURCES, "enableSymlink": boolean}, required=("name",)
)
_MOST_BLOCK_VOLUMES = 3
# …/block-storage-volume. Speed and encryption are nothing that a folder of this machine has.
_BLOCK_CONFIG = mapping(
    {
        "initialContents": refused("A block volume from a snapshot"),
        "iops": integer(1),
        "throughput": integer(1),
        "encryption": choice("SNOWFLAKE_SSE", "SNOWFLAKE_FULL"),
        "snapshotOnDelete": boolean,
        "snapshotDeleteAfter": text,
    }
)
_VOLUME = mapping(
    {
        "name": text,
        "source": text,
        "size": memory,
        "stageConfig": _STAGE_CONFIG,
        "blockConfig": _BLOCK_CONFIG,
        "uid": integer(0),
        "gid": integer(0),
    },
    required=("name", "source"),
)
_SERVICE = mapping(
    {
        "spec": mapping(
            {
                "containers": sequence(_CONTAINER, at_least=1, at_most=20),
                "endpoints": sequence(_ENDPOINT, at_most=100),
                "volumes": sequence(_VOLUME, at_most=20),
                # Where telemetry goes is the account's affair: there is no event table here to send it to.
                "logExporters": anything,
                "platformMonitor": anything,
                "networkPolicyConfig": refused("A network policy"),
                "resourceManagement": refused("Autoscaling"),
            },
            required=("containers",),
        ),
        "capabilities": mapping(
            {"securityContext": mapping({"executeAsCaller": boolean, "enableCustomCredentials": boolean})}
        ),
        "serviceRoles": refused("A service role"),
    },
    required=("spec",),
)


@dataclass(frozen=True, slots=True)
class SecretSpecification:
    """A secret, as an environment variable or as files in a folder.

    :param secret: its name, which may be partial.
    :param key: which part of it the variable holds.
    """

    secret: str
    variable: str | None
    key: str | None
    folder: str | None


@dataclass(frozen=True, slots=True)
class ContainerSpecification:
    """:param mounts: mount path → volume name."""

    name: str
    image: str
    argv: list[str]
    env: dict[str, str]
    mounts: dict[str, str]
    secrets: list[SecretSpecification]


@dataclass(frozen=True, slots=True)
class VolumeSpecification:
    """:param stage: the stage location of a stage volume, None for one that is empty at the start."""

    name: str
    stage: str | None


@dataclass(frozen=True, slots=True)
class JobSpecification:
    """:param resources: what one instance takes of a node: ``cpu``, ``memory`` (bytes), ``gpu``."""

    containers: list[ContainerSpecification]
    volumes: dict[str, VolumeSpecification]
    endpoints: list[dict[str, Any]]
    resources: dict[str, float]
    document: dict[str, Any] = field(repr=False)


def parse(yaml_text: str) -> JobSpecification:
    """Read and check a service specification.

    :raises SnowflakeError: 395018 naming the place of the first mistake; "not supported" for what only a real
        account can do.
    """
    document = load(yaml_text)
    checked = _SERVICE(document, "")
    if checked.get("capabilities", {}).get("securityContext", {}).get("executeAsCaller"):
        raise not_supported("A service with caller's rights ('capabilities.securityContext.executeAsCaller')")
    spec = checked["spec"]
    volumes = {name: _volume(item) for name, item in _unique(spec.get("volumes", []), "spec.volumes").items()}
    if [item["source"] for item in spec.get("volumes", [])].count("block") > _MOST_BLOCK_VOLUMES:
        raise invalid_specification(f"a service takes at most {_MOST_BLOCK_VOLUMES} volumes with source 'block'.")
    containers = [_container(item, volumes) for item in _unique(spec["containers"], "spec.containers").values()]
    if sum(len(container.secrets) for container in containers) > _MOST_SECRETS:
        raise invalid_specification(f"a service takes at most {_MOST_SECRETS} secrets.")
    return JobSpecification(
        containers=containers,
        volumes=volumes,
        endpoints=[_endpoint(item) for item in spec.get("endpoints", [])],
        resources=_resources(spec["containers"]),
        document=document,
    )


def _unique(items: list[dict[str, Any]], place: str) -> dict[str, dict[str, Any]]:
    named: dict[str, dict[str, Any]] = {}
    for item in items:
        if item["name"] in named:
            raise invalid_specification(f"duplicate name '{item['name']}' in '{place}'.")
        named[item["name"]] = item
    return named


def _container(item: Mapping[str, Any], volumes: Mapping[str, VolumeSpecification]) -> ContainerSpecification:
    if not item.get("command"):
        raise not_supported(f"Running an image's own entrypoint (container '{item['name']}' has no 'command')")
    mounts = {}
    for mount in item.get("volumeMounts", []):
        if mount["name"] not in volumes:
            raise invalid_specification(f"container '{item['name']}' mounts unknown volume '{mount['name']}'.")
        if mount["mountPath"] in mounts:
            raise invalid_specification(f"container '{item['name']}' mounts '{mount['mountPath']}' twice.")
        mounts[mount["mountPath"]] = mount["name"]
    argv = [*item["command"], *item.get("args", [])]
    secrets = [_secret(item["name"], secret) for secret in item.get("secrets", [])]
    taken = [*mounts, *(secret.folder for secret in secrets if secret.folder is not None)]
    if twice := [path for path in taken if taken.count(path) > 1]:
        raise invalid_specification(f"container '{item['name']}' mounts '{twice[0]}' twice.")
    return ContainerSpecification(item["name"], item["image"], argv, item.get("env", {}), mounts, secrets)


def _secret(container: str, item: Mapping[str, Any]) -> SecretSpecification:
    variable, key, folder = (item.get(name) for name in ("envVarName", "secretKeyRef", "directoryPath"))
    if (variable is None) == (folder is None):
        raise invalid_specification(f"a secret of container '{container}' needs 'envVarName' or 'directoryPath'.")
    if (variable is None) != (key is None):
        raise invalid_specification(
            f"a secret of container '{container}': 'secretKeyRef' belongs to, and is needed by, 'envVarName'."
        )
    return SecretSpecification(item["snowflakeSecret"], variable, key, folder)


def _volume(item: Mapping[str, Any]) -> VolumeSpecification:
    name, source = item["name"], item["source"]
    if source.startswith("@"):
        # https://docs.snowflake.com/en/release-notes/bcr-bundles/2026_08/bcr-2449
        raise SnowflakeError("stage mount v1 not supported, please use v2 instead", errno=395018, sqlstate="22023")
    if source not in ("stage", "local", "memory", "block"):
        raise invalid_specification(f"invalid value '{source}' for source of volume '{name}'.")
    if (source == "stage") != ("stageConfig" in item):
        raise invalid_specification(f"volume '{name}': 'stageConfig' belongs to, and is needed by, source 'stage'.")
    if source in ("memory", "block") and "size" not in item:
        raise invalid_specification(f"volume '{name}' with source '{source}' needs 'size'.")
    if source != "block" and "blockConfig" in item:
        raise invalid_specification(f"volume '{name}': 'blockConfig' belongs to source 'block'.")
    if source == "block" and item["size"] % 2**30:
        raise invalid_specification(f"volume '{name}': its size must be a whole number of Gi.")
    return VolumeSpecification(name, item["stageConfig"]["name"] if source == "stage" else None)


def _endpoint(item: dict[str, Any]) -> dict[str, Any]:
    if ("port" in item) == ("portRange" in item):
        raise invalid_specification(f"endpoint '{item['name']}' needs either 'port' or 'portRange'.")
    if item.get("public"):
        raise not_supported(f"A public endpoint ('{item['name']}')")
    return item


def _resources(containers: list[dict[str, Any]]) -> dict[str, float]:
    """The sum over the containers; requests follow limits: cpu max(0.5, limit), memory max(0.5 GiB, limit)."""
    total = {"cpu": 0.0, "memory": 0.0, "gpu": 0.0}
    for container in containers:
        resources = container.get("resources", {})
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        if requests.get("nvidia.com/gpu") != limits.get("nvidia.com/gpu"):
            raise invalid_specification(
                f"container '{container['name']}': 'nvidia.com/gpu' needs the same value in requests and limits."
            )
        total["cpu"] += requests.get("cpu", max(0.5, limits.get("cpu", 0)))
        total["memory"] += requests.get("memory", max(2**29, limits.get("memory", 0)))
        total["gpu"] += requests.get("nvidia.com/gpu", 0)
    return total
