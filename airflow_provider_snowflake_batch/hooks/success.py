"""Whether a job's results are there: ``_SUCCESS``, how fresh it is, and whether it can still come."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.contract.output_layout import SUCCESS
from airflow_provider_snowflake_batch.exceptions import JobFailedError, JobNotFoundError
from airflow_provider_snowflake_batch.hooks.results import VISIBLE_SECONDS

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
    from airflow_provider_snowflake_batch.jobs.status import JobInfo


def results_are_there(
    hook: SnowflakeBatchHook,
    directory: StagePath,
    *,
    newer_than: datetime | None = None,
    job_name: str | None = None,
) -> bool:
    """One look for ``_SUCCESS``.

    :param directory: the job's output directory, fully qualified.
    :param newer_than: an older ``_SUCCESS`` does not count; with its time zone. Snowflake tells the time of a stage
        file in whole seconds.
    :param job_name: the job that is to write it.
    :raises JobFailedError: if that job has ended, so that ``_SUCCESS`` will not come any more. After a job that is
        DONE it may still show up a little later.
    """
    # The job is asked for first: if it ends after that, the look for _SUCCESS comes later still.
    info = None
    if job_name is not None:
        try:
            info = hook.status(job_name)
        except JobNotFoundError:
            # It may not have been submitted yet.
            info = None
    written = hook.success_time(directory)
    if written is not None and (newer_than is None or written >= newer_than.replace(microsecond=0)):
        return True
    if info is not None and info.status.is_terminal and not _may_show_up(info):
        raise JobFailedError(
            f"Job {info.name} ended as {info.reported_status} without {SUCCESS} in {directory}. Its log may say why: "
            f"airflow snowflake-batch logs {info.name}"
        )
    return False


def _may_show_up(info: JobInfo) -> bool:
    if not info.status.is_successful or info.updated_on is None:
        return False
    return time.time() - datetime.fromisoformat(info.updated_on).timestamp() < VISIBLE_SECONDS
