"""The operator with models that are files: a library's own, beside the Dag or on a stage, and those of the registry."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG

from airflow_provider_snowflake_batch.exceptions import JobFailedError, JobInputError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.models import (
    LightGBMModel,
    MLflowModel,
    ModelSpec,
    RegistryModel,
    XGBoostModel,
)
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from tests.compute_pools import hook_with_pool
from tests.models import log_linear_model
from tests.operators.task_instances import TaskInstance

pytestmark = pytest.mark.slow

# The local Snowflake runs images of one's own with the server's Python, which has more libraries.
OWN_IMAGE = {"image": "/LOCAL/PUBLIC/IMAGES/worker:1"}
POOL, STAGE = "MODEL_FILES", "MODEL_FILES_RESULTS"


@pytest.fixture(scope="module")
def flowers() -> pd.DataFrame:
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).frame
    return frame.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_").upper())


@pytest.fixture
def hook(snowflake_connection: str, flowers: pd.DataFrame) -> Iterator[SnowflakeBatchHook]:
    statements = (
        f"CREATE OR REPLACE STAGE {STAGE} ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
        "CREATE OR REPLACE STAGE MODEL_FILES ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
    )
    with hook_with_pool(snowflake_connection, POOL, 2, *statements) as opened:
        with opened.get_snowpark_session() as session:
            rows = flowers.assign(ID=range(len(flowers)))
            session.create_dataframe(rows).write.mode("overwrite").save_as_table("MODEL_FILES_FLOWERS")
        yield opened


def operator(folder: Path, model: ModelSpec, **changes: Any) -> RunBatchOperator:
    dag = DAG("dag")
    dag.fileloc = str(folder / "dag.py")
    given: dict[str, Any] = {
        "task_id": "score",
        "model": model,
        "X": "MODEL_FILES_FLOWERS",
        "compute_pool": POOL,
        "output_spec": {"stage_location": f"@{STAGE}/out/", "columns": ["ID"]},
        "poll_interval": 1,
    }
    return RunBatchOperator(dag=dag, **(given | changes))


def execute(task: RunBatchOperator) -> dict[str, Any]:
    result: dict[str, Any] = task.execute({"ti": TaskInstance(), "task_state_store": None})
    return result


def results(hook: SnowflakeBatchHook, location: str) -> pd.DataFrame:
    paths = [file.path for file in hook.list_files(location)]
    parts = [path for path in paths if path.endswith(".parquet") and "/_" not in path]
    frames = [pq.read_table(io.BytesIO(hook.read_file(f"@{STAGE}/{path}"))).to_pandas() for path in parts]
    return pd.concat(frames).sort_values("ID", ignore_index=True)


def test_a_file_beside_the_dag(hook: SnowflakeBatchHook, flowers: pd.DataFrame, tmp_path: Path) -> None:
    import xgboost

    features, target = flowers.drop(columns="TARGET"), flowers["TARGET"]
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=3).fit(features, target)
    model.save_model(tmp_path / "flowers.json")
    result = execute(operator(tmp_path, XGBoostModel("flowers.json", function="predict_proba")))
    assert (result["status"], result["rows"], result["model"]) == ("DONE", 150, "flowers.json")
    found = results(hook, result["output_location"])
    assert (found.drop(columns="ID").to_numpy() == model.predict_proba(features)).all()
    (uploaded,) = hook.list_files(f"@{STAGE}/out/_batch_worker/model-")
    assert uploaded.path.endswith(".json")


def test_a_file_on_a_stage(hook: SnowflakeBatchHook, flowers: pd.DataFrame, tmp_path: Path) -> None:
    import lightgbm

    features, target = flowers.drop(columns="TARGET"), flowers["TARGET"]
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(features, target)
    place = "@MODEL_FILES/flowers/model.txt"
    with pytest.raises(JobInputError, match=r"model\.path: There is no @LOCAL\.PUBLIC\.MODEL_FILES/flowers/model\.txt"):
        execute(operator(tmp_path, LightGBMModel(place)))
    hook.write_file(place, model.booster_.model_to_string().encode())
    result = execute(operator(tmp_path, LightGBMModel(place)))
    assert results(hook, result["output_location"])["PREDICTION"].tolist() == model.predict(features).tolist()
    with pytest.raises(JobFailedError, match="model column 'PETAL_WIDTH' is not among the input columns: ID, PETAL_LE"):
        execute(
            operator(
                tmp_path,
                LightGBMModel(place),
                X="SELECT ID, PETAL_LENGTH, SEPAL_LENGTH, SEPAL_WIDTH FROM MODEL_FILES_FLOWERS",
            )
        )


def test_a_registered_model(hook: SnowflakeBatchHook, local_server: LocalServer, tmp_path: Path) -> None:
    log_linear_model(local_server, "LINEAR_OF_WORKER", "V1")
    hook.run("CREATE OR REPLACE TABLE MODEL_FILES_LINES (ID INT, B FLOAT, A FLOAT)")
    hook.run("INSERT INTO MODEL_FILES_LINES VALUES (1, 1, 10), (2, 2, 20), (3, 3, NULL)")
    changes: dict[str, Any] = {
        "X": "MODEL_FILES_LINES",
        "job_spec": {**OWN_IMAGE, "on_error": "quarantine"},
    }
    for model, message in {
        RegistryModel("NO_SUCH_MODEL"): r"model\.name: LOCAL\.PUBLIC\.NO_SUCH_MODEL does not exist",
        RegistryModel("LINEAR_OF_WORKER", version="V9"): r"model\.version: .* has no version or alias V9; it has ",
        RegistryModel("LINEAR_OF_WORKER", function="score"): r"model\.function: the model has no function 'score'",
    }.items():
        with pytest.raises(JobInputError, match=f"^{message}"):
            execute(operator(tmp_path, model, **changes))
    result = execute(operator(tmp_path, RegistryModel("LINEAR_OF_WORKER"), **changes))
    assert [result[key] for key in ("status", "model", "version")] == ["DONE", "LOCAL.PUBLIC.LINEAR_OF_WORKER", "V1"]
    assert results(hook, result["output_location"])["PREDICTION"].round(9).tolist() == [23, 46]
    place = f"@{STAGE}/out/_batch_worker/model-"
    (before,) = hook.list_files(place)
    hook.write_file(f"@{STAGE}/{before.path}", b"left as it is")
    with pytest.raises(JobFailedError, match="is neither a directory nor a whole zip file"):
        execute(operator(tmp_path, RegistryModel("LINEAR_OF_WORKER", version="FIRST"), **changes))


SAVE = """
import sys, mlflow, mlflow.sklearn, pandas
from sklearn.linear_model import LogisticRegression
rows = pandas.read_parquet(sys.argv[1])
features, target = rows.drop(columns="TARGET"), rows["TARGET"]
model = LogisticRegression(max_iter=500).fit(features, target)
signature = mlflow.models.infer_signature(features, model.predict(features))
mlflow.sklearn.save_model(model, sys.argv[2], signature=signature, pip_requirements=[])
pandas.DataFrame({"P": model.predict(features)}).to_parquet(sys.argv[3])
"""


def test_a_folder_of_mlflow(hook: SnowflakeBatchHook, flowers: pd.DataFrame, tmp_path: Path) -> None:
    python = os.environ.get("LOCAL_SNOWFLAKE_RUNTIME_PYTHON", "")
    if (
        not python
        or subprocess.run([python, "-c", "import mlflow.sklearn"], capture_output=True, check=False).returncode
    ):
        pytest.skip("the Python of container jobs has no MLflow: make test-mlflow")
    flowers.to_parquet(tmp_path / "rows.parquet")
    places = [str(tmp_path / name) for name in ("rows.parquet", "flowers", "predictions.parquet")]
    subprocess.run([python, "-c", SAVE, *places], check=True, cwd=tmp_path)
    result = execute(operator(tmp_path, MLflowModel("flowers")))
    assert (result["status"], result["rows"]) == ("DONE", 150)
    wanted = pd.read_parquet(places[2])["P"].tolist()
    assert results(hook, result["output_location"])["PREDICTION"].tolist() == wanted
