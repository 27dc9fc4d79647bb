"""An Airflow whose components are processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.standalone import processes
from airflow_provider_snowflake_batch.standalone.settings import COMPONENTS, settings_of


class StandaloneError(Exception):
    """Why something does not run, as one sentence and what to do."""


def migrate(home: Path, environment: Mapping[str, str], log: Path) -> None:
    """Create the metadata database, or bring it up to date; once for each version of Airflow.

    :param environment: with :func:`~airflow_provider_snowflake_batch.standalone.settings.home_settings` in it.
    :raises StandaloneError: it cannot be created; the message holds the end of the log.
    """
    home.mkdir(parents=True, exist_ok=True)
    stamp = home / f"migrated-{version('apache-airflow')}"
    if stamp.exists():
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        status = subprocess.call(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=dict(environment),
        )  # fmt: skip
    if status:
        raise StandaloneError(
            f"Airflow's metadata database could not be created.\n{processes.last_lines(log)}\n\nThe whole log: {log}"
        )
    stamp.touch()


def start_component(component: str, home: Path, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start one of :data:`~airflow_provider_snowflake_batch.standalone.settings.COMPONENTS`.

    It leads a process group of its own, and works in ``home``, by which all that it starts is found again.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", component],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**environment, **settings_of(component, home)}, cwd=home, start_new_session=True,
        )  # fmt: skip


class Airflow:
    """The four components; a context manager that ends them.

    :param home: where everything lies: database, settings, logs.
    :param environment: of all of them.
    :param url: of the UI and the REST API.
    """

    def __init__(self, home: Path, environment: Mapping[str, str], url: str) -> None:
        self.home = home
        self.logs = home / "processes"
        self._environment = environment
        self._url = url
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Airflow:
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            for component in COMPONENTS:
                log = self.logs / f"{component}.log"
                self._processes[component] = start_component(component, self.home, self._environment, log)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self, grace: float = 5) -> None:
        """End everything. :param grace: seconds between the request and the end."""
        processes.end(self._processes.values(), grace)
        self._processes = {}
        processes.kill(process for process in processes.working_in(self.home) if process.pid != os.getpid())

    def check(self) -> None:
        """:raises StandaloneError: a component has ended; the message holds the end of its log."""
        for component, process in self._processes.items():
            if process.poll() is not None:
                log = self.logs / f"{component}.log"
                end = processes.last_lines(log)
                raise StandaloneError(f"Airflow's {component} has ended.\n{end}\n\nThe whole log: {log}")

    def wait_until_healthy(self, seconds: float) -> None:
        """Wait until database, scheduler, triggerer and dag-processor report that they are well.

        :raises StandaloneError: one has ended, or they are not within ``seconds``.
        """

        def healthy() -> bool:
            health = request(f"{self._url}/api/v2/monitor/health")
            return health is not None and all(part["status"] == "healthy" for part in health.values())

        if not self._wait(healthy, seconds):
            raise StandaloneError(f"Airflow's components are not all well after {seconds:g} s; their logs: {self.logs}")

    def wait_for_dags(self, user: str, password: str, seconds: float) -> list[str]:
        """Wait until the Dag files were read.

        :return: the Dags' ids; empty if there are none, or none could be read.
        :raises StandaloneError: a component has ended meanwhile.
        """
        login = request(f"{self._url}/auth/token", {"username": user, "password": password}) or {}
        token = login.get("access_token", "")
        found: list[str] = []

        def read() -> bool:
            dags = request(f"{self._url}/api/v2/dags?limit=500", token=token) or {"dags": []}
            found[:] = sorted(dag["dag_id"] for dag in dags["dags"])
            errors = request(f"{self._url}/api/v2/importErrors", token=token) or {"total_entries": 0}
            return bool(found or errors["total_entries"])

        return found if self._wait(read, seconds) else []

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether the condition holds within some seconds.

        :raises StandaloneError: a component has ended meanwhile.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.3)
        return True


def request(url: str, body: Any = None, token: str = "") -> Any:
    """What Airflow answers, None as long as it does not answer.

    :param body: posted as JSON; without one, the address is read.
    """
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    # Not through a proxy, since it is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data, headers), timeout=30) as response:
            return json.load(response)
    except (OSError, ValueError):
        return None
