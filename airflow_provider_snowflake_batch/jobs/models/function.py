"""A function as a model: its text, which the worker imports as a module of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from airflow_provider_snowflake_batch.contract import model_sources
from airflow_provider_snowflake_batch.contract.model_sources import ModelSource
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.models.base import ModelSpec

MODULE = "task_function"
"""The module that the function is in, in the container. No library has this name, so it hides none."""

# Keeps annotations from being evaluated: the container may lack the names in them.
_BEGINNING = "from __future__ import annotations\n\n\n"


@dataclass(frozen=True)
class FunctionModel(ModelSpec):
    """A function that is called with a batch of rows, as a pandas DataFrame, and with ``input_spec``'s ``params``.

    ``@task.snowflake_batch`` makes one of a function in a Dag. Nothing in the text is a template.

    :param name: the function's.
    :param text: its definition, from ``def`` on, which needs nothing from around it.
    :raises InvalidJobError: if one of them is missing.
    """

    kind: ClassVar[str] = "function"
    # Fixed, unlike those of other kinds: the worker calls the function itself, in a module that is made of the text.
    function: ClassVar[str] = "__call__"  # type: ignore[misc]
    code: ClassVar[str] = f"{MODULE}.py"  # type: ignore[misc]

    name: str
    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise InvalidJobError("model.name", f"expected the name of a function, got {self.name!r}.")
        if not isinstance(self.text, str) or not self.text.strip():
            raise InvalidJobError("model.text", f"expected the text of a function, got {self.text!r}.")

    @property
    def module(self) -> str:
        return MODULE

    @property
    def own_code(self) -> Mapping[str, str]:
        return {self.code: f"{_BEGINNING}{self.text}"}

    def source(self, python_path: tuple[Path, ...], file: Path | None) -> ModelSource:
        return model_sources.PythonModel(str(self), self.function, {}, python_path)

    def __str__(self) -> str:
        return f"{MODULE}:{self.name}"

    __hash__ = ModelSpec.__hash__
