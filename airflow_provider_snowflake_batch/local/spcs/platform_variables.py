"""What the platform sets in every container."""

from __future__ import annotations

from airflow_provider_snowflake_batch.contract.cluster import ADDRESS_VARIABLE
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job


def platform_variables(job: Job, container: Container, account: str) -> dict[str, str]:
    """https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services"""
    return {
        "SNOWFLAKE_HOST": "127.0.0.1",
        "SNOWFLAKE_ACCOUNT": account,
        "SNOWFLAKE_DATABASE": job.database,
        "SNOWFLAKE_SCHEMA": job.schema,
        "SNOWFLAKE_SERVICE_NAME": job.name,
        "SNOWFLAKE_JOB_INDEX": str(container.instance),
        "SNOWFLAKE_JOBS_COUNT": str(job.replicas),
        # Instead of a network of its own: an address of this machine for each replica of a job. The first is not
        # taken for a node's own by everybody.
        ADDRESS_VARIABLE: f"127.0.0.{2 + container.instance % 250}",
    }
