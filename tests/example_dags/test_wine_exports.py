"""The example of Parquet files as input, with parameters, and of looking after jobs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.example_dags.run_example import ROOT, load_example, run_example

DAG_FILE = ROOT / "example_dags" / "wine_exports.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_example("wine_exports")


def test_the_dag_file_parses(example: ModuleType) -> None:
    assert example.dag.get_task("score").upstream_task_ids == {"export", "train"}
    assert example.dag.get_task("delete").upstream_task_ids == {"score", "look"}
    assert example.dag.get_task("evaluate").upstream_task_ids == {"score", "delete"}


@pytest.mark.slow
def test_strong_wines_are_scored_as_scikit_learn_scores_them(
    example: ModuleType, local_server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = run_example(DAG_FILE, local_server, tmp_path)

    wines = example.exported_wines()
    strong = wines[wines["alcohol"] > 12.5].rename(columns=example.COLUMNS)
    shares = example.trained_model().predict_proba(strong[list(example.FEATURES)])[:, 1]
    found = results["evaluate"]
    assert found["wines"] == strong["WINE"].tolist()
    # Products of matrices differ in their last digits with how rows lie in memory.
    np.testing.assert_allclose(found["shares"], shares, rtol=1e-9)
    assert found["barolo"] == strong["WINE"][shares >= 0.9].tolist()
    # With the parameter's default there would be more.
    assert 0 < len(found["barolo"]) < (shares >= 0.5).sum()
    assert results["score"]["rows"] == len(strong)

    assert (results["look"]["listed"], results["look"]["status"]) == (True, "DONE")
    assert any(f'"rows_done": {len(strong)}' in line for line in results["look"]["log"]), results["look"]["log"]
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", local_server.airflow_connection_json)
    with SnowflakeBatchHook("snowflake_default") as hook:
        assert results["score"]["job_name"] not in [str(job.name) for job in hook.list_jobs()]
