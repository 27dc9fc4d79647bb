"""Which arguments of a job can be judged when the Dag is parsed, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from airflow_provider_snowflake_batch.jobs.deadlines import check_seconds
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.example_rows import check_example_rows
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.job import refuse_overlap
from airflow_provider_snowflake_batch.jobs.runtimes import (
    choose_runtime,
    refuse_registry_arguments,
    refuse_registry_fields,
    refuse_worker_fields,
)
from airflow_provider_snowflake_batch.jobs.sources import StageParquet, parse_source
from airflow_provider_snowflake_batch.jobs.spec_fields import SCALARS, Spec, is_flat, is_template
from airflow_provider_snowflake_batch.jobs.specs import InferenceEngineOptions, InputSpec, JobSpec, OutputSpec

_CHECKS: dict[str, Callable[[Any], object]] = {
    "model": lambda value: _parse_model(value),
    "model_name": lambda value: QualifiedName.parse(value, field="model_name"),
    "version_name": lambda value: Identifier.parse(value, field="version_name"),
    "compute_pool": lambda value: Identifier.parse(value, field="compute_pool"),
    "input_spec": InputSpec.of,
    "output_spec": OutputSpec.of,
    "job_spec": JobSpec.of,
    "inference_engine_options": InferenceEngineOptions.of,
}
_NEEDED = ("compute_pool", "output_spec")
# Tasks do not share one: to look whether it was checked takes half as long as to check it.
_UNLIKE = ("output_spec",)
# What never becomes another value later. Much of it is refused, since it is no JSON.
_VALUES = (
    str, int, float, bool, complex, bytes, bytearray, set, frozenset, range, Decimal, date, time, timedelta
)  # fmt: skip


def check_waiting(
    *,
    poll_interval: object,
    timeout: object,
    pending_timeout: object,
    on_finish: object,
    example_rows: object,
    wait_for_completion: bool,
) -> None:
    """Refuse arguments about waiting and what comes after that are wrong or contradict each other. None is templated.

    :raises InvalidJobError: on the first value that is wrong.
    """
    check_seconds("poll_interval", poll_interval)
    check_seconds("timeout", timeout, optional=True)
    check_seconds("pending_timeout", pending_timeout, optional=True)
    if not isinstance(on_finish, str) or on_finish not in ("keep", "drop"):
        raise InvalidJobError("on_finish", f"expected 'keep' or 'drop', got {on_finish!r}.")
    if on_finish == "drop" and not wait_for_completion:
        raise InvalidJobError(
            "on_finish", "'drop' needs wait_for_completion=True: a job that nobody waits for cannot be dropped."
        )
    check_example_rows(example_rows)
    if example_rows and not wait_for_completion:
        raise InvalidJobError(
            "example_rows", "needs wait_for_completion=True: a job that nobody waits for has no results to show."
        )


def check_arguments(arguments: Mapping[str, Any], *, file_endings: tuple[str, ...]) -> None:
    """Refuse values that are wrong. A value with a template, or another task's output, is checked when the task runs.

    :param arguments: of :class:`~airflow_provider_snowflake_batch.operators.batch_inference.RunBatchOperator`, by name.
    :param file_endings: an ``X`` that ends like this is the name of a file that Airflow reads when it renders.
    :raises InvalidJobError: on the first value that is wrong.
    """
    is_worker = choose_runtime(arguments["model"], arguments["model_name"])
    if is_worker:
        refuse_registry_arguments(arguments)
    for name in _CHECKS:
        value = arguments[name]
        if value is None:
            if name in _NEEDED:
                raise InvalidJobError(name, "is needed, got None.")
            continue
        if type(value) is str:
            _check_equal(name, is_worker, value)
        elif name not in _UNLIKE and is_flat(value):
            # With its type, since the cache would take True for 1 and 1.0, which are other values.
            _check_equal(name, is_worker, tuple((key, type(item), item) for key, item in value.items()))
        elif _is_plain(value):
            _check(name, is_worker, value)
    X, output = arguments["X"], arguments["output_spec"]
    if isinstance(X, str) and X.endswith(file_endings):
        return
    if not _is_plain(X) or _has_template(X):
        return
    source = parse_source(X)
    if isinstance(source, StageParquet) and _is_plain(output) and not _has_template(output):
        refuse_overlap(source.location, OutputSpec.of(output).location)


@lru_cache(maxsize=256)
def _check_equal(name: str, is_worker: bool, value: str | tuple[tuple[Any, type, Any], ...]) -> None:
    """Check a text, or the items of a flat dict. Equal values are checked once: many tasks of a Dag may be alike."""
    _check(name, is_worker, value if isinstance(value, str) else {key: item for key, _, item in value})


def _check(name: str, is_worker: bool, value: Any) -> None:
    if is_template(value):
        return
    checked = _CHECKS[name](value)
    if isinstance(checked, Spec):
        (refuse_registry_fields if is_worker else refuse_worker_fields)(name, checked)


def _parse_model(value: Any) -> object:
    # Imported here, so that a Dag without such a model is parsed without it.
    from airflow_provider_snowflake_batch.jobs.models import parse_model

    return parse_model(value)


def _is_plain(value: Any) -> bool:
    """Whether this is a value, rather than something like another task's output that becomes one later."""
    if type(value) in SCALARS:
        return True
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _VALUES) or type(value).__module__ == "numpy"


def _has_template(value: Any) -> bool:
    if type(value) is str:
        return is_template(value)
    if isinstance(value, Mapping):
        return any(_has_template(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_has_template(item) for item in value)
    return is_template(value)
