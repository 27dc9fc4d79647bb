"""Models in XGBoost's own files. Their functions are those of its estimators, and return the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from airflow_provider_snowflake_batch.contract.file_sources import XGBoostModel
from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.code_archives import import_from
from airflow_provider_snowflake_batch.worker.models.file_kind import (
    FileKind,
    chosen_columns,
    import_library,
    named_outputs,
    without_names,
)

_CLASSIFIERS = ("binary:", "multi:")


class Kind(FileKind[XGBoostModel]):
    source = XGBoostModel
    library = "XGBoost"
    functions = ("predict", "predict_proba", "predict_raw")

    def load(self, model: XGBoostModel, input_files: JobInput) -> LoadedModel:
        import_from(model.python_path)
        xgboost = import_library("xgboost", "xgboost")
        booster = xgboost.Booster()
        try:
            booster.load_model(str(model.path))
        except xgboost.core.XGBoostError as error:
            line = str(error).strip().splitlines()[-1]
            raise Refused(f"model.path: XGBoost cannot read {model.path.name}: {line}") from None
        names = tuple(booster.feature_names or ())
        choose = chosen_columns(self.library, names, booster.num_features(), model.columns)
        function = _function(xgboost, booster, model)
        return LoadedModel(function if names else lambda rows: function(without_names(rows)), columns=choose)


def _function(xgboost: Any, booster: Any, model: XGBoostModel) -> Callable[[Any], dict[str, Any]]:
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    if model.function == "predict_raw":
        return lambda rows: named_outputs("RAW", _values(xgboost, booster, rows, raw=True))
    if objective.startswith(_CLASSIFIERS):
        classifier = xgboost.XGBClassifier()
        classifier.load_model(str(model.path))
        if model.function == "predict_proba":
            return lambda rows: named_outputs("PROBABILITY", classifier.predict_proba(rows))
        return lambda rows: named_outputs("PREDICTION", classifier.predict(rows))
    if model.function == "predict_proba":
        raise Refused(f"the XGBoost model is no classifier (objective {objective}), so it has no predict_proba")
    return lambda rows: named_outputs("PREDICTION", _values(xgboost, booster, rows, raw=False))


def _values(xgboost: Any, booster: Any, rows: Any, *, raw: bool) -> Any:
    """As the estimators do: up to the iteration at which training was stopped early."""
    try:
        iterations = (0, booster.best_iteration + 1)
    except AttributeError:
        iterations = (0, 0)
    if json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "gblinear":
        matrix = xgboost.DMatrix(rows, enable_categorical=True)
        return booster.predict(matrix, output_margin=raw, iteration_range=iterations)
    return booster.inplace_predict(rows, iteration_range=iterations, predict_type="margin" if raw else "value")
