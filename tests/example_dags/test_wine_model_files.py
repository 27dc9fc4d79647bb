"""The example of models in their libraries' own files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.example_dags.run_example import ROOT, load_example, run_example

DAG_FILE = ROOT / "example_dags" / "wine_model_files.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_example("wine_model_files")


def test_the_dag_file_parses(example: ModuleType) -> None:
    kinds = {task_id.removeprefix("score_") for task_id in example.dag.task_ids} - {"prepare", "evaluate"}
    assert kinds == {"xgboost", "lightgbm", "sklearn", "onnx", "registry"}
    for kind in kinds:
        assert example.dag.get_task(f"score_{kind}").model["kind"] == kind


@pytest.mark.slow
def test_every_kind_says_what_its_library_says(example: ModuleType, local_server: LocalServer, tmp_path: Path) -> None:
    import onnxruntime

    results = run_example(DAG_FILE, local_server, tmp_path)["evaluate"]
    features = example.wines()[list(example.FEATURES)]
    models = example.train()
    session = onnxruntime.InferenceSession(example.as_onnx(models["sklearn"]), providers=["CPUExecutionProvider"])
    (p,) = session.run(None, {"x": features.to_numpy().astype(np.float32)})
    wanted = {kind: models[kind].predict_proba(features) for kind in ("xgboost", "lightgbm", "sklearn")}
    for kind, probabilities in {**wanted, "onnx": p, "registry": wanted["sklearn"]}.items():
        found = results[kind]
        # Products of matrices differ in their last digits with how rows lie in memory; trees add up numbers alike.
        exactly = {"rtol": 0.0} if kind in ("xgboost", "lightgbm") else {"rtol": 1e-5}
        np.testing.assert_allclose(found["probabilities"], probabilities, **exactly)
        assert found["accuracy"] == (probabilities.argmax(axis=1) == example.wines()["TARGET"]).mean() > 0.8
    assert results["onnx"]["columns"] == ["PROBABILITY_BAROLO", "PROBABILITY_GRIGNOLINO", "PROBABILITY_BARBERA"]
    assert results["sklearn"]["columns"] == ["PROBABILITY_0", "PROBABILITY_1", "PROBABILITY_2"]
