"""``airflow snowflake-batch doctor``, as Airflow runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from snowflake.connector import connect

from airflow_provider_snowflake_batch.cli import doctor as command
from airflow_provider_snowflake_batch.doctor.findings import ok, unknown, wrong
from airflow_provider_snowflake_batch.doctor.live_checklist import CHECKLIST
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.cli.command_lines import arguments

FINDINGS = [
    ok("role", "R"),
    unknown("triggerer", "none is running", "airflow triggerer"),
    wrong("stage", "S does not exist [x]", "CREATE STAGE S;", "GRANT READ ON STAGE S TO ROLE R;"),
]


def test_it_runs_as_a_command_of_airflow(local_server: LocalServer, tmp_path: Path) -> None:
    with connect(**local_server.connection_kwargs) as connection:
        list(
            connection.execute_string(
                "CREATE COMPUTE POOL IF NOT EXISTS DOCTOR_CLI MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S; "
                "CREATE OR REPLACE STAGE DOCTOR_CLI ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')"
            )
        )
    settings = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    settings |= {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": local_server.airflow_connection_json,
    }
    doctor = [sys.executable, "-m", "airflow", "snowflake-batch", "doctor", "--stage", "@DOCTOR_CLI/", "-o", "json"]
    done = subprocess.run(
        [*doctor, "--compute-pool", "DOCTOR_CLI", "--write"],
        env=settings, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # There is no database here, so nobody knows whether a triggerer runs.
    assert [one["check"] for one in found if one["result"] != "ok"] == ["triggerer"]
    assert {"login", "compute pool", "stage", "privileges", "runtime image"} <= {one["check"] for one in found}


@pytest.mark.parametrize(
    ("given", "runtime"),
    [((), "worker"), (("--model", "M"), "registry"), (("--model", "M", "--runtime", "worker"), "worker")],
)
def test_the_runtime_follows_from_the_model(given: tuple[str, ...], runtime: str) -> None:
    assert command.read_arguments(arguments("doctor", *given)).runtime == runtime


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--stage", "RESULTS"), "--stage: 'RESULTS' is not a stage location"),
        (("--compute-pool", "a.b"), "--compute-pool: 'a.b' must be a plain name"),
        (("--model", "a b"), "--model: 'a b' is not a valid name"),
    ],
)
def test_an_argument_that_cannot_be_read(given: tuple[str, ...], text: str) -> None:
    with pytest.raises(SystemExit, match="airflow snowflake-batch doctor") as caught:
        command.doctor(arguments("doctor", *given))
    assert text in str(caught.value)


def test_a_connection_that_is_not_there_is_all_that_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.doctor(arguments("doctor", "--conn-id", "nope", "-o", "json"))
    assert caught.value.code == 1
    assert json.loads(capsys.readouterr().out)[-1]["finding"] == "there is no connection nope"


def test_a_connection_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    connection = {"conn_type": "snowflake", "login": "u", "extra": {"account": "a", "login_timeout": "soon"}}
    monkeypatch.setenv("AIRFLOW_CONN_ODD", json.dumps(connection))
    with pytest.raises(SystemExit):
        command.doctor(arguments("doctor", "--conn-id", "odd", "-o", "json"))
    assert "login_timeout must be a whole number" in json.loads(capsys.readouterr().out)[-1]["finding"]


def shown(output: str, capsys: pytest.CaptureFixture[str]) -> str:
    command.show_findings(FINDINGS, output)
    return capsys.readouterr().out


@pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_for_programs(output: str, load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rows = load(shown(output, capsys))
    assert [row["result"] for row in rows] == ["ok", "unknown", "wrong"]
    assert rows[2]["fix"].splitlines() == ["CREATE STAGE S;", "GRANT READ ON STAGE S TO ROLE R;"]


def test_as_a_table_with_what_mends_it_beneath(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("table", capsys)
    assert [line.split("|")[0].strip() for line in text.splitlines()[2:5]] == ["✓", "?", "✗"]
    assert "S does not exist [x]" in text
    assert text.endswith(
        "-- triggerer: none is running\nairflow triggerer\n"
        "-- stage: S does not exist [x]\nCREATE STAGE S;\nGRANT READ ON STAGE S TO ROLE R;\n"
    )


def test_plain(capsys: pytest.CaptureFixture[str]) -> None:
    assert "GRANT READ ON STAGE S TO ROLE R;" in shown("plain", capsys)


def test_the_checklist_is_printed_without_a_connection(capsys: pytest.CaptureFixture[str]) -> None:
    command.doctor(arguments("doctor", "--live-checklist", "-o", "json"))
    assert [row["what"] for row in json.loads(capsys.readouterr().out)] == [step.what for step in CHECKLIST]
