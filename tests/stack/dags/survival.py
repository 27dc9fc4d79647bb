"""Dags that have tries left when something dies under them; the job takes long enough to be hit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

BATCH: dict[str, Any] = {
    "task_id": "score",
    "model_name": "PATIENCE",
    "X": "SELECT 15::FLOAT AS SECONDS",
    "compute_pool": "STACK_POOL",
    "output_spec": OutputSpec(stage_location="@STACK_RESULTS/{{ dag.dag_id }}/"),
    "job_spec": JobSpec(num_workers=1),
    "poll_interval": 2,
    "retries": 2,
    "retry_delay": timedelta(seconds=1),
}

with DAG("survives_deferred", schedule=None):
    RunBatchOperator(**BATCH, deferrable=True)

with DAG("survives_in_slot", schedule=None):
    RunBatchOperator(**BATCH, deferrable=False)
