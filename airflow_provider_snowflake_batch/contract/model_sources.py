"""The kinds of models that a job file can name: what each states of its model, read and written.

Those that are a file of a library's own are in ``file_sources``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from airflow_provider_snowflake_batch.contract.file_sources import FILE_SOURCES
from airflow_provider_snowflake_batch.contract.job_fields import Fields, JobFileError
from airflow_provider_snowflake_batch.contract.transformer_sources import TRANSFORMER_SOURCES


class ModelSource(Protocol):
    """What ``model`` of a job file states. Each kind of model has a frozen dataclass of its own.

    :cvar KIND: the word that stands in ``model.kind``.
    """

    KIND: ClassVar[str]

    @property
    def function(self) -> str:
        """The function that is called with the rows."""

    @classmethod
    def read(cls, fields: Fields, function: str) -> ModelSource:
        """Read the fields of this kind.

        :raises JobFileError: one is missing or malformed.
        """

    def fields(self) -> dict[str, Any]:
        """The fields as a job file holds them, without ``kind`` and ``function``."""

    def places(self) -> dict[str, tuple[Path, ...]]:
        """Where the model's own files are: name of the field, and its paths."""


@dataclass(frozen=True)
class RegistryModel:
    """A directory as ``snowflake-ml-python`` packs it: the one that holds ``model.yaml``, or a zip file of one.

    :param python_path: folders, zip files and wheels with modules that the model needs besides its own.
    """

    KIND: ClassVar[str] = "registry"

    path: Path
    function: str
    python_path: tuple[Path, ...] = ()

    @classmethod
    def read(cls, fields: Fields, function: str) -> RegistryModel:
        paths = fields.paths("python_path", "directories, zip files and wheels")
        return cls(fields.path("path"), function, paths)

    def fields(self) -> dict[str, Any]:
        code = {"python_path": [str(path) for path in self.python_path]} if self.python_path else {}
        return {"path": str(self.path)} | code

    def places(self) -> dict[str, tuple[Path, ...]]:
        return {"path": (self.path,), "python_path": self.python_path}


@dataclass(frozen=True)
class PythonModel:
    """A class ``module:Class``, made with ``init`` as keyword arguments.

    :param python_path: folders, zip files and wheels that Python looks into for the class.
    """

    KIND: ClassVar[str] = "python"

    target: str
    function: str
    init: Mapping[str, Any] = field(default_factory=dict)
    python_path: tuple[Path, ...] = ()

    @classmethod
    def read(cls, fields: Fields, function: str) -> PythonModel:
        target = fields.get("target", str, required=True)
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", target):
            raise JobFileError(f"model.target {target!r} is not of the form package.module:Class")
        paths = fields.paths("python_path", "directories, zip files and wheels")
        return cls(target, function, fields.get("init", dict, {}), paths)

    def fields(self) -> dict[str, Any]:
        given = {"init": dict(self.init), "python_path": [str(path) for path in self.python_path]}
        return {"target": self.target} | {name: value for name, value in given.items() if value}

    def places(self) -> dict[str, tuple[Path, ...]]:
        return {"python_path": self.python_path}


@dataclass(frozen=True)
class ChatStandIn:
    """A packed chat model that a test double of vLLM stands in for, which runs no language model.

    :param name: the model's name, for the answers.
    :param engine_arguments: what vLLM would be started with.
    """

    KIND: ClassVar[str] = "chat_stand_in"

    path: Path
    function: str
    name: str
    engine_arguments: tuple[str, ...] = ()

    @classmethod
    def read(cls, fields: Fields, function: str) -> ChatStandIn:
        arguments = fields.texts("engine_arguments", "strings")
        path = fields.path("path")
        return cls(path, function, fields.get("name", str, path.name), tuple(arguments))

    def fields(self) -> dict[str, Any]:
        arguments = {"engine_arguments": list(self.engine_arguments)} if self.engine_arguments else {}
        return {"path": str(self.path), "name": self.name} | arguments

    def places(self) -> dict[str, tuple[Path, ...]]:
        return {"path": (self.path,)}


MODEL_SOURCES: Mapping[str, type[ModelSource]] = {
    **{source.KIND: source for source in (RegistryModel, PythonModel, ChatStandIn)},
    **FILE_SOURCES,
    **TRANSFORMER_SOURCES,
}
"""The kinds that this package brings, by the word that stands for each."""


def built_in_source(word: str, others: tuple[str, ...] = ()) -> type[ModelSource]:
    """What reads the part of a job file that is of a kind's own.

    :param others: words of kinds that do not come with this package, for the error.
    :raises JobFileError: this package brings no such kind.
    """
    if word not in MODEL_SOURCES:
        known = ", ".join((*MODEL_SOURCES, *others))
        raise JobFileError(f"model.kind {word!r} is not supported; supported: {known}")
    return MODEL_SOURCES[word]
