"""A Dag whose tasks tell others what they have made, and one that is told."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, task

from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator

scores = Asset("patience_scores")

with DAG("scored", schedule=None):
    score = RunBatchOperator(
        task_id="score",
        model_name="PATIENCE_WITH_ASSETS",
        version_name="V1",
        function_name="predict",
        X="SELECT SECONDS FROM ASSET_INPUT",
        compute_pool="ASSET_POOL",
        output_spec=OutputSpec(stage_location="@ASSET_RESULTS/{{ dag.dag_id }}/"),
        job_spec=JobSpec(num_workers=1),
        deferrable=True,
        poll_interval=2,
        outlets=[scores],
    )
    load = LoadBatchResultsOperator(
        task_id="load",
        stage_location="{{ ti.xcom_pull('score')['output_location'] }}",
        table="PATIENCE_SCORES",
        outlets=[Asset("patience_table")],
    )
    score >> load

with DAG("told", schedule=[scores]):

    @task
    def hear(triggering_asset_events: Any) -> list[dict[str, Any]]:
        return [dict(event.extra) for event in triggering_asset_events[scores]]

    hear()
