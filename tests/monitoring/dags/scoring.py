"""Dags whose tasks have batch jobs, as far as the metadata database is concerned: they are never run."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

BATCH: dict[str, Any] = {
    "model_name": "LINEAR",
    "compute_pool": "POOL",
    "output_spec": {"stage_location": "@RESULTS/out/"},
}

with DAG("scores", schedule=None):
    RunBatchOperator(task_id="score", X="FEATURES", **BATCH)
    RunBatchOperator.partial(task_id="parts", **BATCH).expand(X=["FEBRUARY", "MARCH"])
    EmptyOperator(task_id="other")

with DAG("salaries", schedule=None):
    RunBatchOperator(task_id="score", X="FEATURES", **BATCH)
