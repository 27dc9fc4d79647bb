"""What survives the server's end, and that one state directory has one server.

Also tests ``local/__main__.py``, ``local/sql/connection.py``, ``local/sql/databases.py``.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector.errors import DatabaseError

from airflow_provider_snowflake_batch.local.server_process import LocalServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path / "state")
    yield server.start()
    server.stop()


def run(server: LocalServer, *statements: str) -> list[Any]:
    with snowflake.connector.connect(**server.connection_kwargs) as connection:
        return [connection.cursor().execute(sql).fetchall() for sql in statements]  # type: ignore[union-attr]


def fill(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,a\n2,b\n")
    run(
        server,
        "CREATE TABLE KEPT (ID INT, NAME VARCHAR(10), AT TIMESTAMP_TZ, V VARIANT)",
        """INSERT INTO KEPT SELECT 1, 'x', CURRENT_TIMESTAMP(), PARSE_JSON('{"a": 1}')""",
        "CREATE DATABASE OTHER",
        "CREATE SCHEMA OTHER.WORK",
        "CREATE TABLE OTHER.WORK.MORE AS SELECT 5 AS A",
        "CREATE VIEW LOCAL.PUBLIC.SEEN AS SELECT ID FROM LOCAL.PUBLIC.KEPT",
        "CREATE STAGE LOCAL.PUBLIC.FILES COMMENT = 'kept'",
        f"PUT file://{tmp_path}/rows.csv @LOCAL.PUBLIC.FILES AUTO_COMPRESS = FALSE",
        "CREATE FILE FORMAT LOCAL.PUBLIC.LINES TYPE = CSV",
        "CREATE WAREHOUSE WH2",
        "CREATE ROLE ANALYST",
        "CREATE TEMPORARY TABLE LOCAL.PUBLIC.GONE (A INT)",
        "CREATE TEMPORARY STAGE LOCAL.PUBLIC.GONE_TOO",
    )


def check(server: LocalServer) -> None:
    rows, described, more, seen, files, listed, warehouses, roles, stages = run(
        server,
        "SELECT ID, NAME, V:a::INT FROM KEPT",
        "DESCRIBE TABLE KEPT",
        "SELECT A FROM OTHER.WORK.MORE",
        "SELECT ID FROM SEEN",
        "SELECT $1, $2 FROM @FILES (FILE_FORMAT => 'LINES')",
        "LIST @FILES",
        "SHOW WAREHOUSES",
        "SHOW ROLES LIKE 'ANALYST'",
        "SHOW STAGES",
    )
    assert rows == [(1, "x", 1)]
    assert [row[1] for row in described] == ["NUMBER(38,0)", "VARCHAR(10)", "TIMESTAMP_TZ(9)", "VARIANT"]
    assert more == [(5,)]
    assert seen == [(1,)]
    assert sorted(files) == [("1", "a"), ("2", "b")]
    assert [row[0] for row in listed] == ["files/rows.csv"]
    assert {row[0] for row in warehouses} == {"COMPUTE_WH", "WH2"}
    assert len(roles) == 1
    assert [row[1] for row in stages] == ["FILES"]
    with pytest.raises(snowflake.connector.errors.ProgrammingError):
        run(server, "SELECT * FROM GONE")


def test_state_survives_a_restart(server: LocalServer, tmp_path: Path) -> None:
    fill(server, tmp_path)
    before = server.airflow_connection
    assert server.stop() == 0
    assert server.output().splitlines()[-1].startswith("Stop:"), "a server that ends says nothing more"
    server.start()
    assert server.airflow_connection == before
    check(server)


def test_state_survives_a_kill(server: LocalServer, tmp_path: Path) -> None:
    fill(server, tmp_path)
    server.kill()
    server.start()
    check(server)


def test_a_second_server_on_the_same_directory_is_told_so(server: LocalServer) -> None:
    second = subprocess.run(
        [
            sys.executable,
            "-m",
            "airflow_provider_snowflake_batch.local",
            "--port",
            "0",
            "--state-dir",
            server.state_dir,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "is using the state directory" in second.stderr
    assert run(server, "SELECT 1") == [[(1,)]]


def test_a_taken_port_is_told(server: LocalServer, tmp_path: Path) -> None:
    second = subprocess.run(
        [
            sys.executable, "-m", "airflow_provider_snowflake_batch.local",
            "--port", str(server.port), "--state-dir", str(tmp_path / "other"),
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 2
    assert "--port" in second.stderr


def test_secrets_are_readable_by_their_owner_only(server: LocalServer) -> None:
    for name in ("secret", "connection.json"):
        assert stat.S_IMODE((server.state_dir / name).stat().st_mode) == 0o600
    assert server.airflow_connection["password"] == (server.state_dir / "secret").read_text().strip()


def test_a_directory_that_was_there_is_closed_to_others(tmp_path: Path) -> None:
    state = tmp_path / "state"
    outside = tmp_path / "outside"
    (state / "stages" / "old").mkdir(parents=True)
    (state / "stages" / "old" / "file").write_text("x")
    outside.write_text("x")
    (state / "link").symlink_to(outside)
    for path in (state, state / "stages", outside):
        path.chmod(0o777 if path.is_dir() else 0o644)
    with LocalServer(state) as server:
        run(server, "CREATE STAGE S", "COPY INTO @S FROM (SELECT 1)", "CREATE TABLE T (A INT)")
        found = [state, *state.rglob("*")]
        assert len(found) > 10
        assert not [path for path in found if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_the_connection_can_be_printed(server: LocalServer) -> None:
    printed = subprocess.run(
        [
            sys.executable, "-m", "airflow_provider_snowflake_batch.local",
            "--print-connection", "--state-dir", str(server.state_dir),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert printed.stdout.strip() == server.airflow_connection_json
    assert f"AIRFLOW_CONN_SNOWFLAKE_DEFAULT='{printed.stdout.strip()}'" in server.output()


def test_it_does_without_the_libraries_of_the_drivers_clients(tmp_path: Path) -> None:
    with LocalServer(tmp_path / "state", environment={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        imported = set(re.findall(r"^import time:.*\| +([^\s.]+)", server.output(), re.MULTILINE))
    assert {"duckdb", "snowflake"} <= imported
    assert not {"boto3", "botocore", "pandas"} & imported


def test_a_running_query_does_not_hold_up_the_end(server: LocalServer) -> None:
    connection = snowflake.connector.connect(**server.connection_kwargs)
    connection.cursor().execute_async(
        "SELECT SUM(A.RANGE * B.RANGE * C.RANGE) FROM RANGE(100000) A, RANGE(100000) B, RANGE(1000) C"
    )
    assert server.stop(15) == 0
    with pytest.raises(DatabaseError):
        snowflake.connector.connect(
            user="LOCAL", password="x", account="local", host="127.0.0.1", port=server.port, protocol="http",
            login_timeout=1, platform_detection_timeout_seconds=0,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "99999"], "--port"),
        (["--port", "0", "--state-dir", "/proc/nowhere"], "--state-dir"),
        (["--port", "0", "--state-dir", "BROKEN"], "--state-dir"),
        (["--port", "0", "--state-dir", "SHARED"], "others use it"),
        (["--print-connection", "--state-dir", "EMPTY"], "no local Snowflake has been started"),
    ],
)
def test_what_cannot_start_says_why_in_one_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "BROKEN" / "databases").mkdir(parents=True)
    (tmp_path / "SHARED").mkdir()
    (tmp_path / "SHARED").chmod(0o1777)
    (tmp_path / "BROKEN" / "databases" / "LOCAL.db").write_bytes(b"not a database" * 1000)
    ended = subprocess.run(
        [sys.executable, "-m", "airflow_provider_snowflake_batch.local", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1


_HOLDER = """
import pathlib, sys, time
from airflow_provider_snowflake_batch.local.server_process import LocalServer
server = LocalServer(pathlib.Path(sys.argv[1])).start()
print(server.process.pid, flush=True)
time.sleep(600)
"""


def test_a_test_runs_server_ends_with_the_test_run(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path / "state")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    pid = int(holder.stdout.readline())
    holder.kill()
    holder.wait()
    deadline = time.monotonic() + 120
    while _is_running(pid):
        assert time.monotonic() < deadline, "the server still runs"
        time.sleep(0.05)
    holder.stdout.close()


def _is_running(pid: int) -> bool:
    try:
        # Nobody in a container may collect what is left of it.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
