"""A local Snowflake with an Airflow beside it, started and ended from a terminal.

Also tests ``standalone/__main__.py``, ``standalone/airflow.py``, ``standalone/processes.py``,
``standalone/report.py``, ``standalone/settings.py``.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector

from airflow_provider_snowflake_batch.standalone import stack
from airflow_provider_snowflake_batch.standalone.airflow import StandaloneError, request
from airflow_provider_snowflake_batch.standalone.processes import free_ports, working_in
from airflow_provider_snowflake_batch.standalone.report import what_runs
from airflow_provider_snowflake_batch.standalone.settings import plain_environment
from airflow_provider_snowflake_batch.standalone.stack import Place, Running, Wanted, down, up

# What was started lives on when the object that stands for it is gone.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
EXAMPLE_DAGS = Path(__file__).parents[2] / "example_dags"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "standalone"
    down(tmp_path / "standalone")


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "airflow_provider_snowflake_batch.standalone", *words],
        env=plain_environment(), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 400
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@pytest.mark.slow
def test_from_up_over_a_run_in_the_ui_to_down(directory: Path) -> None:
    port, snowflake_port = free_ports(2)
    ports = ("--port", str(port), "--snowflake-port", str(snowflake_port))
    started = command("up", "--directory", directory, "--dags-folder", EXAMPLE_DAGS, *ports)
    assert started.returncode == 0, started.stdout + started.stderr
    running = Place(directory).read()
    assert running is not None
    assert running.url == f"http://127.0.0.1:{port}"
    for told in (running.url, f"admin, {running.password}", "digits", f":{snowflake_port}", "click Trigger"):
        assert told in started.stdout
    assert command("up", "--directory", directory, *ports).stdout == what_runs(running) + "\n"

    # What the page does that the browser shows.
    assert request(f"{running.url}/auth/token", {"username": "admin", "password": "another"}) is None
    login = request(f"{running.url}/auth/token", {"username": running.user, "password": running.password})
    token = login["access_token"]
    runs = f"{running.url}/api/v2/dags/digits/dagRuns"
    run_id = request(runs, {"logical_date": None, "conf": {}}, token)["dag_run_id"]

    def ended() -> str | None:
        state = (request(f"{runs}/{run_id}", token=token) or {"state": "unknown"})["state"]
        return state if state in ("success", "failed") else None

    assert until(ended) == "success"
    result = request(f"{runs}/{run_id}/taskInstances/score/xcomEntries/return_value", token=token)["value"]
    assert (result["status"], result["rows"]) == ("DONE", 900)

    assert command("down", "--directory", directory).stdout == "Stopped\n"
    assert working_in(directory / "airflow") == []
    for each in (port, snowflake_port):
        socket.create_server(("127.0.0.1", each)).close()


def test_the_snowflake_alone(directory: Path) -> None:
    (port,) = free_ports(1)
    wanted = Wanted(directory, snowflake_port=port, airflow=False)
    running = up(wanted, print)
    assert (running.snowflake_url, running.url) == (f"http://127.0.0.1:{port}", None)
    assert "export AIRFLOW_CONN_SNOWFLAKE_DEFAULT='{" in what_runs(running)
    extra, login = running.connection["extra"], running.connection
    with snowflake.connector.connect(user=login["login"], password=login["password"], **extra) as connection:
        assert connection.cursor().execute("SELECT 1").fetchone() == (1,)
    assert up(wanted, print) == running
    with pytest.raises(StandaloneError, match="Only the local Snowflake runs"):
        up(Wanted(directory, snowflake_port=port), print)

    assert down(directory) is True
    assert Place(directory).read() is None
    socket.create_server(("127.0.0.1", port)).close()
    assert down(directory) is False


def test_what_a_killed_supervisor_leaves_is_nothing_that_runs(directory: Path) -> None:
    (port,) = free_ports(1)
    running = up(Wanted(directory, snowflake_port=port, airflow=False), print)
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: Place(directory).holder() is None)
    assert Place(directory).read() is None
    again = up(Wanted(directory, snowflake_port=free_ports(1)[0], airflow=False), print)
    assert again.pid != running.pid


@pytest.mark.parametrize(("taken", "option"), [("port", "--port"), ("snowflake_port", "--snowflake-port")])
def test_a_port_that_is_taken_is_one_sentence(directory: Path, taken: str, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ports = dict(zip(("port", "snowflake_port"), free_ports(2), strict=True)) | {taken: listening.getsockname()[1]}
        with pytest.raises(
            StandaloneError, match=f"cannot be used: Address already in use. .* with {option}."
        ) as error:
            up(Wanted(directory, **ports), print)
    assert "\n" not in str(error.value)
    assert not directory.exists()


def test_a_terminal_sees_no_stack_of_calls(directory: Path) -> None:
    failed = command("up", "--directory", directory, "--dags-folder", directory / "none")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"There is no folder {directory / 'none'} with Dag files.\n"
    assert command("status", "--directory", directory).stdout == "Nothing runs\n"


def test_folders_of_one_name_cannot_be_told_apart(tmp_path: Path) -> None:
    folders = (tmp_path / "one" / "dags", tmp_path / "two" / "dags")
    for folder in folders:
        folder.mkdir(parents=True)
    with pytest.raises(StandaloneError, match="Two folders with Dag files are called dags"):
        up(Wanted(tmp_path / "standalone", folders), print)


def test_a_start_that_fails_leaves_nothing(directory: Path) -> None:
    directory.mkdir()
    (directory / "snowflake").write_text("a file where the state directory should be")
    port, snowflake_port = free_ports(2)
    said: list[str] = []
    with pytest.raises(StandaloneError, match="The local Snowflake did not start"):
        up(Wanted(directory, port=port, snowflake_port=snowflake_port), said.append)
    assert Place(directory).holder() is None


def test_all_of_why_a_start_fails_is_told_however_long_it_takes_to_end(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.mkdir()
    (directory / "snowflake").write_text("a file where the state directory should be")
    main = "airflow_provider_snowflake_batch.standalone.__main__"
    (tmp_path / "slow_to_end.py").write_text(
        f"import time\nfrom {main} import main\nstatus = main()\ntime.sleep(2)\nraise SystemExit(status)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(stack, "_MODULE", "slow_to_end")
    port, snowflake_port = free_ports(2)
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(StandaloneError, match="^The local Snowflake did not start:\n") as caught:
            up(Wanted(directory, port=port, snowflake_port=snowflake_port), said.append)
        assert "\n" in str(caught.value).strip()
    assert said == 2 * ["Starting the local Snowflake"]
    log = Place(directory).log.read_text()
    assert log == f"Starting the local Snowflake\n{caught.value}\n"


def test_the_last_words_of_what_ends_a_moment_later_are_told(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import time\nprint('There is no room.', flush=True)\ntime.sleep(1)\nraise SystemExit(1)\n"
    (tmp_path / "without_room.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(stack, "_MODULE", "without_room")
    port, snowflake_port = free_ports(2)
    with pytest.raises(StandaloneError, match="^There is no room.$"):
        up(Wanted(directory, port=port, snowflake_port=snowflake_port), print)


def test_without_the_example_the_first_dag_is_named() -> None:
    running = Running(1, "http://127.0.0.1:2", {}, "http://127.0.0.1:3", "admin", "secret", ("nightly",))
    assert "open http://127.0.0.1:3/dags/nightly, sign in" in what_runs(running, "make")
    assert "make down" in what_runs(running, "make")
