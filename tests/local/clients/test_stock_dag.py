"""A Dag of Airflow's own Snowflake operators, run by Airflow: unmodified, they reach the local Snowflake over HTTPS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_home import make_database

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

HERE = Path(__file__).parent
RUN_DAG = HERE.parents[2] / "scripts" / "run_dag.py"


def test_queries_and_container_jobs(local_server: LocalServer, connection: object, tmp_path: Path) -> None:
    connection.cursor().execute(  # type: ignore[attr-defined]
        "CREATE COMPUTE POOL STOCK_POOL MIN_NODES = 1 MAX_NODES = 2 INSTANCE_FAMILY = CPU_X64_XS"
    )
    bundle = {
        "name": "stock",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(HERE / "dags")},
    }
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": local_server.airflow_connection_json,
        "REQUESTS_CA_BUNDLE": str(local_server.certificates),
    }
    report = tmp_path / "report.json"
    make_database(tmp_path / "airflow")
    for command in (
        ["-m", "airflow", "dags", "reserialize"],
        [str(RUN_DAG), str(HERE / "dags" / "stock.py"), "--report", str(report)],
    ):
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr

    outcome = json.loads(report.read_text())
    assert outcome["tasks"] == {"query": "success", "in_slot": "success", "deferred": "success"}
    assert (outcome["results"]["in_slot"], outcome["results"]["deferred"]) == ("STOCK_IN_SLOT", "STOCK_DEFERRED")
    assert "4950" in json.dumps(outcome["results"]["query"])
    for job in ("STOCK_IN_SLOT", "STOCK_DEFERRED"):
        logs = connection.cursor().execute(  # type: ignore[attr-defined]
            f"SELECT SYSTEM$GET_SERVICE_LOGS('{job}', 0, 'main')"
        )
        assert logs.fetchone() == ("from the container",)
