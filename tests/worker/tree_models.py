"""Models of the worker's kind ``python`` around models of tree libraries that were saved before."""

from __future__ import annotations

from typing import Any


class Xgboost:
    def __init__(self, path: str, input_format: str = "pandas") -> None:
        import xgboost

        self.input_format = input_format
        self._model = xgboost.XGBRegressor()
        self._model.load_model(path)

    def predict(self, rows: Any) -> Any:
        return {"Y": self._model.predict(rows)}

    def predict_by_matrix(self, rows: Any) -> Any:
        import xgboost

        return {"Y": self._model.get_booster().predict(xgboost.DMatrix(rows, enable_categorical=True))}


class XgboostBooster:
    """Of a file of its own, with no estimator around it."""

    def __init__(self, path: str, input_format: str = "pandas") -> None:
        import xgboost

        self.input_format = input_format
        self._model = xgboost.Booster()
        self._model.load_model(path)

    def predict(self, rows: Any) -> Any:
        import xgboost

        return {"Y": self._model.predict(xgboost.DMatrix(rows, enable_categorical=True))}


class Lightgbm:
    def __init__(self, path: str, input_format: str = "pandas") -> None:
        import lightgbm

        self.input_format = input_format
        self._model = lightgbm.Booster(model_file=path)

    def predict(self, rows: Any) -> Any:
        return {"Y": self._model.predict(rows)}


class EachWay:
    """Rows are scored in each way: an output of each, or one error that says what each has raised.

    :param lightgbm: None for XGBoost's ways alone.
    """

    def __init__(self, xgboost: str, lightgbm: str | None = None, input_format: str = "pandas") -> None:
        self.input_format = input_format
        # One model: of two with the same columns, a matrix does not tell whose it is.
        model = Xgboost(xgboost)
        self._ways = {"ESTIMATOR": model.predict, "BOOSTER": model.predict_by_matrix}
        if lightgbm is not None:
            self._ways["LIGHTGBM"] = Lightgbm(lightgbm).predict

    def predict(self, rows: Any) -> Any:
        found, raised = {}, []
        for name, score in self._ways.items():
            try:
                found[name] = score(rows)["Y"]
            except Exception as error:
                raised.append(f"{name} {type(error).__name__}: {' '.join(str(error).split())}")
        if raised:
            raise ValueError("; ".join(raised))
        return found
