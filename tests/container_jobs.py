"""Jobs of one container, which the local Snowflake runs as a process with a command of the test."""

from __future__ import annotations

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.job import ContainerJob, generate_job_name


def container_job(hook: SnowflakeBatchHook, pool: Identifier, *command: str, replicas: int = 1) -> ContainerJob:
    """A job that runs a command; its name begins with ``BATCH_`` and the pool's."""
    container = {"name": "main", "image": "/db/schema/repo/image:1", "command": list(command)}
    return ContainerJob(
        name=hook.qualify_name(generate_job_name(pool.value, "job")),
        compute_pool=pool,
        replicas=replicas,
        specification={"spec": {"containers": [container]}},
    )
