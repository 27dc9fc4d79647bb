"""Batch inference on handwritten digits: train, register, score, gate, read.

scikit-learn's 1,797 scans of digits (8 x 8 pixels) are real data that ships with the library. A part trains a model;
the rest goes into a table, is scored by a batch inference job, and is read back from the job's Parquet files.

The Dag runs unchanged against the local Snowflake and against an account: only the connection ``snowflake_default``
differs. It needs a database, a schema and a warehouse in that connection, and a role that may create tables, stages,
models, services and (unless it exists) the compute pool named by the parameter ``compute_pool``.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.sensors.batch_inference import BatchSuccessSensor

TRAINING_ROWS = 897

with DAG(
    "digits",
    description="Score handwritten digits with a batch inference job",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference"],
    params={
        "compute_pool": Param("DIGITS_POOL", type="string", description="Created if it does not exist."),
        "instance_family": Param("CPU_X64_S", type="string", description="Machines of a new pool."),
    },
) as dag:

    @task
    def prepare(params: dict[str, Any]) -> None:
        """Create what the job reads and writes: a table with the scans to score, a stage, a compute pool."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

        _, scans = _split_digits()
        pool = Identifier.parse(params["compute_pool"], field="compute_pool")
        family = Identifier.parse(params["instance_family"], field="instance_family")
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = {family}",
                # Files that a job reads or writes need a stage with server-side encryption.
                "CREATE STAGE IF NOT EXISTS DIGITS_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        with hook.get_snowpark_session() as session:
            session.create_dataframe(scans).write.mode("overwrite").save_as_table("DIGITS_TO_SCORE")

    @task
    def train() -> str:
        """Train on the other scans and log the model; the result is the new version's name."""
        from datetime import UTC, datetime

        from sklearn.ensemble import RandomForestClassifier
        from snowflake.ml.model.model_signature import infer_signature
        from snowflake.ml.registry import Registry

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        scans, _ = _split_digits()
        pixels, digits = scans.drop(columns=["SCAN", "DIGIT"]), scans["DIGIT"]
        model = RandomForestClassifier(n_estimators=100, random_state=0).fit(pixels, digits)
        version = f"V{datetime.now(UTC):%Y%m%d_%H%M%S_%f}"
        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            Registry(session).log_model(
                model,
                model_name="DIGITS",
                version_name=version,
                signatures={"predict": infer_signature(pixels, digits.to_frame("PREDICTION"))},
                target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
            )
        return version

    score = RunBatchOperator(
        task_id="score",
        model_name="DIGITS",
        version_name="{{ ti.xcom_pull('train') }}",
        function_name="predict",
        X="SELECT * FROM DIGITS_TO_SCORE",
        compute_pool="{{ params.compute_pool }}",
        output_spec=OutputSpec(stage_location="@DIGITS_RESULTS/scores/"),
        job_spec=JobSpec(max_batch_rows=256),
        deferrable=True,
    )

    complete = BatchSuccessSensor(
        task_id="complete",
        stage_location="{{ ti.xcom_pull('score')['output_location'] }}",
        poke_interval=10,
        timeout=300,
        deferrable=True,
    )

    @task
    def evaluate(location: str) -> dict[str, Any]:
        """Read the job's Parquet files and compare the predictions with the truth."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            results = session.read.option("pattern", r".*\.parquet").parquet(location).to_pandas()
        results.columns = [column.strip('"').upper() for column in results.columns]
        results = results[["SCAN", "DIGIT", "PREDICTION"]].astype(int).sort_values("SCAN")
        return {
            "rows": len(results),
            "accuracy": float((results["DIGIT"] == results["PREDICTION"]).mean()),
            "predictions": results["PREDICTION"].tolist(),
            "sample": results.head(5).to_dict("records"),
        }

    [prepare(), train()] >> score >> complete
    evaluate(complete.output)


def _split_digits() -> tuple[Any, Any]:
    """The scans to train on and the scans to score, with their number (SCAN) and what they show (DIGIT).

    Column names are upper case, so that Snowflake needs no quotes for them.
    """
    from sklearn.datasets import load_digits

    digits = load_digits(as_frame=True).frame.rename(columns=str.upper).rename(columns={"TARGET": "DIGIT"})
    digits.insert(0, "SCAN", range(len(digits)))
    return digits[:TRAINING_ROWS], digits[TRAINING_ROWS:].reset_index(drop=True)
