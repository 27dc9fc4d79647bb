"""Score Parquet files on a stage, with parameters for the model; then look at the job, and delete it.

Another system has exported scikit-learn's wines to a stage: Parquet files, and a note beside them. The job reads the
Parquet files alone, gives two of their columns the names that the model knows, and leaves weak wines out. The model has
a parameter with a default; the job gives it another value. Afterwards a task finds the job in the schema's list and
reads its log, and the last one deletes it. Its results stay.

The Dag runs unchanged against the local Snowflake and against an account: only the connection ``snowflake_default``
differs. It needs a database, a schema and a warehouse in that connection, and a role that may create stages, models,
services and (unless it exists) the compute pool named by the parameter ``compute_pool``.
"""

# No postponed annotations: the model's decorator takes those of its method for types.
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_snowflake_batch.jobs.specs import InputSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.jobs import DeleteBatchJobOperator

# The names in the exported files, and what the model calls these columns.
COLUMNS = {"wine": "WINE", "alcohol": "ALCOHOL", "flavanoids": "PHENOLS", "proline": "PROLINE"}
FEATURES = ("ALCOHOL", "PHENOLS", "PROLINE")
FILES = 3


def exported_wines() -> Any:
    """The wines as they were exported, a row for each, with a key and their class (0 is Barolo)."""
    from sklearn.datasets import load_wine

    frame = load_wine(as_frame=True).frame
    frame.insert(0, "wine", range(len(frame)))
    return frame


def trained_model() -> Any:
    """Tells Barolo from other wines, by the columns that the model knows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    wines = exported_wines().rename(columns=COLUMNS)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(wines[list(FEATURES)], wines["target"] == 0)


with DAG(
    "wine_exports",
    description="Score Parquet files on a stage, with parameters; list, read and delete the job",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference"],
    params={
        "compute_pool": Param("WINE_POOL", type="string", description="Created if it does not exist."),
        "instance_family": Param("CPU_X64_S", type="string", description="Machines of a new pool."),
    },
) as dag:

    @task
    def export(params: dict[str, Any]) -> None:
        """What the other system does: files on a stage."""
        import tempfile
        from pathlib import Path

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

        pool = Identifier.parse(params["compute_pool"], field="compute_pool")
        family = Identifier.parse(params["instance_family"], field="instance_family")
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = {family}",
                # Jobs read files only from stages with server-side encryption.
                "CREATE STAGE IF NOT EXISTS WINE_EXPORTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                "CREATE STAGE IF NOT EXISTS WINE_SCORES ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        wines = exported_wines()
        with tempfile.TemporaryDirectory() as folder, hook.get_snowpark_session() as session:
            for number in range(FILES):
                wines[number::FILES].to_parquet(Path(folder) / f"wines_{number}.parquet", index=False)
            (Path(folder) / "NOTE.txt").write_text("Exported once a day.\n")
            session.file.put(f"{folder}/*", "@WINE_EXPORTS/wines", auto_compress=False, overwrite=True)

    @task
    def train() -> str:
        """Log a model with a parameter; the result is the new version's name."""
        from datetime import UTC, datetime

        import pandas as pd
        from snowflake.ml.model import custom_model
        from snowflake.ml.model.model_signature import DataType, FeatureSpec, ModelSignature, ParamSpec
        from snowflake.ml.registry import Registry

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        # In here, so that the class is packed with the model: the job's container has no Dag file.
        class BaroloFinder(custom_model.CustomModel):
            @custom_model.inference_api
            def predict(self, rows: pd.DataFrame, *, threshold: float = 0.5) -> pd.DataFrame:
                share = self.context.model_ref("classifier").predict_proba(rows)[:, 1]
                return pd.DataFrame({"SHARE": share, "BAROLO": share >= threshold})

        version = f"V{datetime.now(UTC):%Y%m%d_%H%M%S_%f}"
        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            Registry(session).log_model(
                BaroloFinder(custom_model.ModelContext(classifier=trained_model())),
                model_name="BAROLO",
                version_name=version,
                signatures={
                    "predict": ModelSignature(
                        inputs=[FeatureSpec(name, DataType.DOUBLE) for name in FEATURES],
                        outputs=[FeatureSpec("SHARE", DataType.DOUBLE), FeatureSpec("BAROLO", DataType.BOOL)],
                        params=[ParamSpec("threshold", DataType.DOUBLE, 0.5)],
                    )
                },
                target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
            )
        return version

    score = RunBatchOperator(
        task_id="score",
        model_name="BAROLO",
        version_name="{{ ti.xcom_pull('train') }}",
        X={
            "stage_location": "@WINE_EXPORTS/wines/",
            "pattern": r".*\.parquet",
            "select": COLUMNS,
            "filter": "alcohol > 12.5",
        },
        input_spec=InputSpec(params={"threshold": 0.9}),
        compute_pool="{{ params.compute_pool }}",
        output_spec=OutputSpec(stage_location="@WINE_SCORES/"),
        deferrable=True,
    )

    @task
    def look(job_name: str) -> dict[str, Any]:
        """Find the job among the schema's, ask how it went, and read what its container has written."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        with SnowflakeBatchHook("snowflake_default") as hook:
            listed = [str(job.name) for job in hook.list_jobs()]
            return {
                "listed": job_name in listed,
                "status": hook.status(job_name).status.value,
                "log": hook.logs(job_name, lines=20).splitlines(),
            }

    @task
    def evaluate(location: str) -> dict[str, Any]:
        """Read the job's Parquet files, which outlive the job."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            results = session.read.option("pattern", r".*\.parquet").parquet(location).to_pandas()
        results.columns = [column.strip('"') for column in results.columns]
        results = results.astype({"WINE": int, "SHARE": float, "BAROLO": bool}).sort_values("WINE")
        return {
            "wines": results["WINE"].tolist(),
            "shares": results["SHARE"].tolist(),
            "barolo": results["WINE"][results["BAROLO"]].tolist(),
        }

    delete = DeleteBatchJobOperator(task_id="delete", job_name=score.output["job_name"])
    [export(), train()] >> score
    look(score.output["job_name"]) >> delete
    delete >> evaluate(score.output["output_location"])
