from __future__ import annotations

import inspect

from airflow_provider_snowflake_batch.jobs.connection import CONNECTION_FIELDS, ConnectionSettings
from airflow_provider_snowflake_batch.operators.base import SnowflakeBatchOperator


def test_operators_take_the_settings_by_name() -> None:
    """Airflow applies ``default_args`` to the arguments that stand in the signature."""
    taken = {
        name: parameter.default
        for name, parameter in inspect.signature(SnowflakeBatchOperator.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert taken == ConnectionSettings().arguments()


def test_the_settings_of_an_operator() -> None:
    task = SnowflakeBatchOperator(task_id="t", snowflake_conn_id="c", role="R")
    assert task.connection == ConnectionSettings("c", role="R")
    assert tuple(task.connection.arguments()) == CONNECTION_FIELDS
