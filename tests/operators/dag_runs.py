"""Dag files of tests, which run themselves by ``dag.test()``, as processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_home import environment_without_settings, make_database


def run_dag(text: str, server: LocalServer, home: Path, *arguments: Path) -> str:
    """What a Dag file prints.

    :param home: an empty folder. :param arguments: the file's own.
    """
    file = home / "dags" / "tested.py"
    file.parent.mkdir()
    file.write_text(text)
    environment = environment_without_settings() | {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(file.parent),
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": server.airflow_connection_json,
    }
    make_database(home / "airflow")
    done = subprocess.run(
        [sys.executable, file, *arguments], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
