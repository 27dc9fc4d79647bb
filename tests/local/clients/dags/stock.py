"""Airflow's own Snowflake operators, with nothing of this package."""

from __future__ import annotations

import json

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.snowflake.operators.snowpark_containers import SnowparkContainerJobOperator
from airflow.sdk import DAG

CONTAINER = {"name": "main", "image": "/i", "command": ["sh", "-c", "sleep 3; echo from the container"]}

with DAG("stock_operators", schedule=None) as dag:
    query = SQLExecuteQueryOperator(
        task_id="query",
        conn_id="snowflake_default",
        sql="SELECT SUM(SEQ4()) AS TOTAL FROM TABLE(GENERATOR(ROWCOUNT => 100))",
    )
    for mode in ("in_slot", "deferred"):
        query >> SnowparkContainerJobOperator(
            task_id=mode,
            compute_pool="STOCK_POOL",
            container_name="main",
            spec_text=json.dumps({"spec": {"containers": [CONTAINER]}}),
            name=f"STOCK_{mode.upper()}",
            poll_interval=1,
            drop_on_completion=False,
            deferrable=mode == "deferred",
        )
