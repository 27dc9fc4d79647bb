"""Which jobs are to be looked at, which node of a compute pool an instance gets, and the state a pool is in.

Nodes are bookkeeping, as many as the pool's MAX_NODES and as large as its instance family: a job that finds no room
stays PENDING with Snowflake's reason, as it would in an account.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_provider_snowflake_batch.jobs.instance_families import InstanceFamily
from airflow_provider_snowflake_batch.local.spcs.instance_families import find
from airflow_provider_snowflake_batch.local.spcs.records import ComputePool, Container, Job


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why an instance cannot start yet, as its containers say it."""

    message: str


def occupied(running: Iterable[tuple[Job, Container]]) -> dict[int, dict[str, float]]:
    """Node → what is taken of it. Instances are counted once, whatever their number of containers."""
    nodes: dict[int, dict[str, float]] = {}
    seen = set()
    for job, container in running:
        if container.node is None or container.ended or (job.id, container.instance) in seen:
            continue
        seen.add((job.id, container.instance))
        taken = nodes.setdefault(container.node, {"cpu": 0.0, "memory": 0.0, "gpu": 0.0})
        for kind, amount in job.resources.items():
            taken[kind] += amount
    return nodes


class Occupancy:
    """What is taken of each compute pool's nodes.

    :param jobs: those that have not ended, with their containers.
    """

    def __init__(self, jobs: Iterable[tuple[Job, list[Container]]] = ()) -> None:
        running: dict[str, list[tuple[Job, Container]]] = {}
        for job, containers in jobs:
            running.setdefault(job.compute_pool, []).extend((job, item) for item in containers if item.node is not None)
        self._nodes = {pool: occupied(entries) for pool, entries in running.items()}
        self._full: dict[tuple[str, tuple[float, ...]], Waiting] = {}

    def place(self, pool: ComputePool, resources: Mapping[str, float]) -> int | Waiting:
        """Give an instance a node: the first with room; or why there is none.

        As long as nothing is given back, what one instance finds no room for, another of its size does not either.
        """
        size = (pool.name, tuple(resources.get(kind, 0.0) for kind in ("cpu", "memory", "gpu")))
        if size in self._full:
            return self._full[size]
        node = place(pool, resources, self._nodes.setdefault(pool.name, {}))
        if isinstance(node, Waiting):
            self._full[size] = node
        return node

    def give_back(self, pool: ComputePool, node: int, resources: Mapping[str, float]) -> None:
        """An instance that got a node does not start after all."""
        taken = self._nodes[pool.name][node]
        self._nodes[pool.name][node] = {kind: taken[kind] - resources.get(kind, 0.0) for kind in taken}
        self._full = {size: why for size, why in self._full.items() if size[0] != pool.name}


def place(pool: ComputePool, resources: Mapping[str, float], nodes: dict[int, dict[str, float]]) -> int | Waiting:
    """The first node with room, entered into ``nodes``; or why there is none."""
    if pool.suspended:
        return Waiting(f"Compute pool {pool.name} is suspended")
    family = find(pool.instance_family)
    lacking = ""
    for node in range(pool.max_nodes):
        taken = nodes.get(node, {"cpu": 0.0, "memory": 0.0, "gpu": 0.0})
        lacking = _lacking(resources, taken, family)
        if not lacking:
            nodes[node] = {kind: taken[kind] + resources.get(kind, 0.0) for kind in taken}
            return node
    return Waiting(f"Unschedulable due to insufficient {lacking} resources.")


def _lacking(resources: Mapping[str, float], taken: Mapping[str, float], family: InstanceFamily) -> str:
    capacity = {"cpu": family.cpu, "memory": family.memory, "gpu": float(family.gpu)}
    for kind, shown in (("gpu", "GPU"), ("memory", "memory"), ("cpu", "CPU")):
        if taken[kind] + resources.get(kind, 0.0) > capacity[kind] + 1e-9:
            return shown
    return ""


@dataclass(frozen=True, slots=True)
class PoolState:
    """:param error_code: 392508 while jobs wait for a node beyond MAX_NODES, else None."""

    state: str
    jobs: int
    active_nodes: int
    idle_nodes: int
    error_code: int | None = None
    status_message: str = ""


def pool_state(pool: ComputePool, jobs: Iterable[tuple[Job, list[Container]]]) -> PoolState:
    """What SHOW and DESCRIBE COMPUTE POOL tell of a pool.

    :param jobs: the pool's jobs that have not ended.
    """
    entries = [(job, container) for job, containers in jobs for container in containers]
    count = len({job.id for job, _ in entries})
    active = len(occupied(entries))
    if pool.suspended:
        return PoolState("STOPPING" if active else "SUSPENDED", count, active, 0)
    idle = max(pool.min_nodes - active, 0)
    waiting = any(container.status == "PENDING" and container.node is None for _, container in entries)
    if waiting and active >= pool.max_nodes:
        message = "Compute pool has reached the maximum node limit. Services or jobs wait for a free node."
        return PoolState("ACTIVE", count, active, idle, 392508, message)
    return PoolState("ACTIVE" if active else "IDLE", count, active, idle)


def idle_too_long(pool: ComputePool, last_use: float | None) -> bool:
    """Whether AUTO_SUSPEND_SECS have passed without a job."""
    since = max(pool.resumed_on or pool.created_on, last_use or 0.0)
    return pool.auto_suspend_secs > 0 and not pool.suspended and time.time() - since > pool.auto_suspend_secs


class DueJobs:
    """Told by any thread; asked by the one that moves jobs on.

    :ivar strangers: jobs with processes that are not this server's children, but an earlier one's. How these end can
        only be seen by looking again and again.
    """

    def __init__(self) -> None:
        self.strangers: set[str] = set()
        self._all = True
        self._ids: deque[str] = deque()
        self._told = threading.Event()

    def add(self, job_id: str | None) -> None:
        """:param job_id: None for all."""
        if job_id is None:
            self._all = True
        else:
            self._ids.append(job_id)
        self._told.set()

    def wait(self, seconds: float | None) -> None:
        """Wait until there is one, at most so long."""
        self._told.wait(seconds)
        # Before anything is taken: what is added from now on is seen by the next wait.
        self._told.clear()

    def take_all(self) -> bool:
        """Whether all are due; then none is any more."""
        everything, self._all = self._all, False
        if everything:
            self._ids.clear()
        return everything

    def take(self) -> list[str]:
        """The ids of those that are due, and of the strangers."""
        found = dict.fromkeys(self.strangers)
        while self._ids:
            found[self._ids.popleft()] = None
        return list(found)
