"""A model that only waits, on a replica that may be a slow one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

_LONGEST_WAIT = 600.0


class Device:
    """Begins when all replicas are ready to.

    :param seconds: for each batch. :param folder: where each process writes begin and end of its calls.
    :param replicas: how many to wait for. :param slow: the replica that needs ``factor`` times as long.
    """

    def __init__(
        self, seconds: float, folder: str, replicas: int, slow: int | None = None, factor: float = 4.0
    ) -> None:
        self.input_columns = ["X"]
        replica = int(os.environ.get("SNOWFLAKE_JOB_INDEX", "0"))
        self._seconds = seconds * (factor if replica == slow else 1.0)
        self._folder, self._replicas = Path(folder), replicas
        # A replica that comes again after it was killed has another process.
        self._path = self._folder / f"{replica}-{os.getpid()}"
        self._begun = False

    def predict(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        if not self._begun:
            self._path.touch()
            deadline = time.time() + _LONGEST_WAIT
            while len(list(self._folder.iterdir())) < self._replicas and time.time() < deadline:
                time.sleep(0.005)
            self._begun = True
        begun = time.time()
        time.sleep(self._seconds)
        with self._path.open("a") as calls:
            calls.write(f"{begun} {time.time()} {len(frame)} {int(frame['X'].iloc[0])}\n")
        return {"PREDICTION": np.zeros(len(frame))}
