"""The parameters of a model's function: what its signature states of them, and what of a job's ``params`` fits.

A signature is written in ``model.yaml`` of a packed model, in the format of ``ModelSignature.to_dict`` of
snowflake-ml-python, and ``SHOW VERSIONS`` shows that file. The rules are those of that package
(``snowflake.ml.model._client.ops.param_ops``), which checks before it submits: names are compared without case, None
stands for "not given", a group may be given in part.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_INTEGERS = {f"{sign}INT{bits}": (bits, sign == "") for sign in ("", "U") for bits in (8, 16, 32, 64)}
_FLOATS = {"FLOAT", "DOUBLE"}
_TEXTS = {"STRING", "BYTES", "TIMESTAMP_NTZ"}
# What NumPy takes for a time, which is how the client checks: ISO 8601, from the right shortened as one likes.
_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.\d+)?)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?)?)?",
    re.ASCII,
)

# The model type of Hugging Face pipelines in model.yaml.
HUGGING_FACE_PIPELINE = "huggingface_pipeline"


class ParamError(ValueError):
    """A parameter is unknown, or its value is not of the signature's type or shape."""


@dataclass(frozen=True)
class Param:
    """One parameter of a model's function.

    :param dtype: name of the signature's type; of a group, "OBJECT".
    :param default: its value when none is given.
    :param shape: None for a single value, otherwise the dimensions of a list, -1 for any length.
    :param specs: the members of a group, which is given as a dict; empty for anything else.
    """

    name: str
    dtype: str
    default: Any
    shape: tuple[int, ...] | None = None
    specs: tuple[Param, ...] = ()


def parse_params(entries: Iterable[Mapping[str, Any]] | None) -> tuple[Param, ...]:
    """The ``params`` of a signature.

    :raises KeyError: if an entry lacks what every version of the format has.
    """
    return tuple(_param(entry) for entry in entries or ())


def resolve_params(
    params: Sequence[Param], given: Mapping[str, Any], *, texts_or_flags: bool = False
) -> dict[str, Any]:
    """The arguments of a call: what is given, and the signature's default for the rest.

    :param texts_or_flags: a STRING may also be True or False, as in pipelines of Hugging Face, whose ``truncation``,
        ``return_timestamps`` and the like are texts or flags; signatures state only one type.
    :raises ParamError: on the first parameter that is wrong.
    """
    resolved = {param.name: param.default for param in params}
    for param, value in given_params(params, given):
        resolved[param.name] = _checked(param, value, param.shape or (), param.name, texts_or_flags)
    return resolved


def given_params(params: Sequence[Param], given: Mapping[str, Any]) -> list[tuple[Param, Any]]:
    """The parameters that a job gives a value, each with that value as it is given.

    :raises ParamError: if a name is unknown, or is given twice.
    """
    known = {param.name.upper(): param for param in params}
    found: dict[str, tuple[Param, Any]] = {}
    for name, value in given.items():
        param = known.get(name.upper())
        if param is None:
            names = ", ".join(sorted(param.name for param in params))
            raise ParamError(f"the model's function has no parameter {name!r}; it takes {names or 'none'}")
        if param.name in found:
            raise ParamError(f"parameter {param.name} is given twice: case makes no difference in its name")
        found[param.name] = (param, value)
    return [(param, value) for param, value in found.values() if value is not None]


def refuse_more_labels(outputs: Sequence[str], given: Mapping[str, Any]) -> None:
    """Refuse what a text classification of Hugging Face cannot do that was logged to return one label for each row.

    :param outputs: names of the signature's outputs.
    :raises ParamError: if the job asks for more labels.
    """
    wanted = next((value for name, value in given.items() if name.upper() == "TOP_K"), None)
    if set(outputs) == {"label", "score"} and wanted not in (None, 1):
        raise ParamError(
            f"parameter top_k must be 1, not {wanted!r}: the model's signature has one label and one score for each "
            "row. A pipeline that was made with top_k is logged with a list of labels"
        )


