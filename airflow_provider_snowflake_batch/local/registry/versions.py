"""A model version: what its files say about its functions.

The layout is what ``snowflake-ml-python`` uploads: ``MANIFEST.yml`` with the SQL functions, ``model/model.yaml`` with
the signatures, and in ``model/`` the directory that its model packager loads.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from airflow_provider_snowflake_batch.local.errors import SnowflakeError


@dataclass(frozen=True, slots=True)
class ModelFunction:
    """A function of a model version.

    :param name: its SQL name, for example ``PREDICT``.
    :param target: the Python method behind it, for example ``predict``.
    :param type: ``FUNCTION`` or ``TABLE_FUNCTION``.
    :param arguments: SQL types of its arguments.
    :param return_type: SQL type of what it returns.
    :param input_names: the signature's input columns, a feature group's by its own name.
    :param output_names: the signature's output columns.
    :param params: the signature's parameters with their defaults.
    """

    name: str
    target: str
    type: str
    arguments: list[str]
    return_type: str
    input_names: list[str]
    output_names: list[str]
    params: list[dict[str, Any]]


@dataclass(slots=True)
class VersionRecord:
    """What the registry itself knows of a version; the rest is in its files.

    :param folder: name of the version's folder among the registry's.
    """

    name: str
    folder: str
    created_on: float
    comment: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    alias: str | None = None


class ModelVersion:
    """A version as jobs and SHOW statements use it.

    :param full_name: ``DB.SCHEMA.MODEL``.
    :param folder: the folder with ``MANIFEST.yml``.
    """

    def __init__(self, full_name: str, record: VersionRecord, folder: Path) -> None:
        self.full_name = full_name
        self.record = record
        self.folder = folder

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def path(self) -> Path:
        """The directory that the model packager loads."""
        return self.folder / "model"

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.folder / "MANIFEST.yml").read_text(encoding="utf-8")))

    @cached_property
    def model_spec(self) -> str:
        """The text of ``model.yaml``."""
        return (self.path / "model.yaml").read_text(encoding="utf-8")

    @cached_property
    def functions(self) -> list[ModelFunction]:
        signatures = yaml.safe_load(self.model_spec)["signatures"]
        return [_function(method, signatures) for method in self.manifest["methods"]]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def runnable_in(self) -> list[str]:
        """Platforms that the model was logged for, as snowflake-ml-python names them."""
        return list(self.manifest.get("target_platforms") or ["WAREHOUSE", "SNOWPARK_CONTAINER_SERVICES"])

    @property
    def attributes(self) -> dict[str, Any]:
        """What SHOW VERSIONS gives as ``model_attributes``."""
        spec = yaml.safe_load(self.model_spec)
        return {
            "framework": spec.get("model_type"),
            "task": spec.get("task"),
            "client": f"snowflake-ml-python {spec['env'].get('snowpark_ml_version', '')}".strip(),
        }

    def function(self, target: str | None) -> ModelFunction:
        """The function of this target method; without one the only function.

        :raises SnowflakeError: for an unknown method, or none named where there are several.
        """
        available = ", ".join(f"'{function.target}'" for function in self.functions)
        where = f"model {self.full_name} version {self.name}"
        if target is None:
            if len(self.functions) != 1:
                raise SnowflakeError(
                    f"SQL compilation error:\nFUNCTION is needed: {where} has the functions {available}.",
                    errno=1003,
                    sqlstate="42601",
                )
            return self.functions[0]
        for function in self.functions:
            if function.target == target:
                return function
        by_lower = {function.target.lower(): function.target for function in self.functions}
        close = difflib.get_close_matches(target.lower(), by_lower, 1)
        hint = f" Did you mean '{by_lower[close[0]]}'?" if close else ""
        raise SnowflakeError(
            f"SQL compilation error:\nFunction '{target}' does not exist in {where}, which has {available}.{hint}",
            errno=2003,
            sqlstate="02000",
        )


def _function(method: dict[str, Any], signatures: dict[str, Any]) -> ModelFunction:
    target = method["handler"].split(".")[1]
    signature = signatures[target]
    if method["type"] == "TABLE_FUNCTION":
        columns = ", ".join(f"{item['name']} {item['type']}" for item in method["outputs"])
        return_type = f"TABLE ({columns})"
    else:
        return_type = method["outputs"][0]["type"]
    return ModelFunction(
        name=method["name"],
        target=target,
        type=method["type"],
        arguments=[item["type"] for item in (*method["inputs"], *method.get("params", []))],
        return_type=return_type,
        input_names=[item["name"] for item in signature["inputs"]],
        output_names=[item["name"] for item in signature["outputs"]],
        params=list(signature.get("params") or []),
    )


def check_package(folder: Path) -> None:
    """:raises SnowflakeError: if the folder is not what log_model uploads."""
    manifest = folder / "MANIFEST.yml"
    if not manifest.is_file():
        # What snowflake-ml-python retries on, as stages can lag.
        raise SnowflakeError("Unable to read file MANIFEST.yml from the stage.", errno=398507, sqlstate="22000")
    try:
        version = ModelVersion("", VersionRecord("", "", 0.0), folder)
        if not version.functions:
            raise ValueError("it has no methods")
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError, ValueError) as exc:
        raise SnowflakeError(
            f"Invalid model package ({type(exc).__name__}: {exc}); log_model of snowflake-ml-python makes valid ones.",
            errno=398501,
            sqlstate="22000",
        ) from exc


def as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
