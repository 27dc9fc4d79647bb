"""Dags around one registered model, PATIENCE, that waits as many seconds as a row says, and raises below zero."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator


def rows(*seconds: float) -> str:
    return " UNION ALL ".join(f"SELECT {each}::FLOAT AS SECONDS" for each in seconds)


BATCH: dict[str, Any] = {
    "task_id": "score",
    "model_name": "PATIENCE",
    "version_name": "V1",
    "function_name": "predict",
    "compute_pool": "STACK_POOL",
    "output_spec": OutputSpec(stage_location="@STACK_RESULTS/{{ dag.dag_id }}/"),
    "job_spec": JobSpec(num_workers=1),
    "poll_interval": 2,
}

with DAG("raises", schedule=None):
    RunBatchOperator(**BATCH, X=rows(-1), deferrable=True)

with DAG("waits_deferred", schedule=None):
    RunBatchOperator(**BATCH, X=rows(600), deferrable=True)

with DAG("waits_in_slot", schedule=None):
    RunBatchOperator(**BATCH, X=rows(600), deferrable=False)

with DAG("mapped", schedule=None):
    RunBatchOperator.partial(**BATCH, deferrable=True).expand(X=[rows(12), rows(12, 0), rows(12, 0, 0)])
