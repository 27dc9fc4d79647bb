"""The model that `mixed_table` scores with: what scikit-learn's own examples make of a table of texts and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TEXTS = ["carrier", "origin", "dest"]
NUMBERS = ["month", "day", "sched_dep_time", "dep_delay", "sched_arr_time", "air_time", "distance", "hour"]


class Delays:
    """How likely a flight arrives more than a quarter of an hour late.

    :param path: a scikit-learn pipeline, written by joblib.
    """

    input_columns = TEXTS + NUMBERS

    def __init__(self, path: str) -> None:
        import joblib
        from threadpoolctl import threadpool_limits

        self._model: Any = joblib.load(path)
        # One process on one core, whoever calls it.
        threadpool_limits(1)

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """A probability for each row."""
        return np.asarray(self._model.predict_proba(frame[self.input_columns])[:, 1])

    def predict(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """The worker's entry."""
        return {"PREDICTION": self.score(frame)}


def train(flights: pd.DataFrame, path: Path, rows: int = 50_000) -> None:
    """Write a model that is trained on some of the flights."""
    import joblib
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    known = flights[flights["arr_delay"].notna()].sample(rows, random_state=0)
    columns = ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS),
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
        ]
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1000))
    joblib.dump(model.fit(known, known["arr_delay"] > 15), path)
