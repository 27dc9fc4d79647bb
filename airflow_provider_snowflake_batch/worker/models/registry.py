"""Models as the Snowflake Model Registry keeps them: a directory written by ``snowflake-ml-python``.

``Registry.log_model`` packs ``model/model.yaml`` with the signatures, and the model's own files beside it; the same
package reads it back. Its description is read here without that package, so that a wrong job is refused at once.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import types
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.contract.model_sources import RegistryModel
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models import packed_pipelines
from airflow_provider_snowflake_batch.worker.models.base import Description, LoadedModel, ModelKind, bind
from airflow_provider_snowflake_batch.worker.models.code_archives import import_from, unpack, unpacked
from airflow_provider_snowflake_batch.worker.models.signature import Signature, parse_signature, resolve_params

METADATA_FILE = "model.yaml"
_HASHED_FILE_BYTES = 1024 * 1024


def packed_directory(path: Path) -> Path:
    """Where ``model.yaml`` is: the directory itself, or ``model`` in it as ``log_model`` lays it out.

    :raises Refused: it is in neither.
    """
    for candidate in (path, path / "model"):
        if (candidate / METADATA_FILE).is_file():
            return candidate
    raise Refused(f"{path} is not a packed model: it holds no {METADATA_FILE}")


def _metadata(directory: Path) -> Mapping[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load((directory / METADATA_FILE).read_bytes(), Loader=loader)
    except (OSError, yaml.YAMLError) as error:
        raise Refused(f"cannot read {directory / METADATA_FILE}: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("signatures"), dict):
        raise Refused(f"{directory / METADATA_FILE} does not state the model's signatures")
    return value


def _function(metadata: Mapping[str, Any], name: str) -> str:
    # SQL folds method names to upper case; the packed model knows the Python spelling.
    functions = list(metadata["signatures"])
    for matching in (
        [one for one in functions if one == name],
        [one for one in functions if one.upper() == name.upper()],
    ):
        if len(matching) == 1:
            return str(matching[0])
    raise Refused(f"the model has no function {name!r}; it has {', '.join(sorted(functions))}")


def _signature(model: RegistryModel, input_files: JobInput) -> tuple[Path, str, Signature, bool]:
    directory = packed_directory(model.path)
    metadata = _metadata(directory)
    function = _function(metadata, model.function)
    properties = (metadata.get("function_properties") or {}).get(function) or {}
    partitioned = bool(properties.get("PARTITIONED"))
    if partitioned and not input_files.partition_column:
        raise Refused(f"the model's function {function!r} works on partitions: input.partition_column is needed")
    return directory, function, parse_signature(metadata["signatures"][function]), partitioned


class Kind(ModelKind[RegistryModel]):
    source = RegistryModel

    def prepare(self, model: RegistryModel, folder: Path) -> RegistryModel:
        model = unpacked(model, folder)
        if model.path.is_file():
            unpack(model.path, folder / "model", "model.path")
            model = replace(model, path=folder / "model")
        return model

    def describe(self, model: RegistryModel, input_files: JobInput) -> Description:
        return describe(model, input_files)

    def load(self, model: RegistryModel, input_files: JobInput) -> LoadedModel:
        return load(model, input_files)

    def folders(self, model: RegistryModel) -> Sequence[Path]:
        return [packed_directory(model.path), *model.python_path]


def describe(model: RegistryModel, input_files: JobInput) -> Description:
    """What the packed directory states.

    :raises Refused: it is no packed model, has no such function, or the parameters do not fit its signature.
    """
    directory, function, signature, partitioned = _signature(model, input_files)
    _resolve(directory, signature, input_files)
    return Description(f"registry:{function}:{_content_hash(directory)}", signature, partitioned)


def _resolve(directory: Path, signature: Signature, input_files: JobInput) -> dict[str, Any]:
    if packed_pipelines.is_pipeline(_metadata(directory)):
        return packed_pipelines.check_params(signature, input_files.params)
    return resolve_params(signature.params, input_files.params)


def _content_hash(directory: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            size = path.stat().st_size
            digest.update(f"{path.relative_to(directory).as_posix()}\0{size}\0".encode())
            with path.open("rb") as file:
                digest.update(file.read(_HASHED_FILE_BYTES))
    return digest.hexdigest()


def load(model: RegistryModel, input_files: JobInput) -> LoadedModel:
    """Load the model with its own packager, as Snowflake's generated inference functions do.

    :raises Refused: as `describe`.
    """
    directory, function, signature, partitioned = _signature(model, input_files)
    params = _resolve(directory, signature, input_files)
    import_from(model.python_path)
    _import_light()
    packager_module = importlib.import_module("snowflake.ml.model._packager.model_packager")
    packager = packager_module.ModelPackager(str(directory))
    # The warning is about deploying to a warehouse, and would stand alone in the log of most jobs.
    warnings.filterwarnings("ignore", message="Found dependencies specified as pip requirements")
    packager.load(as_custom_model=True)
    passed = params
    if packed_pipelines.is_pipeline(metadata := _metadata(directory)):
        passed = packed_pipelines.arguments(metadata, signature, input_files.params)
    call = bind(getattr(packager.model, function), passed)
    return LoadedModel(call, signature=signature, params=params, partitioned=partitioned)


def _import_light() -> None:
    """Put a package in place of ``snowflake.ml.model`` that runs its ``__init__`` only when something asks for it.

    That file imports the whole client (sessions, feature store, registry operations). This takes most of the time in
    which a small job starts, and loading a model needs nothing of it. Names that only the real ``__init__`` defines are
    still found: the first access runs it.
    """
    name = "snowflake.ml.model"
    if name in sys.modules:
        return
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.loader is None:
        raise Refused("snowflake-ml-python is not installed here, so a registry model cannot be loaded")
    module = _LazyPackage(name)
    module.__spec__ = spec
    module.__loader__ = spec.loader
    module.__file__ = spec.origin
    module.__path__ = list(spec.submodule_search_locations or [])
    module.__package__ = name
    sys.modules[name] = module
    parent = importlib.import_module("snowflake.ml")
    parent.model = module  # type: ignore[attr-defined]


class _LazyPackage(types.ModuleType):
    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        submodule = f"{self.__name__}.{attribute}"
        if importlib.util.find_spec(submodule) is not None:
            return importlib.import_module(submodule)
        if not self.__dict__.get("_executed"):
            self.__dict__["_executed"] = True
            assert self.__spec__ is not None and self.__spec__.loader is not None
            self.__spec__.loader.exec_module(self)
        try:
            return self.__dict__[attribute]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {attribute!r}") from None
