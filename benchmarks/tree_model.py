"""The model that the throughput measurement scores with: gradient-boosted trees, one thread a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


class Trees:
    """A model on disk, loaded by whoever measures.

    :param path: a LightGBM text model, or a scikit-learn model written by joblib.
    :param features: names of the columns that it takes.
    """

    def __init__(self, path: str, features: list[str]) -> None:
        self.input_columns = features
        if path.endswith(".txt"):
            import lightgbm

            booster = lightgbm.Booster(model_file=path)
            self._score: Any = lambda rows: booster.predict(rows, num_threads=1)
        else:
            import joblib
            from threadpoolctl import threadpool_limits

            model = joblib.load(path)
            # Several processes share the cores; each uses one.
            threadpool_limits(1)
            self._score = model.predict

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Predictions for a matrix of features."""
        return np.asarray(self._score(rows))

    def predict(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """The worker's entry."""
        return {"PREDICTION": self.score(frame.to_numpy())}


def train(folder: Path, features: list[str], trees: int, leaves: int, seed: int = 0) -> tuple[Path, str]:
    """Train on random rows.

    :return: the model's file and the name of the library.
    """
    random = np.random.default_rng(seed)
    rows = random.standard_normal((50_000, len(features)), dtype=np.float32)
    target = rows[:, 0] * 2 + np.sin(rows[:, 1] * 3) + rows[:, 2] * rows[:, 3] + random.standard_normal(len(rows)) / 4
    try:
        import lightgbm
    except ImportError:
        import joblib
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(max_iter=trees, max_leaf_nodes=leaves, early_stopping=False)
        joblib.dump(model.fit(rows, target), folder / "model.joblib")
        return folder / "model.joblib", "scikit-learn HistGradientBoostingRegressor"
    options = {"objective": "regression", "num_leaves": leaves, "verbosity": -1, "seed": seed}
    booster = lightgbm.train(options, lightgbm.Dataset(rows, target), num_boost_round=trees)
    booster.save_model(folder / "model.txt")
    return folder / "model.txt", f"LightGBM {lightgbm.__version__}"
