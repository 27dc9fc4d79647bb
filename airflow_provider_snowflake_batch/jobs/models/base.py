"""What all models of the worker have in common: how a task states a model, and where the model's files are."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

from airflow_provider_snowflake_batch.contract.model_sources import ModelSource
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.spec_fields import Spec, is_template

FUNCTION = re.compile(r"[A-Za-z_]\w*")


class ModelSpec(Spec, ABC):
    """Base of the kinds of models. Each is a frozen dataclass with the fields ``function`` and ``code``, and its own.

    :cvar kind: the word for it, in the dict form and in the job file.
    """

    label: ClassVar[str] = "model"
    kind: ClassVar[str]

    function: str
    code: str | Sequence[str] | None

    @property
    def code_places(self) -> tuple[str, ...]:
        """Where the code is: each place as the user wrote it."""
        return (self.code,) if isinstance(self.code, str) else tuple(self.code or ())

    @property
    def own_code(self) -> Mapping[str, str]:
        """Code that is in no file: its text, by the place that stands for it."""
        return {}

    @property
    def module(self) -> str | None:
        """The module that the code must have, where the model names one."""
        return None

    @property
    def file(self) -> str | None:
        """Where the model's own file or folder is, as the user wrote it; None for kinds that have none."""
        return None

    @property
    def file_is_folder(self) -> bool:
        """Whether what :attr:`file` names is a folder, also if it comes packed into one zip archive."""
        return False

    def at(self, code: Sequence[str], file: str | None) -> Self:
        """The same model with its places written otherwise, such as with database and schema."""
        changed = {"code": tuple(code)} if code else {}
        return replace(self, **changed)  # type: ignore[type-var]

    @abstractmethod
    def source(self, python_path: tuple[Path, ...], file: Path | None) -> ModelSource:
        """What the job file states of the model.

        :param python_path: where the container finds the code.
        :param file: where it finds :attr:`file`.
        """

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **super().to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls.of({name: value for name, value in values.items() if name != "kind"})

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_dict, (self.to_dict(),)


def check_code(spec: ModelSpec) -> None:
    """Hold that ``code`` is None, a path, or a list of paths; a list becomes a tuple.

    :raises InvalidJobError: it is none of these.
    """
    places = (spec.code,) if isinstance(spec.code, str) else spec.code
    if places is None:
        return
    if not isinstance(places, (list, tuple)) or not places:
        raise InvalidJobError("model.code", f"expected a path or a list of paths, got {spec.code!r}.")
    for place in places:
        check_place("model.code", place)
    object.__setattr__(spec, "code", spec.code if isinstance(spec.code, str) else tuple(places))


def check_place(field: str, place: Any) -> None:
    """Hold that a value is a path beside the Dag's file or on a stage.

    :raises InvalidJobError: it is not.
    """
    if not isinstance(place, str) or not place.strip() or "\0" in place:
        raise InvalidJobError(field, f"expected a path, got {place!r}.")
    if place.startswith("@") and not is_template(place):
        StagePath.parse(place, field=field)


def check_matches(field: str, value: Any, pattern: re.Pattern[str], wanted: str) -> None:
    """Hold that a text matches a pattern, unless it is a template.

    :raises InvalidJobError: it does not.
    """
    if is_template(value):
        return
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidJobError(field, f"expected {wanted}, got {value!r}.")


def check_function(value: Any, known: Sequence[str], kind: str) -> None:
    """Hold that a function is one of those that a kind of model has, unless it is a template.

    :param kind: what the models are called, for the error.
    :raises InvalidJobError: it is none of them.
    """
    if not is_template(value) and value not in known:
        raise InvalidJobError("model.function", f"{kind} has {', '.join(known)}, not {value!r}.")
