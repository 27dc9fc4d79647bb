"""Start, look at and end a local Snowflake with an Airflow beside it, which go on without a terminal.

A supervisor, :func:`run`, has all of them as its children and holds a lock on the directory as long as it lives. By the
lock ``up``, ``down`` and ``status`` know it from any other process.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.standalone import processes
from airflow_provider_snowflake_batch.standalone.airflow import Airflow, StandaloneError, migrate
from airflow_provider_snowflake_batch.standalone.settings import (
    component_settings,
    home_settings,
    login_settings,
    passwords,
    plain_environment,
)

DIRECTORY = Path(".standalone")
USER = "admin"
_MODULE = "airflow_provider_snowflake_batch.standalone"
# Seconds. A cold start on a busy machine takes minutes.
START_SECONDS = 600.0
STOP_SECONDS = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What to start.

    :param directory: where everything is kept; a second start goes on with it.
    :param dags_folders: folders with Dag files.
    :param port: of Airflow's UI. :param snowflake_port: of the local Snowflake.
    :param airflow: False starts the local Snowflake alone.
    :param host: where Airflow's UI listens; in a container, ``0.0.0.0``.
    """

    directory: Path = DIRECTORY
    dags_folders: tuple[Path, ...] = ()
    port: int = 8080
    snowflake_port: int = 8085
    airflow: bool = True
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class Running:
    """What runs, as the supervisor has written it down.

    :param url: of Airflow's UI, None without Airflow.
    :param dags: the Dags' ids.
    """

    pid: int
    snowflake_url: str
    connection: dict[str, Any]
    url: str | None = None
    user: str | None = None
    password: str | None = None
    dags: tuple[str, ...] = ()


class Place:
    """The files in the directory that supervisor and commands share."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.expanduser().absolute()
        self.lock = self.directory / "lock"
        self.log = self.directory / "standalone.log"
        self._running = self.directory / "running.json"
        self._failure = self.directory / "failure.txt"
        self._secrets = self.directory / "secrets.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock as long as something runs.

        :raises StandaloneError: somebody else does.
        """
        _make_private(self.directory)
        with self.lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StandaloneError(f"Something runs in {self.directory} already: stop it first.") from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            self._running.unlink(missing_ok=True)
            self.forget_failure()
            try:
                yield
            finally:
                self._running.unlink(missing_ok=True)

    def holder(self) -> int | None:
        """The supervisor's process id, None if there is none."""
        if not self.lock.exists():
            return None
        with self.lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
        return None

    def write(self, running: Running) -> None:
        """Say that all is well."""
        _replace(self._running, json.dumps(asdict(running)))

    def read(self) -> Running | None:
        """What runs; None if nothing does, or is not ready yet."""
        if self.holder() is None or not self._running.exists():
            return None
        found = json.loads(self._running.read_text())
        return Running(**(found | {"dags": tuple(found["dags"])}))

    def fail(self, reason: str) -> None:
        """Say why it ends, before that is printed."""
        _replace(self._failure, reason)

    def failure(self) -> str | None:
        """Why the last supervisor has ended or will soon; None if it has not said so."""
        return self._failure.read_text() if self._failure.exists() else None

    def forget_failure(self) -> None:
        self._failure.unlink(missing_ok=True)

    def secrets(self) -> dict[str, str]:
        """Made at the first start, so that a session and what is encrypted outlive the next one."""
        if not self._secrets.exists():
            made = processes.new_secrets() | {"password": secrets.token_urlsafe(9)}
            _replace(self._secrets, json.dumps(made))
        found: dict[str, str] = json.loads(self._secrets.read_text())
        return found


def up(wanted: Wanted, say: Say) -> Running:
    """Start everything and wait until it can be used.

    :param say: told what happens.
    :return: what runs, which may have run before.
    :raises StandaloneError: why it cannot be started; nothing is left running.
    """
    place = Place(wanted.directory)
    if place.holder() is not None:
        return _already(place, wanted)
    _check(wanted)
    _make_private(place.directory)
    place.forget_failure()
    with place.log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", _MODULE, "run", "--no-report", *_words(wanted)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    told = 0
    try:
        while True:
            ended = supervisor.poll() is not None
            lines = place.log.read_text(errors="replace").splitlines()
            # Looked for after the lines were read, so that none of the failure's own lines is told without the others.
            failure = place.failure()
            if ended:
                # The last words of one that did not say why may have been read just before it ended.
                words = lines[told:] or (lines[-1:] if supervisor.returncode > 0 else [])
                text = failure or "\n".join(words)
                raise StandaloneError(text or f"It ended without a word: {supervisor.returncode}.")
            if failure is None:
                for line in lines[told:]:
                    say(line)
                told = len(lines)
            if (running := place.read()) is not None:
                return running
            time.sleep(0.2)
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait(STOP_SECONDS)
        raise


def down(directory: Path) -> bool:
    """End everything.

    :return: whether anything ran.
    :raises StandaloneError: it does not end.
    """
    place = Place(directory)
    holder = place.holder()
    if holder is not None:
        os.kill(holder, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while place.holder() is not None:
            if time.monotonic() > deadline:
                raise StandaloneError(f"Process {holder} does not end; its log: {place.log}")
            time.sleep(0.1)
    # Processes that a killed supervisor has left.
    left = processes.working_in(_home(place))
    processes.kill(left)
    return holder is not None or bool(left)


def run(wanted: Wanted, say: Say, ready: Callable[[Running], None]) -> None:
    """Be the supervisor: start everything, and end it when this process is told to stop or a part of it has ended.

    :param ready: told when all of it can be used.

    :raises StandaloneError: a part cannot be started, or has ended.
    """
    place = Place(wanted.directory)
    # Files may hold secrets.
    os.umask(0o077)
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, _stop_once)
    with place.held():
        try:
            _supervise(wanted, place, say, ready)
        except KeyboardInterrupt:
            say("Stopped")
        except StandaloneError as error:
            place.fail(str(error))
            raise


