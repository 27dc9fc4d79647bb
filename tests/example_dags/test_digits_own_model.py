"""The example of a model that is a Python class beside the Dag, and of one that is a function in it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer

ROOT = Path(__file__).parent.parent.parent
DAG_FILE = ROOT / "example_dags" / "digits_own_model.py"


def test_the_dag_file_parses() -> None:
    spec = importlib.util.spec_from_file_location("digits_own_model", DAG_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.dag.task_ids) == {"prepare", "score", "weigh", "verify", "evaluate"}
    assert module.dag.get_task("score").model["target"] == "digit_models.centroids:NearestCentroid"
    assert module.dag.get_task("score").deferrable


@pytest.mark.slow
def test_the_digits_are_those_that_the_class_itself_says(local_server: LocalServer, tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    results = run_example(local_server, tmp_path)
    digits = load_digits(as_frame=True)
    pixels = digits.data.rename(columns=str.upper)[897:]
    spec = importlib.util.spec_from_file_location("centroids", ROOT / "example_dags" / "digit_models" / "centroids.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = module.NearestCentroid().predict(pixels)["PREDICTION"]
    assert results["score"]["rows"] == results["evaluate"]["rows"] == len(expected) == 900
    assert results["verify"]["output_location"] == results["score"]["output_location"]
    assert (results["verify"]["rows"], results["verify"]["has_manifest"]) == (900, True)
    assert results["evaluate"]["predictions"] == expected.tolist()
    assert results["evaluate"]["accuracy"] == (expected == digits.target[897:]).mean()
    assert results["evaluate"]["ink"] == (pixels >= 10).sum(axis=1).tolist()
    assert (results["weigh"]["rows"], results["weigh"]["model"]) == (900, "task_function:weigh")
    assert results["score"]["model"] == "digit_models.centroids:NearestCentroid"


def run_example(server: LocalServer, home: Path) -> dict[str, Any]:
    """What each task of the Dag returned."""
    environment = os.environ | {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": server.airflow_connection_json,
    }
    for command in (
        ["-m", "airflow", "db", "migrate"],
        [ROOT / "scripts" / "run_dag.py", DAG_FILE, "--report", home / "report"],
    ):
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    results: dict[str, Any] = json.loads((home / "report").read_text())["results"]
    return results
