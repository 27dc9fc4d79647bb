"""Estimators and pipelines with scikit-learn's methods, as skops, joblib or pickle wrote them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.contract.file_sources import SklearnModel
from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel, bind
from airflow_provider_snowflake_batch.worker.models.code_archives import import_from
from airflow_provider_snowflake_batch.worker.models.file_kind import (
    FileKind,
    chosen_columns,
    import_library,
    named_outputs,
    without_names,
)
from airflow_provider_snowflake_batch.worker.models.python import check_params

SKOPS = ".skops"
_WORDS = {
    "predict": "PREDICTION",
    "predict_proba": "PROBABILITY",
    "predict_log_proba": "LOG_PROBABILITY",
    "decision_function": "DECISION",
    "score_samples": "SCORE",
    "transform": "FEATURE",
    "apply": "LEAF",
}
_OF_CLASSES = ("predict_proba", "predict_log_proba", "decision_function")


class Kind(FileKind[SklearnModel]):
    source = SklearnModel
    library = "scikit-learn"
    functions = tuple(_WORDS)
    has_params = True

    def load(self, model: SklearnModel, input_files: JobInput) -> LoadedModel:
        import_from(model.python_path)
        import_library("sklearn", "scikit-learn")
        estimator = _read(model.path, model.trusted)
        method = getattr(estimator, model.function, None)
        if not callable(method):
            known = ", ".join(name for name in _WORDS if callable(getattr(estimator, name, None))) or "none of ours"
            raise Refused(f"a {type(estimator).__name__} has no function {model.function!r}; it has {known}")
        check_params(method, f"{type(estimator).__name__}.{model.function}", input_files.params)
        _limit_threads(estimator)
        names = tuple(getattr(estimator, "feature_names_in_", ()))
        if not all(isinstance(name, str) for name in names):
            names = ()
        count = getattr(estimator, "n_features_in_", None)
        choose = chosen_columns(self.library, names, count, model.columns)
        call, named = bind(method, input_files.params), _naming(estimator, model.function)
        return LoadedModel(lambda rows: named(call(rows if names else without_names(rows))), columns=choose)


def _read(path: Path, trusted: Sequence[str]) -> Any:
    try:
        if path.suffix != SKOPS:
            return import_library("joblib", "joblib").load(path)
        skops = import_library("skops.io", "skops", "Snowflake's container runtime does not bring it.")
        unknown = sorted(set(skops.get_untrusted_types(file=path)) - set(trusted))
        if unknown:
            raise Refused(f"model.path: {path.name} holds types that are not in model.trusted: {', '.join(unknown)}")
        return skops.load(path, trusted=list(trusted))
    except ModuleNotFoundError as error:
        raise Refused(
            f"model.path: {path.name} needs the module {error.name}, which is not here: give it as code of the model "
            "(python_path), or take an image that has it"
        ) from None


def _limit_threads(estimator: Any) -> None:
    """Limit parts that would use all cores to this process's share of them. It changes no result."""
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    given = estimator.get_params() if hasattr(estimator, "get_params") else {}
    several = {
        name: min(value, threads) if value > 0 else threads
        for name, value in given.items()
        if (name == "n_jobs" or name.endswith("__n_jobs")) and isinstance(value, int) and value != 1
    }
    if several:
        estimator.set_params(**several)


def _naming(estimator: Any, function: str) -> Callable[[Any], Any]:
    """What names the columns of what the function returns."""
    word = _WORDS[function]

    def named(returned: Any) -> Any:
        if hasattr(returned, "toarray"):
            returned = returned.toarray()
        if hasattr(returned, "columns"):
            return returned
        if isinstance(returned, tuple):
            # Further values beside the prediction, such as its standard deviation.
            parts = [
                named_outputs(word if not number else f"{word}_{number}", one) for number, one in enumerate(returned)
            ]
            return {name: values for part in parts for name, values in part.items()}
        classes = getattr(estimator, "classes_", ()) if function in _OF_CLASSES else ()
        if isinstance(returned, list):
            # One array for each of several outputs, each with classes of its own.
            parts = [named_outputs(f"{word}_{number}", one, classes[number]) for number, one in enumerate(returned)]
            return {name: values for part in parts for name, values in part.items()}
        names = _feature_names(estimator) if function == "transform" else classes
        if function == "transform" and len(names) == returned.shape[1]:
            return {str(name): returned[:, index] for index, name in enumerate(names)}
        return named_outputs(word, returned, names)

    return named


def _feature_names(estimator: Any) -> Sequence[Any]:
    try:
        return list(estimator.get_feature_names_out())
    except Exception:
        # Not every transformer knows the names of its output.
        return ()
