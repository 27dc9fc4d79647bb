"""Models in LightGBM's own files. Their functions return what its estimators' do, with classes by their number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from airflow_provider_snowflake_batch.contract.file_sources import LightGBMModel
from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models import tree_columns
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.code_archives import import_from
from airflow_provider_snowflake_batch.worker.models.file_kind import (
    FileKind,
    chosen_columns,
    import_library,
    named_outputs,
    without_names,
)

_OBJECTIVE = re.compile(r"^objective=(\S+)", re.MULTILINE)
_CLASSIFIERS = ("binary", "multiclass", "multiclassova")


class Kind(FileKind[LightGBMModel]):
    source = LightGBMModel
    library = "LightGBM"
    functions = ("predict", "predict_proba", "predict_raw")

    def load(self, model: LightGBMModel, input_files: JobInput) -> LoadedModel:
        import_from(model.python_path)
        lightgbm = import_library("lightgbm", "lightgbm")
        try:
            booster = lightgbm.Booster(model_file=str(model.path))
        except lightgbm.basic.LightGBMError as error:
            raise Refused(f"model.path: LightGBM cannot read {model.path.name}: {error}") from None
        trained = tree_columns.of_lightgbm(booster)
        choose = chosen_columns(
            self.library, tuple(trained.names), booster.num_feature(), model.columns, trained.spelled
        )
        function = _function(booster, model.function)
        return LoadedModel(function if trained.names else lambda rows: function(without_names(rows)), columns=choose)


def _function(booster: Any, name: str) -> Callable[[Any], dict[str, Any]]:
    if name == "predict_raw":
        return lambda rows: named_outputs("RAW", booster.predict(rows, raw_score=True))
    found = _OBJECTIVE.search(booster.model_to_string(num_iteration=1))
    objective = found[1] if found else "custom"
    if objective not in _CLASSIFIERS:
        if name == "predict_proba":
            raise Refused(f"the LightGBM model is no classifier (objective {objective}), so it has no predict_proba")
        return lambda rows: named_outputs("PREDICTION", booster.predict(rows))

    def probabilities(rows: Any) -> np.ndarray:
        found = booster.predict(rows)
        return np.vstack((1.0 - found, found)).transpose() if found.ndim == 1 else found

    if name == "predict_proba":
        return lambda rows: named_outputs("PROBABILITY", probabilities(rows))
    return lambda rows: named_outputs("PREDICTION", np.argmax(probabilities(rows), axis=1))
