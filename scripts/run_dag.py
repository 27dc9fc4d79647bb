"""Run one Dag file in this process with Airflow's own ``dag.test()`` and write what happened to a JSON file.

Airflow keeps its metadata database, its logs and its settings in ``AIRFLOW_HOME``, which the caller sets.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dag_file", type=Path)
    parser.add_argument("--conf", default="{}", help="the run's parameters, as JSON")
    parser.add_argument("--report", type=Path, required=True, help="where to write the outcome")
    arguments = parser.parse_args()

    report = run(arguments.dag_file, json.loads(arguments.conf))
    arguments.report.write_text(json.dumps(report, default=str))
    return 0 if report["state"] == "success" else 1


def run(dag_file: Path, conf: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The state of a run and of its tasks, what those that failed have raised, and what each returned.

    :param options: of ``dag.test``.
    """
    spec = importlib.util.spec_from_file_location(dag_file.stem, dag_file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{dag_file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    dag: Any = module.dag

    failures: dict[str, str] = {}

    def record(context: Any) -> None:
        error = context.get("exception")
        failures[context["ti"].task_id] = f"{type(error).__name__}: {error}"

    for task in dag.tasks:
        task.on_failure_callback = [record]
    run = dag.test(run_conf=conf, **options)
    return {
        "state": str(run.state),
        "tasks": {ti.task_id: str(ti.state) for ti in run.get_task_instances()},
        "failures": failures,
        "results": results_of(run),
    }


def results_of(run: Any) -> dict[str, Any]:
    """What each task returned."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    query = XComModel.get_many(run_id=run.run_id, dag_ids=run.dag_id, key="return_value")
    with create_session() as session:
        return {row.task_id: XComModel.deserialize_value(row) for row in session.scalars(query)}


if __name__ == "__main__":
    sys.exit(main())
