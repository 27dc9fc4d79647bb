"""Dags whose rows come from other tasks: lists of files, mapped inputs, another job's results; enums in plain dicts."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_snowflake_batch.jobs.specs import FileEncoding, InputFormat, SaveMode
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator
from airflow_provider_snowflake_batch.operators.verify import VerifyBatchResultsOperator

IMAGES = "@LOCAL.PUBLIC.STACK_IMAGES/in"
BATCH: dict[str, Any] = {
    "compute_pool": "STACK_POOL",
    "output_spec": {
        "stage_location": "@STACK_RESULTS/{{ dag.dag_id }}/{{ task.task_id }}/",
        "mode": SaveMode.OVERWRITE,
    },
    "job_spec": {"num_workers": 1},
    "poll_interval": 2,
    "deferrable": True,
}
KEYS = (
    "job_name", "status", "output_location", "rows", "files", "seconds", "attempt", "warnings", "model", "version",
    "rows_reused",
)  # fmt: skip
MEASURE = {
    "model_name": "MEASURE",
    "input_spec": {
        "column_handling": {
            "IMAGE": {"input_format": InputFormat.FULL_STAGE_PATH, "convert_to": FileEncoding.RAW_BYTES},
        },
    },
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
    mapped = RunBatchOperator.partial(task_id="mapped", **MEASURE, **BATCH).expand(X=list_batches())

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

    # Each key of a result is an output of its own.
    @task
    def tell(location: str, rows: int, version: str, loaded: int, mapped: list[int]) -> dict[str, Any]:
        return {"location": location, "rows": rows, "version": version, "loaded": loaded, "mapped": list(mapped)}

    RunBatchOperator(
        task_id="fourth", model_name="PATIENCE", X={"output_location": first.output["output_location"]}, **BATCH
    )
    load = LoadBatchResultsOperator(
        task_id="load", stage_location=first.output["output_location"], table="STACK_WAITED", mode=SaveMode.OVERWRITE
    )
    VerifyBatchResultsOperator(
        task_id="verify", stage_location=first.output["output_location"], expected_rows=first.output["rows"]
    )
    VerifyBatchResultsOperator.partial(task_id="verify_each", contents=True, require_manifest=True).expand(
        stage_location=mapped.output.map(lambda result: result["output_location"])
    )
    tell(
        first.output["output_location"],
        first.output["rows"],
        first.output["version"],
        load.output["rows"],
        mapped.output["rows"],
    )

    @task
    def every_key(keys: dict[str, Any]) -> dict[str, Any]:
        return keys

    every_key({key: first.output[key] for key in KEYS})
