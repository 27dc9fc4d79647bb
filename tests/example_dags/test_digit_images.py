"""The example of files as input."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer

ROOT = Path(__file__).parent.parent.parent


def test_the_dag_file_parses() -> None:
    spec = importlib.util.spec_from_file_location("digit_images", ROOT / "example_dags" / "digit_images.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.dag.get_task("score").upstream_task_ids == {"upload", "train"}
    assert module.dag.get_task("score").deferrable


@pytest.mark.slow
def test_files_are_labelled_as_scikit_learn_labels_them(local_server: LocalServer, tmp_path: Path) -> None:
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": local_server.airflow_connection_json,
    }
    dag_file = ROOT / "example_dags" / "digit_images.py"
    for command in (
        ["-m", "airflow", "db", "migrate"],
        [ROOT / "scripts" / "run_dag.py", dag_file, "--report", tmp_path / "report"],
    ):
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "report").read_text())["results"]

    digits = load_digits()
    pixels, training = digits.data, 897
    forest = RandomForestClassifier(n_estimators=100, random_state=0).fit(pixels[:training], digits.target[:training])
    expected = forest.predict(pixels[training:])
    assert results["upload"] == results["score"]["rows"] == results["evaluate"]["files"] == len(expected) == 900
    assert results["evaluate"]["predictions"] == expected.tolist()
    assert results["evaluate"]["accuracy"] == (expected == digits.target[training:]).mean()
