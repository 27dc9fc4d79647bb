"""The blocks that describe a batch inference job, in the words of Snowflake's documentation.

Each block is immutable and validated when it is made; :meth:`Spec.of` also takes a plain dict, as templated Dags and
YAML files have it. Fields and values:
https://docs.snowflake.com/en/sql-reference/sql/execute-inference-job-service
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar

from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding as FileEncoding
from airflow_provider_snowflake_batch.contract.vocabulary import OnError as OnError
from airflow_provider_snowflake_batch.contract.vocabulary import SaveMode as SaveMode
from airflow_provider_snowflake_batch.contract.vocabulary import Sharing as Sharing
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.spec_fields import (
    Spec,
    boolean,
    check_json,
    enum_field,
    is_template,
    member,
    positive_integer_field,
    quantity_field,
    rebuild,
    set_field,
    text_field,
)


class InputFormat(str, Enum):
    """What a column that stands for a file holds: the file's full stage path."""

    FULL_STAGE_PATH = "full_stage_path"


class InferenceEngine(str, Enum):
    """What serves the model inside the container."""

    DEFAULT = "default"
    VLLM = "vllm"
    PYTHON_GENERIC = "python_generic"


@dataclass(frozen=True)
class InputSpec(Spec):
    """How the input reaches the model.

    :param params: keyword arguments of the model's method; the signature's defaults fill in the rest.
    :param column_handling: for columns that hold stage paths of files: column name to
        ``{"input_format": InputFormat.FULL_STAGE_PATH, "convert_to": FileEncoding.…}``.
    :param partition_column: rows that share a value in this column go to the model in one call.
    :raises InvalidJobError: if a value is not one of these.
    """

    label: ClassVar[str] = "input_spec"

    params: Mapping[str, Any] | None = None
    column_handling: Mapping[str, Mapping[str, Any]] | None = None
    partition_column: str | None = None

    def __post_init__(self) -> None:
        if self.params is not None:
            if not isinstance(self.params, Mapping) or not all(isinstance(key, str) for key in self.params):
                raise InvalidJobError("input_spec.params", "expected a dict from parameter names to values.")
            check_json("input_spec.params", self.params)
            set_field(self, "params", MappingProxyType(dict(self.params)))
        if self.column_handling is not None:
            set_field(self, "column_handling", _column_handling(self.column_handling))
        if self.partition_column is not None:
            text_field(self, "partition_column")

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (type(self), self.to_dict())


@dataclass(frozen=True)
class OutputSpec(Spec):
    """Where the results go: ``<stage_location>/<job name>/``, as Parquet, with an empty ``_SUCCESS`` at the end.

    :param stage_location: ``@database.schema.stage/path/`` on an internal stage.
    :param mode: what to do when the job's directory already has files.
    :param columns: the input columns that are written beside the predictions; default: all. With ``model`` only.
    :raises InvalidJobError: if the location is malformed, or columns are no names.
    """

    label: ClassVar[str] = "output_spec"

    stage_location: str
    mode: SaveMode = SaveMode.ERROR
    columns: Sequence[str] | None = None

    def __post_init__(self) -> None:
        enum_field(self, "mode", SaveMode)
        if self.columns is not None and not is_template(self.columns):
            from airflow_provider_snowflake_batch.jobs import container_settings

            set_field(self, "columns", container_settings.names("output_spec.columns", self.columns, "input columns"))
        if not is_template(self.stage_location):
            StagePath.parse(self.stage_location, field="output_spec.stage_location")

    @property
    def location(self) -> StagePath:
        return StagePath.parse(self.stage_location, field="output_spec.stage_location").directory()


_CPU = re.compile(r"\d+(\.\d+)?|\d+m")
# "8GiB" in the batch documentation, "8Gi" in service specifications: both are understood there.
_MEMORY = re.compile(r"\d+(\.\d+)?\s?[KMGT]i?B?")


_CONTAINER_FIELDS = ("env", "secrets", "external_access_integrations", "stages", "block_volume")


