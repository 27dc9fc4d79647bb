"""Example Dags run as Airflow runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.local.server_process import LocalServer

ROOT = Path(__file__).parents[2]


def run_example(dag_file: Path, server: LocalServer, home: Path) -> dict[str, Any]:
    """What each task of the Dag returned."""
    environment = os.environ | {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": server.airflow_connection_json,
    }
    for command in (
        ["-m", "airflow", "db", "migrate"],
        [ROOT / "scripts" / "run_dag.py", dag_file, "--report", home / "report"],
    ):
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    results: dict[str, Any] = json.loads((home / "report").read_text())["results"]
    return results
