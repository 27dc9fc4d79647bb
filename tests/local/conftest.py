"""One local Snowflake for the tests of this folder, as a real process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection

from airflow_provider_snowflake_batch.local.server_process import LocalServer


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("local") / "state") as server:
        yield server


@pytest.fixture
def connect(local_server: LocalServer) -> Iterator[Any]:
    """Opens connections with the given options and closes them after the test."""
    opened: list[SnowflakeConnection] = []

    def open_one(**options: Any) -> SnowflakeConnection:
        connection = snowflake.connector.connect(**{**local_server.connection_kwargs, **options})
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def connection(connect: Any) -> SnowflakeConnection:
    return connect()  # type: ignore[no-any-return]


@pytest.fixture
def schema(connection: SnowflakeConnection, request: pytest.FixtureRequest) -> Iterator[str]:
    """A schema of its own, current in ``connection``, dropped after the test."""
    name = f"T_{abs(hash(request.node.nodeid)):X}"
    connection.cursor().execute(f"CREATE OR REPLACE SCHEMA {name}")
    yield name
    connection.cursor().execute(f"DROP SCHEMA IF EXISTS {name}")
