"""Python imports this when it starts with this folder on its path: opening a file of a stage takes long.

Each process writes into a file, named after itself, how many openings it has had under way at the same time.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

STAGE = os.environ.get("SLOW_OPENS_STAGE")
COUNTS = os.environ.get("SLOW_OPENS_COUNTS", "")
SECONDS = float(os.environ.get("SLOW_OPENS_SECONDS", "0.2"))
# Once so many openings have been under way at the same time, none is slow any more.
ENOUGH = float(os.environ.get("SLOW_OPENS_ENOUGH", "inf"))


class Openings:
    def __init__(self) -> None:
        self.now = self.most = 0
        self.changed = threading.Condition()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not str(arguments[0]).startswith(f"{STAGE}/"):
            return
        with self.changed:
            self.now += 1
            if self.now > self.most:
                self.most = self.now
                (Path(COUNTS) / str(os.getpid())).write_text(str(self.most))
                self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= ENOUGH, SECONDS)
            self.now -= 1


if STAGE:
    import sys

    sys.addaudithook(Openings())
