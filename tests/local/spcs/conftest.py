"""Statements on services against a real server, with short waits."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import DictCursor, SnowflakeConnection

from airflow_provider_snowflake_batch.local.server_process import LocalServer


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def until_exists(path: Path) -> str:
    """Code of a container that waits until a test makes this file."""
    return f"import os, time\nwhile not os.path.exists({str(path)!r}): time.sleep(0.05)\n"


class Services:
    """Runs statements of one connection and gives rows as dicts."""

    def __init__(self, connection: SnowflakeConnection, pool: str = "") -> None:
        self.connection = connection
        self.pool = pool

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return self.connection.cursor(DictCursor).execute(sql).fetchall()  # type: ignore[union-attr,return-value]

    def row(self, sql: str) -> dict[str, Any]:
        (row,) = self.rows(sql)
        return row

    def text(self, sql: str) -> str:
        """The one cell of the answer."""
        (value,) = self.row(sql).values()
        return str(value)

    def error(self, sql: str) -> snowflake.connector.errors.ProgrammingError:
        with pytest.raises(snowflake.connector.errors.ProgrammingError) as caught:
            self.rows(sql)
        return caught.value

    def submit(
        self, *command: str, name: str | None = None, replicas: int | None = None, pool: str | None = None, **more: Any
    ) -> str:
        """Submit a job of one container ``main`` and return its name. ``more`` goes into the container."""
        name = name or f"J_{uuid.uuid4().hex[:12]}".upper()
        container = {"name": "main", "image": "/db/schema/repo/image:1", "command": list(command), **more}
        specification = json.dumps({"spec": {"containers": [container]}})
        count = f"REPLICAS = {replicas} " if replicas else ""
        self.rows(
            f"EXECUTE JOB SERVICE IN COMPUTE POOL {pool or self.pool} NAME = {name} ASYNC = TRUE {count}"
            f"FROM SPECIFICATION $${specification}$$"
        )
        return name

    def python(self, code: str, **options: Any) -> str:
        return self.submit("python", "-c", code, **options)

    def wait(self, name: str, status: str = "DONE", seconds: float = 60) -> None:
        self.rows(f"CALL {name}!SPCS_WAIT_FOR('{status}', {seconds})")

    def status(self, name: str) -> str:
        return str(self.row(f"DESCRIBE SERVICE {name}")["status"])

    def containers(self, name: str) -> list[dict[str, Any]]:
        return self.rows(f"SHOW SERVICE CONTAINERS IN SERVICE {name}")

    def logs(self, name: str, instance: int = 0) -> str:
        return self.text(f"SELECT SYSTEM$GET_SERVICE_LOGS('{name}', {instance}, 'main')")


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    environment = {"LOCAL_SNOWFLAKE_GRACE_SECONDS": "0.5", "A_SECRET_OF_THE_SERVER": "do not pass on"}
    with LocalServer(tmp_path_factory.mktemp("spcs") / "state", environment=environment) as server:
        yield server


@pytest.fixture
def services(connection: SnowflakeConnection, schema: str) -> Iterator[Services]:
    """A schema and a compute pool of two small nodes of the test's own."""
    services = Services(connection, f"POOL_{uuid.uuid4().hex[:8]}".upper())
    services.rows(f"CREATE COMPUTE POOL {services.pool} MIN_NODES = 1 MAX_NODES = 2 INSTANCE_FAMILY = CPU_X64_S")
    yield services
    for job in services.rows("SHOW JOB SERVICES IN SCHEMA"):
        services.rows(f"DROP SERVICE {job['name']}")
    services.rows(f"DROP COMPUTE POOL IF EXISTS {services.pool}")
