"""What a worker's container asks of its node: all of it, unless the task says less.

https://docs.snowflake.com/en/developer-guide/snowpark-container-services/specification-reference, containers.resources
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.instance_families import FAMILIES, has_arm_processors, has_gpus
from airflow_provider_snowflake_batch.jobs.specs import JobSpec

# EXECUTE JOB SERVICE cannot use them
# (https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-compute-pool).
SYSTEM_POOLS = "SYSTEM_COMPUTE_POOL_"
_MIB = 2**20
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
# For each stage that is mounted (…/snowflake-stage-volume, limitations).
STAGE_MEMORY = 512 * _MIB
# Model processes hand batches over in shared memory, which is part of the container's memory. snowflake-ml-python uses
# the same share.
_SHARED_SHARE = 0.3
_SHARED_WITHOUT_SIZE = 1024 * _MIB


@dataclass(frozen=True, slots=True)
class ContainerSize:
    """What a container gets.

    :param cpu: virtual CPUs; None for what the node has.
    :param memory: bytes; None for what the node has.
    :param gpu: number of GPUs.
    """

    cpu: float | None
    memory: int | None
    gpu: int

    @property
    def resources(self) -> dict[str, Any]:
        """``containers.resources``: requests and limits are the same, as GPUs have to be."""
        amounts: dict[str, Any] = {}
        if self.cpu is not None:
            amounts["cpu"] = self.cpu
        if self.memory is not None:
            amounts["memory"] = f"{self.memory // _MIB}Mi"
        if self.gpu:
            # Without it, a container on a node with GPUs stays PENDING for ever.
            amounts["nvidia.com/gpu"] = self.gpu
        return {"requests": dict(amounts), "limits": dict(amounts)} if amounts else {}

    @property
    def shared_memory(self) -> str:
        """Size of the volume for ``/dev/shm``."""
        size = self.memory * _SHARED_SHARE if self.memory is not None else _SHARED_WITHOUT_SIZE
        return f"{max(int(size) // _MIB, 64)}Mi"


def container_size(family: str, settings: JobSpec, *, stages: int) -> ContainerSize:
    """The size of one replica's container.

    :param family: instance family of the compute pool.
    :param stages: how many stages are mounted; each takes memory of the node.
    :raises InvalidJobError: if no node of the family can run it.
    """
    if has_arm_processors(family):
        raise InvalidJobError(
            "compute_pool",
            f"its instance family {family} has arm64 processors, for which Snowflake publishes no container runtime: "
            "choose a pool of another family.",
        )
    known = FAMILIES.get(family.upper())
    free = known.memory - stages * STAGE_MEMORY if known is not None else None
    cpu = _cpu(settings.cpu_requests) if settings.cpu_requests is not None else known.cpu if known else None
    memory = _memory(settings.memory_requests) if settings.memory_requests is not None else free
    if known is not None and free is not None and cpu is not None and memory is not None:
        if cpu > known.cpu:
            raise _too_much("cpu_requests", settings.cpu_requests, f"{known.cpu:g} CPUs", family)
        if memory > free:
            left = f"{free / 2**30:g} GiB beside the {stages} mounted stage(s), which take 0.5 GiB each"
            raise _too_much("memory_requests", settings.memory_requests, left, family)
    return ContainerSize(cpu, int(memory) if memory is not None else None, _gpus(family, settings))


def _gpus(family: str, settings: JobSpec) -> int:
    field = "job_spec.gpu_requests"
    known = FAMILIES.get(family.upper())
    wanted = int(settings.gpu_requests) if settings.gpu_requests is not None else None
    if not has_gpus(family):
        if wanted:
            raise InvalidJobError(field, f"the pool's instance family {family} has no GPUs: leave it out.")
        return 0
    if wanted is None:
        if known is None:
            raise InvalidJobError(
                field, f"how many GPUs a node of instance family {family} has is not known here: say how many to use."
            )
        return known.gpu
    if known is not None and wanted > known.gpu:
        raise _too_much("gpu_requests", wanted, f"{known.gpu} GPU(s)", family)
    return wanted


def _too_much(name: str, wanted: Any, there: str, family: str) -> InvalidJobError:
    return InvalidJobError(f"job_spec.{name}", f"{wanted} is more than a node of {family} has: {there}.")


def _cpu(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _memory(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s?([KMGT]i?)B?", text)
    if match is None:
        raise InvalidJobError("job_spec.memory_requests", f"{text!r} is not an amount of memory such as '8GiB'.")
    return float(match[1]) * _UNITS[match[2]]
