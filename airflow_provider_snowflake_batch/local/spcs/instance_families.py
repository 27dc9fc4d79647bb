"""The instance families of compute pools, as the statements of this server take them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from airflow_provider_snowflake_batch.jobs.instance_families import FAMILIES, GIB, InstanceFamily
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, invalid_specification


def find(name: str) -> InstanceFamily:
    """:raises SnowflakeError: for a family that this server does not know."""
    family = FAMILIES.get(name.upper())
    if family is None:
        raise SnowflakeError(
            f"Invalid instance family '{name}'; the local Snowflake knows {', '.join(FAMILIES)}.",
            errno=1008,
            sqlstate="22023",
        )
    return family


def whole_node(resources: Mapping[str, float | None], family: InstanceFamily) -> dict[str, float]:
    """The resources with None (take all) filled in.

    :raises SnowflakeError: 395018 if no node of the family can ever hold them.
    """
    capacity = {"cpu": family.cpu, "memory": family.memory, "gpu": float(family.gpu)}
    wanted = {kind: capacity[kind] if amount is None else amount for kind, amount in resources.items()}
    for kind, amount in wanted.items():
        if amount > capacity[kind]:
            shown = {"cpu": "cpu", "memory": "memory", "gpu": "nvidia.com/gpu"}[kind]
            scale = GIB if kind == "memory" else 1
            raise invalid_specification(
                f"invalid value {amount / scale:g} for 'total containers.requests.{shown}'. "
                f"Requirement exceeds compute pool instance capacity {capacity[kind] / scale:g}."
            )
    return wanted


def missing_gpus(wanted: float) -> str | None:
    """What a container's log has to say of GPUs that it asks for and this machine lacks; None if there are enough."""
    found = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if wanted <= found:
        return None
    return f"Local Snowflake: {wanted:g} GPU(s) asked for, {found} on this machine: the container runs with these"
