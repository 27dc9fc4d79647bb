"""Score with models that are files: of XGBoost, LightGBM, scikit-learn and ONNX, and one of the Model Registry.

A task trains models of the same wines and puts them where they are found: four files on a stage, one version in the
registry. Each is scored by a task of its own, without a line of code for the model. Then a task reads the results.

Those of XGBoost and LightGBM run in Snowflake's container runtime. What the others need beyond it is in an image of
your own: ONNX Runtime, and the very scikit-learn that has written the file. The local Snowflake runs such an image with
the server's Python. On an account, the connection's role needs what docs/worker-runtime.md lists. The task that trains
needs lightgbm, onnx and xgboost beside the extra `demo`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_snowflake_batch.jobs.models import (
    LightGBMModel,
    ModelSpec,
    OnnxModel,
    RegistryModel,
    SklearnModel,
    XGBoostModel,
)
from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

# In the order of the training. Files that hold no names of columns need them.
FEATURES = ("ALCOHOL", "MALIC_ACID", "ASH", "FLAVANOIDS", "HUE", "PROLINE")
CLASSES = ("BAROLO", "GRIGNOLINO", "BARBERA")

MODELS: dict[str, ModelSpec] = {
    "xgboost": XGBoostModel("@WINE_MODELS/wines.ubj", function="predict_proba"),
    "lightgbm": LightGBMModel("@WINE_MODELS/wines.txt", function="predict_proba"),
    "sklearn": SklearnModel("@WINE_MODELS/wines.joblib", function="predict_proba"),
    "onnx": OnnxModel(
        "@WINE_MODELS/wines.onnx", columns=FEATURES, outputs={"p": tuple(f"PROBABILITY_{name}" for name in CLASSES)}
    ),
    "registry": RegistryModel("WINES", function="predict_proba"),
}
IN_RUNTIME = ("xgboost", "lightgbm")


def wines() -> Any:
    """The wines, with a key and their class, as a DataFrame."""
    from sklearn.datasets import load_wine

    frame = load_wine(as_frame=True).frame.rename(columns=str.upper)
    frame.insert(0, "WINE", range(len(frame)))
    return frame[["WINE", *FEATURES, "TARGET"]]


def train() -> dict[str, Any]:
    """A model of each library; what is in ONNX's file is scikit-learn's model."""
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier

    rows = wines()[::2]
    features, target = rows[list(FEATURES)], rows["TARGET"]
    return {
        "xgboost": XGBClassifier(n_estimators=20, max_depth=3).fit(features, target),
        "lightgbm": LGBMClassifier(n_estimators=20, verbose=-1).fit(features, target),
        "sklearn": make_pipeline(StandardScaler(), LogisticRegression()).fit(features, target),
    }


def as_onnx(pipeline: Any) -> bytes:
    """A scaler and a logistic regression as an ONNX model: one matrix, one vector, softmax."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    scaler, regression = pipeline[0], pipeline[1]
    weights = (regression.coef_ / scaler.scale_).T.astype(np.float32)
    offset = (regression.intercept_ - (scaler.mean_ / scaler.scale_) @ regression.coef_.T).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["product"]),
        helper.make_node("Add", ["product", "offset"], ["score"]),
        helper.make_node("Softmax", ["score"], ["p"], axis=1),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(FEATURES)])]
    outputs = [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, len(CLASSES)])]
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(offset, "offset")]
    graph = helper.make_graph(nodes, "wines", inputs, outputs, constants)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )


with DAG(
    "wine_model_files",
    description="Score with models in their libraries' own files",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference"],
    params={
        "compute_pool": Param("WINE_POOL", type="string", description="Created if it does not exist."),
        "image": Param(
            "/LOCAL/PUBLIC/IMAGES/worker:1",
            type="string",
            description="An image of your own with scikit-learn, ONNX Runtime and snowflake-ml-python.",
        ),
    },
) as dag:

    @task
    def prepare(params: dict[str, Any]) -> None:
        """Train the models, and create what the jobs read and write."""
        import io

        import joblib
        from snowflake.ml.registry import Registry

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

        pool = Identifier.parse(params["compute_pool"], field="compute_pool")
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 5 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE STAGE IF NOT EXISTS WINE_MODELS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                "CREATE STAGE IF NOT EXISTS WINE_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                "DROP MODEL IF EXISTS WINES",
            ]
        )
        models = train()
        pickled = io.BytesIO()
        joblib.dump(models["sklearn"], pickled)
        hook.write_file("@WINE_MODELS/wines.ubj", bytes(models["xgboost"].get_booster().save_raw("ubj")))
        hook.write_file("@WINE_MODELS/wines.txt", models["lightgbm"].booster_.model_to_string().encode())
        hook.write_file("@WINE_MODELS/wines.joblib", pickled.getvalue())
        hook.write_file("@WINE_MODELS/wines.onnx", as_onnx(models["sklearn"]))
        rows = wines()
        with hook.get_snowpark_session() as session:
            session.create_dataframe(rows).write.mode("overwrite").save_as_table("WINES_TO_SCORE")
            Registry(session).log_model(
                models["sklearn"],
                model_name="WINES",
                version_name="V1",
                sample_input_data=rows[list(FEATURES)],
                target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
            )

    @task
    def evaluate(locations: dict[str, str]) -> dict[str, Any]:
        """Read each job's Parquet files: the probabilities of each wine, and how often the likeliest class is right."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        found: dict[str, Any] = {}
        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            for name, location in locations.items():
                results = session.read.option("pattern", r".*\.parquet").parquet(location).to_pandas()
                results.columns = [column.strip('"') for column in results.columns]
                results = results.astype(float).sort_values("WINE")
                probabilities = results.drop(columns=["WINE", "TARGET"]).to_numpy()
                found[name] = {
                    "columns": [name for name in results.columns if name not in ("WINE", "TARGET")],
                    "accuracy": float((probabilities.argmax(axis=1) == results["TARGET"].to_numpy()).mean()),
                    "probabilities": probabilities.tolist(),
                }
        return found

    prepared = prepare()
    locations = {}
    for kind, model in MODELS.items():
        score = RunBatchOperator(
            task_id=f"score_{kind}",
            model=model,
            X="WINES_TO_SCORE",
            compute_pool="{{ params.compute_pool }}",
            output_spec=OutputSpec(f"@WINE_RESULTS/{kind}/", columns=["WINE", "TARGET"]),
            job_spec=JobSpec(image=None if kind in IN_RUNTIME else "{{ params.image }}"),
            retries=2,
            deferrable=True,
        )
        prepared >> score
        locations[kind] = score.output["output_location"]
    evaluate(locations)
