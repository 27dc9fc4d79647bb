"""What can be known to be wrong with a job before it is submitted, each as one error that says what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.contract.vocabulary import SaveMode
from airflow_provider_snowflake_batch.exceptions import JobInputError, JobNotFoundError
from airflow_provider_snowflake_batch.hooks.inputs import look_up_source, put_long_list
from airflow_provider_snowflake_batch.hooks.models import existing_rows, look_up_model
from airflow_provider_snowflake_batch.hooks.worker_job import look_up_worker_job, upload_worker_job
from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.job import RegistryJob
from airflow_provider_snowflake_batch.jobs.worker_job import WorkerJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob, SubmittedJob


def check_job(hook: SnowflakeBatchHook, job: BatchJob) -> BatchJob:
    """Look at everything the job names: a few short statements, of which only reading the schema of Parquet files needs
    a running warehouse.

    :returns: the job as it can be submitted: its version and function are what the registry calls them, and its source
        holds what only its stage could tell.
    :raises JobInputError: naming the first thing that would make the job fail.
    """
    _check_name_is_free(hook, job)
    instance_family = _check_compute_pool(hook, job.compute_pool)
    found = _look_up(hook, job, instance_family)
    _check_output(hook, job)
    return found


def prepare(hook: SnowflakeBatchHook, job: SubmittedJob, *, watch: Callable[[], None] | None = None) -> SubmittedJob:
    """The job as its statement can name it, with what that needs put on a stage. One that is ready stays as it is.

    :param watch: called again and again while rows are unloaded, which may take hours: what it raises ends that.
    :raises JobInputError: if Snowflake cannot unload the rows.
    """
    if isinstance(job, WorkerJob):
        if job.placement is None:
            job = look_up_worker_job(hook, job, _check_compute_pool(hook, job.compute_pool))
        return job if job.upload is not None else upload_worker_job(hook, job, watch or (lambda: None))
    return put_long_list(hook, job)


def _look_up(hook: SnowflakeBatchHook, job: BatchJob, instance_family: str) -> BatchJob:
    """The job with what only Snowflake can tell of it, which depends on the kind of job."""
    if isinstance(job, RegistryJob):
        job = look_up_model(hook, job)
        return replace(job, source=look_up_source(hook, job))
    if isinstance(job, WorkerJob):
        return look_up_worker_job(hook, job, instance_family)
    raise NotImplementedError(f"It is not known how to check a {type(job).__name__}.")


def _check_name_is_free(hook: SnowflakeBatchHook, job: BatchJob) -> None:
    try:
        existing = hook.status(job.name)
    except JobNotFoundError:
        return
    raise JobInputError(
        f"job_spec.job_name: a job {job.name} exists already (status {existing.reported_status}). Snowflake keeps the "
        "names of ended jobs for up to 30 days: leave job_name out to get a new name for each try, or drop the old job."
    )


def _check_compute_pool(hook: SnowflakeBatchHook, pool: Identifier) -> str:
    """:returns: the pool's instance family."""
    rows = existing_rows(hook, statements.describe_compute_pool(pool))
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
    family = hook.instance_families[str(pool)] = str(rows[0].get("instance_family"))
    return family


def _check_output(hook: SnowflakeBatchHook, job: BatchJob) -> None:
    directory = job.output_directory
    try:
        files = hook.list_files(directory)
    except JobInputError as error:
        raise JobInputError(f"output_spec.stage_location: {error}") from error
    # A job that resumes goes on with the files in the directory. The worker checks that an earlier try has left them.
    resumes = isinstance(job, WorkerJob) and job.resumed is not None
    if files and job.output.mode is SaveMode.ERROR and not resumes:
        raise JobInputError(
            f"output_spec.stage_location: {directory} already holds {len(files)} file(s), for example "
            f"{files[0].path}. Choose an empty directory or another job_name, or set mode to OVERWRITE."
        )
