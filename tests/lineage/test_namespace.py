"""The namespace of an account is what Airflow's own Snowflake tasks call it, so that both meet in one graph."""

from __future__ import annotations

import json

import pytest
from airflow.providers.openlineage.sqlparser import SQLParser
from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.lineage import tasks


@pytest.mark.parametrize(
    ("account", "namespace"),
    [
        ("acme-prod", "snowflake://acme-prod"),
        ("xy12345", "snowflake://xy12345.us-west-1.aws"),
        # Where OpenLineage's own clients would leave the name as it is.
        ("acme-aws_prod", "snowflake://acme.prod.aws"),
        ("acme-gcp1", "snowflake://acme.1.gcp"),
    ],
)
def test_the_namespace_of_an_account(monkeypatch: pytest.MonkeyPatch, account: str, namespace: str) -> None:
    connection = {"conn_type": "snowflake", "login": "u", "password": "p", "extra": {"account": account}}
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(connection))
    stock = SnowflakeHook("account")
    theirs = SQLParser.create_namespace(stock.get_openlineage_database_info(stock.get_connection("account")))
    assert tasks._namespace(SnowflakeBatchHook("account")) == theirs == namespace
