"""The Python environment of the container runtime: made once, whole or not at all. No test needs a network."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.local.spcs import runtime_environment
from airflow_provider_snowflake_batch.local.spcs.runtime_environment import (
    RUNTIME_PYTHON_VARIABLE,
    BeingMade,
    NotMade,
    RuntimeEnvironment,
)


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNTIME_PYTHON_VARIABLE, raising=False)


class Made:
    """An environment of few packages, and waiting for it."""

    def __init__(self, cache: Path, requirements: Path) -> None:
        self.changed = threading.Event()
        self.environment = RuntimeEnvironment(self.changed.set, cache, requirements)

    def python(self, job_id: str = "a job") -> Path:
        while True:
            try:
                return self.environment.python(job_id)
            except BeingMade:
                assert self.changed.wait(120)
                self.changed.clear()


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    """A list of no packages."""
    path = tmp_path / "nothing.txt"
    path.write_text("# nothing\n")
    return path


def test_it_is_made_once_and_found_afterwards(tmp_path: Path, nothing: Path) -> None:
    first, second = Made(tmp_path / "cache", nothing), Made(tmp_path / "cache", nothing)
    python = first.python()
    made = python.stat(follow_symlinks=False).st_mtime_ns
    code = "import sys; print(sys.prefix); import airflow_provider_snowflake_batch"
    # The environment's own; what a container gets of the server's is tested with containers.
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path, env={})
    assert done.stdout.strip() == str(first.environment.folder)
    assert "No module named 'airflow_provider_snowflake_batch'" in done.stderr
    # Nothing is waited for.
    assert second.environment.python("another") == python
    assert python.stat(follow_symlinks=False).st_mtime_ns == made


def test_another_list_is_another_environment(tmp_path: Path, nothing: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("# nothing else\n")
    folders = {RuntimeEnvironment(print, tmp_path, path).folder for path in (nothing, other)}
    assert len(folders) == 2


def test_what_was_left_half_made_is_made_anew(tmp_path: Path, nothing: Path) -> None:
    made = Made(tmp_path, nothing)
    half = made.environment.folder / "bin" / "python"
    half.parent.mkdir(parents=True)
    half.write_text("#!/bin/sh\necho half\n")
    half.chmod(0o755)
    python = made.python()
    assert python == half
    assert python.is_symlink() or python.stat().st_size > 100
    subprocess.run([python, "-c", ""], check=True)


def test_one_whose_python_is_gone_is_made_anew(tmp_path: Path, nothing: Path) -> None:
    python = Made(tmp_path, nothing).python()
    python.unlink()
    subprocess.run([Made(tmp_path, nothing).python(), "-c", ""], check=True)


def test_several_at_once_make_one(tmp_path: Path, nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    start = runtime_environment.start_installer

    def counted(command: list[str], output: int, lock: int) -> subprocess.Popen[bytes]:
        started.append(command)
        return start(command, output, lock)

    monkeypatch.setattr(runtime_environment, "start_installer", counted)
    with ThreadPoolExecutor(4) as pool:
        pythons = list(pool.map(lambda number: Made(tmp_path, nothing).python(str(number)), range(4)))
    assert len(set(pythons)) == 1
    assert len(started) == 2


def test_a_killed_server_holds_the_others_up_until_its_installer_has_ended(tmp_path: Path, nothing: Path) -> None:
    """Otherwise two installers would write into one folder."""
    folder = RuntimeEnvironment(print, tmp_path, nothing).folder
    code = f"""
import os, sys, time
from pathlib import Path
from airflow_provider_snowflake_batch.local.spcs import runtime_environment as module

def run(command, log, lock):
    wait = "import sys, time; print('begun', flush=True); time.sleep(1.5); open(sys.argv[1], 'w').close()"
    module.start_installer([sys.executable, "-c", wait, {str(tmp_path / "ended")!r}], 1, lock)
    time.sleep(60)

module.make_environment(Path({str(folder)!r}), Path({str(nothing)!r}), run)
"""
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"begun\n"
    server.kill()
    server.wait()
    Made(tmp_path, nothing).python()
    assert (tmp_path / "ended").exists()
    server.stdout.close()


def test_each_job_is_told_why_it_cannot_be_made_and_the_next_one_tries_again(tmp_path: Path, nothing: Path) -> None:
    nothing.write_text("a-package @ file:///nowhere/a_package-1-py3-none-any.whl\n")
    made = Made(tmp_path / "cache", nothing)
    with pytest.raises(NotMade, match="could not be made") as caught:
        made.python("a job")
    assert RUNTIME_PYTHON_VARIABLE in str(caught.value)
    assert "/nowhere/a_package-1-py3-none-any.whl" in str(caught.value)
    with pytest.raises(BeingMade):
        made.environment.python("another job")
    made.environment.stop()


def test_one_that_the_user_names_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    monkeypatch.setenv(RUNTIME_PYTHON_VARIABLE, str(link))
    assert RuntimeEnvironment(print, tmp_path / "cache").python("a job") == link
    monkeypatch.setenv(RUNTIME_PYTHON_VARIABLE, str(tmp_path / "no-python"))
    with pytest.raises(NotMade, match=f"{RUNTIME_PYTHON_VARIABLE} is .*no-python, which is no program"):
        RuntimeEnvironment(print, tmp_path / "cache").python("a job")
    assert not (tmp_path / "cache").exists()


def test_a_server_that_is_stopped_ends_the_installer_and_fails_no_job(
    tmp_path: Path, nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    start = runtime_environment.start_installer

    def slow(command: list[str], output: int, lock: int) -> subprocess.Popen[bytes]:
        begun.append(start([sys.executable, "-c", "import time; time.sleep(60)", str(tmp_path / "x")], output, lock))
        return begun[-1]

    monkeypatch.setattr(runtime_environment, "start_installer", slow)
    made = Made(tmp_path / "cache", nothing)
    with pytest.raises(BeingMade):
        made.environment.python("a job")
    while not begun:
        time.sleep(0.01)
    made.environment.stop()
    assert made.changed.wait(60)
    assert begun[0].poll() == -9
    monkeypatch.undo()
    # The next server has it made.
    monkeypatch.delenv(RUNTIME_PYTHON_VARIABLE, raising=False)
    assert Made(tmp_path / "cache", nothing).python().exists()
