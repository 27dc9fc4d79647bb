"""The example of files as input."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.example_dags.run_example import run_example

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

    results = run_example(ROOT / "example_dags" / "digit_images.py", local_server, tmp_path)

    digits = load_digits()
    pixels, training = digits.data, 897
    forest = RandomForestClassifier(n_estimators=100, random_state=0).fit(pixels[:training], digits.target[:training])
    expected = forest.predict(pixels[training:])
    assert results["upload"] == results["score"]["rows"] == results["evaluate"]["files"] == len(expected) == 900
    assert results["evaluate"]["predictions"] == expected.tolist()
    assert results["evaluate"]["accuracy"] == (expected == digits.target[training:]).mean()