@dataclass(frozen=True)
class JobSpec(Spec):
    """Name, size and run-time settings of the job.

    :param job_name: unquoted name of the job; must not exist yet, and Snowflake keeps the names of ended jobs for up to
        30 days. So a retry after a failed job needs a new name: leave this out to get a unique one for each try.
    :param job_name_prefix: beginning of the generated name, instead of ``BATCH``.
    :param cpu_requests: virtual CPUs of one replica, for example ``"2"``; default: all of the node.
    :param memory_requests: memory of one replica with its unit, for example ``"8GiB"``; default: all of the node.
    :param gpu_requests: GPUs of one replica; default: none.
    :param num_workers: model processes in one replica; default: chosen by the runtime.
    :param max_batch_rows: most rows in one call of the model; default: chosen by the runtime.
    :param replicas: containers that share the work, 1 or more; default 1.
    :param function_name: method of the model; needed if it has several.
    :param warehouse: warehouse for the operator's own statements.
    :param image_repo: image repository, ``database.schema.repository``; with ``model_name`` only.
    :param force_rebuild: build the inference image even if it exists; with ``model_name`` only.
    :param on_error: what happens to a row that the model cannot score: ``OnError.FAIL`` (the default) ends the job,
        ``OnError.QUARANTINE`` sets the row aside. This and the following with ``model`` only.
    :param max_quarantined: most rows that are set aside before the job fails after all.
    :param executor: how replicas share the work, ``Sharing.RAY`` or ``Sharing.STATIC``; default: Ray where the image
        has it, see docs/replicas.md.
    :param min_replicas: replicas that have to take part, or the job fails; default: it goes on with those that come.
    :param max_task_rows: most rows of a task, the piece of the input that a replica takes, loses or finishes; default:
        65,536, or 256 where rows name files. A model that takes long for a row needs fewer, see docs/replicas.md.
    :param image: the container's image, with its tag; default: Snowflake's container runtime, see
        docs/worker-runtime.md.
    :param env: environment variables of the container. They stand in the job's statement: no secrets.
    :param secrets: environment variables that hold secrets: name of the variable to the Snowflake secret's name
        (``{"TOKEN": "db.schema.my_secret"}``), or to ``{"secret": …, "key": "password"}`` (``secret_string``, the
        default, ``username`` or ``password``).
    :param external_access_integrations: what lets the container reach other hosts; case matters.
    :param query_warehouse: warehouse for queries that the model itself sends.
    :param stages: stages of the files that a column of the input names (``column_handling``), where ``X`` is a query, a
        table or stage Parquet: ``["@db.schema.images"]``.
    :param block_volume: a block storage volume for temporary files, instead of the node's own disk:
        ``{"size": "500Gi"}``, and ``iops`` and ``throughput`` (MiB a second) where Snowflake's defaults are too few.
    :raises InvalidJobError: if a value is out of range or not of its kind.
    """

    label: ClassVar[str] = "job_spec"

    job_name: str | None = None
    job_name_prefix: str | None = None
    cpu_requests: str | None = None
    memory_requests: str | None = None
    gpu_requests: str | None = None
    num_workers: int | None = None
    max_batch_rows: int | None = None
    replicas: int | None = None
    function_name: str | None = None
    warehouse: str | None = None
    image_repo: str | None = None
    force_rebuild: bool = False
    on_error: OnError | None = None
    max_quarantined: int | None = None
    executor: Sharing | None = None
    min_replicas: int | None = None
    image: str | None = None
    env: Mapping[str, str] | None = None
    secrets: Mapping[str, Any] | None = None
    external_access_integrations: Sequence[str] | None = None
    query_warehouse: str | None = None
    stages: Sequence[str] | None = None
    block_volume: Mapping[str, Any] | None = None
    max_task_rows: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_workers", "max_batch_rows", "replicas", "max_quarantined", "min_replicas", "max_task_rows"):
            positive_integer_field(self, name)
        quantity_field(self, "cpu_requests", _CPU, "a number of virtual CPUs such as '2' or '0.5'")
        quantity_field(self, "memory_requests", _MEMORY, "an amount with its unit such as '8GiB' or '512MiB'")
        quantity_field(self, "gpu_requests", re.compile(r"\d+"), "a number of GPUs such as '1'")
        for name in ("job_name", "image_repo"):
            value = text_field(self, name)
            if value is not None and not is_template(value):
                QualifiedName.parse(value, field=f"job_spec.{name}", allow_quoted=False)
        for name in ("job_name_prefix", "warehouse", "query_warehouse"):
            value = text_field(self, name)
            if value is not None and not is_template(value):
                Identifier.parse(value, field=f"job_spec.{name}", allow_quoted=name != "job_name_prefix")
        text_field(self, "function_name")
        if self.job_name is not None and self.job_name_prefix is not None:
            raise InvalidJobError("job_spec", "job_name and job_name_prefix exclude each other: give one.")
        if not isinstance(self.force_rebuild, bool) and not is_template(self.force_rebuild):
            set_field(self, "force_rebuild", boolean("job_spec.force_rebuild", self.force_rebuild))
        if self.on_error is not None:
            enum_field(self, "on_error", OnError)
        if self.max_quarantined is not None and self.on_error in (None, OnError.FAIL):
            raise InvalidJobError("job_spec.max_quarantined", "needs on_error to be 'quarantine'.")
        if self.executor is not None:
            enum_field(self, "executor", Sharing)
        self._check_replicas()
        text_field(self, "image")
        if any(getattr(self, name) is not None for name in _CONTAINER_FIELDS):
            self._check_container()

    def _check_replicas(self) -> None:
        least, most = self.min_replicas, self.replicas
        if least is None:
            return
        if self.executor is Sharing.STATIC:
            raise InvalidJobError("job_spec.min_replicas", "needs executor to be 'ray'.")
        if isinstance(least, int) and (most is None or isinstance(most, int)) and least > (most or 1):
            raise InvalidJobError("job_spec.min_replicas", f"{least} is more than replicas, which is {most or 1}.")

    def _check_container(self) -> None:
        # Imported here, so that a Dag without these fields is parsed without it.
        from airflow_provider_snowflake_batch.jobs import container_settings

        checks: dict[str, Callable[[str, Any], Any]] = {
            "env": container_settings.environment,
            "secrets": container_settings.secrets,
            "external_access_integrations": container_settings.integrations,
            "stages": container_settings.stages,
            "block_volume": container_settings.block_volume,
        }
        for name, check in checks.items():
            value = getattr(self, name)
            if value is not None and not is_template(value):
                set_field(self, name, check(f"job_spec.{name}", value))
        if isinstance(self.env, Mapping) and isinstance(self.secrets, Mapping):
            for name in self.env.keys() & self.secrets.keys():
                raise InvalidJobError(f"job_spec.env[{name!r}]", "job_spec.secrets sets the same variable.")

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (type(self), self.to_dict())


