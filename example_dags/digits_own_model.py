"""Score with a Python class and a function of your own: no model registry, no image to build.

The class lies in the folder ``digit_models`` beside this file, with what it has learnt. A job in Snowflake's container
runtime imports it and scores the scans that it has not learnt from; rows that it cannot score are set aside. The
function stands in the Dag itself: another job calls it with the same rows. Then a task reads the results.

On an account, the connection's role needs what docs/worker-runtime.md lists. On the local Snowflake, the first job
waits until the packages of the container runtime are installed into an environment of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, task

from airflow_provider_snowflake_batch.jobs.models import PythonModel
from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OnError, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.verify import VerifyBatchResultsOperator

if TYPE_CHECKING:
    import pandas as pd

TRAINING_ROWS = 897

with DAG(
    "digits_own_model",
    description="Score handwritten digits with a Python class and a function of one's own",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference"],
    params={"compute_pool": Param("DIGITS_POOL", type="string", description="Created if it does not exist.")},
) as dag:

    @task
    def prepare(params: dict[str, Any]) -> None:
        """Create what the job reads and writes: a table with the scans to score, a stage, a compute pool."""
        from sklearn.datasets import load_digits

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

        digits = load_digits(as_frame=True).frame.rename(columns=str.upper).rename(columns={"TARGET": "DIGIT"})
        digits.insert(0, "SCAN", range(len(digits)))
        pool = Identifier.parse(params["compute_pool"], field="compute_pool")
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE STAGE IF NOT EXISTS DIGITS_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        with hook.get_snowpark_session() as session:
            frame = session.create_dataframe(digits[TRAINING_ROWS:].reset_index(drop=True))
            frame.write.mode("overwrite").save_as_table("DIGITS_FOR_OWN_MODEL")

    score = RunBatchOperator(
        task_id="score",
        model=PythonModel("digit_models.centroids:NearestCentroid", code="digit_models"),
        X="SELECT * FROM DIGITS_FOR_OWN_MODEL",
        compute_pool="{{ params.compute_pool }}",
        output_spec=OutputSpec("@DIGITS_RESULTS/own_model/", columns=["SCAN", "DIGIT"]),
        job_spec=JobSpec(on_error=OnError.QUARANTINE, max_quarantined=10),
        retries=2,
        deferrable=True,
    )

    @task.snowflake_batch(
        X="SELECT * FROM DIGITS_FOR_OWN_MODEL",
        compute_pool="{{ params.compute_pool }}",
        output_spec=OutputSpec("@DIGITS_RESULTS/ink/", columns=["SCAN"]),
        retries=2,
        deferrable=True,
    )
    def weigh(rows: pd.DataFrame, dark: int = 8) -> dict[str, Any]:
        """Count the dark pixels of each scan. This runs in the job's container, by itself."""
        import numpy as np

        pixels = rows.filter(like="PIXEL").to_numpy(dtype=float)
        return {"INK": np.count_nonzero(pixels >= dark, axis=1)}

    @task
    def evaluate(location: str, ink_location: str) -> dict[str, Any]:
        """Read the jobs' Parquet files and compare the predictions with the truth."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            files = [session.read.option("pattern", r".*\.parquet").parquet(at) for at in (location, ink_location)]
            results, ink = (file.to_pandas().rename(columns=lambda name: name.strip('"').upper()) for file in files)
        results = results.astype({"SCAN": int, "DIGIT": int, "PREDICTION": int}).sort_values("SCAN")
        return {
            "rows": len(results),
            "accuracy": float((results["DIGIT"] == results["PREDICTION"]).mean()),
            "predictions": results["PREDICTION"].tolist(),
            "ink": ink.astype({"SCAN": int, "INK": int}).sort_values("SCAN")["INK"].tolist(),
        }

    ink = weigh(dark=10)
    # Nothing reads the results unless all of them are there.
    verify = VerifyBatchResultsOperator(
        task_id="verify", stage_location=score.output["output_location"], expected_rows=score.output["rows"], min_rows=1
    )
    prepare() >> [score, ink]
    verify >> evaluate(score.output["output_location"], ink["output_location"])
