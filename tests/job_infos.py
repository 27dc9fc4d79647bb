"""Jobs as Snowflake lists them."""

from __future__ import annotations

from airflow_provider_snowflake_batch.jobs.status import JobInfo


def info(status: str) -> JobInfo:
    return JobInfo.from_row({"database_name": "D", "schema_name": "S", "name": "J", "status": status})
