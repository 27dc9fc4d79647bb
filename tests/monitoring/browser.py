"""An API server for a browser, and the browser itself, where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from airflow_provider_snowflake_batch.standalone.processes import end, free_ports

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


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=10, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
