"""``airflow snowflake-batch local``.

Also tests ``standalone/settings.py``.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import yaml
from airflow.configuration import conf

from airflow_provider_snowflake_batch.cli import local
from airflow_provider_snowflake_batch.standalone.processes import free_ports, new_secrets
from airflow_provider_snowflake_batch.standalone.settings import component_settings, home_settings, login_settings
from tests.cli.command_lines import arguments


def test_up_status_down(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    directory, (port,) = str(tmp_path / "standalone"), free_ports(1)
    try:
        local.up(arguments("local up", "--directory", directory, "--snowflake-port", str(port), "--no-airflow"))
        printed = capfd.readouterr().out
        assert "export AIRFLOW_CONN_SNOWFLAKE_DEFAULT=" in printed
        assert "airflow snowflake-batch local down" in printed
        local.status(arguments("local status", "--directory", directory, "--output", "json"))
        (row,) = json.loads(capfd.readouterr().out)
        assert row["snowflake"] == f"http://127.0.0.1:{port}"
    finally:
        local.down(arguments("local down", "--directory", directory))
    assert capfd.readouterr().out == "Stopped\n"
    with pytest.raises(SystemExit, match="Nothing runs in"):
        local.status(arguments("local status", "--directory", directory))


def test_up_and_down_for_programs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    directory, (port,) = str(tmp_path / "standalone"), free_ports(1)
    try:
        given = ("--directory", directory, "--snowflake-port", str(port), "--no-airflow", "-o", "json")
        local.up(arguments("local up", *given))
        printed = capfd.readouterr()
        (row,) = json.loads(printed.out)
        assert (row["snowflake"], row["airflow"]) == (f"http://127.0.0.1:{port}", "")
        assert json.loads(row["connection"])["conn_type"] == "snowflake"
        assert "Starting the local Snowflake" in printed.err
    finally:
        local.down(arguments("local down", "--directory", directory, "-o", "yaml"))
    assert yaml.safe_load(capfd.readouterr().out) == [{"directory": directory, "stopped": "True"}]
    local.down(arguments("local down", "--directory", directory, "-o", "json"))
    assert json.loads(capfd.readouterr().out) == [{"directory": directory, "stopped": "False"}]


def test_what_is_wrong_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        given = ("--directory", str(tmp_path / "d"), "--snowflake-port", port, "--no-airflow")
        with pytest.raises(SystemExit, match=r"^airflow snowflake-batch local up: The local Snowflake's port"):
            local.up(arguments("local up", *given))


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_NEEDED", ("json", "no_such_module"))
    with pytest.raises(SystemExit, match=r"no_such_module is missing: pip install '.*\[local\]'"):
        local.down(arguments("local down", "--directory", str(tmp_path)))


def test_airflow_knows_the_settings_and_tasks_wait_as_long_as_the_database_does() -> None:
    home = Path("/nowhere")
    settings = {**home_settings(home, "{}"), **component_settings(8080, (8793, 8794), [home], new_secrets())}
    settings |= login_settings("admin", home / "passwords.json")
    for name in settings:
        if name.startswith("AIRFLOW__"):
            _, section, option = name.lower().split("__")
            assert option in conf.configuration_description[section]["options"], name
    # A job of this machine keeps the API server waiting, and so may another connection's change.
    assert settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("?timeout=60")
    assert float(settings["AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT"]) >= 60
