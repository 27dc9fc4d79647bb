"""The fixtures, as a project that has installed this package uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

USERS_TESTS = """
import os
import sys

import snowflake.connector


def test_a_query(local_snowflake):
    with snowflake.connector.connect(**local_snowflake.connection_kwargs) as connection:
        assert connection.cursor().execute("SELECT 6 * 7").fetchall() == [(42,)]


def test_the_same_server_under_an_airflow_connection(local_snowflake_connection, local_snowflake):
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(local_snowflake_connection)

    assert connection.conn_type == "snowflake"
    assert str(local_snowflake.port) in str(connection.extra_dejson)


def test_the_connection_lasts_as_long_as_the_test():
    assert "AIRFLOW_CONN_SNOWFLAKE_DEFAULT" not in os.environ
"""

NOTHING_LOADED = """
import sys


def test_nothing_of_the_server_is_loaded():
    heavy = {"airflow", "duckdb", "fakesnow", "pandas", "pyarrow", "snowflake.connector", "starlette"}
    assert sorted(heavy & set(sys.modules)) == []
"""


def run_pytest(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_users.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_users.py"],
        cwd=folder, env=environment | {"AIRFLOW_HOME": str(folder / "airflow")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_fixtures_give_a_local_snowflake_and_a_connection_to_it(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, USERS_TESTS)

    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_a_run_that_uses_no_fixture_loads_nothing(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, NOTHING_LOADED)

    assert "1 passed" in done.stdout, done.stdout + done.stderr
