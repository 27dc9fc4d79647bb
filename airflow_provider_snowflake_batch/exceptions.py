"""What a task fails with, one class per cause, so that retry policies and callbacks can tell them apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError

# The attribute of whatever a task fails with: Airflow's time limits and the driver's errors are no classes of ours.
FAILED_JOB = "snowflake_batch_failed_job"


@dataclass(frozen=True, slots=True)
class FailedJob:
    """What a callback or a notifier may want to tell of a task's job; plain values, and nothing that Airflow masks.

    :param job_name: fully qualified; empty if the task failed before there was one.
    :param status: as Snowflake wrote it; ``REFUSED`` or ``NOT_SUBMITTED`` where there is no job.
    :param reason: the exception's message.
    :param output_location: where its results would have been; empty without a job.
    :param query_id: of the statement that submitted it, None if none was sent.
    :param page: the address of the task's tab *Batch job*. :param snowsight: of the job's page, None without one.
    :param attempt: which try of the task has failed.
    """

    job_name: str
    status: str
    reason: str
    output_location: str
    query_id: str | None
    model: str | None
    compute_pool: str
    page: str | None
    snowsight: str | None
    attempt: int


class SnowflakeBatchError(AirflowException):
    """Base of all exceptions of this provider."""


class JobInputError(SnowflakeBatchError, AirflowFailException):
    """The job as described cannot run; nothing was submitted. Fails the task without a retry."""


class JobSubmissionError(SnowflakeBatchError):
    """Snowflake did not finish the statement that submits the job; there is no job. Worth another try."""


class JobNotFoundError(SnowflakeBatchError):
    """Snowflake knows no job of this name, or hides it from this role."""


class JobFailedError(SnowflakeBatchError):
    """The job ended as FAILED or INTERNAL_ERROR; the message carries the model's own error."""


class JobCancelledError(SnowflakeBatchError):
    """Somebody cancelled the job in Snowflake."""


class JobLostError(SnowflakeBatchError):
    """The job was dropped, or never came to be, while we waited for it."""


class ResultsError(SnowflakeBatchError):
    """A job's results are not complete, or files are missing, changed or too many, or the number of rows is wrong."""


class SnowflakeUnreachableError(SnowflakeBatchError):
    """Snowflake could not be asked about the job any more. The job was left alone, and another try goes on with it."""


class JobTimeoutError(SnowflakeBatchError):
    """The job did not end before its deadline. The operator has cancelled it."""


class JobPendingError(JobTimeoutError):
    """The job did not start before its deadline; the message says what it waited for."""


class PoolCapacityError(JobPendingError):
    """The job did not start because the compute pool has no node to give: worth another try later."""


@contextmanager
def failing_for_good() -> Iterator[None]:
    """Turn what is wrong with a job's description into a failure that no retry can mend.

    :raises JobInputError: instead of :class:`~airflow_provider_snowflake_batch.jobs.errors.InvalidJobError`.
    """
    try:
        yield
    except InvalidJobError as error:
        raise JobInputError(str(error)) from error


def failed_job(error: BaseException | str | None) -> FailedJob | None:
    """The job of a ``RunBatchOperator`` task that has failed.

    :param error: ``context.get("exception")`` of an ``on_failure_callback`` or ``on_retry_callback``.
    :returns: None for what such a task has not failed with.
    """
    found = getattr(error, FAILED_JOB, None)
    return found if isinstance(found, FailedJob) else None
