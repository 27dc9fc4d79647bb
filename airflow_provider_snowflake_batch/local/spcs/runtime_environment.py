"""The Python of jobs whose image is Snowflake's container runtime: an environment of its own, made once.

It holds what `container_runtime.txt` lists, and neither this package, Airflow nor the driver, so that what a model
lacks on an account it lacks here too. It lies in the user's cache folder, one for each list and Python version, and is
made when the first job asks for it. A lock keeps two servers from making it at once; a file that is written last tells
that it is whole, so what a killed server has left half made is made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

RUNTIME_PYTHON_VARIABLE = "LOCAL_SNOWFLAKE_RUNTIME_PYTHON"
REQUIREMENTS = Path(__file__).with_name("container_runtime.txt")
_WHOLE = ".whole"
# Of the server's own Python; an installer that saw them would look there.
_NOT_FOR_INSTALLERS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class BeingMade(Exception):
    """The environment is not ready yet; the text says what is going on."""


class NotMade(Exception):
    """There is no environment, and why."""


def cache_folder() -> Path:
    """Where the user's environments of this kind lie."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "airflow-provider-snowflake-batch" / "container-runtime"


class RuntimeEnvironment:
    """Finds the environment, or has it made by a thread.

    :param changed: called by that thread when the environment is made, or cannot be made.
    :param cache: where environments lie; None for the user's cache folder.
    :param requirements: a file as ``pip install -r`` reads it.
    """

    def __init__(
        self, changed: Callable[[], None], cache: Path | None = None, requirements: Path = REQUIREMENTS
    ) -> None:
        self._changed = changed
        self._requirements = requirements
        self._cache = cache
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._installer: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._waiting: set[str] = set()
        self._failed: dict[str, str] = {}

    @property
    def folder(self) -> Path:
        """The environment's folder, named after all that makes it another."""
        kind = f"{sys.implementation.cache_tag}-{platform.machine()}"
        digest = hashlib.sha256(kind.encode() + self._requirements.read_bytes()).hexdigest()
        return (self._cache or cache_folder()) / f"{sys.implementation.cache_tag}-{digest[:12]}"

    def python(self, job_id: str) -> Path:
        """The interpreter for a job.

        :param job_id: who asks, so that each job is told once that the environment could not be made.
        :raises BeingMade: not yet; ``changed`` will be called.
        :raises NotMade: it could not be made, or the one that the user has named is not there.
        """
        named = os.environ.get(RUNTIME_PYTHON_VARIABLE)
        if named:
            if not (os.path.isfile(named) and os.access(named, os.X_OK)):  # noqa: PTH113
                raise NotMade(f"{RUNTIME_PYTHON_VARIABLE} is {named}, which is no program")
            # Not the link's target: that would be the Python which the environment was made from.
            return Path(named).absolute()
        folder = self.folder
        with self._lock:
            if (failure := self._failed.pop(job_id, None)) is not None:
                raise NotMade(failure)
            if is_whole(folder):
                return python_of(folder)
            self._waiting.add(job_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._make, args=(folder,), name="runtime", daemon=True)
                self._thread.start()
        raise BeingMade(f"Making the Python environment of the container runtime, once, in {folder}")

    def stop(self) -> None:
        """End what is being made; the next server that needs it makes it anew."""
        self._stopping = True
        with self._lock:
            if self._installer is not None and self._installer.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._installer.pid, signal.SIGKILL)

    def _make(self, folder: Path) -> None:
        failure = None
        try:
            make_environment(folder, self._requirements, self._run)
        except (OSError, NotMade) as error:
            failure = (
                f"the Python environment of the container runtime could not be made: {error}. It is installed from a "
                f"package index, which needs a network; or set {RUNTIME_PYTHON_VARIABLE}, for the local Snowflake, to "
                f"a Python that has what {self._requirements} lists"
            )
        with self._lock:
            # A job that waits when the server is stopped goes on waiting with the next one.
            if failure is not None and not self._stopping:
                self._failed |= dict.fromkeys(self._waiting, failure)
            self._waiting.clear()
            self._thread = self._installer = None
        self._changed()

    def _run(self, command: list[str], log: Path, lock: int) -> int:
        with open(log, "ab") as output, self._lock:
            if self._stopping:
                raise NotMade("the local Snowflake was stopped")
            self._installer = start_installer(command, output.fileno(), lock)
        return self._installer.wait()


def python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def is_whole(folder: Path) -> bool:
    """Whether an environment was made to its end, and its Python is still there."""
    return (folder / _WHOLE).exists() and python_of(folder).exists()


def start_installer(command: list[str], output: int, lock: int) -> subprocess.Popen[bytes]:
    """Start one step of the installation.

    :param output: file descriptor for what it prints.
    :param lock: the lock's file descriptor, which the step keeps open: as long as it runs, also after the server was
        killed, nobody else begins.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _NOT_FOR_INSTALLERS}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=environment,
        pass_fds=(lock,),
        start_new_session=True,
        # No project's settings.
        cwd=Path(command[-1]).parent,
    )


def make_environment(folder: Path, requirements: Path, run: Callable[[list[str], Path, int], int]) -> None:
    """Make the environment unless it is whole; waits for whoever is at it.

    :param folder: the environment's; beside it lie its lock and the log of its installation.
    :param run: runs a command, given the log and the lock's file descriptor, and returns the exit code.
    :raises NotMade: a command failed; the message has its last words.
    :raises OSError: no room, no right.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.with_name(f"{folder.name}.log")
    with open(folder.with_name(f"{folder.name}.lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_whole(folder):
            return
        if folder.exists():
            shutil.rmtree(folder)
        listed = folder.with_name(f"{folder.name}.txt")
        listed.write_bytes(requirements.read_bytes())
        log.write_bytes(b"")
        for command in _commands(folder, listed):
            if run(command, log, lock.fileno()) != 0:
                raise NotMade(f"{_last_words(log) or Path(command[0]).name} (see {log})")
        (folder / _WHOLE).touch()


def _commands(folder: Path, listed: Path) -> list[list[str]]:
    """With uv where it is at hand, as that takes seconds instead of a minute; else with what every Python has."""
    base = getattr(sys, "_base_executable", sys.executable)
    python = str(python_of(folder))
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    uv = beside or shutil.which("uv")
    if uv is not None:
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
        return [[uv, "venv", "--quiet", "--python", base, str(folder)], [*install, "--requirement", str(listed)]]
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[base, "-m", "venv", str(folder)], [*install, "--requirement", str(listed)]]


def _last_words(log: Path) -> str:
    """What an installer said last, in one line; it spreads a cause over several, with signs that draw a tree."""
    words = log.read_text(encoding="utf-8", errors="replace").translate(dict.fromkeys(map(ord, "×╰─▶├│"), " ")).split()
    return " ".join(words)[-500:]
