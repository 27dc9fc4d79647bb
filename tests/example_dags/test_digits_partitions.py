"""The example of mapped jobs parses as it is told. tests/stack runs it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

FILE = Path(__file__).parent.parent.parent / "example_dags" / "digits_partitions.py"


def test_the_dag_file_parses() -> None:
    spec = importlib.util.spec_from_file_location("digits_partitions", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag = module.dag
    assert set(dag.task_ids) == {"prepare", "score", "complete", "load"}
    assert dag.get_task("score").is_mapped
    assert dag.get_task("score").max_active_tis_per_dagrun == 2
    assert dag.get_task("load").upstream_task_ids == {"complete"}
