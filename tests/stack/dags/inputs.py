"""Dags whose rows come from other tasks: a list of files, mapped inputs, another job's results."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_snowflake_batch.jobs.specs import InputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

IMAGES = "@LOCAL.PUBLIC.STACK_IMAGES/in"
BATCH: dict[str, Any] = {
    "compute_pool": "STACK_POOL",
    "output_spec": {"stage_location": "@STACK_RESULTS/{{ dag.dag_id }}/{{ task.task_id }}/"},
    "job_spec": {"num_workers": 1},
    "poll_interval": 2,
    "deferrable": True,
}
MEASURE = {
    "model_name": "MEASURE",
    "input_spec": InputSpec(column_handling={"IMAGE": {"input_format": "full_stage_path", "convert_to": "raw_bytes"}}),
}

with DAG("inputs_from_tasks", schedule=None):

    @task
    def list_images() -> list[str]:
        return [f"{IMAGES}/one.bin", f"{IMAGES}/three.bin"]

    @task
    def list_batches() -> list[dict[str, Any]]:
        return [{"paths": [f"{IMAGES}/one.bin"]}, {"list_stage_files": IMAGES, "pattern": r".*\.bin"}]

    images = list_images()
    RunBatchOperator(task_id="listed", X=images, **MEASURE, **BATCH)
    RunBatchOperator(task_id="named", X={"paths": images, "column_name": "IMAGE"}, **MEASURE, **BATCH)
    RunBatchOperator.partial(task_id="mapped", **MEASURE, **BATCH).expand(X=list_batches())

    first = RunBatchOperator(
        task_id="first", model_name="PATIENCE", X="SELECT 0::FLOAT AS SECONDS UNION ALL SELECT 1::FLOAT", **BATCH
    )
    first >> RunBatchOperator(
        task_id="second",
        model_name="PATIENCE",
        X={
            "stage_location": "{{ ti.xcom_pull('first')['output_location'] }}",
            "pattern": r".*\.parquet",
            "select": ["seconds"],
            "filter": "waited > 0",
        },
        **BATCH,
    )
    RunBatchOperator(task_id="third", model_name="PATIENCE", X=first.output, **BATCH)
