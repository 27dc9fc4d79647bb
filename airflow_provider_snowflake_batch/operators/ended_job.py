"""From a job that has ended to the task's result, or to the exception that the task fails with."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowTaskTimeout

from airflow_provider_snowflake_batch.jobs.errors import error_text
from airflow_provider_snowflake_batch.jobs.example_rows import no_example_rows
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.links.snowsight import SnowsightJobLink
from airflow_provider_snowflake_batch.operators.earlier_job import CancelledForEarlierTry, cancelled_for_earlier_try
from airflow_provider_snowflake_batch.operators.metrics import count_ended, count_rows
from airflow_provider_snowflake_batch.operators.spans import add_spans

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.hooks.results import JobResult
    from airflow_provider_snowflake_batch.jobs.status import JobInfo
    from airflow_provider_snowflake_batch.operators.job_card import TaskCard
    from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords

log = logging.getLogger(__name__)


class EndedJob:
    """The job of one try, which has ended.

    :param context: the task's.
    :param hook: reads what the job has left.
    :param records: learns that the task has done with the job.
    :param record: which job.
    :param card: shows how it ended.
    """

    def __init__(
        self, context: Context, hook: SnowflakeBatchHook, records: JobRecords, record: JobRecord, card: TaskCard
    ) -> None:
        self._context = context
        self._hook = hook
        self._records = records
        self._record = record
        self._card = card

    def collect(self, info: JobInfo, *, drop: bool, streamed: bool, example_rows: int = 0) -> JobResult:
        """The job's result.

        :param info: how it ended.
        :param drop: drop it when its results are collected.
        :param streamed: its log stands in the task's log already.
        :param example_rows: how many rows of the results the job's page shows.
        :raises JobFailedError: if it failed, or has no ``_SUCCESS``.
        :raises JobCancelledError: if it was cancelled.
        :raises JobLostError: if it was dropped.
        :raises CancelledForEarlierTry: if it was cancelled for an earlier try.
        """
        from airflow_provider_snowflake_batch.hooks.results import collect_result

        self._card.look(info)
        count_ended(self._context, self._card.card)
        result = result_so_far(self._context, info, self._record, self._card)
        # A job may last 0 seconds, and times of two clocks may give less.
        seconds = info.seconds if info.seconds is not None else time.time() - self._record.submitted_at
        result.seconds = round(max(seconds, 0.0), 3)
        if not info.status.is_successful:
            self._records.mark_seen(info)
            failure = self._failure(info, streamed=streamed)
            add_spans(self._card.card, failure=failure)
            raise failure
        directory = StagePath.parse(result.output_location, field="output_location")
        collect_result(self._hook, result, directory)
        if drop:
            self._records.mark_dropping()
            self._drop(result)
        self._records.mark_done()
        rows = "" if result.rows is None else f"{result.rows} rows in "
        log.info(
            "Job %s is done: %s%s file(s), %.1f s, %s",
            info.name, rows, result.files, result.seconds, result.output_location,
        )  # fmt: skip
        if result.rows_reused:
            log.info("%s rows kept from earlier tries", result.rows_reused)
        for warning in result.warnings:
            log.warning(warning)
        self._card.done(result)
        count_rows(self._context, self._card.card, result)
        add_spans(self._card.card, result)
        if example_rows:
            self._card.keep_example_rows(self._example_rows(result, directory, example_rows))
        return result

    def _example_rows(self, result: JobResult, directory: StagePath, count: int) -> dict[str, Any]:
        from airflow_provider_snowflake_batch.hooks.example_rows import read_example_rows
        from airflow_provider_snowflake_batch.hooks.masking import masked

        if not result.largest_file:
            return no_example_rows("The results have no file.")
        try:
            return read_example_rows(self._hook, directory, result.largest_file, count)
        except (Exception, AirflowTaskTimeout) as error:
            # The results are complete, and rows on a page are worth no failed task.
            why = masked(error_text(error))
            log.warning("Example rows of %s could not be read: %s", result.output_location, why)
            return no_example_rows(f"They could not be read: {why}")

    def _failure(self, info: JobInfo, *, streamed: bool) -> Exception:
        from airflow_provider_snowflake_batch.hooks.results import failure_of, read_containers_and_logs, tail

        if cancelled_for_earlier_try(self._records, info):
            log.info("Job %s was cancelled for the try before this one: starting a new one.", info.name)
            return CancelledForEarlierTry(f"Job {info.name} was cancelled for the try before this one.")
        containers, logs = read_containers_and_logs(self._hook, info.name)
        self._card.tell_containers(containers)
        self._card.tell_lines(next((tail(text).splitlines() for text in logs.values()), []))
        for label, text in logs.items() if not streamed else ():
            log.error("End of the log of %s:\n%s", label, tail(text))
        return failure_of(info, containers, logs)

    def _drop(self, result: JobResult) -> None:
        try:
            self._hook.delete(result.job_name)
        except Exception as error:
            # The results are complete. If the task failed, a retry would score all rows again.
            result.warnings.append(f"Job {result.job_name} could not be dropped: {error}")
        else:
            log.info("Job %s was dropped.", result.job_name)
            SnowsightJobLink().store(self._context, "")


def result_so_far(context: Context, info: JobInfo, record: JobRecord, card: TaskCard) -> JobResult:
    """The result as far as the job's status tells it."""
    from airflow_provider_snowflake_batch.hooks.results import JobResult

    return JobResult(
        job_name=record.job_name,
        status=info.reported_status,
        output_location=record.output_location,
        attempt=context["ti"].try_number,
        model=card.card.model,
        version=card.card.version,
    )
