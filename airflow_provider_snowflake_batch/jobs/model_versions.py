"""The versions of a model as the registry shows them, and what one of them says about the jobs that it can do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from airflow_provider_snowflake_batch.contract.model_params import HUGGING_FACE_PIPELINE, Param, parse_params
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

SYSTEM_ALIASES = ("DEFAULT", "FIRST", "LAST")
"""https://docs.snowflake.com/en/sql-reference/sql/alter-model"""


@dataclass(frozen=True)
class ListedVersion:
    """A row of ``SHOW VERSIONS``.

    :param name: as Snowflake stores it.
    :param aliases: likewise.
    """

    name: str
    aliases: tuple[str, ...] = ()
    is_default: bool = False

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ListedVersion:
        """:param row: names of its columns in lower case."""
        default = str(row.get("is_default_version")).strip().lower() == "true"
        return cls(str(row["name"]), tuple(_texts(row.get("aliases"))), default)


def choose_version(listed: Sequence[ListedVersion], wanted: Identifier | None) -> Identifier | None:
    """The version that a name, an alias or neither stands for at this moment.

    :param wanted: None for the default version.
    :returns: its name; what was wanted, where the rows do not tell which version that is.
    :raises LookupError: if there is no such version or alias.
    """
    value = wanted.value if wanted is not None else "DEFAULT"
    named = [one for one in listed if wanted is not None and one.name == value]
    meant = [one for one in listed if value in one.aliases or (value == "DEFAULT" and one.is_default)]
    for one in (*named, *meant):
        return Identifier(one.name)
    if wanted is None or value in SYSTEM_ALIASES:
        return wanted
    raise LookupError(value)


@dataclass(frozen=True)
class Method:
    """A function of a version.

    :param name: as the model spells it, which is how ``FUNCTION`` wants it.
    :param outputs: names of its output columns.
    :param partitioned: a function of a table gets a whole partition at once; None where the version does not tell.
    """

    name: str
    params: tuple[Param, ...] = ()
    outputs: tuple[str, ...] = ()
    partitioned: bool | None = None


@dataclass(frozen=True)
class Specification:
    """The part of ``model.yaml`` that matters to a job.

    :param model_type: what packed the model, for example ``sklearn``.
    :param supports_gpu: there is a runtime for GPUs: the model was logged with a CUDA version.
    """

    model_type: str = ""
    supports_gpu: bool = True
    methods: tuple[Method, ...] = field(default=())

    @property
    def is_hugging_face(self) -> bool:
        return self.model_type == HUGGING_FACE_PIPELINE

    @classmethod
    def parse(cls, text: str) -> Specification | None:
        """Read the column ``model_spec``, in either form that snowflake-ml-python knows of it.

        :returns: None if it is in neither form. Then other software has made this version, and it is not checked.
        """
        try:
            document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            return cls._extension(document) if str(document.get("version")) == "2.0" else cls._packed(document)
        except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
            return None

    @classmethod
    def _packed(cls, document: Mapping[str, Any]) -> Specification:
        has_cuda = bool((document.get("env") or {}).get("cuda_version"))
        properties = document.get("function_properties") or {}
        methods = tuple(
            _method(name, signature, (properties.get(name) or {}).get("PARTITIONED"))
            for name, signature in document["signatures"].items()
        )
        return cls(str(document["model_type"]), has_cuda or "gpu" in (document.get("runtimes") or {}), methods)

    @classmethod
    def _extension(cls, document: Mapping[str, Any]) -> Specification:
        model, serving = document["model"], document["serving"]
        blobs = ((model.get("details") or {}).get("models") or {}).values()
        kinds = [model.get("framework"), *(blob.get("model_type") for blob in blobs)]
        platforms = {str(platform).strip().upper() for platform in model.get("target_platforms") or ()}
        environments = (serving.get("env") or {}).values()
        supports_gpu = "SNOWPARK_CONTAINER_SERVICES" in platforms or any(
            one.get("cuda_version") for one in environments
        )
        methods = tuple(
            _method(name, one["signature"], (one.get("properties") or {}).get("is_partition", False))
            for name, one in serving["functions"].items()
        )
        return cls(str(next(filter(None, kinds), "")).lower(), supports_gpu, methods)

    def method(self, wanted: str | None) -> Method | None:
        """The method of a job.

        :param wanted: its name in any case, as SQL has it; None for the only one.
        :returns: None where the version states no methods.
        :raises InvalidJobError: if there is no such method, or none is named where there are several.
        """
        if not self.methods:
            return None
        names = ", ".join(repr(method.name) for method in self.methods)
        if wanted is None:
            if len(self.methods) > 1:
                raise InvalidJobError("function_name", f"is needed: the model has the functions {names}.")
            return self.methods[0]
        spelled = wanted.removeprefix('"').removesuffix('"')
        exact = [method for method in self.methods if method.name == spelled]
        found = exact or [method for method in self.methods if method.name.upper() == spelled.upper()]
        if len(found) == 1:
            return found[0]
        if found:
            either = " or ".join(repr(method.name) for method in found)
            raise InvalidJobError("function_name", f"{wanted!r} may be {either}: write it as the model does.")
        raise InvalidJobError("function_name", f"the model has no function {wanted!r}; it has {names}.")


def _method(name: str, signature: Mapping[str, Any], partitioned: Any) -> Method:
    outputs = tuple(str(output["name"]) for output in signature.get("outputs") or ())
    return Method(
        str(name), parse_params(signature.get("params")), outputs, None if partitioned is None else bool(partitioned)
    )


def _texts(value: Any) -> list[str]:
    found = json.loads(value) if isinstance(value, str) and value.startswith("[") else value
    return [str(one) for one in found] if isinstance(found, list) else []
