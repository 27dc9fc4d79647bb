"""Every module with functions that answer statements, or that queries call. What is not listed here is not answered."""

from __future__ import annotations

from airflow_provider_snowflake_batch.local import functions
from airflow_provider_snowflake_batch.local.protocol import query_functions
from airflow_provider_snowflake_batch.local.registry import change_models, show_models
from airflow_provider_snowflake_batch.local.spcs import (
    container_runtime,
    deploy_model,
    execute_inference_job,
    execute_job,
    image_repositories,
    job_history,
    pool_statements,
    secrets,
    service_methods,
    show_services,
)
from airflow_provider_snowflake_batch.local.sql import (
    grant_statements,
    information_schema,
    namespaces,
    session_statements,
    show,
    show_columns,
    stream_statements,
)
from airflow_provider_snowflake_batch.local.stages import stage_statements, table_functions, transfers
from airflow_provider_snowflake_batch.local.tasks import task_statements

MODULES = (
    functions,
    query_functions,
    # models
    change_models,
    show_models,
    # jobs and compute pools
    container_runtime,
    deploy_model,
    execute_inference_job,
    execute_job,
    image_repositories,
    job_history,
    pool_statements,
    secrets,
    service_methods,
    show_services,
    # sessions, databases, tables
    grant_statements,
    information_schema,
    namespaces,
    session_statements,
    show,
    show_columns,
    stream_statements,
    # stages
    stage_statements,
    table_functions,
    transfers,
    # tasks
    task_statements,
)
