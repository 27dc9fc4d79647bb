"""Fixtures that give tests a local Snowflake; pytest finds them where this package is installed.

Nothing is loaded or started before a test asks for a fixture.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.server_process import LocalServer

_NEEDED = ("fakesnow", "duckdb", "starlette", "uvicorn")


@pytest.fixture(scope="session")
def local_snowflake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A local Snowflake, as a process on a free port, for all tests of the run; with pytest-xdist, one a worker.

    Its ``connection_kwargs`` are for ``snowflake.connector.connect``, its ``airflow_connection_json`` is the value of
    an ``AIRFLOW_CONN_…`` variable.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing and not os.environ.get("LOCAL_SNOWFLAKE_PYTHON"):
        pytest.fail(
            f"The local Snowflake needs {', '.join(missing)}: install airflow-provider-snowflake-batch[local].",
            pytrace=False,
        )
    from airflow_provider_snowflake_batch.local.server_process import LocalServer

    with LocalServer(tmp_path_factory.mktemp("local-snowflake") / "state") as server:
        yield server


@pytest.fixture
def local_snowflake_connection(local_snowflake: LocalServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of an Airflow connection to it: ``snowflake_default``, which lasts as long as the test."""
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", local_snowflake.airflow_connection_json)
    return "snowflake_default"