@dataclass(frozen=True)
class InferenceEngineOptions(Spec):
    """Which engine serves the model, and its arguments.

    :param engine: for example ``InferenceEngine.VLLM``.
    :param engine_args_override: command-line arguments of the engine, each beginning with ``--``.
    :raises InvalidJobError: on an unknown engine or a malformed argument.
    """

    label: ClassVar[str] = "inference_engine_options"

    engine: InferenceEngine | None = None
    engine_args_override: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.engine is not None:
            enum_field(self, "engine", InferenceEngine)
        given = self.engine_args_override
        if given is not None:
            if isinstance(given, str) or not all(isinstance(item, str) for item in given):
                raise InvalidJobError(f"{self.label}.engine_args_override", "expected a list of texts.")
            for item in given:
                if not item.startswith("--") and not is_template(item):
                    raise InvalidJobError(f"{self.label}.engine_args_override", f"{item!r} must begin with '--'.")
            set_field(self, "engine_args_override", tuple(given))


_COLUMN_OPTIONS = {"input_format": InputFormat, "convert_to": FileEncoding}


def _column_handling(given: Any) -> Mapping[str, Mapping[str, Any]]:
    label = "input_spec.column_handling"
    if not isinstance(given, Mapping):
        raise InvalidJobError(label, f"expected a dict from column names to options, got {type(given).__name__}.")
    checked: dict[str, Mapping[str, Any]] = {}
    for column, options in given.items():
        where = f"{label}[{column!r}]"
        if not isinstance(column, str) or not column or not isinstance(options, Mapping):
            raise InvalidJobError(where, "expected a column name and a dict with input_format and convert_to.")
        if set(options) != set(_COLUMN_OPTIONS):
            raise InvalidJobError(
                where, f"needs exactly input_format and convert_to, got {', '.join(options) or 'nothing'}."
            )
        checked[column] = MappingProxyType(
            {name: member(f"{where}.{name}", options[name], kind) for name, kind in _COLUMN_OPTIONS.items()}
        )
    return MappingProxyType(checked)
