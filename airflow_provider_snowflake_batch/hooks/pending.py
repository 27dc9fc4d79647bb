"""Why a job has missed a deadline, in particular what a PENDING job waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.exceptions import JobPendingError, JobTimeoutError, PoolCapacityError
from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.deadlines import Missed
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.status import describe_containers

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName

# DESCRIBE COMPUTE POOL, error_code: the cloud has no such machine; the pool is at MAX_NODES
# (https://docs.snowflake.com/en/sql-reference/sql/desc-compute-pool).
_CAPACITY_CODES = ("392507", "392508")


def missed_deadline(hook: SnowflakeBatchHook, name: QualifiedName, missed: Missed) -> JobTimeoutError:
    """The exception for a job that missed a deadline, with what it waits for."""
    if missed is Missed.END:
        return JobTimeoutError(f"Job {name} did not end in time.")
    reasons: list[str] = []
    capacity = False
    try:
        containers = hook.containers(name)
        if described := describe_containers(containers):
            reasons.append(described)
        capacity = any("Unschedulable" in container.message for container in containers)
        pool = hook.status(name).compute_pool
        if pool is not None:
            for row in hook.rows(statements.describe_compute_pool(Identifier.parse(pool, field="compute_pool"))):
                capacity = capacity or str(row.get("error_code")) in _CAPACITY_CODES
                nodes = f"{row.get('active_nodes')} of at most {row.get('max_nodes')} node(s) active"
                said = f" ({row['status_message'].rstrip('.')})" if row.get("status_message") else ""
                reasons.append(f"compute pool {pool} is {row.get('state')}, {nodes}{said}")
    except Exception as error:
        # Raised nevertheless, since the job has to be cancelled.
        reasons.append(f"what it waits for could not be read: {error}")
    kind = PoolCapacityError if capacity else JobPendingError
    return kind(f"Job {name} did not start in time: {'; '.join(reason.rstrip('.') for reason in reasons)}.")
