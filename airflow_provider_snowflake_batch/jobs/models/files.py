"""Models that are a file of a library's own format, beside the Dag or on a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

from airflow_provider_snowflake_batch.contract import file_sources
from airflow_provider_snowflake_batch.contract.model_sources import ModelSource
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.models.base import ModelSpec, check_code, check_function, check_place
from airflow_provider_snowflake_batch.jobs.spec_fields import is_template


@dataclass(frozen=True)
class FileModel(ModelSpec):
    """Base of these kinds.

    :cvar endings: those that the file's name may have; empty for any.
    :cvar functions: those that there are.
    """

    endings: ClassVar[tuple[str, ...]] = ()
    functions: ClassVar[tuple[str, ...]] = ()
    _source: ClassVar[type[file_sources.FileModel]]

    path: str
    function: str = "predict"
    columns: Sequence[str] | None = None
    code: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_place("model.path", self.path)
        if self.endings and not is_template(self.path) and not self.path.endswith(self.endings):
            raise InvalidJobError("model.path", f"expected a file {self._endings_in_words()}, got {self.path!r}.")
        check_function(self.function, self.functions, type(self).__name__)
        check_code(self)
        _texts(self, "columns", "a list of input columns")

    def _endings_in_words(self) -> str:
        return " or ".join(self.endings)

    @property
    def file(self) -> str:
        return self.path

    def at(self, code: Sequence[str], file: str | None) -> Self:
        return replace(super().at(code, file), path=file or self.path)

    def source(self, python_path: tuple[Path, ...], file: Path | None) -> ModelSource:
        assert file is not None
        return self._source(file, self.function, python_path, tuple(self.columns or ()))

    def __str__(self) -> str:
        return self.path

    __hash__ = ModelSpec.__hash__


@dataclass(frozen=True)
class XGBoostModel(FileModel):
    """A model as ``save_model`` of XGBoost writes it: JSON (``.json``) or UBJSON (``.ubj``).

    :param path: of the file: beside the Dag's file (relative to its folder), or ``@database.schema.stage/path``.
    :param function: ``predict`` (a class for classifiers, else the value), ``predict_proba`` or ``predict_raw`` (before
        the objective's transformation).
    :param columns: the input columns that the model gets, in the order that it was trained with. Default: those that
        the model names; all, for a model that was trained without names.
    :param code: where modules are that the model needs: as of ``PythonModel``.
    :raises InvalidJobError: if a value is malformed.
    """

    kind: ClassVar[str] = "xgboost"
    endings: ClassVar[tuple[str, ...]] = (".json", ".ubj")
    functions: ClassVar[tuple[str, ...]] = ("predict", "predict_proba", "predict_raw")
    _source = file_sources.XGBoostModel

    __hash__ = ModelSpec.__hash__


@dataclass(frozen=True)
class LightGBMModel(FileModel):
    """A model as ``Booster.save_model`` of LightGBM writes it: a text file (``.txt``).

    :param path: as of ``XGBoostModel``, as are ``function``, ``columns`` and ``code``.
    :raises InvalidJobError: if a value is malformed.
    """

    kind: ClassVar[str] = "lightgbm"
    endings: ClassVar[tuple[str, ...]] = (".txt",)
    functions: ClassVar[tuple[str, ...]] = ("predict", "predict_proba", "predict_raw")
    _source = file_sources.LightGBMModel

    __hash__ = ModelSpec.__hash__


@dataclass(frozen=True)
class SklearnModel(FileModel):
    """An estimator or pipeline with scikit-learn's methods, as skops (``.skops``), joblib or pickle wrote it.

    Reading a file of joblib or pickle runs what is in it: use only files that you have written yourself. skops runs
    only types that it knows, and those in ``trusted``.

    :param path: as of ``XGBoostModel``, as are ``columns`` and ``code``.
    :param function: the method, such as ``predict``, ``predict_proba``, ``decision_function`` or ``transform``.
    :param trusted: types that a skops file may hold besides, as ``skops.io.get_untrusted_types`` names them.
    :raises InvalidJobError: if a value is malformed.
    """

    kind: ClassVar[str] = "sklearn"
    endings: ClassVar[tuple[str, ...]] = (".skops", ".joblib", ".pkl", ".pickle")
    functions: ClassVar[tuple[str, ...]] = (
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "score_samples",
        "transform",
        "apply",
    )

    trusted: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _texts(self, "trusted", "a list of types")

    def source(self, python_path: tuple[Path, ...], file: Path | None) -> ModelSource:
        assert file is not None
        columns, trusted = tuple(self.columns or ()), tuple(self.trusted or ())
        return file_sources.SklearnModel(file, self.function, python_path, columns, trusted)

    __hash__ = ModelSpec.__hash__


@dataclass(frozen=True)
class OnnxModel(FileModel):
    """A model in ONNX's own file (``.onnx``), or a folder or zip archive with one such file and its external data.

    Columns become the types that the model's inputs have: a fraction the nearest number, a whole number itself or an
    error. Snowflake's container runtime lacks onnxruntime: give its wheel as ``code``, or take an image that has it.

    :param path: as of ``XGBoostModel``, as is ``code``.
    :param inputs: for inputs of the model, the input columns that each is made of, in order. Default: an input is the
        column of its name; the only input is all columns.
    :param columns: the same for a model with one input.
    :param outputs: which outputs are wanted: for each, the name of its column, or a list of names for its values.
        Default: all, under their own names.
    :raises InvalidJobError: if a value is malformed.
    """

    kind: ClassVar[str] = "onnx"
    functions: ClassVar[tuple[str, ...]] = ("predict",)

    inputs: Mapping[str, tuple[str, ...]] | None = None
    outputs: Mapping[str, str | tuple[str, ...]] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _mapping(self, "inputs", "a dict from inputs of the model to lists of columns", texts=False)
        _mapping(self, "outputs", "a dict from outputs of the model to a name or a list of names", texts=True)
        if self.inputs is not None and self.columns is not None:
            raise InvalidJobError("model.columns", "give either columns or inputs.")

    @property
    def file_is_folder(self) -> bool:
        return not self.path.endswith(".onnx")

    def source(self, python_path: tuple[Path, ...], file: Path | None) -> ModelSource:
        assert file is not None
        inputs, outputs = dict(self.inputs or {}), dict(self.outputs or {})
        return file_sources.OnnxModel(file, self.function, python_path, tuple(self.columns or ()), inputs, outputs)

    __hash__ = ModelSpec.__hash__


@dataclass(frozen=True)
class MLflowModel(FileModel):
    """A model as MLflow saves it (``mlflow.<library>.save_model``): a folder with ``MLmodel``, or a zip archive of it.

    It is called as MLflow's ``pyfunc``: with the inputs of its signature, in their types, and ``input_spec``'s
    ``params``, which the signature has to have. To read a model may run what is in it, as pickles do.
    Snowflake's container runtime lacks mlflow: take an image that has it.

    :param path: of the folder or archive: else as of ``XGBoostModel``, as is ``code``.
    :param columns: the input columns that the model gets, for models whose signature does not name its inputs.
    :raises InvalidJobError: if a value is malformed.
    """

    kind: ClassVar[str] = "mlflow"
    functions: ClassVar[tuple[str, ...]] = ("predict",)
    _source = file_sources.MLflowModel

    @property
    def file_is_folder(self) -> bool:
        return True

    __hash__ = ModelSpec.__hash__


def _mapping(spec: FileModel, name: str, what: str, *, texts: bool) -> None:
    """Hold that a field maps names to lists of names, or also to names."""
    value = getattr(spec, name)
    if value is None or is_template(value):
        return
    if not isinstance(value, Mapping) or not value:
        raise InvalidJobError(f"model.{name}", f"expected {what}, got {value!r}.")
    found: dict[str, Any] = {}
    for key, names in value.items():
        members = [names] if texts and isinstance(names, str) else names
        if not isinstance(key, str) or not isinstance(members, (list, tuple)) or not members:
            raise InvalidJobError(f"model.{name}", f"expected {what}, got {key!r}: {names!r}.")
        if not all(isinstance(one, str) and one for one in members):
            raise InvalidJobError(f"model.{name}", f"expected {what}, got {key!r}: {names!r}.")
        found[key] = names if isinstance(names, str) else tuple(names)
    object.__setattr__(spec, name, MappingProxyType(found))


def _texts(spec: FileModel, name: str, what: str) -> None:
    value = getattr(spec, name)
    if value is None or is_template(value):
        return
    if isinstance(value, str) or not isinstance(value, (list, tuple)) or not value:
        raise InvalidJobError(f"model.{name}", f"expected {what}, got {value!r}.")
    if not all(isinstance(one, str) and one for one in value):
        raise InvalidJobError(f"model.{name}", f"expected {what}, got {value!r}.")
    object.__setattr__(spec, name, tuple(value))
