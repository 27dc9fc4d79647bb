"""The dbt project of the examples, with each of dbt's commands, twice; and what else dbt asks of Snowflake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer

PROJECT = Path(__file__).parents[3] / "example_dags" / "customers_dbt"
DYNAMIC = (
    "{{ config(enabled=var('dynamic', false), materialized='dynamic_table', target_lag='1 hour', "
    "snowflake_warehouse='COMPUTE_WH') }} select 1 as a"
)
COMMANDS = (["seed"], ["run"], ["test"], ["snapshot"], ["build"], ["docs", "generate"])
# Further ways in which dbt builds tables and views, each a model of one column more or less.
WAYS = {
    "added": "{{ config(materialized='incremental', incremental_strategy='append', "
    "on_schema_change='sync_all_columns') }} select order_id {% if is_incremental() %}, 1 as one_more {% endif %} "
    "from {{ ref('raw_orders') }}",
    "replaced": "{{ config(materialized='incremental', incremental_strategy='insert_overwrite') }}"
    "select order_id from {{ ref('raw_orders') }}",
    "put_anew": "{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='order_id', "
    "transient=false, query_tag='nightly', copy_grants=true) }} select order_id from {{ ref('raw_orders') }}",
    "by_contract": "{{ config(contract={'enforced': true}, grants={'select': ['public']}, "
    "persist_docs={'relation': true, 'columns': true}) }} "
    "select order_id::number(38,0) as order_id from {{ ref('raw_orders') }}",
    "guarded": "{{ config(materialized='view', secure=true, persist_docs={'relation': true, 'columns': true}) }}"
    "select order_id from {{ ref('raw_orders') }}",
}
SCHEMA = """
models:
  - name: by_contract
    description: Its keys' types are checked.
    constraints: [{type: primary_key, columns: [order_id]}]
    columns: [{name: order_id, data_type: "number(38,0)", description: The "key".}]
  - name: guarded
    description: It's secure.
    columns: [{name: order_id, description: A key.}]
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif("DBT_COMMAND" not in os.environ, reason="DBT_COMMAND names no dbt: make test-dbt"),
]


class Dbt:
    """dbt with a copy of the project."""

    def __init__(self, server: LocalServer, schema: str, folder: Path) -> None:
        self.project = folder / "project"
        shutil.copytree(PROJECT, self.project)
        options = server.connection_kwargs
        names = ("account", "host", "port", "protocol", "user", "role", "warehouse", "database")
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME")},
            **{f"CUSTOMERS_{name.upper()}": str(options[name]) for name in names},
            "CUSTOMERS_SCHEMA": schema,
            "DBT_ENV_SECRET_PASSWORD": options["password"],
            "DBT_PROJECT_DIR": str(self.project),
            "DBT_PROFILES_DIR": str(self.project),
        }

    def run(self, *commands: list[str]) -> list[dict[str, Any]]:
        """What each command did."""
        python = Path(os.environ["DBT_COMMAND"]).with_name("python")
        done = subprocess.run(
            [python, Path(__file__).with_name("dbt_commands.py")],
            input="".join(json.dumps(command) + "\n" for command in commands),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line[8:]) for line in done.stdout.splitlines() if line.startswith("OUTCOME ")]


@pytest.fixture
def dbt(local_server: LocalServer, schema: str, tmp_path: Path) -> Dbt:
    return Dbt(local_server, schema, tmp_path)


def test_every_command_works_twice_and_what_is_lacking_is_said(dbt: Dbt, schema: str, connection: Any) -> None:
    cursor = connection.cursor()
    orders = dbt.project / "seeds" / "raw_orders.csv"
    customers = dbt.project / "seeds" / "raw_customers.csv"

    first = dbt.run(["debug"], *COMMANDS)
    assert [(one["command"], one["failures"], one["exception"]) for one in first if not one["success"]] == []
    assert len(first[5]["nodes"]) == 15
    (before,) = cursor.execute(f"SELECT COUNT(*) FROM {schema}.ORDER_LOG").fetchone()
    assert before == len(orders.read_text().splitlines()) - 1

    with orders.open("a") as file:
        file.write(f"{before + 1},1,2025-12-24 10:00:00,placed,10.50\n")
    lines = customers.read_text().splitlines()
    customers.write_text("\n".join([lines[0], lines[1].replace(lines[1].split(",")[2], "changed"), *lines[2:]]) + "\n")
    for name, sql in WAYS.items():
        (dbt.project / "models" / f"{name}.sql").write_text(sql)
    (dbt.project / "models" / "ways.yml").write_text(SCHEMA)
    (dbt.project / "models" / "dynamic.sql").write_text(DYNAMIC)

    *second, lacking = dbt.run(*COMMANDS, ["run", "--select", "dynamic", "--vars", "{dynamic: true}"])
    (failure,) = lacking["failures"]
    assert "not supported by the local Snowflake" in failure
    assert [(one["command"], one["failures"], one["exception"]) for one in second if not one["success"]] == []
    one_more = cursor.execute(f"SELECT COUNT(*), MAX(ORDER_ID) FROM {schema}.ORDER_LOG").fetchone()
    assert one_more == (before + 1, before + 1)
    plans = cursor.execute(
        f"SELECT PLAN, DBT_VALID_TO IS NULL FROM {schema}.CUSTOMER_PLANS WHERE CUSTOMER_ID = 1 ORDER BY 2"
    ).fetchall()
    assert [is_current for _, is_current in plans] == [False, True]
    assert plans[1][0] == "CHANGED"
    # `run` and then `build` have run each incremental model twice.
    counts = cursor.execute(
        f"SELECT (SELECT COUNT(*) FROM {schema}.ADDED), (SELECT COUNT(ONE_MORE) FROM {schema}.ADDED), "
        f"(SELECT COUNT(*) FROM {schema}.REPLACED), (SELECT COUNT(*) FROM {schema}.PUT_ANEW), "
        f"(SELECT COUNT(*) FROM {schema}.BY_CONTRACT), (SELECT COUNT(*) FROM {schema}.GUARDED)"
    ).fetchone()
    assert counts == (2 * (before + 1), *[before + 1] * 5)
    catalog = json.loads((dbt.project / "target" / "catalog.json").read_text())
    assert catalog["errors"] is None
    node = catalog["nodes"]["model.customers.by_contract"]
    assert node["metadata"]["comment"] == "Its keys' types are checked."
    assert node["columns"]["ORDER_ID"]["comment"] == 'The "key".'
