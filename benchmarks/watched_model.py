"""The model of `kill_resume`: it notices when it is called for a task that has a record already."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pandas as pd

WEIGHTS = "weights.json"


class Watched:
    """Multiplies ``X`` by the weight in ``weights.json`` beside this file, or by 2.

    It fails for every row whose ID is divisible by ``bad_every``.

    :param records: the folder of task records.
    :param marks: a folder; each process writes a line for each call into a file of its own.
    :param task_rows: rows of a task: the plan puts as many consecutive IDs into each.
    :param seconds: how long a call takes at least.
    """

    def __init__(self, records: str, marks: str, task_rows: int, bad_every: int, seconds: float) -> None:
        self._records, self._marks = Path(records), Path(marks)
        weights = Path(__file__).with_name(WEIGHTS)
        self._weight = float(json.loads(weights.read_text())) if weights.exists() else 2.0
        self._task_rows, self._bad_every, self._seconds = task_rows, bad_every, seconds

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        task = int(rows["ID"].iloc[0]) // self._task_rows
        word = "again" if self._recorded(task) else "called"
        with (self._marks / str(os.getpid())).open("a") as file:
            file.write(f"{word} {task} {len(rows)}\n")
        time.sleep(self._seconds)
        if (bad := rows["ID"] % self._bad_every == 0).any():
            raise ValueError(f"no score for {rows['ID'][bad].iloc[0]}")
        return pd.DataFrame({"Y": rows["X"] * self._weight})

    def _recorded(self, task: int) -> bool:
        for path in self._records.glob(f"*-{task:06d}*.json"):
            try:
                json.loads(path.read_text())
            except (OSError, ValueError):
                # Cut off while it was written: such a record does not count, and the task is done again.
                continue
            return True
        return False
