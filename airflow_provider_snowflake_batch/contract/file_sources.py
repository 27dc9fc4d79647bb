"""The kinds of models that are a file of a library's own format: what a job file states of each, read and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from airflow_provider_snowflake_batch.contract.job_fields import Fields, JobFileError, check_text

_FileModel = TypeVar("_FileModel", bound="FileModel")


@dataclass(frozen=True)
class FileModel:
    """What these kinds have in common.

    :param path: of the file.
    :param python_path: folders, zip files and wheels with modules that the model needs.
    :param columns: the input columns that the model gets, in the order that it was trained with; empty for those that
        it names itself, or all.
    """

    KIND: ClassVar[str]

    path: Path
    function: str
    python_path: tuple[Path, ...] = ()
    columns: tuple[str, ...] = ()

    @classmethod
    def read(cls: type[_FileModel], fields: Fields, function: str) -> _FileModel:
        return cls(
            fields.path("path"),
            function,
            fields.paths("python_path", "directories, zip files and wheels"),
            tuple(fields.texts("columns", "input columns")),
        )

    def fields(self) -> dict[str, Any]:
        given = {"python_path": [str(path) for path in self.python_path], "columns": list(self.columns)}
        return {"path": str(self.path)} | {name: value for name, value in given.items() if value}

    def places(self) -> dict[str, tuple[Path, ...]]:
        return {"path": (self.path,), "python_path": self.python_path}


@dataclass(frozen=True)
class XGBoostModel(FileModel):
    """A model as ``save_model`` of XGBoost writes it."""

    KIND: ClassVar[str] = "xgboost"


@dataclass(frozen=True)
class LightGBMModel(FileModel):
    """A model as ``Booster.save_model`` of LightGBM writes it."""

    KIND: ClassVar[str] = "lightgbm"


@dataclass(frozen=True)
class SklearnModel(FileModel):
    """An estimator of scikit-learn's kind, as skops, joblib or pickle wrote it.

    :param trusted: types that a skops file may hold besides those that skops itself trusts.
    """

    KIND: ClassVar[str] = "sklearn"

    trusted: tuple[str, ...] = ()

    @classmethod
    def read(cls, fields: Fields, function: str) -> SklearnModel:
        plain = super().read(fields, function)
        trusted = tuple(fields.texts("trusted", "types"))
        return cls(plain.path, plain.function, plain.python_path, plain.columns, trusted)

    def fields(self) -> dict[str, Any]:
        return super().fields() | ({"trusted": list(self.trusted)} if self.trusted else {})


@dataclass(frozen=True)
class OnnxModel(FileModel):
    """A model in ONNX's own file, or a folder that holds one such file and its data; also as a zip file.

    :param inputs: for inputs of the model, the input columns that each is made of.
    :param outputs: which outputs are wanted, and under which name each, or under which names its values; all of them
        under their own names if it is empty.
    """

    KIND: ClassVar[str] = "onnx"

    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outputs: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, fields: Fields, function: str) -> OnnxModel:
        plain = super().read(fields, function)
        inputs: dict[str, tuple[str, ...]] = {}
        for name, value in fields.get("inputs", dict, {}).items():
            inputs[name] = _names(value, f"{fields.at('inputs')}.{name}")
        outputs: dict[str, str | tuple[str, ...]] = {}
        for name, value in fields.get("outputs", dict, {}).items():
            where = f"{fields.at('outputs')}.{name}"
            outputs[name] = _names([value], where)[0] if isinstance(value, str) else _names(value, where)
        return cls(plain.path, plain.function, plain.python_path, plain.columns, inputs, outputs)

    def fields(self) -> dict[str, Any]:
        inputs = {name: list(columns) for name, columns in self.inputs.items()}
        outputs = {name: named if isinstance(named, str) else list(named) for name, named in self.outputs.items()}
        given = {"inputs": inputs, "outputs": outputs}
        return super().fields() | {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class MLflowModel(FileModel):
    """A model as MLflow saves it: the folder that holds ``MLmodel``, or a zip file of it."""

    KIND: ClassVar[str] = "mlflow"


def _names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
        raise JobFileError(f"{where} must be a list of names of columns")
    for one in value:
        check_text(one, where)
    return tuple(value)


FILE_SOURCES: Mapping[str, type[FileModel]] = {
    source.KIND: source for source in (SklearnModel, XGBoostModel, LightGBMModel, OnnxModel, MLflowModel)
}