def _stop_once(number: int, frame: FrameType | None) -> None:
    """Ends everything at the first signal, and ignores later ones: ending is not to be interrupted."""
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def _supervise(wanted: Wanted, place: Place, say: Say, ready: Callable[[Running], None]) -> None:
    _check(wanted)
    say("Starting the local Snowflake")
    with _local_snowflake(wanted, place) as server:
        snowflake_url = f"http://127.0.0.1:{server.port}"
        connection = server.airflow_connection
        if not wanted.airflow:
            running = Running(os.getpid(), snowflake_url, connection)
            place.write(running)
            ready(running)
            _watch(server, None)
            return
        home, url = _home(place), f"http://127.0.0.1:{wanted.port}"
        known = place.secrets()
        # A killed supervisor may have left a scheduler, and two of them must not share a database of SQLite.
        processes.kill(processes.working_in(home))
        environment = _environment(wanted, home, server.airflow_connection_json, known)
        if not (home / "airflow.db").exists():
            say("Creating Airflow's metadata database")
        migrate(home, environment, home / "processes" / "migrate.log")
        say("Starting Airflow")
        with Airflow(home, environment, url) as airflow:
            airflow.wait_until_healthy(START_SECONDS)
            say("Reading the Dag files")
            dags = airflow.wait_for_dags(USER, known["password"], 120.0)
            running = Running(os.getpid(), snowflake_url, connection, url, USER, known["password"], tuple(dags))
            place.write(running)
            ready(running)
            _watch(server, airflow)


@contextmanager
def _local_snowflake(wanted: Wanted, place: Place) -> Iterator[LocalServer]:
    server = LocalServer(place.directory / "snowflake", wanted.snowflake_port)
    deadline = time.monotonic() + STOP_SECONDS
    while server.process is None:
        try:
            server.start(START_SECONDS)
        except RuntimeError as error:
            # The server of a killed supervisor ends by itself soon.
            if "is using the state directory" not in str(error) or time.monotonic() > deadline:
                raise StandaloneError(str(error)) from None
            time.sleep(0.5)
    try:
        yield server
    finally:
        # stop() asks, and then kills: there is nothing left to do.
        with suppress(subprocess.TimeoutExpired):
            server.stop()


def _watch(server: LocalServer, airflow: Airflow | None) -> None:
    """:raises StandaloneError: a part has ended."""
    while True:
        if airflow is not None:
            airflow.check()
        if server.process is None or server.process.poll() is not None:
            raise StandaloneError(f"The local Snowflake has ended.\n{server.output()}")
        time.sleep(1)


def _environment(wanted: Wanted, home: Path, connection_json: str, known: dict[str, str]) -> dict[str, str]:
    _make_private(home)
    passwords_file = home / "passwords.json"
    passwords_file.write_text(passwords(USER, known["password"]))
    first, second = processes.free_ports(2)
    return {
        **plain_environment(),
        **home_settings(home, connection_json),
        **component_settings(wanted.port, (first, second), wanted.dags_folders, known),
        **login_settings(USER, passwords_file),
        "AIRFLOW__API__HOST": wanted.host,
        "AIRFLOW__CORE__PARALLELISM": "4",
    }


def _check(wanted: Wanted) -> None:
    """:raises StandaloneError: what is asked for cannot be: a port is taken, a folder is missing."""
    for folder in wanted.dags_folders:
        if not folder.is_dir():
            raise StandaloneError(f"There is no folder {folder} with Dag files.")
    names = [folder.absolute().name for folder in wanted.dags_folders]
    if twice := {name for name in names if names.count(name) > 1}:
        raise StandaloneError(f"Two folders with Dag files are called {min(twice)}: Airflow tells them by their names.")
    _check_port(wanted.snowflake_port, "The local Snowflake's", "--snowflake-port")
    if wanted.airflow:
        _check_port(wanted.port, "Airflow's", "--port", wanted.host)


def _check_port(port: int, whose: str, option: str, host: str = "127.0.0.1") -> None:
    try:
        socket.create_server((host, port)).close()
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise StandaloneError(
            f"{whose} port {port} on {host} cannot be used: {reason}. Choose another with {option}."
        ) from None


def _already(place: Place, wanted: Wanted) -> Running:
    running = place.read()
    if running is None:
        raise StandaloneError(f"It is being started or stopped already; its log: {place.log}")
    if wanted.airflow and running.url is None:
        raise StandaloneError(f"Only the local Snowflake runs in {place.directory}: stop it first.")
    return running


def _words(wanted: Wanted) -> Sequence[str]:
    """The options that make the supervisor want the same."""
    words = ["--directory", str(wanted.directory), "--snowflake-port", str(wanted.snowflake_port)]
    words += ["--port", str(wanted.port), "--host", wanted.host]
    if not wanted.airflow:
        words.append("--no-airflow")
    return [*words, *(word for folder in wanted.dags_folders for word in ("--dags-folder", str(folder)))]


def _home(place: Place) -> Path:
    return place.directory / "airflow"


def _make_private(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)


def _replace(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all, and that its user alone can read."""
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)
