"""Airflow homes with a metadata database, which is made once for all tests of a run."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

TEMPLATE = "TESTS_MIGRATED_AIRFLOW_HOME"
"""The variable that names the folder of the one that is copied; it is that of all processes of a run."""
_DATABASE = "airflow.db"


def make_database(home: Path) -> None:
    """Give an Airflow home a database as ``airflow db migrate`` makes it, which takes many seconds.

    Outside of a test run it is made for this home alone, and so it is where a process may have opened one already: a
    file of SQLite is not to be replaced under its connections.

    :param home: is made where it is missing.
    """
    folder = os.environ.get(TEMPLATE)
    if folder is None or (home / _DATABASE).exists():
        _migrate(home)
        return
    template = Path(folder)
    made = template / "made"
    with open(template / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _migrate(template)
            made.touch()
    home.mkdir(parents=True, exist_ok=True)
    # By SQLite, since not all of it need be in the one file.
    with closing(sqlite3.connect(template / _DATABASE)) as source, closing(sqlite3.connect(home / _DATABASE)) as copy:
        source.backup(copy)


def environment_without_settings() -> dict[str, str]:
    """This process's environment, without what the tests of the pages have set for their Airflow."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}


def _migrate(home: Path) -> None:
    environment = os.environ | {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
