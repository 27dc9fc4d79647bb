"""A hook for the local Snowflake, which has a compute pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier


@contextmanager
def hook_with_pool(
    connection: str, pool: Identifier | str, nodes: int, *statements: str
) -> Iterator[SnowflakeBatchHook]:
    """A hook for the local Snowflake, which has a compute pool of so many nodes, and what the statements make."""
    with SnowflakeBatchHook(connection) as hook:
        made = f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = {nodes} INSTANCE_FAMILY = CPU_X64_S"
        hook.run([made, *statements])
        yield hook
