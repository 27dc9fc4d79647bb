"""A Python class as a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from airflow_provider_snowflake_batch.contract import model_sources
from airflow_provider_snowflake_batch.contract.model_sources import ModelSource
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.models.base import FUNCTION, ModelSpec, check_code, check_matches
from airflow_provider_snowflake_batch.jobs.spec_fields import check_json

_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class PythonModel(ModelSpec):
    """A Python class of your own: made once in each model process, its method called with a batch of rows.

    The method takes the rows as a pandas DataFrame and ``input_spec``'s ``params`` as keyword arguments; what else the
    class can say about itself is told in docs/worker.md.

    :param target: ``package.module:Class``, or ``package.module:function`` of a function that is called as the method
        would be.
    :param code: where the module is: a folder, a Python file, a zip archive or a wheel beside the Dag's file (relative
        to its folder), ``@database.schema.stage/path`` of one that lies on a stage, or a list of these. Default: the
        image has it.
    :param init: keyword arguments of the class; JSON values, no secrets.
    :param function: the class's method.
    :raises InvalidJobError: if a value is malformed.
    """

    kind: ClassVar[str] = "python"

    target: str
    code: str | Sequence[str] | None = None
    init: Mapping[str, Any] | None = None
    function: str = "predict"

    def __post_init__(self) -> None:
        check_matches("model.target", self.target, _TARGET, "of the form package.module:Class")
        check_matches("model.function", self.function, FUNCTION, "the name of a method")
        check_code(self)
        if self.init is not None:
            if not isinstance(self.init, Mapping) or not all(isinstance(name, str) for name in self.init):
                raise InvalidJobError("model.init", "expected a dict from argument names to values.")
            check_json("model.init", self.init)
            object.__setattr__(self, "init", MappingProxyType(dict(self.init)))

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    def source(self, python_path: tuple[Path, ...], file: Path | None) -> ModelSource:
        return model_sources.PythonModel(self.target, self.function, self.to_dict().get("init", {}), python_path)

    def __str__(self) -> str:
        return self.target

    __hash__ = ModelSpec.__hash__
