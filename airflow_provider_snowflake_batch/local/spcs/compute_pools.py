"""Compute pools as objects: created, altered, suspended, dropped."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Any

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, already_exists, does_not_exist
from airflow_provider_snowflake_batch.local.spcs import instance_families
from airflow_provider_snowflake_batch.local.spcs.records import ComputePool
from airflow_provider_snowflake_batch.local.spcs.scheduling import PoolState, idle_too_long, pool_state
from airflow_provider_snowflake_batch.local.spcs.store import Store

SYSTEM_POOL = "SYSTEM_COMPUTE_POOL_CPU"
"""Exists from the start. An account's has up to 150 nodes; here it has as many as make sense on one machine."""


class ComputePools:
    def __init__(self, store: Store) -> None:
        self._store = store
        if store.find_pool(SYSTEM_POOL) is None:
            nodes = max(4, os.cpu_count() or 1)
            self.create(SYSTEM_POOL, "ACCOUNTADMIN", min_nodes=1, max_nodes=nodes, instance_family="CPU_X64_S")

    def create(self, name: str, owner: str, **options: Any) -> None:
        """:raises SnowflakeError: 2002 if it exists, 1008 for an impossible option."""
        family = instance_families.find(options.pop("instance_family"))
        suspended = options.pop("initially_suspended", False)
        now = time.time()
        pool = ComputePool(
            name=name,
            instance_family=family.name,
            owner=owner,
            created_on=now,
            updated_on=now,
            resumed_on=None if suspended else now,
            suspended=suspended,
            **options,
        )
        _check_nodes(pool)
        try:
            self._store.add_pool(pool)
        except sqlite3.IntegrityError:
            raise already_exists(name) from None

    def get(self, name: str) -> ComputePool:
        """:raises SnowflakeError: 2003 if there is none."""
        pool = self._store.find_pool(name)
        if pool is None:
            raise does_not_exist("Compute pool", name)
        if idle_too_long(pool, self._store.last_use(name)):
            pool.suspended = True
            self._store.save_pool(pool)
        return pool

    def all(self) -> list[ComputePool]:
        return [self.get(pool.name) for pool in self._store.pools()]

    def state(self, pool: ComputePool) -> PoolState:
        jobs = [job for job in self._store.active_jobs() if job.compute_pool == pool.name]
        containers = self._store.containers_of(jobs)
        return pool_state(pool, [(job, containers[job.id]) for job in jobs])

    def alter(self, name: str, changes: dict[str, Any]) -> None:
        pool = self.get(name)
        for key, value in changes.items():
            setattr(pool, key, value)
        _check_nodes(pool)
        pool.updated_on = time.time()
        self._store.save_pool(pool)

    def suspend(self, name: str) -> None:
        """Running jobs end in their own time; nothing new starts."""
        pool = self.get(name)
        if pool.suspended:
            raise SnowflakeError(f"Compute pool {name} is already suspended.", errno=392503, sqlstate="55000")
        self.alter(name, {"suspended": True})

    def resume(self, name: str) -> None:
        self.alter(name, {"suspended": False, "resumed_on": time.time()})

    def drop(self, name: str) -> None:
        """:raises SnowflakeError: 2003 if there is none; if jobs are still on it."""
        self.get(name)
        # What is left of an ended job's processes is being killed, and keeps nobody waiting.
        if any(job.compute_pool == name and not job.status.is_terminal for job in self._store.active_jobs()):
            raise SnowflakeError(
                f"Compute pool {name} cannot be dropped: services or jobs are running on it. "
                f"Stop them first with ALTER COMPUTE POOL {name} STOP ALL.",
                errno=392504,
                sqlstate="55000",
            )
        self._store.drop_pool(name)


def _check_nodes(pool: ComputePool) -> None:
    if not 1 <= pool.min_nodes <= pool.max_nodes:
        raise SnowflakeError(
            f"Invalid node limits: MIN_NODES = {pool.min_nodes} must be at least 1 and at most "
            f"MAX_NODES = {pool.max_nodes}.",
            errno=1008,
            sqlstate="22023",
        )