def _param(entry: Mapping[str, Any]) -> Param:
    shape = tuple(entry["shape"]) if entry.get("shape") else None
    if "specs" in entry:
        specs = tuple(_param(spec) for spec in entry["specs"])
        return Param(entry["name"], "OBJECT", _group_default(entry, specs, shape), shape, specs)
    return Param(entry["name"], entry["dtype"], entry.get("default_value"), shape)


def _group_default(entry: Mapping[str, Any], specs: Sequence[Param], shape: tuple[int, ...] | None) -> Any:
    if entry.get("default_value") is not None:
        return entry["default_value"]
    value: Any = {spec.name: spec.default for spec in specs}
    for length in reversed(shape or ()):
        value = [] if length == -1 else [value] * length
    return value


def _checked(param: Param, value: Any, shape: tuple[int, ...], where: str, texts_or_flags: bool) -> Any:
    if shape:
        if not isinstance(value, (list, tuple)) or shape[0] not in (-1, len(value)):
            length = "" if shape[0] == -1 else f" of {shape[0]}"
            raise ParamError(f"parameter {where} must be a list{length}, not {value!r}")
        return [
            _checked(param, item, shape[1:], f"{where}[{index}]", texts_or_flags) for index, item in enumerate(value)
        ]
    if param.specs:
        return _checked_group(param, value, where, texts_or_flags)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if param.dtype in _INTEGERS:
        if is_number and isinstance(value, int):
            return _fitting_integer(param, value, where)
    elif param.dtype in _FLOATS:
        if is_number:
            return _fitting_float(param, value, where)
    elif param.dtype == "BOOL":
        if isinstance(value, bool):
            return value
    elif param.dtype in _TEXTS:
        if isinstance(value, str) or (texts_or_flags and isinstance(value, bool) and param.dtype == "STRING"):
            return _time(str(value), where) if param.dtype == "TIMESTAMP_NTZ" else value
    elif isinstance(value, Mapping) or param.dtype != "OBJECT":
        # A type that this version does not know is the model's own affair.
        return value
    raise ParamError(f"parameter {where} must be {param.dtype}, not {value!r}")


def _checked_group(param: Param, value: Any, where: str, texts_or_flags: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ParamError(f"parameter {where} must be a dict, not {value!r}")
    default = param.default if isinstance(param.default, Mapping) else {}
    merged = {spec.name: default.get(spec.name, spec.default) for spec in param.specs}
    try:
        members = given_params(param.specs, value)
    except ParamError as error:
        raise ParamError(f"parameter {where}: {error}".replace("the model's function", "it")) from None
    for spec, item in members:
        merged[spec.name] = _checked(spec, item, spec.shape or (), f"{where}.{spec.name}", texts_or_flags)
    return merged


def _fitting_integer(param: Param, value: int, where: str) -> int:
    bits, signed = _INTEGERS[param.dtype]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if not low <= value <= high:
        raise ParamError(f"parameter {where}: {value} does not fit {param.dtype}")
    return value


def _fitting_float(param: Param, value: float, where: str) -> float:
    try:
        number = float(value)
        if param.dtype == "FLOAT" and math.isfinite(number):
            struct.pack("<f", number)
    except OverflowError:
        raise ParamError(f"parameter {where}: the number does not fit {param.dtype}") from None
    if isinstance(value, int) and number != value:
        raise ParamError(f"parameter {where}: {value} would become {int(number)} as {param.dtype}")
    return number


def _time(value: str, where: str) -> str:
    match = _TIME.fullmatch(value)
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        datetime(year, month or 1, day or 1, hour, minute, second)
    except ValueError:
        raise ParamError(
            f"parameter {where} must be TIMESTAMP_NTZ, such as '2026-01-31T12:00:00', not {value!r}"
        ) from None
    return value
