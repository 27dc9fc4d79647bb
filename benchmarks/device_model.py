"""A model that only waits, as one does whose work is done by a device."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd


class Device:
    """:param seconds: for each batch. :param calls: file that gets begin and end of each call."""

    def __init__(self, seconds: float, calls: str, features: list[str]) -> None:
        self.input_columns = features
        self._seconds, self._calls = seconds, Path(calls).open("a", buffering=1)  # noqa: SIM115

    def predict(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        begun = time.monotonic()
        time.sleep(self._seconds)
        self._calls.write(f"{begun} {time.monotonic()}\n")
        return {"PREDICTION": np.zeros(len(frame))}
