"""The models that the worker runs by itself, without the Model Registry, in the words of its job file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.specs import Spec, is_template, plain_value

_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_FUNCTION = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class PythonModel(Spec):
    """A Python class of your own: made once in each model process, its method called with a batch of rows.

    The method takes the rows as a pandas DataFrame and ``input_spec``'s ``params`` as keyword arguments; what else the
    class can say about itself is told in docs/worker.md.

    :param target: ``package.module:Class``.
    :param code: where the module is: a folder, a Python file, a zip archive or a wheel beside the Dag's file (relative
        to its folder), ``@database.schema.stage/path`` of one that lies on a stage, or a list of these. Default: the
        image has it.
    :param init: keyword arguments of the class; JSON values, no secrets.
    :param function: the method.
    :raises InvalidJobError: if a value is malformed.
    """

    label: ClassVar[str] = "model"
    kind: ClassVar[str] = "python"

    target: str
    code: str | tuple[str, ...] | None = None
    init: Mapping[str, Any] | None = None
    function: str = "predict"

    def __post_init__(self) -> None:
        _matching("model.target", self.target, _TARGET, "of the form package.module:Class")
        _matching("model.function", self.function, _FUNCTION, "the name of a method")
        places = (self.code,) if isinstance(self.code, str) else self.code
        if places is not None:
            if not isinstance(places, (list, tuple)) or not places:
                raise InvalidJobError("model.code", f"expected a path or a list of paths, got {self.code!r}.")
            for place in places:
                if not isinstance(place, str) or not place.strip() or "\0" in place:
                    raise InvalidJobError("model.code", f"expected a path, got {place!r}.")
                if place.startswith("@") and not is_template(place):
                    StagePath.parse(place, field="model.code")
            object.__setattr__(self, "code", self.code if isinstance(self.code, str) else tuple(places))
        if self.init is not None:
            if not isinstance(self.init, Mapping) or not all(isinstance(name, str) for name in self.init):
                raise InvalidJobError("model.init", "expected a dict from argument names to values.")
            try:
                json.dumps(plain_value(self.init), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise InvalidJobError("model.init", f"every value must be JSON: {error}.") from None
            object.__setattr__(self, "init", MappingProxyType(dict(self.init)))

    @property
    def places(self) -> tuple[str, ...]:
        """Where the code is, each place once more as the user wrote it."""
        return (self.code,) if isinstance(self.code, str) else self.code or ()

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **super().to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PythonModel:
        return cls.of({name: value for name, value in values.items() if name != "kind"})

    def __str__(self) -> str:
        return self.target

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return PythonModel.from_dict, (self.to_dict(),)


_KINDS: dict[str, type[PythonModel]] = {PythonModel.kind: PythonModel}


def parse_model(value: Any) -> PythonModel:
    """The model from itself, or from a dict of its fields and its ``kind``.

    :raises InvalidJobError: if it is neither, or a field is unknown, missing or malformed.
    """
    if isinstance(value, PythonModel):
        return value
    known = ", ".join(repr(kind) for kind in _KINDS)
    if not isinstance(value, Mapping):
        raise InvalidJobError(
            "model",
            f"expected PythonModel(…) or a dict of its fields with its kind, got {type(value).__name__}. A model of "
            "the Model Registry is named by model_name.",
        )
    fields = dict(value)
    kind = plain_value(fields.pop("kind", PythonModel.kind))
    if kind not in _KINDS:
        raise InvalidJobError("model", f"kind {kind!r} is not one of {known}.")
    return _KINDS[kind].of(fields)


def _matching(field: str, value: Any, pattern: re.Pattern[str], wanted: str) -> None:
    if is_template(value):
        return
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidJobError(field, f"expected {wanted}, got {value!r}.")
