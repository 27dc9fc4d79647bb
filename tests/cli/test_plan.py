"""``airflow snowflake-batch plan``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from airflow_provider_snowflake_batch.cli.plan import plan
from tests.cli.command_lines import arguments
from tests.worker.batches import Batch


def test_the_worker_is_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    batch = Batch(tmp_path)
    batch.ids(300)
    job = str(batch.job(inference={"num_workers": 1}))
    plan(arguments("plan", job, "--seconds", "5", "--output", "json"))
    found = json.loads(capfd.readouterr().out)
    assert (found["rows"], [one["replicas"] for one in found["replicas"]]) == (300, [1])


def test_yaml_says_what_json_says(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    batch = Batch(tmp_path)
    batch.ids(300)
    plan(arguments("plan", str(batch.job()), "--seconds", "5", "--output", "yaml"))
    found = yaml.safe_load(capfd.readouterr().out)
    assert (found["rows"], [one["replicas"] for one in found["replicas"]]) == (300, [1])


@pytest.mark.parametrize(("output", "first"), [("table", "300 rows in 1 tasks;"), ("plain", "replicas")])
def test_for_people(tmp_path: Path, capfd: pytest.CaptureFixture[str], output: str, first: str) -> None:
    batch = Batch(tmp_path)
    batch.ids(300)
    plan(arguments("plan", str(batch.job()), "--seconds", "5", "--output", output))
    assert capfd.readouterr().out.strip().startswith(first)


def test_its_words_and_exit_code_are_the_commands(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        plan(arguments("plan", str(tmp_path / "none.json")))
    assert caught.value.code == 2
    assert "cannot read the job file" in capfd.readouterr().err
