"""Importing this module registers every statement and function of Snowpark Container Services."""

from __future__ import annotations

from airflow_provider_snowflake_batch.local.spcs import (  # noqa: F401
    account_functions,
    call,
    container_runtime,
    deploy_model,
    events,
    execute_inference_job,
    execute_job,
    image_repositories,
    job_history,
    pool_statements,
    service_methods,
    show_services,
)
