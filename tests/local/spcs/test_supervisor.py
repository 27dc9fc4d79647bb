"""The supervisor alone, as a process.

Also tests ``local/spcs/processes.py``, ``local/spcs/records.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_provider_snowflake_batch.local.spcs import logs, processes, supervisor
from airflow_provider_snowflake_batch.local.spcs.records import Container


def make(*argv: str, **options: Any) -> Container:
    return Container("job", 0, "main", "image", list(argv), options.get("env", {}), options.get("mounts", {}))


def finish(container: Container, folder: Path, seconds: float = 60) -> processes.Exit:
    deadline = time.monotonic() + seconds
    while (outcome := processes.exit_of(container, folder)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return outcome


def begin(container: Container, folder: Path, grace: float = 5) -> subprocess.Popen[bytes]:
    started = processes.start(container, folder, {}, grace)
    container.pid, container.pid_created = started.pid, processes.created(started.pid)
    return started


def test_exit_code_and_output_are_kept(tmp_path: Path) -> None:
    container = make("bash", "-c", "echo $GREETING; exit 5", env={"GREETING": "hello"})
    process = begin(container, tmp_path)
    outcome = finish(container, tmp_path)
    assert (outcome.exit_code, outcome.error) == (5, None)
    assert (tmp_path / "main.log").read_text() == "hello\n"
    assert process.wait() == 0


ENDED_BY = pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGQUIT, 137)])


@ENDED_BY
def test_a_signal_that_comes_before_it_is_ready(number: signal.Signals, code: int, tmp_path: Path) -> None:
    container = make("sleep", "60")
    process = begin(container, tmp_path)
    process.send_signal(number)
    assert finish(container, tmp_path).exit_code == code
    process.wait()


@ENDED_BY
def test_a_signal_that_comes_while_the_command_is_started(number: signal.Signals, code: int, tmp_path: Path) -> None:
    program = f"""
import json, os, signal, sys, time
sys.path.insert(0, {str(Path(supervisor.__file__).parent)!r})
import supervisor

class Signalled(supervisor.Supervisor):
    def _start(self):
        process = super()._start()
        os.kill(os.getpid(), {number})
        time.sleep(0.2)
        return process

signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.BLOCKED_AT_START)
Signalled(json.load(sys.stdin)).run()
"""
    launch = {
        **{name: str(tmp_path / name) for name in ("log", "exit", "pid")},
        "argv": ["sleep", "60"],
        "env": dict(os.environ),
        "cwd": str(tmp_path),
        "grace_seconds": 5,
        "log_limit_bytes": 1000,
    }
    subprocess.run([sys.executable, "-c", program], input=json.dumps(launch), text=True, timeout=60, check=True)
    assert json.loads((tmp_path / "exit").read_text())["exit_code"] == code


def test_a_killed_supervisor_takes_its_command_along(tmp_path: Path) -> None:
    container = make("bash", "-c", "echo $$; exec sleep 60")
    process = begin(container, tmp_path)
    log = tmp_path / "main.log"
    while not (log.exists() and log.read_text()):
        time.sleep(0.02)
    command = int(log.read_text())
    process.kill()
    process.wait()
    assert finish(container, tmp_path) == processes.Exit(exit_code=None, ended=None)
    deadline = time.monotonic() + 60
    while processes.created(command) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_log_does_not_grow_without_bound(tmp_path: Path) -> None:
    launch = {
        "argv": [sys.executable, "-c", "for i in range(1000): print('x' * 99, flush=i % 50 == 0)"],
        "env": {},
        "cwd": str(tmp_path),
        "log": str(tmp_path / "log"),
        "exit": str(tmp_path / "exit"),
        "pid": str(tmp_path / "pid"),
        "grace_seconds": 1,
        "log_limit_bytes": 20_000,
    }
    (tmp_path / "launch.json").write_text(json.dumps(launch))
    subprocess.run([sys.executable, "-I", "-S", supervisor.__file__, str(tmp_path / "launch.json")], check=True)
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("log*")}
    assert set(sizes) == {"log", "log.times", "log.1", "log.1.times"}
    assert sizes["log"] + sizes["log.1"] <= 40_000 + 65_536


def test_adopting_a_process_that_nobody_wrote_down(tmp_path: Path) -> None:
    first = make("sleep", "0.5")
    process = begin(first, tmp_path)
    second = make("sleep", "0.5")
    assert processes.adopt(second, tmp_path)
    assert second.pid == process.pid
    assert finish(second, tmp_path).exit_code == 0
    process.wait()
    assert not processes.adopt(make("true"), tmp_path / "elsewhere")


def test_the_launch_file_is_private(tmp_path: Path) -> None:
    begin(make("true", env={"API_KEY": "secret"}), tmp_path).wait()
    assert (tmp_path / "main.launch.json").stat().st_mode & 0o077 == 0


def test_what_a_killed_supervisor_leaves_behind_is_known_and_ended(tmp_path: Path) -> None:
    """Also what has left the session and the group, and nothing else."""
    children = "(exec sleep 60) & (exec setsid sleep 60) & wait"
    container, stranger = make("bash", "-c", children), make("bash", "-c", children)
    process, other = begin(container, tmp_path / "a"), begin(stranger, tmp_path / "b")
    while len(left := processes_of(tmp_path / "a" / "main")) < 3 or len(processes_of(tmp_path / "b" / "main")) < 3:
        time.sleep(0.02)
    process.kill()
    process.wait()
    # As after a restart, when another's processes have got the number.
    container.pid = other.pid
    processes.kill_left(container, tmp_path / "a")
    assert not [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert len(processes_of(tmp_path / "b" / "main")) == 3
    other.send_signal(signal.SIGQUIT)
    other.wait()
    assert not processes_of(tmp_path / "b" / "main")


def test_what_hides_its_environment_is_found_by_its_parent_or_its_folder(tmp_path: Path) -> None:
    """As Ray's processes do, and daemons that begin with an empty environment; others in the folder are left alone."""

    def hidden(seconds: str) -> str:
        elsewhere = f"bash -c '(cd / && exec env -i sleep {seconds}) & wait'"
        return f"(exec env -i sleep {seconds}) & (exec {elsewhere}) & (setsid env -i sleep {seconds} &) ; wait"

    def sleeping(seconds: str) -> list[psutil.Process]:
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.name() == "sleep" and one.cmdline()[-1:] == [seconds]:
                    found.append(one)
        return found

    of_a, of_b = f"60.{os.getpid()}1", f"60.{os.getpid()}2"
    one, other = make("bash", "-c", hidden(of_a)), make("bash", "-c", hidden(of_b))
    other.name = "other"
    process, stays = begin(one, tmp_path / "a"), begin(other, tmp_path / "a")
    # Somebody looks at the logs there.
    looking = subprocess.Popen(["bash", "-c", "cd a; sleep 60 & wait"], cwd=tmp_path)
    while len(sleeping(of_a)) < 3 or len(sleeping(of_b)) < 3:
        time.sleep(0.02)
    process.kill()
    process.wait()
    processes.kill_left(one, tmp_path / "a")
    assert sleeping(of_a) == []
    assert len(sleeping(of_b)) == 3
    assert looking.poll() is None
    stays.send_signal(signal.SIGQUIT)
    stays.wait()
    assert sleeping(of_b) == []
    for child in psutil.Process(looking.pid).children():
        child.kill()
    looking.wait()


def processes_of(identity: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(processes.IDENTITY_VARIABLE) == str(identity):
                found.append(process)
    return found


def test_the_session_of_a_killed_child_is_ended_before_its_number_is_free(tmp_path: Path) -> None:
    container = make("bash", "-c", "(exec env -i sleep 60) & echo $!; wait")
    process = begin(container, tmp_path)
    log = tmp_path / "main.log"
    while not (log.exists() and log.read_text().endswith("\n")):
        time.sleep(0.02)
    child = psutil.Process(int(log.read_text()))
    processes.kill_session_of_child(process.pid)
    assert child.status() != psutil.STATUS_ZOMBIE
    process.kill()
    deadline = time.monotonic() + 60
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        processes.kill_session_of_child(process.pid)
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.wait()
    # Its number may be anybody's now.
    processes.kill_session_of_child(process.pid)


def test_a_full_disk_takes_neither_the_exit_code_nor_the_time_of_a_container(tmp_path: Path) -> None:
    """The log lacks what did not fit, says so, and goes on."""
    script = (
        "import sys, time, pathlib\n"
        "def say(text): sys.stdout.write(text); sys.stdout.flush(); time.sleep(0.1)\n"
        "say('first\\n')\n"
        "say('x' * 300_000)\n"
        "pathlib.Path('full').touch()\n"
        "while not pathlib.Path('emptied').exists(): time.sleep(0.02)\n"
        "say('last\\n')\n"
        "sys.exit(7)\n"
    )
    container = make("python", "-c", script)
    process = begin(container, tmp_path)
    while not (tmp_path / "main.log").exists():
        time.sleep(0.01)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    while not (tmp_path / "full").exists():
        time.sleep(0.02)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (tmp_path / "emptied").touch()
    assert finish(container, tmp_path).exit_code == 7
    text = (tmp_path / "main.log").read_text()
    assert text.startswith("first\n")
    assert text.endswith("last\n")
    assert "bytes of output are missing here: the disk was full]" in text
    assert [line for _, line in logs.lines(tmp_path / "main.log")][-1] == "last"
    process.wait()
