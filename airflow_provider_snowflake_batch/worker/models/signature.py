"""A model's signature as ``model.yaml`` of a packed model states it, read without the model's libraries.

The format is that of ``snowflake.ml.model.model_signature.ModelSignature.to_dict``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from airflow_provider_snowflake_batch.contract import model_params
from airflow_provider_snowflake_batch.contract.model_params import Param, ParamError, parse_params
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
    # Arrow has no type for a map with values of any type. It is kept as JSON text, as Snowflake unloads it.
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
        params=parse_params(value.get("params")),
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


def resolve_params(
    params: Sequence[Param], given: Mapping[str, Any], *, texts_or_flags: bool = False
) -> dict[str, Any]:
    """As :func:`~airflow_provider_snowflake_batch.contract.model_params.resolve_params`.

    :raises Refused: a name is unknown, or a value is not of the parameter's type or shape.
    """
    try:
        return model_params.resolve_params(params, given, texts_or_flags=texts_or_flags)
    except ParamError as error:
        raise Refused(str(error)) from None
