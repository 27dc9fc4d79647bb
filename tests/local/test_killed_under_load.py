"""kill -9 of the server in the midst of statements and jobs: what was acknowledged is there afterwards."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection

from airflow_provider_snowflake_batch.local.server_process import LocalServer

ROUNDS = 3


def connect(server: LocalServer) -> SnowflakeConnection:
    return snowflake.connector.connect(**server.connection_kwargs, network_timeout=5, login_timeout=5)


class Client(threading.Thread):
    """Inserts numbers, unloads files and submits jobs until the server is gone; keeps what it was told is done."""

    def __init__(self, server: LocalServer, number: int) -> None:
        super().__init__(daemon=True)
        self.connection = connect(server)
        self.number = number
        self.inserted: list[int] = []
        self.unloaded: list[str] = []
        self.jobs: list[str] = []

    def run(self) -> None:
        cursor = self.connection.cursor()
        try:
            for n in range(self.number * 1_000_000, (self.number + 1) * 1_000_000):
                cursor.execute(f"INSERT INTO T VALUES ({n})")
                self.inserted.append(n)
                folder = uuid.uuid4().hex
                cursor.execute(f"COPY INTO @S/{folder}/ FROM (SELECT {n} AS A) FILE_FORMAT = (TYPE = CSV)")
                self.unloaded.append(folder)
                if n % 5 == 0:
                    name = f"J_{folder}".upper()
                    cursor.execute(
                        f"EXECUTE JOB SERVICE IN COMPUTE POOL P NAME = {name} ASYNC = TRUE FROM SPECIFICATION "
                        '$${"spec": {"containers": [{"name": "main", "image": "/a/b/c/d:1", '
                        '"command": ["python", "-c", "import time; time.sleep(0.3)"]}]}}$$'
                    )
                    self.jobs.append(name)
        except snowflake.connector.errors.Error:
            return


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_was_acknowledged_survives(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "state")
    server.start()
    try:
        setup = connect(server).cursor()
        for sql in (
            "CREATE TABLE T (N INT)",
            "CREATE STAGE S",
            "CREATE COMPUTE POOL P MIN_NODES = 1 MAX_NODES = 3 INSTANCE_FAMILY = CPU_X64_S",
        ):
            setup.execute(sql)
        clients: list[Client] = []
        for round_ in range(ROUNDS):
            now = [Client(server, len(clients) + number) for number in range(3)]
            clients += now
            for client in now:
                client.start()
            deadline = time.monotonic() + 30
            while min(len(client.jobs) for client in now) < 2 + round_:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            server.kill()
            for client in now:
                client.join(timeout=60)
                assert not client.is_alive()
            server.start()
        cursor = connect(server).cursor()
        kept = {n for (n,) in cursor.execute("SELECT N FROM T").fetchall()}  # type: ignore[union-attr]
        files = {row[0].split("/")[1] for row in cursor.execute("LIST @S").fetchall()}  # type: ignore[union-attr]
        for client in clients:
            assert kept >= set(client.inserted)
            assert files >= set(client.unloaded)
            for name in client.jobs:
                cursor.execute(f"CALL {name}!SPCS_WAIT_FOR('DONE', 60)")
    finally:
        server.stop()
    assert not [
        process for process in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(process.info["cmdline"])
    ]
