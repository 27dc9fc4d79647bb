"""The blocks that describe a batch inference job, in the words of Snowflake's documentation.

Each block is immutable and validated when it is made; :meth:`Spec.of` also takes a plain dict, as templated Dags and
YAML files have it. Fields and values:
https://docs.snowflake.com/en/sql-reference/sql/execute-inference-job-service
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding as FileEncoding
from airflow_provider_snowflake_batch.contract.vocabulary import OnError as OnError
from airflow_provider_snowflake_batch.contract.vocabulary import SaveMode as SaveMode
from airflow_provider_snowflake_batch.contract.vocabulary import Sharing as Sharing
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath

_E = TypeVar("_E", bound=Enum)


class InputFormat(str, Enum):
    """What a column that stands for a file holds: the file's full stage path."""

    FULL_STAGE_PATH = "full_stage_path"


class InferenceEngine(str, Enum):
    """What serves the model inside the container."""

    DEFAULT = "default"
    VLLM = "vllm"
    PYTHON_GENERIC = "python_generic"


def is_template(value: Any) -> bool:
    """Whether a text still holds a Jinja expression, so that it can be checked only after rendering."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def plain_value(value: Any) -> Any:
    """A value as JSON and templates know it: an enum's member is its value, wherever it stands, also as a key.

    Airflow renders a member that is a text as ``SaveMode.OVERWRITE``. A specification, ours or one of
    snowflake-ml-python's (pydantic models), becomes a dict of its fields. What holds none of these is returned itself,
    the same object: Airflow tells by that which values another task has returned, and renders no template in those.
    """
    if isinstance(value, Enum):
        return plain_value(value.value)
    if isinstance(value, Spec):
        return value.to_dict()
    if callable(getattr(type(value), "model_dump", None)):
        return plain_value(value.model_dump(exclude_unset=True))
    if isinstance(value, Mapping):
        items = [(plain_value(key), plain_value(item)) for key, item in value.items()]
        unchanged = all(key is k and item is i for (key, item), (k, i) in zip(items, value.items(), strict=True))
        return value if unchanged and type(value) is dict else dict(items)
    if isinstance(value, (list, tuple)):
        members = [plain_value(item) for item in value]
        if all(ours is given for ours, given in zip(members, value, strict=True)):
            return value
        return tuple(members) if isinstance(value, tuple) else members
    return value


def check_json(field: str, value: Any) -> None:
    """Hold that a value comes out of JSON as it went in; a tuple counts as a list, an enum's member as its value.

    :raises InvalidJobError: if it does not.
    """
    plain = plain_value(value)
    try:
        json.dumps(_json_value(plain), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJobError(field, f"every value must be JSON: {error}.") from None
    _check_keys(field, plain)


def _check_keys(field: str, value: Any) -> None:
    """JSON has no other keys than texts, and makes texts of numbers without a word."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidJobError(field, f"the key {key!r} is no text, which it would become in JSON: write it so.")
            _check_keys(field, item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_keys(field, item)


class Spec:
    """Base of the blocks: reading from a dict, writing to one."""

    label: ClassVar[str]

    @classmethod
    def of(cls, value: Self | Mapping[str, Any] | None) -> Self:
        """The block from itself, from a dict of its fields, or from None (all defaults).

        :raises InvalidJobError: on an unknown or missing field, or a value of the wrong kind.
        """
        if isinstance(value, cls):
            return value
        given: Mapping[str, Any] = plain_value(value) if value is not None else {}
        if not isinstance(given, Mapping) or isinstance(value, Spec):
            raise InvalidJobError(
                cls.label, f"expected {cls.__name__}(…) or a dict of its fields, got {type(value).__name__}."
            )
        known = [item.name for item in fields(cls)]  # type: ignore[arg-type]
        for name in given:
            if name not in known:
                raise InvalidJobError(cls.label, f"unknown field {name!r}; the fields are {', '.join(known)}.")
        try:
            return cls(**given)
        except TypeError as error:
            missing = re.findall(r"'(\w+)'", str(error))
            raise InvalidJobError(cls.label, f"the field {' and '.join(missing)} is missing.") from None

    def to_dict(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as plain JSON values."""
        plain: dict[str, Any] = {}
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if value is not None and value != item.default:
                plain[item.name] = _json_value(value)
        return plain


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
            _set(self, "params", MappingProxyType(dict(self.params)))
        if self.column_handling is not None:
            _set(self, "column_handling", _column_handling(self.column_handling))
        if self.partition_column is not None:
            _text(self, "partition_column")

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.to_dict())


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
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _enum(self, "mode", SaveMode)
        if self.columns is not None and not is_template(self.columns):
            from airflow_provider_snowflake_batch.jobs import container_settings

            _set(self, "columns", container_settings.names("output_spec.columns", self.columns, "input columns"))
        if not is_template(self.stage_location):
            StagePath.parse(self.stage_location, field="output_spec.stage_location")

    @property
    def location(self) -> StagePath:
        return StagePath.parse(self.stage_location, field="output_spec.stage_location").directory()


_CPU = re.compile(r"\d+(\.\d+)?|\d+m")
# "8GiB" in the batch documentation, "8Gi" in service specifications: both are understood there.
_MEMORY = re.compile(r"\d+(\.\d+)?\s?[KMGT]i?B?")


_CONTAINER_FIELDS = ("env", "secrets", "external_access_integrations", "stages")


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
    external_access_integrations: tuple[str, ...] | None = None
    query_warehouse: str | None = None
    stages: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("num_workers", "max_batch_rows", "replicas", "max_quarantined", "min_replicas"):
            _positive_integer(self, name)
        _quantity(self, "cpu_requests", _CPU, "a number of virtual CPUs such as '2' or '0.5'")
        _quantity(self, "memory_requests", _MEMORY, "an amount with its unit such as '8GiB' or '512MiB'")
        _quantity(self, "gpu_requests", re.compile(r"\d+"), "a number of GPUs such as '1'")
        for name in ("job_name", "image_repo"):
            value = _text(self, name)
            if value is not None and not is_template(value):
                QualifiedName.parse(value, field=f"job_spec.{name}", allow_quoted=False)
        for name in ("job_name_prefix", "warehouse", "query_warehouse"):
            value = _text(self, name)
            if value is not None and not is_template(value):
                Identifier.parse(value, field=f"job_spec.{name}", allow_quoted=name != "job_name_prefix")
        _text(self, "function_name")
        if self.job_name is not None and self.job_name_prefix is not None:
            raise InvalidJobError("job_spec", "job_name and job_name_prefix exclude each other: give one.")
        if not isinstance(self.force_rebuild, bool) and not is_template(self.force_rebuild):
            _set(self, "force_rebuild", _boolean("job_spec.force_rebuild", self.force_rebuild))
        if self.on_error is not None:
            _enum(self, "on_error", OnError)
        if self.max_quarantined is not None and self.on_error in (None, OnError.FAIL):
            raise InvalidJobError("job_spec.max_quarantined", "needs on_error to be 'quarantine'.")
        if self.executor is not None:
            _enum(self, "executor", Sharing)
        self._check_replicas()
        _text(self, "image")
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
        # Most Dags say nothing of this; what their parsing loads is few modules.
        from airflow_provider_snowflake_batch.jobs import container_settings

        checks: dict[str, Callable[[str, Any], Any]] = {
            "env": container_settings.environment,
            "secrets": container_settings.secrets,
            "external_access_integrations": container_settings.integrations,
            "stages": container_settings.stages,
        }
        for name, check in checks.items():
            value = getattr(self, name)
            if value is not None and not is_template(value):
                _set(self, name, check(f"job_spec.{name}", value))
        if isinstance(self.env, Mapping) and isinstance(self.secrets, Mapping):
            for name in self.env.keys() & self.secrets.keys():
                raise InvalidJobError(f"job_spec.env[{name!r}]", "job_spec.secrets sets the same variable.")

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.to_dict())


@dataclass(frozen=True)
class InferenceEngineOptions(Spec):
    """Which engine serves the model, and its arguments.

    :param engine: for example ``InferenceEngine.VLLM``.
    :param engine_args_override: command-line arguments of the engine, each beginning with ``--``.
    :raises InvalidJobError: on an unknown engine or a malformed argument.
    """

    label: ClassVar[str] = "inference_engine_options"

    engine: InferenceEngine | None = None
    engine_args_override: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.engine is not None:
            _enum(self, "engine", InferenceEngine)
        given = self.engine_args_override
        if given is not None:
            if isinstance(given, str) or not all(isinstance(item, str) for item in given):
                raise InvalidJobError(f"{self.label}.engine_args_override", "expected a list of texts.")
            for item in given:
                if not item.startswith("--") and not is_template(item):
                    raise InvalidJobError(f"{self.label}.engine_args_override", f"{item!r} must begin with '--'.")
            _set(self, "engine_args_override", tuple(given))


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
            {name: _member(f"{where}.{name}", options[name], kind) for name, kind in _COLUMN_OPTIONS.items()}
        )
    return MappingProxyType(checked)


def _json_value(value: Any) -> Any:
    """A new value that shares nothing with the given one; lists for tuples."""
    value = plain_value(value)
    if isinstance(value, Mapping):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    return value


def _rebuild(cls: type[Spec], given: dict[str, Any]) -> Spec:
    return cls.of(given)


def _set(spec: Spec, name: str, value: Any) -> None:
    object.__setattr__(spec, name, value)


def _member(label: str, value: Any, kind: type[_E]) -> _E | str:
    if isinstance(value, kind):
        return value
    if is_template(value):
        return str(value)
    # Members of snowflake-ml-python's own enums come in here too, and what a template makes of one: its class and name.
    text = str(plain_value(value))
    wanted = text.removeprefix(f"{kind.__name__}.").lower()
    for member in kind:
        if wanted == member.value:
            return member
    raise InvalidJobError(label, f"{text!r} is not one of {', '.join(member.name for member in kind)}.")


def _enum(spec: Spec, name: str, kind: type[Enum]) -> None:
    _set(spec, name, _member(f"{spec.label}.{name}", getattr(spec, name), kind))


def _text(spec: Spec, name: str) -> str | None:
    value = getattr(spec, name)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InvalidJobError(f"{spec.label}.{name}", f"expected a text, got {value!r}.")
    return value


def _quantity(spec: Spec, name: str, pattern: re.Pattern[str], wanted: str) -> None:
    value = getattr(spec, name)
    if value is None or is_template(value):
        return
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not pattern.fullmatch(text.strip()) or not re.search("[1-9]", text):
        raise InvalidJobError(f"{spec.label}.{name}", f"expected {wanted}, got {value!r}.")
    _set(spec, name, text.strip())


def _positive_integer(spec: Spec, name: str) -> None:
    value = getattr(spec, name)
    if value is None or is_template(value):
        return
    if isinstance(value, str) and re.fullmatch(r"\d+", value.strip()):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidJobError(f"{spec.label}.{name}", f"expected an integer of 1 or more, got {value!r}.")
    _set(spec, name, value)


def _boolean(label: str, value: Any) -> bool:
    if str(value).strip().lower() in ("true", "false"):
        return str(value).strip().lower() == "true"
    raise InvalidJobError(label, f"expected True or False, got {value!r}.")
