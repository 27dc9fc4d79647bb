"""A model that was trained elsewhere: the mean scan of each digit, in a file beside the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


class NearestCentroid:
    """Says of a scan which digit's mean scan is the nearest.

    :param file: the means, as JSON: digit to its 64 pixels, beside this module.
    """

    def __init__(self, file: str = "centroids.json") -> None:
        means = json.loads((Path(__file__).parent / file).read_text())
        self.digits = np.array([int(digit) for digit in means])
        self.means = np.array(list(means.values()))

    def predict(self, rows: pd.DataFrame) -> dict[str, Any]:
        pixels = rows.filter(like="PIXEL").to_numpy(dtype=float)
        distances = ((pixels[:, None, :] - self.means) ** 2).sum(axis=2)
        return {"PREDICTION": self.digits[distances.argmin(axis=1)], "DISTANCE": np.sqrt(distances.min(axis=1))}
