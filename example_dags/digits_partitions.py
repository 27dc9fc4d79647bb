"""Score a table in partitions: one batch inference job for each, two at a time, and one gate before anybody reads.

The scans that the Dag ``digits`` has not trained with are scored again, one day's scans a job, with the default version
of the model ``DIGITS``, which that Dag logs. Run it first. ``score`` is one mapped task: its jobs have names, output
directories, retries and logs of their own, and clearing one partition scores that partition only.

``max_active_tis_per_dagrun`` caps the jobs of one run; deferred tasks count as well. The gate ``complete`` runs
when every partition has succeeded, and checks that no row is missing. Only then are the results loaded.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_snowflake_batch.jobs.specs import OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator

DAYS = 6
TRAINING_ROWS = 897

with DAG(
    "digits_partitions",
    description="Score the partitions of a table, each with a job of its own",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference"],
) as dag:

    @task
    def prepare() -> list[str]:
        """Create the table, the stage and the pool; the result is one query for each partition."""
        from sklearn.datasets import load_digits

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        digits = load_digits(as_frame=True).frame.rename(columns=str.upper).rename(columns={"TARGET": "DIGIT"})
        digits.insert(0, "SCAN", range(len(digits)))
        digits.insert(1, "DAY", digits["SCAN"] % DAYS)
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                "CREATE COMPUTE POOL IF NOT EXISTS DIGITS_POOL MIN_NODES = 1 MAX_NODES = 2 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE STAGE IF NOT EXISTS DIGITS_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                # Each run of this example scores the same scans, and loads them anew.
                "DROP TABLE IF EXISTS DIGITS_SCORES_BY_DAY",
            ]
        )
        with hook.get_snowpark_session() as session:
            frame = session.create_dataframe(digits[TRAINING_ROWS:].reset_index(drop=True))
            frame.write.mode("overwrite").save_as_table("DIGITS_BY_DAY")
        return [f"SELECT * FROM DIGITS_BY_DAY WHERE DAY = {day}" for day in range(DAYS)]

    score = RunBatchOperator.partial(
        task_id="score",
        model_name="DIGITS",
        function_name="predict",
        compute_pool="DIGITS_POOL",
        output_spec=OutputSpec(stage_location="@DIGITS_RESULTS/partitions/"),
        deferrable=True,
        max_active_tis_per_dagrun=2,
    ).expand(X=prepare())

    @task
    def complete(results: list[dict[str, Any]]) -> list[str]:
        """The gate: the directories to load, if together they hold every row."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        results = list(results)
        expected = SnowflakeBatchHook("snowflake_default").get_first("SELECT COUNT(*) FROM DIGITS_BY_DAY")[0]
        # An account's jobs leave no manifest, so their results do not tell how many rows they hold.
        rows = [result["rows"] for result in results]
        if None not in rows and sum(rows) != expected:
            raise ValueError(f"{sum(rows)} rows were scored, but the partitions hold {expected}")
        return [result["output_location"] for result in results]

    LoadBatchResultsOperator.partial(
        task_id="load",
        table="DIGITS_SCORES_BY_DAY",
        mode="append",
        # Loads into one table wait for each other anyway.
        max_active_tis_per_dagrun=1,
    ).expand(stage_location=complete(score.output))
