"""Processes of containers: their environment and mount paths, how they are started, found again, stopped and ended.

A process cannot mount anything without privileges, so every place where the specification itself names a mount path
is rewritten to the folder behind it: the words of ``command`` and ``args`` and the values of ``env``. Code that has a
mount path built in finds the folders in ``SNOWFLAKE_LOCAL_MOUNTS``, a JSON object of mount path → folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_snowflake_batch.local.spcs import supervisor
from airflow_provider_snowflake_batch.local.spcs.records import Container

LOG_LIMIT_BYTES = 64 * 2**20
IDENTITY_VARIABLE = "SNOWFLAKE_LOCAL_CONTAINER"
"""By what the processes of a container are known: its instance's folder and its name."""

# What a container would find in its image. Nothing else of the server's environment reaches a job, least of all its
# credentials.
_INHERITED = frozenset(
    {
        "PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "VIRTUAL_ENV", "PYTHONPATH",
        "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
        "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "HF_HOME", "HF_HUB_OFFLINE", "XDG_CACHE_HOME", "COVERAGE_PROCESS_START",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended. ``exit_code`` is None when nobody was there to see it."""

    exit_code: int | None
    ended: float | None
    error: str | None = None


def environment(container: Container, platform: Mapping[str, str], interpreter: Path | None = None) -> dict[str, str]:
    """The container's whole environment: what images have, what the platform sets, what the specification declares."""
    inherited = {key: value for key, value in os.environ.items() if key in _INHERITED or key.startswith("LC_")}
    if interpreter is not None:
        # Nothing that the server's Python can import, by whatever way, is in that image.
        for name in ("PYTHONPATH", "VIRTUAL_ENV"):
            inherited.pop(name, None)
        own = str(Path(sys.executable).parent)
        programs = [folder for folder in inherited.get("PATH", os.defpath).split(os.pathsep) if folder != own]
        inherited |= {"PATH": os.pathsep.join([str(interpreter.parent), *programs]), "PYTHONNOUSERSITE": "1"}
    else:
        # The worker module must be importable even where the server itself runs from a source tree.
        package_root = str(Path(__file__).resolve().parents[3])
        inherited["PYTHONPATH"] = os.pathsep.join(filter(None, (inherited.get("PYTHONPATH"), package_root)))
    declared = {key: rewrite(value, container.mounts) for key, value in container.env.items()}
    mounts = {MOUNTS_VARIABLE: json.dumps(container.mounts)}
    return {**inherited, "PYTHONUNBUFFERED": "1", **platform, **mounts, **declared}


def command(container: Container, interpreter: Path | None = None) -> list[str]:
    """The command with mount paths replaced; ``python`` is the image's interpreter, or the server's own."""
    words = [rewrite(word, container.mounts) for word in container.argv]
    if words[0] in ("python", "python3"):
        words[0] = str(interpreter or sys.executable)
    return words


def start(
    container: Container,
    folder: Path,
    platform: Mapping[str, str],
    grace_seconds: float,
    interpreter: Path | None = None,
    notice: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start the container's supervisor.

    :param folder: the instance's folder: logs, exit code and the working directory are kept there.
    :param platform: environment variables that Snowflake sets.
    :param grace_seconds: between SIGTERM and SIGKILL.
    :param interpreter: the Python of the container's image, in an environment of its own; None for the server's.
    :param notice: the first line of the log, before anything that the container writes.
    :raises OSError: when there is no room for its files, or no more processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in (_exit_path(folder, container.name), _pid_path(folder, container.name)):
        with path.with_name(f"{path.name}.part").open("wb") as reserved:
            reserved.write(b" " * supervisor.RESERVED_BYTES)
            reserved.flush()
            os.fsync(reserved.fileno())
    launch: dict[str, Any] = {
        "argv": command(container, interpreter),
        "env": {**environment(container, platform, interpreter), IDENTITY_VARIABLE: _identity(container, folder)},
        "cwd": str(folder),
        "log": str(log_path(folder, container.name)),
        "exit": str(_exit_path(folder, container.name)),
        "grace_seconds": grace_seconds,
        "pid": str(_pid_path(folder, container.name)),
        "log_limit_bytes": LOG_LIMIT_BYTES,
    }
    if notice is not None:
        log = supervisor.LogFile(launch["log"], LOG_LIMIT_BYTES)
        log.write(f"{notice}\n".encode())
        log.close()
    launch_path = folder / f"{container.name}.launch.json"
    # It holds the declared environment, which may hold secrets.
    with open(os.open(launch_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(launch, file)
    with open(folder / f"{container.name}.supervisor.log", "ab") as own_log, _blocked(supervisor.BLOCKED_AT_START):
        return subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(launch_path)],
            stdin=subprocess.DEVNULL,
            stdout=own_log,
            stderr=own_log,
            start_new_session=True,
        )


@contextlib.contextmanager
def _blocked(signals: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Signals blocked for this thread, and for processes that it starts meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def adopt(container: Container, folder: Path) -> bool:
    """Take over a supervisor that a server started and was killed before it could note it down."""
    if not (folder / f"{container.name}.launch.json").exists():
        return False
    pid_path = _pid_path(folder, container.name)
    deadline = time.monotonic() + 1.0
    while not pid_path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    if not pid_path.exists():
        return False
    container.pid = int(pid_path.read_text(encoding="ascii"))
    container.pid_created = created(container.pid) or pid_path.stat().st_mtime
    return True


def created(pid: int) -> float | None:
    """When the process was created, or None if there is none (a zombie counts as none)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def is_alive(container: Container) -> bool:
    if container.pid is None or container.pid_created is None:
        return False
    now = created(container.pid)
    return now is not None and abs(now - container.pid_created) < 1


def send(container: Container, number: int) -> None:
    """Signal the supervisor: SIGTERM begins the grace period, SIGQUIT ends it."""
    if is_alive(container):
        assert container.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(container.pid, number)


def kill_left(container: Container, folder: Path) -> None:
    """Kill whatever is left of a container whose supervisor is gone.

    Its processes are known by an environment variable that they inherit: a number of a process, group or session may
    be somebody else's by now. Some were started without it, or have overwritten it, as Ray's do. Those are known by
    what they descend from, and, if that is gone, by the folder that they were started in.

    :param folder: the instance's folder.
    """
    while left := _left(container, folder.resolve()):
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=1)


def _left(container: Container, folder: Path) -> list[psutil.Process]:
    wanted, since = _identity(container, folder), (container.pid_created or 0) - 1
    there = {process.pid: process for process in psutil.process_iter()}
    parents = {}
    found, others = set[int](), set[int]()
    for process in there.values():
        with contextlib.suppress(psutil.Error, OSError):
            parents[process.pid] = process.ppid()
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            identity = process.environ().get(IDENTITY_VARIABLE)
            (found if identity == wanted else others if identity is not None else set()).add(process.pid)
    adopting = {1, *(one.pid for one in psutil.Process().parents())}
    for pid in parents.keys() - found - others - adopting:
        if parents[pid] in adopting or _is_of_systemd(there.get(parents[pid])):
            with contextlib.suppress(psutil.Error, OSError):
                if _is_astray(there[pid], folder, since):
                    found.add(pid)
    new = found
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found - others
        found |= new
    return [there[pid] for pid in found if _lives(there[pid])]


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _is_astray(process: psutil.Process, folder: Path, since: float) -> bool:
    """Whether a process without a parent of its own was started in a folder, and not by somebody at a terminal.

    A supervisor works where its server was started.

    :param since: seconds since the epoch.
    """
    here = Path(process.cwd())
    return (here == folder or folder in here.parents) and process.terminal() is None and process.create_time() >= since


def _is_of_systemd(process: psutil.Process | None) -> bool:
    """Whether it is what takes the place of lost parents in the session of a desktop."""
    with contextlib.suppress(psutil.Error):
        return process is not None and process.name() == "systemd"
    return False


def _identity(container: Container, folder: Path) -> str:
    return f"{folder.resolve()}/{container.name}"


def kill_session_of_child(pid: int) -> None:
    """Kill what is left in the session of a supervisor that was killed itself.

    :param pid: a child of this process that nobody has waited for yet, if it has ended: only that keeps its number
        from becoming somebody else's.
    """
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return
    if ended is None or ended.si_code == os.CLD_EXITED:
        # One that ends by itself has seen to the rest before.
        return
    for process in psutil.process_iter(["pid"]):
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != pid and os.getsid(process.pid) == pid:
                process.kill()


def exit_of(container: Container, folder: Path) -> Exit | None:
    """How the container ended, or None while it runs."""
    path = _exit_path(folder, container.name)
    if path.exists():
        return _read_exit(path)
    if is_alive(container):
        return None
    # The supervisor may have written the file between the two looks.
    return _read_exit(path) if path.exists() else Exit(exit_code=None, ended=None)


def _read_exit(path: Path) -> Exit:
    outcome = json.loads(path.read_text(encoding="utf-8"))
    return Exit(outcome["exit_code"], outcome["ended"], outcome["error"])


def log_path(folder: Path, container_name: str) -> Path:
    return folder / f"{container_name}.log"


def _pid_path(folder: Path, container_name: str) -> Path:
    return folder / f"{container_name}.pid"


def _exit_path(folder: Path, container_name: str) -> Path:
    return folder / f"{container_name}.exit"


MOUNTS_VARIABLE = "SNOWFLAKE_LOCAL_MOUNTS"


def rewrite(text: str, mounts: Mapping[str, str]) -> str:
    """The text with every mount path replaced by its folder.

    A mount path counts where a path begins: not inside a longer path, a word or a URL. The longest one wins.

    >>> rewrite("--in=/data/x:/data2", {"/data": "/stage"})
    '--in=/stage/x:/data2'
    """
    if not mounts:
        return text
    longest_first = sorted(mounts, key=len, reverse=True)
    alternatives = "|".join(re.escape(path) for path in longest_first)
    # `/` before: the middle of a path or of `scheme://`; a word character after: another, longer name.
    pattern = rf"(?<![\w./~-])({alternatives})(?=/|$|[^\w.-])"
    return re.sub(pattern, lambda match: mounts[match[1]], text)
