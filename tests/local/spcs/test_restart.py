"""Servers that end and start again while jobs run.

Also tests ``local/spcs/runner.py``, ``local/spcs/store.py``.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import snowflake.connector

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.local.spcs.conftest import Services, until_exists, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path / "state", environment={"LOCAL_SNOWFLAKE_GRACE_SECONDS": "0.5"})
    server.start()
    yield server
    server.stop()


def connect(server: LocalServer) -> Services:
    return Services(snowflake.connector.connect(**server.connection_kwargs), "POOL")


def prepare(server: LocalServer) -> Services:
    services = connect(server)
    services.rows("CREATE COMPUTE POOL POOL MIN_NODES = 1 MAX_NODES = 2 INSTANCE_FAMILY = CPU_X64_S")
    return services


def begun(services: Services, name: str) -> None:
    """Wait until the code itself has begun, not only its process."""
    services.wait(name, "RUNNING")
    wait_until(lambda: services.logs(name).startswith("begun"))


def marked(until: Path) -> tuple[str, str]:
    """Code that waits until the test makes a file, and the mark by which its processes are found."""
    mark = uuid.uuid4().hex
    return f"mark = '{mark}'; print('begun', flush=True)\n{until_exists(until)}print('ended')\n", mark


def processes_with(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(mark in word for word in process.info["cmdline"] or []):
            found.append(process)
    return found


def test_a_killed_server_finds_its_running_job_again(server: LocalServer, tmp_path: Path) -> None:
    services = prepare(server)
    signal_to_end = tmp_path / "end"
    code, _ = marked(signal_to_end)
    name = services.python(code)
    begun(services, name)
    server.kill()
    server.start()
    services = connect(server)
    assert services.status(name) == "RUNNING"
    assert services.logs(name) == "begun"
    signal_to_end.touch()
    services.wait(name)
    assert services.logs(name) == "begun\nended"
    assert services.containers(name)[0]["last_exit_code"] == 0


def test_a_job_that_ended_meanwhile_has_its_exit_code(server: LocalServer, tmp_path: Path) -> None:
    services = prepare(server)
    code, mark = marked(tmp_path / "end")
    done, failed = services.python(code), services.python(f"{code}raise SystemExit(9)")
    for name in (done, failed):
        begun(services, name)
    server.kill()
    assert processes_with(mark)
    (tmp_path / "end").touch()
    wait_until(lambda: not processes_with(mark))
    server.start()
    services = connect(server)
    services.wait(done)
    services.wait(failed, "FAILED")
    assert services.containers(failed)[0]["last_exit_code"] == 9


def test_a_job_whose_processes_are_gone_has_failed_with_a_reason(server: LocalServer, tmp_path: Path) -> None:
    services = prepare(server)
    code, mark = marked(tmp_path / "never")
    name = services.python(code)
    begun(services, name)
    server.kill()
    supervisors = {os.getsid(process.pid) for process in processes_with(mark)}
    assert len(supervisors) == 1
    os.kill(supervisors.pop(), signal.SIGKILL)
    wait_until(lambda: not processes_with(mark))
    server.start()
    services = connect(server)
    services.wait(name, "FAILED")
    assert services.containers(name)[0]["message"] == "The process disappeared while nobody watched it"


@pytest.mark.parametrize("server_lives", [True, False])
def test_what_a_killed_supervisor_leaves_behind_is_ended(server: LocalServer, server_lives: bool) -> None:
    """By the server that sees it, or by the next one; children in sessions of their own among it."""
    services = prepare(server)
    mark = uuid.uuid4().hex
    name = services.python(
        "import subprocess, sys, time\n"
        f"child = [sys.executable, '-c', 'import time; time.sleep(600); mark = \"{mark}\"']\n"
        "subprocess.Popen(child); subprocess.Popen(child, start_new_session=True)\n"
        "print('begun', flush=True); time.sleep(600)"
    )
    begun(services, name)
    wait_until(lambda: len(processes_with(mark)) >= 2)
    (pid_file,) = server.state_dir.rglob("main.pid")
    supervisor = int(pid_file.read_text())
    if not server_lives:
        server.kill()
    os.kill(supervisor, signal.SIGKILL)
    if not server_lives:
        server.start()
        services = connect(server)
    services.wait(name, "FAILED")
    wait_until(lambda: not [one for one in processes_with(mark) if one.status() != psutil.STATUS_ZOMBIE])


def test_stopping_the_server_leaves_no_process(server: LocalServer, tmp_path: Path) -> None:
    services = prepare(server)
    code, mark = marked(tmp_path / "never")
    name = services.python(code)
    begun(services, name)
    server.stop()
    assert processes_with(mark) == []
    server.start()
    services = connect(server)
    assert services.status(name) == "FAILED"
    assert services.containers(name)[0]["message"] == "The local Snowflake was stopped while the job was running"


def test_a_waiting_job_starts_after_the_restart(server: LocalServer) -> None:
    services = prepare(server)
    services.rows("ALTER COMPUTE POOL POOL SET AUTO_RESUME = FALSE")
    services.rows("ALTER COMPUTE POOL POOL SUSPEND")
    name = services.python("print('hello')")
    server.kill()
    server.start()
    services = connect(server)
    assert services.status(name) == "PENDING"
    services.rows("ALTER COMPUTE POOL POOL RESUME")
    services.wait(name)
    assert services.logs(name) == "hello"
