"""A real registry client against a real server, with one small model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from airflow_provider_snowflake_batch.local.server_process import LocalServer


@dataclass
class Registered:
    """:param model: the trained estimator. :param rows: what it was trained on, also in table ``ROWS_IN``."""

    session: Any
    registry: Any
    version: Any
    model: LogisticRegression
    rows: pd.DataFrame


@pytest.fixture(scope="session")
def registered(local_server: LocalServer) -> Iterator[Registered]:
    """The model ``IRISES`` version ``V1`` in schema ``LOCAL.MODELS``, and the stage ``OUT`` there."""
    from sklearn.datasets import load_iris
    from snowflake.ml.registry import Registry
    from snowflake.snowpark import Session

    session = Session.builder.configs(local_server.connection_kwargs).create()
    session.sql("CREATE SCHEMA LOCAL.MODELS").collect()
    session.sql("USE SCHEMA LOCAL.MODELS").collect()
    session.sql("CREATE STAGE OUT").collect()
    data = load_iris()
    rows = pd.DataFrame(data.data, columns=["SEPAL_LENGTH", "SEPAL_WIDTH", "PETAL_LENGTH", "PETAL_WIDTH"])
    model = LogisticRegression(max_iter=500).fit(rows, data.target)
    registry = Registry(session=session, database_name="LOCAL", schema_name="MODELS")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        version = registry.log_model(
            model,
            model_name="IRISES",
            version_name="V1",
            sample_input_data=rows.head(5),
            options={"target_methods": ["predict"]},
        )
    session.create_dataframe(rows.assign(ID=range(len(rows)))).write.save_as_table("ROWS_IN")
    yield Registered(session, registry, version, model, rows)
    session.close()


def run_batch(version: Any, **arguments: Any) -> Any:
    """``ModelVersion.run_batch`` of the 2.x client, which 1.54 has under another name."""
    return getattr(version, "_run_batch_v2", version.run_batch)(**arguments)
