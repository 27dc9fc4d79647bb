"""Models that print, start processes and leave files behind."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import pandas as pd


class Prints:
    """Prints what looks like progress, lines without an end, and, with ``fails``, raises."""

    def __init__(self, fails: bool = False) -> None:
        self._fails = fails

    def predict(self, frame: pd.DataFrame) -> Any:
        print('SNOWFLAKE_BATCH_PROGRESS {"phase": "fake", "replica": [], "rows_done": "x"}')
        print("no end", end="", flush=True)
        print("no end either", end="", file=sys.stderr, flush=True)
        if self._fails:
            raise ValueError("no")
        return frame["X"]


class Starts:
    """Starts a process in one of the ways that models do, and notes its number.

    :param how: ``forks`` and ``forks while loading`` (the child comes back), ``pool``, ``command``, ``daemon`` (in a
        session of its own, its parent gone), ``no environment``; ``shared memory`` starts what looks after it.
    :param folder: for the notes. :param slow: a call takes for ever.
    """

    def __init__(self, how: str, folder: str, slow: bool = False) -> None:
        self._how, self._folder, self._slow = how, Path(folder), slow
        self._temporary = tempfile.TemporaryDirectory()
        atexit.register((self._folder / "atexit").touch)
        if how == "forks while loading":
            self._note(os.fork())
        elif how == "pool":
            self._pool = ProcessPoolExecutor(1)
            self._note(self._pool.submit(os.getpid).result())
        elif how == "daemon":
            note = 'setsid bash -c \'touch "$0/pid $$"; exec sleep 600\' "$0" &'
            subprocess.run(["bash", "-c", note, folder], check=True)
        elif how == "shared memory":
            self._shared = SharedMemory(create=True, size=1000)
            (self._folder / f"shared {self._shared.name.strip('/')}").touch()
        elif how in ("command", "no environment"):
            environment = {"PATH": os.environ["PATH"]} if how == "no environment" else None
            self._note(subprocess.Popen(["sleep", "600"], env=environment).pid)

    def _note(self, pid: int) -> None:
        if pid:
            (self._folder / f"pid {pid}").touch()

    def predict(self, frame: pd.DataFrame) -> Any:
        if self._how == "forks":
            self._note(os.fork())
        Path(tempfile.mkdtemp(), "left").touch()
        (self._folder / "called").touch()
        if self._slow:
            time.sleep(600)
        return frame["X"]
