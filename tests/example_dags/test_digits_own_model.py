"""The example of a model that is a Python class beside the Dag, and of one that is a function in it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.example_dags.run_example import ROOT, load_example, run_example

DAG_FILE = ROOT / "example_dags" / "digits_own_model.py"


def test_the_dag_file_parses() -> None:
    module = load_example("digits_own_model")
    assert set(module.dag.task_ids) == {"prepare", "score", "weigh", "verify", "evaluate"}
    assert module.dag.get_task("score").model["target"] == "digit_models.centroids:NearestCentroid"
    assert module.dag.get_task("score").deferrable


@pytest.mark.slow
def test_the_digits_are_those_that_the_class_itself_says(local_server: LocalServer, tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    results = run_example(DAG_FILE, local_server, tmp_path)
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
