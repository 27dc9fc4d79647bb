"""The demo, as a newcomer runs it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


def example_dag() -> Any:
    spec = importlib.util.spec_from_file_location("digits", ROOT / "example_dags" / "digits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_dag_file_parses() -> None:
    dag = example_dag().dag
    assert set(dag.task_ids) == {"prepare", "train", "score", "complete", "evaluate"}
    assert dag.get_task("score").deferrable
    assert dag.get_task("evaluate").upstream_task_ids == {"complete"}


@pytest.mark.slow
def test_the_demo_gives_what_scikit_learn_gives(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    demo = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py", "--directory", tmp_path / "demo", "--report", tmp_path / "r"],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    report = json.loads((tmp_path / "r").read_text())

    training, scans = example_dag()._split_digits()
    pixels = [column for column in training.columns if column.startswith("PIXEL")]
    model = RandomForestClassifier(n_estimators=100, random_state=0).fit(training[pixels], training["DIGIT"])
    expected = model.predict(scans[pixels])
    assert report["results"]["evaluate"]["predictions"] == expected.tolist()
    assert report["results"]["evaluate"]["accuracy"] == (expected == scans["DIGIT"]).mean()
    assert report["results"]["score"]["rows"] == len(scans) == 900
    for line in ("status       DONE", "rows         900 in", "accuracy", "deferred", "Try next:"):
        assert line in demo.stdout


@pytest.mark.slow
def test_a_failing_demo_ends_with_the_cause(tmp_path: Path) -> None:
    state = tmp_path / "demo" / "snowflake"
    state.parent.mkdir()
    state.write_text("a file where the state directory should be")
    demo = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py", "--directory", tmp_path / "demo"],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert demo.returncode == 1
    assert "The demo failed: The local Snowflake did not start:" in demo.stderr
    assert "Traceback" not in demo.stderr
