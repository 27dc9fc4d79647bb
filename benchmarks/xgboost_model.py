"""An XGBoost model as a job's model: one thread a process, rows as the worker gives them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xgboost


class XGBoost:
    """:param path: a model file. :param features: the columns that it takes."""

    def __init__(self, path: str, features: list[str]) -> None:
        self.input_columns = features
        self._booster = xgboost.Booster({"nthread": 1}, model_file=path)

    def score(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._booster.inplace_predict(rows, validate_features=False))

    def predict(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        return {"PREDICTION": self.score(frame.to_numpy())}
