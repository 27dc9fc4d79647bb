"""A model of the Model Registry, scored by the worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from airflow_provider_snowflake_batch.contract import model_sources
from airflow_provider_snowflake_batch.contract.model_sources import ModelSource
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.models.base import FUNCTION, ModelSpec, check_code, check_matches
from airflow_provider_snowflake_batch.jobs.spec_fields import is_template


@dataclass(frozen=True)
class RegistryModel(ModelSpec):
    """A version of a model in the Model Registry, whose files are copied to the job's stage and scored there.

    Against ``model_name`` it has what this package's worker has: a failed try's next one does only what is missing, bad
    rows can be set aside, and no image is built. The image needs snowflake-ml-python and the model's own libraries.

    :param name: ``database.schema.model``.
    :param version: its version or alias; default: the model's default version.
    :param function: the model's method.
    :param code: where modules are that the model needs besides: as of ``PythonModel``.
    :raises InvalidJobError: if a value is malformed.
    """

    kind: ClassVar[str] = "registry"

    name: str
    version: str | None = None
    function: str = "predict"
    code: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if not is_template(self.name):
            QualifiedName.parse(self.name, field="model.name")
        if self.version is not None and not is_template(self.version):
            Identifier.parse(self.version, field="model.version")
        check_matches("model.function", self.function, FUNCTION, "the name of a method")
        check_code(self)

    def source(self, python_path: tuple[Path, ...], file: Path | None) -> ModelSource:
        assert file is not None
        return model_sources.RegistryModel(file, self.function, python_path)

    def __str__(self) -> str:
        return self.name

    __hash__ = ModelSpec.__hash__
