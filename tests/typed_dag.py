"""A Dag of a user who checks types strictly. `make lint` says whether its author would see an error."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_provider_snowflake_batch.jobs.models import OnnxModel, PythonModel
from airflow_provider_snowflake_batch.jobs.specs import InputSpec, JobSpec, OnError, OutputSpec, SaveMode
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.jobs import CancelBatchJobOperator, DeleteBatchJobOperator
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator
from airflow_provider_snowflake_batch.operators.verify import VerifyBatchResultsOperator
from airflow_provider_snowflake_batch.sensors.batch_inference import BatchSuccessSensor

with DAG("typed") as dag:

    @task
    def query() -> str:
        return "SELECT ID, X FROM ROWS"

    @task
    def location() -> str:
        return "@DB.SCHEMA.RESULTS/scores/"

    @task
    def name() -> str:
        return "DB.SCHEMA.SCORES"

    @task
    def rows() -> int:
        return 10

    RunBatchOperator(
        task_id="score",
        model=PythonModel("churn:Churn", code=["models", "shared.whl"], init={"threshold": 0.5}),
        X=query(),
        compute_pool="POOL",
        input_spec=InputSpec(partition_column="REGION"),
        output_spec=OutputSpec("@DB.SCHEMA.RESULTS/scores/", mode=SaveMode.OVERWRITE, columns=["ID"]),
        job_spec=JobSpec(on_error=OnError.QUARANTINE, external_access_integrations=["HUB"], stages=["@MODELS"]),
        deferrable=True,
    )
    RunBatchOperator(
        task_id="score_with_plain_values",
        model=OnnxModel("models/churn.onnx", columns=["X"]),
        X={"stage_location": "@DB.SCHEMA.ROWS/"},
        compute_pool="POOL",
        output_spec={"stage_location": location(), "mode": "overwrite", "columns": ["ID"]},
    )
    BatchSuccessSensor(task_id="wait", stage_location=location(), job_name=name())
    VerifyBatchResultsOperator(task_id="verify", stage_location=location(), expected_rows=rows(), min_rows=rows())
    LoadBatchResultsOperator(task_id="load", stage_location=location(), table=name())
    CancelBatchJobOperator(task_id="cancel", job_name=name())
    DeleteBatchJobOperator(task_id="delete", job_name=name(), output_location=location())
