"""What a node of each instance family offers to containers.

https://docs.snowflake.com/en/developer-guide/snowpark-container-services/instance-families (AWS; the families of the
other clouds that AWS lacks are added).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, invalid_specification, not_supported

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class InstanceFamily:
    """:param memory: bytes. :param gpu: number of GPUs, with their name."""

    name: str
    cpu: float
    memory: float
    gpu: int = 0
    gpu_type: str | None = None


def _families() -> dict[str, InstanceFamily]:
    sizes: dict[str, tuple[float, float]] = {
        "CPU_X64_XS": (1, 6),
        "CPU_X64_S": (3, 13),
        "CPU_X64_M": (6, 28),
        "CPU_X64_SL": (14, 58),
        "CPU_X64_L": (28, 116),
        "HIGHMEM_X64_S": (6, 58),
        "HIGHMEM_X64_M": (28, 240),
        "HIGHMEM_X64_SL": (60, 492),
        "HIGHMEM_X64_L": (124, 984),
    }
    for architecture in ("X64_G2", "ARM_G1"):
        for vcpus, size in ((2, (1, 6)), (4, (3, 13)), (8, (6, 28)), (16, (14, 58)), (32, (28, 116))):
            sizes[f"GEN_{architecture}_{vcpus}"] = size
    families = [InstanceFamily(name, cpu, memory * _GIB) for name, (cpu, memory) in sizes.items()]
    families += [
        InstanceFamily("GPU_NV_XS", 3, 26 * _GIB, 1, "NVIDIA T4"),
        InstanceFamily("GPU_NV_S", 6, 28 * _GIB, 1, "NVIDIA A10G"),
        InstanceFamily("GPU_NV_SM", 32, 424 * _GIB, 1, "NVIDIA A10"),
        InstanceFamily("GPU_NV_M", 44, 178 * _GIB, 4, "NVIDIA A10G"),
        InstanceFamily("GPU_NV_L", 92, 1112 * _GIB, 8, "NVIDIA A100"),
        InstanceFamily("GPU_GCP_NV_L4_1_24G", 6, 28 * _GIB, 1, "NVIDIA L4"),
        InstanceFamily("GPU_GCP_NV_L4_4_24G", 44, 178 * _GIB, 4, "NVIDIA L4"),
    ]
    return {family.name: family for family in families}


FAMILIES = _families()


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

    :raises SnowflakeError: 395018 if no node of the family can ever hold them; "not supported" for GPUs that this
        machine does not have.
    """
    capacity = {"cpu": family.cpu, "memory": family.memory, "gpu": float(family.gpu)}
    wanted = {kind: capacity[kind] if amount is None else amount for kind, amount in resources.items()}
    for kind, amount in wanted.items():
        if amount > capacity[kind]:
            shown = {"cpu": "cpu", "memory": "memory", "gpu": "nvidia.com/gpu"}[kind]
            scale = _GIB if kind == "memory" else 1
            raise invalid_specification(
                f"invalid value {amount / scale:g} for 'total containers.requests.{shown}'. "
                f"Requirement exceeds compute pool instance capacity {capacity[kind] / scale:g}."
            )
    if wanted["gpu"] > len(list(Path("/dev").glob("nvidia[0-9]*"))):
        raise not_supported(f"A job with {wanted['gpu']:g} GPU(s) on a machine without them")
    return wanted
