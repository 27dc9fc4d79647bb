"""A model's signature as ``model.yaml`` of a packed model states it, read without the model's libraries.

The format is that of ``snowflake.ml.model.model_signature.ModelSignature.to_dict``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import Refused

ARROW_TYPES: dict[str, pa.DataType] = {
    "INT8": pa.int8(),
    "INT16": pa.int16(),
    "INT32": pa.int32(),
    "INT64": pa.int64(),
    "UINT8": pa.uint8(),
    "UINT16": pa.uint16(),
    "UINT32": pa.uint32(),
    "UINT64": pa.uint64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "BOOL": pa.bool_(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "TIMESTAMP_NTZ": pa.timestamp("ns"),
    # A map whose values may be of any kind has no Arrow type; it is kept as JSON text, as Snowflake unloads it.
    "OBJECT": pa.string(),
}


@dataclass(frozen=True)
class Feature:
    """One input or output of a model.

    :param dtype: name of the signature's type, or "GROUP" for a feature made of ``specs``.
    :param shape: None for one value a row, otherwise the dimensions of a list, -1 for any length.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None = None
    nullable: bool = True
    specs: tuple[Feature, ...] = ()

    @property
    def scalar(self) -> bool:
        return not self.shape and not self.specs

    def arrow_type(self) -> pa.DataType:
        """The Parquet type of this feature in the output."""
        kind: pa.DataType
        if self.specs:
            kind = pa.struct([(spec.name, spec.arrow_type()) for spec in self.specs])
        else:
            kind = ARROW_TYPES[self.dtype]
        for _ in self.shape or ():
            kind = pa.list_(kind)
        return kind


@dataclass(frozen=True)
class Param:
    """One parameter of a model's function: its type, and its value when none is given."""

    name: str
    dtype: str
    default: Any
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Signature:
    """What a function of a model takes and returns."""

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    params: tuple[Param, ...] = ()


def parse_signature(value: Mapping[str, Any]) -> Signature:
    """Read one entry of ``signatures`` in ``model.yaml``.

    :raises Refused: a type is not known to this worker.
    """
    return Signature(
        inputs=tuple(_feature(entry) for entry in value["inputs"]),
        outputs=tuple(_feature(entry) for entry in value["outputs"]),
        params=tuple(_param(entry) for entry in value.get("params") or ()),
    )


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...] | None:
    shape = entry.get("shape")
    return tuple(shape) if shape else None


def _feature(entry: Mapping[str, Any]) -> Feature:
    if "specs" in entry:
        specs = tuple(_feature(spec) for spec in entry["specs"])
        return Feature(entry["name"], "GROUP", _shape(entry), True, specs)
    if entry["type"] not in ARROW_TYPES:
        raise Refused(f"the model's signature has feature {entry['name']!r} of unknown type {entry['type']!r}")
    return Feature(entry["name"], entry["type"], _shape(entry), entry.get("nullable", False))


def _param(entry: Mapping[str, Any]) -> Param:
    if "specs" in entry:
        return Param(entry["name"], "OBJECT", _group_default(entry), _shape(entry))
    return Param(entry["name"], entry["dtype"], entry["default_value"], _shape(entry))


def _group_default(entry: Mapping[str, Any]) -> Any:
    if entry.get("default_value") is not None:
        return entry["default_value"]
    value: Any = {
        spec["name"]: _group_default(spec) if "specs" in spec else spec["default_value"] for spec in entry["specs"]
    }
    for length in reversed(_shape(entry) or ()):
        value = [] if length == -1 else [value] * length
    return value


_INTEGERS = {"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"}
_FLOATS = {"FLOAT", "DOUBLE"}
_TEXTS = {"STRING", "BYTES", "TIMESTAMP_NTZ"}


def resolve_params(params: Iterable[Param], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call: what is given, and the signature's default for the rest.

    :raises Refused: a name is unknown, or a value is not of the parameter's type or shape.
    """
    known = {param.name: param for param in params}
    unknown = sorted(set(given) - set(known))
    if unknown:
        hint = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise Refused(f"the model's function has no parameter {unknown[0]!r}; {hint}")
    resolved = {name: param.default for name, param in known.items()}
    for name, value in given.items():
        # None stands for "not given", as in the generated inference functions of snowflake-ml-python.
        if value is not None:
            resolved[name] = _checked(known[name], value, known[name].shape or (), "")
    return resolved


def _checked(param: Param, value: Any, shape: tuple[int, ...], where: str) -> Any:
    if shape:
        if not isinstance(value, list) or shape[0] not in (-1, len(value)):
            length = "" if shape[0] == -1 else f" of {shape[0]}"
            raise Refused(f"parameter {param.name}{where} must be a list{length}, not {value!r}")
        return [_checked(param, item, shape[1:], f"{where}[{index}]") for index, item in enumerate(value)]
    if param.dtype in _INTEGERS:
        if isinstance(value, int) and not isinstance(value, bool):
            kind = ARROW_TYPES[param.dtype]
            try:
                pa.scalar(value, kind)
            except (pa.ArrowInvalid, OverflowError):
                raise Refused(f"parameter {param.name}{where}: {value} does not fit {param.dtype}") from None
            return value
    elif param.dtype in _FLOATS:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                raise Refused(f"parameter {param.name}{where}: the number does not fit {param.dtype}") from None
    elif param.dtype == "BOOL":
        if isinstance(value, bool):
            return value
    elif param.dtype in _TEXTS:
        if isinstance(value, str):
            return value
    elif isinstance(value, dict):
        return value
    raise Refused(f"parameter {param.name}{where} must be {param.dtype}, not {value!r}")
