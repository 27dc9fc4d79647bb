"""The example Dag's model over so many rows, in so small batches, that there is time for pictures of the job."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

with DAG("many_digits", schedule=None):
    RunBatchOperator(
        task_id="score",
        model_name="DIGITS",
        X="SELECT A.* FROM DIGITS_TO_SCORE A CROSS JOIN DIGITS_TO_SCORE B",
        compute_pool="DIGITS_POOL",
        output_spec=OutputSpec(stage_location="@DIGITS_RESULTS/many/"),
        job_spec=JobSpec(num_workers=1, max_batch_rows=64),
        deferrable=True,
        poll_interval=2,
    )
