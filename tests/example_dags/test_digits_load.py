"""The example of an asset watcher parses."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from airflow_provider_snowflake_batch.triggers.success import BatchSuccessTrigger

FILE = Path(__file__).parent.parent.parent / "example_dags" / "digits_load.py"


def test_the_dag_file_parses() -> None:
    spec = importlib.util.spec_from_file_location("digits_load", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.dag.task_ids) == {"directories", "load"}
    (watcher,) = module.scores.watchers
    assert isinstance(watcher.trigger, BatchSuccessTrigger)
    assert str(watcher.trigger.location) == "@DIGITS_RESULTS/scores/"
