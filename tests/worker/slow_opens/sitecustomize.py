"""Python imports this when it starts with this folder on its path: opening a file of a stage takes long.

Each process writes into a file, named after itself, how many openings it has had under way at the same time.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

STAGE = os.environ.get("SLOW_OPENS_STAGE")
COUNTS = os.environ.get("SLOW_OPENS_COUNTS", "")
SECONDS = float(os.environ.get("SLOW_OPENS_SECONDS", "0.2"))


class Openings:
    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not str(arguments[0]).startswith(f"{STAGE}/"):
            return
        with self.lock:
            self.now += 1
            if self.now > self.most:
                self.most = self.now
                (Path(COUNTS) / str(os.getpid())).write_text(str(self.most))
        time.sleep(SECONDS)
        with self.lock:
            self.now -= 1


if STAGE:
    import sys

    sys.addaudithook(Openings())
