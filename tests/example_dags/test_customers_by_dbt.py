"""The example of a table that dbt builds and a job scores."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import snowflake.connector

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.example_dags.run_example import run_example

ROOT = Path(__file__).parent.parent.parent
DAG_FILE = ROOT / "example_dags" / "customers_by_dbt.py"


def test_the_dag_file_parses_without_dbt() -> None:
    assert importlib.util.find_spec("dbt") is None
    spec = importlib.util.spec_from_file_location("customers_by_dbt", DAG_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.dag.get_task("score").upstream_task_ids == {"train"}
    assert module.dag.get_task("train").upstream_task_ids == {"features"}
    assert "extra_dejson" in module.dag.get_task("features").env["CUSTOMERS_PROTOCOL"]


@pytest.mark.slow
@pytest.mark.skipif("DBT_COMMAND" not in os.environ, reason="DBT_COMMAND names no dbt: make test-dbt")
def test_every_customer_of_dbts_table_is_scored(local_server: LocalServer, tmp_path: Path) -> None:
    results = run_example(DAG_FILE, local_server, tmp_path)

    with snowflake.connector.connect(**local_server.connection_kwargs) as connection:
        cursor = connection.cursor()
        (customers,) = cursor.execute("SELECT COUNT(*) FROM CUSTOMER_FEATURES").fetchone()
        cursor.execute("CREATE OR REPLACE TEMPORARY FILE FORMAT P TYPE = PARQUET")
        location = results["score"]["output_location"]
        rows = cursor.execute(
            f"SELECT $1:CUSTOMER_ID::INT, $1:output_feature_0::INT FROM {location} "
            "(FILE_FORMAT => 'P', PATTERN => '.*[.]parquet')"
        ).fetchall()
    assert results["score"]["rows"] == customers == 40
    assert {customer for customer, _ in rows} == set(range(1, 41))
    assert {segment for _, segment in rows} == {0, 1, 2}
