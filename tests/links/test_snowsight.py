"""The links that tasks store, against the local Snowflake as itself and under an account's host name.

Also tests ``hooks/snowsight.py``, ``links/stored_link.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pydoc import locate
from typing import Any

import pytest
from airflow.sdk import BaseOperatorLink

import airflow_provider_snowflake_batch
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.snowsight import find_snowsight
from airflow_provider_snowflake_batch.jobs.snowsight import Snowsight
from airflow_provider_snowflake_batch.links.snowsight import store_links
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.jobs import CancelBatchJobOperator, DeleteBatchJobOperator
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator
from airflow_provider_snowflake_batch.operators.verify import VerifyBatchResultsOperator
from airflow_provider_snowflake_batch.sensors.batch_inference import BatchSuccessSensor
from tests import account_name

ROOT = "https://app.snowflake.com/local/local/#"


@dataclass
class TaskInstance:
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@pytest.fixture
def account_connection(local_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The Airflow connection id that leads to the local Snowflake under an account's host name."""
    connection = local_server.airflow_connection
    connection["extra"]["host"] = account_name.HOST
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", json.dumps(connection))
    account_name.install()
    yield "snowflake_default"
    account_name.uninstall()


def stored(hook: SnowflakeBatchHook) -> dict[str, Any]:
    instance = TaskInstance()
    store_links(
        {"ti": instance},
        hook,
        job=hook.qualify_name("J"),
        location=hook.qualify_location("@S/out/"),
        table=hook.qualify_name('"my table"', allow_quoted=True),
    )
    return instance.xcoms


def test_links_lead_to_the_sessions_account(account_connection: str) -> None:
    with SnowflakeBatchHook(account_connection) as hook:
        assert stored(hook) == {
            "_link_SnowsightJobLink": f"{ROOT}/compute/job/LOCAL/PUBLIC/J",
            "_link_OutputStageLink": f"{ROOT}/data/databases/LOCAL/schemas/PUBLIC/stage/S",
            "_link_SnowsightTableLink": f"{ROOT}/data/databases/LOCAL/schemas/PUBLIC/table/my%20table",
        }


def test_the_local_snowflake_has_no_pages(snowflake_connection: str) -> None:
    with SnowflakeBatchHook(snowflake_connection) as hook:
        assert stored(hook) == {}


def test_an_account_that_does_not_tell_its_name_gives_no_links(
    account_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_snowflake_batch.jobs import statements

    with SnowflakeBatchHook(account_connection) as hook:
        assert find_snowsight(hook) == Snowsight("https://app.snowflake.com", "LOCAL", "LOCAL")
        monkeypatch.setattr(statements, "current_account", lambda: "SELECT NO_SUCH_FUNCTION()")
        assert find_snowsight(hook) is None
        monkeypatch.setattr(statements, "current_account", lambda: "SELECT NULL AS ORGANIZATION, 'A' AS ACCOUNT")
        assert stored(hook) == {}


def test_airflow_knows_every_link() -> None:
    registered = {locate(path) for path in airflow_provider_snowflake_batch.get_provider_info()["extra-links"]}
    used = {
        type(link)
        for operator in (
            RunBatchOperator,
            LoadBatchResultsOperator,
            VerifyBatchResultsOperator,
            CancelBatchJobOperator,
            BatchSuccessSensor,
        )
        for link in operator.operator_extra_links
    }
    assert registered == used
    assert all(issubclass(link, BaseOperatorLink) for link in registered)
    assert DeleteBatchJobOperator.operator_extra_links == (), "what is deleted has no page"
