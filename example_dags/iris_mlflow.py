"""Score with a model as MLflow saves it: a folder on a stage, called by its signature.

MLflow is in no image of Snowflake, and holds back versions of packages that Airflow brings. So the model is trained and
saved in a Python environment of its own, as Airflow's `external_python` tasks do it: the parameter `python` names it,
and it needs mlflow (or mlflow-skinny) and scikit-learn. The next task puts the folder on a stage and removes it here,
so the two run on one machine.

On an account, the job needs an image that has MLflow: `cpu_image` in the section `[snowflake_batch]` of Airflow's
configuration, or `job_spec=JobSpec(image=…)` of the task. On the local Snowflake it runs in what
LOCAL_SNOWFLAKE_RUNTIME_PYTHON names.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_snowflake_batch.jobs.models import MLflowModel
from airflow_provider_snowflake_batch.jobs.specs import OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

with DAG(
    "iris_mlflow",
    description="Score with a model as MLflow saves it",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference"],
    params={
        "python": Param("/opt/mlflow/bin/python", type="string", description="A Python that has MLflow."),
        "compute_pool": Param("IRIS_POOL", type="string", description="Created if it does not exist."),
    },
) as dag:

    @task.external_python(python="{{ params.python }}", expect_airflow=False)
    def train() -> str:
        """Train a model and save it; the folder where it is. This runs in the other environment, by itself."""
        import tempfile

        import mlflow.models
        import mlflow.sklearn
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression

        iris = load_iris(as_frame=True)
        features = iris.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_").upper())
        species = iris.target_names[iris.target]
        model = LogisticRegression(max_iter=500).fit(features[::2], species[::2])
        folder = f"{tempfile.mkdtemp()}/iris"
        mlflow.sklearn.save_model(
            model,
            folder,
            signature=mlflow.models.infer_signature(features, model.predict(features)),
            pip_requirements=["scikit-learn"],
        )
        return folder

    @task
    def prepare(folder: str, params: dict[str, Any]) -> None:
        """Put the model on a stage, and the flowers into a table."""
        import shutil
        from pathlib import Path

        from sklearn.datasets import load_iris

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

        pool = Identifier.parse(params["compute_pool"], field="compute_pool")
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE OR REPLACE STAGE IRIS_MODELS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                "CREATE STAGE IF NOT EXISTS IRIS_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                hook.write_file(f"@IRIS_MODELS/iris/{file.relative_to(folder).as_posix()}", file.read_bytes())
        shutil.rmtree(Path(folder).parent)
        iris = load_iris(as_frame=True)
        flowers = iris.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_").upper())
        flowers = flowers.assign(FLOWER=range(len(flowers)), SPECIES=iris.target_names[iris.target])
        with hook.get_snowpark_session() as session:
            session.create_dataframe(flowers).write.mode("overwrite").save_as_table("IRIS_FLOWERS")

    score = RunBatchOperator(
        task_id="score",
        model=MLflowModel("@IRIS_MODELS/iris"),
        X="IRIS_FLOWERS",
        compute_pool="{{ params.compute_pool }}",
        output_spec=OutputSpec("@IRIS_RESULTS/mlflow/", columns=["FLOWER", "SPECIES"]),
        retries=2,
        deferrable=True,
    )

    @task
    def evaluate(location: str) -> dict[str, Any]:
        """Read the job's Parquet files and compare the predictions with the truth."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            results = session.read.option("pattern", r".*\.parquet").parquet(location).to_pandas()
        results.columns = [column.strip('"') for column in results.columns]
        results = results.astype({"FLOWER": int}).sort_values("FLOWER")
        return {
            "predictions": results["PREDICTION"].str.strip('"').tolist(),
            "accuracy": float((results["PREDICTION"].str.strip('"') == results["SPECIES"].str.strip('"')).mean()),
        }

    prepare(train()) >> score
    evaluate(score.output["output_location"])
