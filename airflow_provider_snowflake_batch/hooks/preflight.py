"""What can be known to be wrong with a job before it is submitted, each as one error that says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.exceptions import JobInputError, JobNotFoundError
from airflow_provider_snowflake_batch.hooks.batch_inference import error_text
from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.errors import does_not_exist, is_transient
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.sources import StageParquet
from airflow_provider_snowflake_batch.jobs.specs import InputSpec, SaveMode

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.job import InferenceJob


def check_inference_job(hook: SnowflakeBatchHook, job: InferenceJob) -> None:
    """Look at everything the job names: five short statements, none of which needs a running warehouse.

    :raises JobInputError: naming the first thing that would make the job fail.
    """
    _check_name_is_free(hook, job)
    _check_compute_pool(hook, job.compute_pool)
    _check_model(hook, job)
    _check_source(hook, job)
    _check_output(hook, job)


def _check_name_is_free(hook: SnowflakeBatchHook, job: InferenceJob) -> None:
    try:
        existing = hook.status(job.name)
    except JobNotFoundError:
        return
    raise JobInputError(
        f"job_spec.job_name: a job {job.name} exists already (status {existing.reported_status}). Snowflake keeps the "
        "names of ended jobs for up to 30 days: leave job_name out to get a new name for each try, or drop the old job."
    )


def _check_compute_pool(hook: SnowflakeBatchHook, pool: Identifier) -> None:
    rows = _ask(hook, statements.describe_compute_pool(pool))
    if not rows:
        raise JobInputError(
            f"compute_pool: {pool} does not exist, or this role has no USAGE on it. SHOW COMPUTE POOLS lists the ones "
            "that it can see."
        )
    state, auto_resume = str(rows[0].get("state")), str(rows[0].get("auto_resume")).lower()
    if state in ("SUSPENDED", "STOPPING") and auto_resume == "false":
        raise JobInputError(
            f"compute_pool: {pool} is {state} and does not resume by itself (AUTO_RESUME = FALSE). "
            f"Run ALTER COMPUTE POOL {pool} RESUME first."
        )


def _check_model(hook: SnowflakeBatchHook, job: InferenceJob) -> None:
    rows = _ask(hook, statements.show_model_versions(job.model))
    if rows is None:
        raise JobInputError(f"model_name: {job.model} does not exist, or this role has no USAGE on it.")
    if job.version is None:
        return
    known = {str(row["name"]) for row in rows} | {alias for row in rows for alias in _aliases(row)}
    if job.version.value not in known | {"DEFAULT", "FIRST", "LAST"}:
        raise JobInputError(
            f"version_name: model {job.model} has no version or alias {job.version}; it has {_some(known)}."
        )


def _check_source(hook: SnowflakeBatchHook, job: InferenceJob) -> None:
    if isinstance(job.source, StageParquet):
        location = hook.qualify_location(job.source.location, field="X")
        if not hook.list_files(location):
            raise JobInputError(f"X: there are no files under {location}.")
        return
    try:
        columns = hook.columns(statements.select_source(job.source))
    except Exception as error:
        if is_transient(error):
            raise
        raise JobInputError(f"X: Snowflake cannot read the input {job.source}: {error_text(error)}") from error
    _check_columns_exist(job.input, columns)


def _check_columns_exist(spec: InputSpec, columns: list[str]) -> None:
    present = {column.upper() for column in columns}
    wanted = [(f"input_spec.column_handling[{name!r}]", name) for name in spec.column_handling or ()]
    if spec.partition_column is not None:
        wanted.append(("input_spec.partition_column", spec.partition_column))
    for where, name in wanted:
        if name.strip('"').upper() not in present:
            raise JobInputError(f"{where}: the input has no column {name!r}; it has {_some(columns)}.")


def _check_output(hook: SnowflakeBatchHook, job: InferenceJob) -> None:
    directory = job.output_directory
    try:
        files = hook.list_files(directory)
    except JobInputError as error:
        raise JobInputError(f"output_spec.stage_location: {error}") from error
    if files and job.output.mode is SaveMode.ERROR:
        raise JobInputError(
            f"output_spec.stage_location: {directory} already holds {len(files)} file(s), for example "
            f"{files[0].path}. Choose an empty directory or another job_name, or set mode to OVERWRITE."
        )


def _ask(hook: SnowflakeBatchHook, sql: str) -> list[dict[str, Any]] | None:
    """The rows of a statement about one object, or None if there is no such object."""
    try:
        return hook.rows(sql)
    except Exception as error:
        if does_not_exist(error):
            return None
        raise


def _aliases(row: dict[str, Any]) -> Iterable[str]:
    value = row.get("aliases")
    found = json.loads(value) if isinstance(value, str) and value.startswith("[") else value
    return [str(alias) for alias in found] if isinstance(found, list) else []


def _some(names: Iterable[str], most: int = 12) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(listed[:most]) or "none") + more
