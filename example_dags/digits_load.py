"""Load the scores of every batch inference job as soon as it completes, whoever has started it.

An asset watcher looks for new ``_SUCCESS`` files under the location that the Dag ``digits`` writes to. Each one is an
event of the asset ``digits_scores``, and events start this Dag. Several events may start one run together, so the run
loads as many directories as it has events.

The Dag is paused at first: with it, Airflow's triggerer looks into the stage every ten seconds.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator
from airflow_provider_snowflake_batch.triggers.success import BatchSuccessTrigger

scores = Asset(
    "digits_scores",
    watchers=[
        AssetWatcher(
            name="digits_scores_complete",
            trigger=BatchSuccessTrigger(stage_location="@DIGITS_RESULTS/scores/", poll_interval=10),
        )
    ],
)

with DAG(
    "digits_load",
    description="Load the scores of each job that completes",
    doc_md=__doc__,
    schedule=[scores],
    is_paused_upon_creation=True,
    tags=["snowflake", "batch-inference"],
) as dag:

    @task
    def directories(triggering_asset_events: Any) -> list[str]:
        """The directories whose completion has started this run."""
        return [event.extra["payload"]["stage_location"] for event in triggering_asset_events[scores]]

    LoadBatchResultsOperator.partial(
        task_id="load", table="DIGITS_SCORES", mode="append", outlets=[Asset("digits_scores_table")]
    ).expand(stage_location=directories())
