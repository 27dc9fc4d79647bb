"""Models that know on which replica they are called."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pandas as pd

_LONGEST_WAIT = 120.0


class Together:
    """Scores the first row when all replicas are about to, so that each of them takes part however slow it starts.

    :param folder: where replicas are seen by files of their numbers. :param replicas: how many to wait for.
    :param stuck: the replica that does not return from its second call before there is a file ``free``.
    """

    def __init__(self, folder: str, replicas: int, stuck: int | None = None) -> None:
        self._folder, self._replicas, self._stuck = Path(folder), replicas, stuck
        self._me = int(os.environ.get("SNOWFLAKE_JOB_INDEX", "0"))
        self._calls = 0

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        (self._folder / str(self._me)).touch()
        deadline = time.monotonic() + _LONGEST_WAIT
        while len(list(self._folder.iterdir())) < self._replicas and time.monotonic() < deadline:
            time.sleep(0.05)
        with (self._folder.parent / f"calls-{os.getpid()}").open("a") as calls:
            calls.write(f"{self._me} {rows['ID'].iloc[0]}\n")
        self._calls += 1
        print(f"called on replica {self._me}", flush=True)
        if self._me == self._stuck and self._calls > 1:
            (self._folder.parent / "stuck").touch()
            while not (self._folder.parent / "free").exists():
                time.sleep(0.05)
        return pd.DataFrame({"Y": rows["X"].to_numpy() * 2.0})
