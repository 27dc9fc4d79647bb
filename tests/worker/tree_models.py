"""Models of the worker's kind ``python`` around models of tree libraries that were saved before."""

from __future__ import annotations

from typing import Any


class Xgboost:
    """:param how: as a scikit-learn estimator, or as a booster with a matrix."""

    def __init__(self, path: str, input_format: str = "pandas", how: str = "estimator") -> None:
        import xgboost

        self.input_format = input_format
        self._xgboost, self._how = xgboost, how
        self._model = xgboost.XGBRegressor() if how == "estimator" else xgboost.Booster()
        self._model.load_model(path)

    def predict(self, rows: Any) -> Any:
        if self._how == "estimator":
            return {"Y": self._model.predict(rows)}
        return {"Y": self._model.predict(self._xgboost.DMatrix(rows, enable_categorical=True))}


class Lightgbm:
    def __init__(self, path: str, input_format: str = "pandas") -> None:
        import lightgbm

        self.input_format = input_format
        self._model = lightgbm.Booster(model_file=path)

    def predict(self, rows: Any) -> Any:
        return {"Y": self._model.predict(rows)}
