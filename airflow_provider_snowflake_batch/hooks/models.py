"""The model of a job: which version and function it is, and what of the job that version cannot do.

The checks are those that snowflake-ml-python makes before ``run_batch`` submits (``_validate_batch_inference_request``
of its ``ModelVersion``), with what ``SHOW`` statements tell; none of them needs more than USAGE on the model.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.contract.model_params import ParamError, refuse_more_labels, resolve_params
from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError, does_not_exist, error_text, is_transient, some
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.model_versions import (
    ListedVersion,
    Method,
    Specification,
    choose_version,
)

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
    from airflow_provider_snowflake_batch.jobs.job import RegistryJob

log = logging.getLogger(__name__)

# SHOW VERSIONS has the column model_spec only in a statement with this parameter; snowflake-ml-python sends it along.
_WITH_DETAILS = {"SHOW_MODEL_DETAILS_IN_SHOW_VERSIONS_IN_MODEL": True}


def look_up_model(hook: SnowflakeBatchHook, job: RegistryJob) -> RegistryJob:
    """The job with the version that it runs, and its function as the model spells it.

    Each stays as the job has it where the registry does not tell.

    :raises JobInputError: if there is no such model, version or function, or if the version cannot do the job.
    """
    version = find_version(hook, job.model, job.version, fields=("model_name", "version_name"))
    if version is None:
        return job
    job = replace(job, version=version)
    specification = specification_of(hook, job.model, version)
    if specification is None:
        return job
    try:
        specification.method(job.settings.function_name)
        _check_gpu(job, specification)
        whose = f"version {version} of {job.model}"
        method = check_function_and_params(specification, job.settings.function_name, job.input.params or {}, whose)
        if method is not None:
            _check_partitions(hook, job, specification, method)
            job = replace(job, settings=replace(job.settings, function_name=method.name))
    except InvalidJobError as error:
        raise JobInputError(str(error)) from None
    return job


def find_version(
    hook: SnowflakeBatchHook, model: QualifiedName, wanted: Identifier | None, *, fields: tuple[str, str]
) -> Identifier | None:
    """The version that a job runs.

    :param wanted: the version or alias that the task names; None for the default one.
    :param fields: the task's fields of the model and of the version, for errors.
    :returns: None if the registry does not tell which version is the default one.
    :raises JobInputError: if there is no such model or version.
    """
    rows = existing_rows(hook, statements.show_model_versions(model))
    if rows is None:
        raise JobInputError(
            f"{fields[0]}: {model} does not exist, or this role has no USAGE on it. SHOW MODELS IN ACCOUNT lists the "
            "ones that it can see."
        )
    listed = [ListedVersion.from_row(row) for row in rows]
    try:
        return choose_version(listed, wanted)
    except LookupError:
        known = {name for one in listed for name in (one.name, *one.aliases)}
        raise JobInputError(
            f"{fields[1]}: model {model} has no version or alias {wanted}; it has {some(known)}."
        ) from None


def existing_rows(hook: SnowflakeBatchHook, sql: str) -> list[dict[str, Any]] | None:
    """The rows of a statement about one object, or None if there is no such object."""
    try:
        return hook.rows(sql)
    except Exception as error:
        if does_not_exist(error):
            return None
        raise


def specification_of(hook: SnowflakeBatchHook, model: QualifiedName, version: Identifier) -> Specification | None:
    """What a version says about the jobs that it can do; None where Snowflake does not tell."""
    sql = statements.show_model_versions(model, like=version.value)
    try:
        rows = hook.rows(sql, parameters=_WITH_DETAILS)
    except Exception as error:
        if is_transient(error):
            raise
        # The parameter is not documented. If Snowflake refuses it, the job is submitted without these checks.
        log.info("What version %s of model %s takes cannot be seen: %s", version, model, error_text(error))
        return None
    texts = [row.get("model_spec") for row in rows if row["name"] == version.value]
    return Specification.parse(texts[0]) if texts and isinstance(texts[0], str) else None


def _check_gpu(job: RegistryJob, specification: Specification) -> None:
    if job.settings.gpu_requests is not None and not specification.supports_gpu:
        raise InvalidJobError(
            "job_spec.gpu_requests",
            f"version {job.version} of model {job.model} has no runtime for GPUs: log it with "
            "options={'cuda_version': …}, or leave gpu_requests out.",
        )


def check_function_and_params(
    specification: Specification, function: str | None, given: Mapping[str, Any], whose: str
) -> Method | None:
    """Hold that a version has a function, which takes the job's params.

    :param whose: the version, for errors.
    :returns: the function; None where the version states none.
    :raises InvalidJobError: it has not, or does not.
    """
    method = specification.method(function)
    if method is None:
        return None
    try:
        resolve_params(method.params, given, texts_or_flags=specification.is_hugging_face)
        if specification.is_hugging_face:
            refuse_more_labels(method.outputs, given)
    except ParamError as error:
        hint = ""
        if any(isinstance(value, str) for value in given.values()) and " must be " in str(error):
            hint = " A template makes text of a number, unless the Dag has render_template_as_native_obj=True."
        raise InvalidJobError("input_spec.params", f"{error} (function {method.name!r}, {whose}).{hint}") from None
    return method


def _check_partitions(hook: SnowflakeBatchHook, job: RegistryJob, specification: Specification, method: Method) -> None:
    """https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs"""
    column = job.input.partition_column
    if column is None:
        return
    field = "input_spec.partition_column"
    if specification.is_hugging_face:
        raise InvalidJobError(
            field, f"Hugging Face pipelines such as {job.model} cannot work on partitions: leave it out."
        )
    assert job.version is not None
    shown = existing_rows(hook, statements.show_model_functions(job.model, job.version)) or []
    exact = [row for row in shown if row["name"] == method.name]
    for row in exact or [row for row in shown if row["name"] == method.name.upper()]:
        if "TABLE" not in str(row.get("return_type") or "TABLE").upper():
            raise InvalidJobError(
                field,
                f"the function {method.name!r} of {job.model} takes row by row: only functions of a whole partition "
                "(TABLE_FUNCTION) can have one.",
            )
    name = Identifier.column(column, field=field).value.upper()
    if method.partitioned is not False and name in (output.upper() for output in method.outputs):
        raise InvalidJobError(
            field,
            f"the function {method.name!r} of {job.model} returns a column {column} itself, to which the job would add "
            "the partition's: rename it in the model and log that again.",
        )
