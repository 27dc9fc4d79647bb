"""The example of a model as MLflow saves it; `make test-mlflow` runs it where MLflow is."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.example_dags.run_example import ROOT, ask_library, fetch_folder, load_example, python_with, run_example

DAG_FILE = ROOT / "example_dags" / "iris_mlflow.py"
PREDICT = """
import json, sys, mlflow.pyfunc
from sklearn.datasets import load_iris
iris = load_iris(as_frame=True)
features = iris.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_").upper())
said = list(mlflow.pyfunc.load_model(sys.argv[1]).predict(features))
print(json.dumps({"predictions": said, "species": iris.target_names[iris.target].tolist()}))
"""


def test_the_dag_file_parses() -> None:
    dag = load_example("iris_mlflow").dag
    assert set(dag.task_ids) == {"train", "prepare", "score", "evaluate"}
    assert dag.get_task("score").model["kind"] == "mlflow"
    assert dag.get_task("train").python == "{{ params.python }}"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_species_are_those_that_mlflow_itself_says(
    local_server: LocalServer, snowflake_connection: str, tmp_path: Path
) -> None:
    python = python_with("mlflow.sklearn")
    found = run_example(DAG_FILE, local_server, tmp_path, python=python)["evaluate"]
    model = fetch_folder(snowflake_connection, "@IRIS_MODELS/iris/", tmp_path / "model")
    told = ask_library(python, PREDICT, str(model))
    assert found["predictions"] == told["predictions"]
    right = [said == true for said, true in zip(told["predictions"], told["species"], strict=True)]
    assert found["accuracy"] == pytest.approx(sum(right) / len(right))
    assert found["accuracy"] > 0.9
