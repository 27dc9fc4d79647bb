"""Removing what was staged for a job that will not read it any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.exceptions import SnowflakeBatchError, SnowflakeUnreachableError
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.sources import StageListing, StagePaths, parse_source
from airflow_provider_snowflake_batch.operators.earlier_job import CancelledForEarlierTry

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.operators.job_record import JobRecord


@contextmanager
def discarding_staged_input(
    hook: SnowflakeBatchHook, X: Any, current_job: Callable[[], JobRecord | None]
) -> Iterator[None]:
    """Remove rows that were staged for a job when its task fails and the job does not need them any more.

    If Snowflake cannot be reached, the job may still run, and keeps its rows.

    :param X: the operator's argument, which tells whether rows are staged at all.
    :param current_job: the job of this try, asked when the task fails.
    """
    from airflow_provider_snowflake_batch.hooks.inputs import discard_long_list

    try:
        yield
    except SnowflakeUnreachableError:
        raise
    except (SnowflakeBatchError, CancelledForEarlierTry):
        record = current_job()
        if record is not None and isinstance(parse_source(X), (StagePaths, StageListing)):
            directory = StagePath.parse(record.output_location, field="output_location")
            discard_long_list(hook, record.name, directory)
        raise


def discard_input_of_ended_job(hook: SnowflakeBatchHook, record: JobRecord) -> None:
    """Remove what a job of the worker that has succeeded was given: rows that were unloaded for it, its job file."""
    from airflow_provider_snowflake_batch.hooks.worker_files import discard_worker_input

    discard_worker_input(hook, record.name, StagePath.parse(record.output_location, field="output_location"))
