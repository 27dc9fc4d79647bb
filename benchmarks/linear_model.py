"""A model that costs next to nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd


class Linear:
    """:param features: the columns that it takes."""

    def __init__(self, features: list[str]) -> None:
        self.input_columns = features
        self._weights = np.linspace(-1, 1, len(features), dtype=np.float32)

    def predict(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        return {"PREDICTION": frame.to_numpy() @ self._weights}
