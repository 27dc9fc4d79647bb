"""An API server for a browser, and the browser itself, where there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_snowflake_batch.standalone.processes import end, free_ports
from tests.monitoring.javascript import run_tests
from tests.monitoring.rows import card, push, set_state

_CHROMIUM = os.environ.get("CHROMIUM", "")

_MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(_CHROMIUM).is_file(),
        reason="needs Chromium (Debian: apt-get install chromium), and its path in CHROMIUM: make test-browser",
    ),
    pytest.mark.timeout(900),
]


def needed(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs a browser."""
    for mark in _MARKS:
        test = mark(test)
    return test


@contextmanager
def api_server(folder: Path) -> Iterator[str]:
    """An API server on the tests' database.

    :param folder: for its log.
    :returns: its address.
    """
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    told = ["--port", str(port), "--host", "127.0.0.1", "--workers", "1"]
    with (folder / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "airflow", "api-server", *told]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 180
        while not _answers(f"{url}/api/v2/version"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The API server does not answer: {(folder / 'server.log').read_text()[-3000:]}")
            time.sleep(0.5)
        yield url
    finally:
        end([process], grace=5)


def hold_roles(
    url: str,
    client: Callable[[str | None], Any],
    new_run: Callable[[str], str],
    sees: Mapping[str, bool],
    *,
    edit: Collection[str],
    patch: pytest.MonkeyPatch,
) -> None:
    """Hold what each role finds in Airflow's UI, and that it cancels a job of its own if it may.

    :param sees: by role, whether it finds the pages.
    :param edit: the roles that may edit tasks; the last one of ``sees`` may read what has come of them.
    """
    roles: dict[str, dict[str, Any]] = {}
    for role, finds in sees.items():
        run = new_run("scores")
        set_state("scores", run, "running")
        push("scores", run, card(updated_at=time.time(), confirmed_every=3600))
        _, token = client(role).headers["Authorization"].split()
        roles[role] = {"token": token, "run": run, "sees": finds, "edits": role in edit}
    patch.setenv("PAGES_URL", url)
    patch.setenv("PAGES_ROLES", json.dumps(roles))
    done = run_tests(["roles.test.mjs"], {}, seconds=800)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    for each in roles.values():
        task = client([*sees][-1]).get(f"/api/v2/dags/scores/dagRuns/{each['run']}/taskInstances/score").json()
        assert task["state"] == ("failed" if each["edits"] else "running")


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=10, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
