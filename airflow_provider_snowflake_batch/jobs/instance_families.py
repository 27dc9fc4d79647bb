"""What a node of each instance family offers to containers.

https://docs.snowflake.com/en/developer-guide/snowpark-container-services/instance-families (AWS; the families of the
other clouds that AWS lacks are added).
"""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True, slots=True)
class InstanceFamily:
    """:param memory: bytes. :param gpu: number of GPUs, with their name."""

    name: str
    cpu: float
    memory: float
    gpu: int = 0
    gpu_type: str | None = None


def has_arm_processors(family: str) -> bool:
    """Whether nodes of a family need images for arm64, whether or not the family is in :data:`FAMILIES`."""
    return "_ARM_" in family.upper()


def has_gpus(family: str) -> bool:
    """Whether nodes of a family have GPUs, whether or not the family is in :data:`FAMILIES`."""
    known = FAMILIES.get(family.upper())
    return known.gpu > 0 if known is not None else family.upper().startswith("GPU_")


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
    families = [InstanceFamily(name, cpu, memory * GIB) for name, (cpu, memory) in sizes.items()]
    families += [
        InstanceFamily("GPU_NV_XS", 3, 26 * GIB, 1, "NVIDIA T4"),
        InstanceFamily("GPU_NV_S", 6, 28 * GIB, 1, "NVIDIA A10G"),
        InstanceFamily("GPU_NV_SM", 32, 424 * GIB, 1, "NVIDIA A10"),
        InstanceFamily("GPU_NV_M", 44, 178 * GIB, 4, "NVIDIA A10G"),
        InstanceFamily("GPU_NV_L", 92, 1112 * GIB, 8, "NVIDIA A100"),
        InstanceFamily("GPU_GCP_NV_L4_1_24G", 6, 28 * GIB, 1, "NVIDIA L4"),
        InstanceFamily("GPU_GCP_NV_L4_4_24G", 44, 178 * GIB, 4, "NVIDIA L4"),
    ]
    return {family.name: family for family in families}


FAMILIES = _families()
