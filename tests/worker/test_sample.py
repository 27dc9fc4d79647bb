"""``plan``: a timed sample of a batch, as a command.

Also tests ``worker/processes/memory.py``.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.__main__ import _asked
from tests.worker.batches import WORKER, Batch


def plan(batch: Batch, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*WORKER, "plan", str(batch.root / "JOB.json"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_sample_tells_what_all_rows_take_and_leaves_nothing(batch: Batch) -> None:
    batch.ids(400_000, files=4)
    batch.job(init={"seconds": 0.02}, inference={"max_batch_rows": 10, "num_workers": 1})

    done = plan(batch, "--seconds", "2.5", "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"] == 400_000
    # Each call waits, so no machine comes to the end.
    assert 0 < found["sampled_rows"] < 400_000
    assert found["batch_sizes"][0]["max_batch_rows"] == 10
    assert found["batch_sizes"][0]["rows_per_second"] > 0
    assert [one["replicas"] for one in found["replicas"]][:2] == [1, 2][: found["tasks"]]
    assert not batch.output.parent.exists()


def test_all_of_a_small_input_is_scored(batch: Batch) -> None:
    batch.ids(300)
    batch.job(inference={"num_workers": 1})

    done = plan(batch, "--seconds", "5")

    assert done.returncode == 0, done.stderr
    assert "300 rows in 1 tasks; sampled 300 of the first" in done.stdout
    assert not batch.output.parent.exists()


def test_tasks_are_those_of_the_job(batch: Batch) -> None:
    batch.ids(300)
    batch.job(inference={"num_workers": 1, "max_task_rows": 100})

    assert "300 rows in 3 tasks; sampled 300 of the first" in plan(batch, "--seconds", "5").stdout


def test_what_the_model_raises_is_told_as_by_the_job(batch: Batch) -> None:
    batch.ids(10)
    batch.job("RaisesOnLoad")
    done = plan(batch)
    assert (done.returncode, done.stdout) == (1, "")
    assert "weights are missing" in done.stderr


@pytest.mark.parametrize(
    ("inputs", "rows", "message"),
    [({"partition_column": "ID"}, 5, "all of the input is read before"), ({}, 0, "has no rows")],
    ids=["groups", "empty"],
)
def test_what_cannot_be_sampled_is_refused(batch: Batch, inputs: dict[str, str], rows: int, message: str) -> None:
    batch.ids(rows)
    batch.job(input={"path": "input", **inputs})
    done = plan(batch)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_model_too_slow_for_the_time_is_told(batch: Batch) -> None:
    batch.ids(10)
    batch.job(init={"seconds": 5})
    done = plan(batch, "--seconds", "0.5")
    assert done.returncode == 2
    assert "take a longer sample (--seconds)" in done.stderr


@pytest.mark.parametrize(
    "words", [[], ["a", "b"], ["a", "--seconds"], ["a", "--seconds", "x"], ["a", "--seconds", "0"]]
)
def test_what_cannot_be_read_shows_the_usage(words: list[str]) -> None:
    assert _asked(words) is None


def test_options_may_stand_anywhere() -> None:
    assert _asked(["--json", "--seconds", "3", "JOB.json"]) == (Path("JOB.json"), 3.0, True)
    assert _asked(["JOB.json"]) == (Path("JOB.json"), 20.0, False)
