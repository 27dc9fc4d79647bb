"""Models as MLflow saves them, called as its ``pyfunc``.

What a model takes is read from its ``MLmodel`` (https://mlflow.org/docs/latest/ml/model/signatures), so that a wrong
job is refused without the library.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from airflow_provider_snowflake_batch.contract.file_sources import MLflowModel
from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.base import ColumnChoice, Description, LoadedModel
from airflow_provider_snowflake_batch.worker.models.code_archives import import_from, unpacked
from airflow_provider_snowflake_batch.worker.models.columns import match_columns
from airflow_provider_snowflake_batch.worker.models.file_kind import (
    FileKind,
    chosen_columns,
    copied_folder,
    import_library,
    named_outputs,
    without_names,
)
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature

METADATA_FILE = "MLmodel"
_WORD = "PREDICTION"
_TYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "STRING",
    "binary": "BYTES",
    "datetime": "TIMESTAMP_NTZ",
}


@dataclass(frozen=True)
class Described:
    """What ``MLmodel`` states. :param params: names."""

    inputs: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, Any]]
    params: Sequence[str]

    @classmethod
    def read(cls, folder: Path) -> Described:
        """:raises Refused: it is malformed, or states no pyfunc."""
        try:
            document = yaml.load((folder / METADATA_FILE).read_bytes(), Loader=yaml.SafeLoader)
            has_function = "python_function" in document["flavors"]
            signature = document.get("signature") or {}
            inputs, outputs, params = (
                json.loads(signature.get(one) or "[]") for one in ("inputs", "outputs", "params")
            )
            described = cls(inputs, outputs, [str(one["name"]) for one in params])
        except (OSError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(f"model.path: {METADATA_FILE} cannot be read: {type(error).__name__}: {error}") from None
        if not has_function:
            raise Refused(
                f"model.path: {METADATA_FILE} states no flavor python_function, by which MLflow calls a model"
            )
        return described

    @property
    def names(self) -> list[str]:
        """Of the inputs; empty where they have none."""
        names = [one.get("name") for one in self.inputs]
        return [str(name) for name in names] if all(name is not None for name in names) else []

    @property
    def has_tensors(self) -> bool:
        return any(one.get("type") == "tensor" for one in self.inputs)

    def signature(self) -> Signature | None:
        """The inputs as those of a signature; None where it cannot state them."""
        if not self.names or not all(one.get("required", True) and one.get("type") in _TYPES for one in self.inputs):
            return None
        return Signature(tuple(Feature(str(one["name"]), _TYPES[one["type"]]) for one in self.inputs), ())


class Kind(FileKind[MLflowModel]):
    source = MLflowModel
    library = "MLflow"
    functions = ("predict",)
    has_params = True

    def prepare(self, model: MLflowModel, folder: Path) -> MLflowModel:
        whole = copied_folder(model.path, folder / "model")
        found = [path.parent for path in (whole / METADATA_FILE, *sorted(whole.glob(f"*/{METADATA_FILE}")))]
        found = [path for path in found if (path / METADATA_FILE).is_file()]
        if not found:
            raise Refused(f"model.path: {model.path} is no model of MLflow: it holds no {METADATA_FILE}")
        return replace(unpacked(model, folder), path=found[0])

    def own_folder(self, model: MLflowModel) -> Path:
        return model.path

    def describe(self, model: MLflowModel, input_files: JobInput) -> Description:
        found = Described.read(model.path)
        for name in input_files.params:
            if name not in found.params:
                known = f"it has {', '.join(found.params)}" if found.params else "its signature has none"
                raise Refused(f"the MLflow model has no parameter {name!r}; {known}")
        if model.columns and found.names:
            raise Refused(f"model.columns: the MLflow model names its inputs itself: {', '.join(found.names)}")
        return super().describe(model, input_files)

    def load(self, model: MLflowModel, input_files: JobInput) -> LoadedModel:
        import_from(model.python_path)
        # The job is not to call MLflow's server.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        pyfunc = import_library("mlflow.pyfunc", "mlflow", "Snowflake's container runtime does not bring it.")
        found = Described.read(model.path)
        loaded = pyfunc.load_model(str(model.path))
        params = dict(input_files.params)

        def call(rows: Any) -> Any:
            argument = _argument(rows, found)
            return loaded.predict(argument, params=copy.deepcopy(params)) if params else loaded.predict(argument)

        named, signature = _naming(found), found.signature()
        columns = None if signature is not None else _choice(found, model)
        return LoadedModel(lambda rows: named(call(rows)), signature=signature, columns=columns)


def _choice(found: Described, model: MLflowModel) -> ColumnChoice:
    """The columns for a model whose inputs are tensors, or may be missing."""
    if not found.names:
        count = 1 if found.inputs and not found.has_tensors else _width(found)
        return chosen_columns("MLflow", (), count, model.columns)

    def choose(columns: Sequence[str]) -> Mapping[str, str]:
        known = {column.upper() for column in columns}
        names = [
            str(one["name"])
            for one in found.inputs
            if one.get("required", True) or str(one["name"]).strip('"').upper() in known
        ]
        return dict(zip(names, match_columns(names, columns, "input of the MLflow model"), strict=True))

    return choose


def _width(found: Described) -> int | None:
    """Columns that make up the only tensor, if it is a matrix and says so."""
    if len(found.inputs) != 1:
        return None
    shape = (found.inputs[0].get("tensor-spec") or {}).get("shape") or []
    return int(shape[1]) if len(shape) == 2 and shape[1] > 0 else None


def _argument(rows: pd.DataFrame, found: Described) -> Any:
    if not found.has_tensors:
        return rows
    if found.names:
        tensors = {one["name"]: np.stack(rows[one["name"]].to_list()) for one in found.inputs}
        return {one["name"]: _in_type(tensors[one["name"]], one) for one in found.inputs}
    return _in_type(without_names(rows), found.inputs[0])


def _in_type(values: np.ndarray, stated: Mapping[str, Any]) -> np.ndarray:
    """Values in a tensor's type, the nearest for floating-point numbers.

    :raises ValueError: a whole number does not fit.
    """
    dtype = np.dtype(stated["tensor-spec"]["dtype"])
    found = values.astype(dtype)
    if np.issubdtype(dtype, np.integer) and not np.array_equal(found, values):
        raise ValueError(f"a value does not fit the MLflow model's tensor of {dtype}")
    return found


def _naming(found: Described) -> Callable[[Any], Any]:
    """What names the columns of what the model returns."""
    names = [one.get("name") for one in found.outputs]
    named_all = bool(names) and all(name is not None for name in names)

    def named(returned: Any) -> Any:
        if isinstance(returned, pd.DataFrame):
            return (
                named_outputs(_WORD, returned.to_numpy()) if isinstance(returned.columns, pd.RangeIndex) else returned
            )
        if isinstance(returned, Mapping):
            return returned
        if isinstance(returned, pd.Series):
            return {str(returned.name) if returned.name is not None else _WORD: returned}
        if isinstance(returned, np.ndarray):
            width = returned.shape[1] if returned.ndim == 2 else 1
            if named_all and width == len(names):
                return dict(zip(map(str, names), np.atleast_2d(returned.T), strict=True))
            return named_outputs(_WORD, returned)
        return {_WORD: returned} if isinstance(returned, list) and not _are_objects(returned) else returned

    return named


def _are_objects(values: Sequence[Any]) -> bool:
    return bool(values) and isinstance(values[0], Mapping)
