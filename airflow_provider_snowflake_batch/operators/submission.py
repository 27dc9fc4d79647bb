"""Sending a job's statement, so that whatever happens in between, the job is found again."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.exceptions import JobCancelledError, JobInputError
from airflow_provider_snowflake_batch.operators.job_record import JobRecord
from airflow_provider_snowflake_batch.operators.newer_try import was_replaced

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.operators.job_canceller import JobCanceller
    from airflow_provider_snowflake_batch.operators.job_record import JobRecords

log = logging.getLogger(__name__)


class Submission:
    """Checks a job and submits it.

    :param hook: asks Snowflake, and sends the statement.
    :param records: where the task's next tries find the job.
    :param canceller: learns of the job before its statement is sent.
    """

    def __init__(self, hook: SnowflakeBatchHook, records: JobRecords, canceller: JobCanceller) -> None:
        self._hook = hook
        self._records = records
        self._canceller = canceller
        self.statement: str | None = None
        """What was sent; None where nothing was."""

    def submit(self, job: BatchJob) -> JobRecord:
        """Check the job, record it, send its statement, and record the statement's query id.

        :param job: its name fully qualified.
        :raises JobInputError: if a check finds something wrong, or another job has the name; there is no job then.
        :raises JobCancelledError: if the task was killed while the statement was sent; the job is cancelled then.
        """
        from airflow_provider_snowflake_batch.hooks.preflight import check_job, prepare

        job = self._records.name(job)
        found = check_job(self._hook, self._records.as_begun(job))
        model = found.model_function
        record = JobRecord(
            str(job.name),
            str(found.output_directory),
            time.time(),
            # Of the job as the task asks for it, so that a default version that changes makes no other job of it.
            job.fingerprint(),
            version=str(model.version) if model.version is not None else None,
            function=model.function,
            sizing=dict(job.sizing),
            instance_family=self._hook.instance_families.get(str(job.compute_pool)),
        )
        # Recorded, and known to on_kill, before the statement is sent: after a crash or a kill the job must be found.
        self._canceller.name_may_be_taken = job.has_fixed_name
        self._canceller.job = record = begun = self._records.begin(record)
        # Unloading rows may take long, so deadlines count from the moment when the statement is sent.
        ready = prepare(self._hook, found, watch=lambda: self._refuse_when_killed(begun))
        self._refuse_when_killed(record)
        statement = ready.submission().text
        record = replace(record, submitted_at=time.time())
        record = record.sent(self._hook.submit(ready))
        self.statement = statement
        self._save(record)
        self._refuse_when_killed(record)
        if job.has_fixed_name:
            self._refuse_taken_name(record)
            self._canceller.name_may_be_taken = False
        log.info("Job %s writes to %s", record.job_name, record.output_location)
        return record

    def _refuse_when_killed(self, record: JobRecord) -> None:
        self._canceller.wait()
        if self._canceller.has_cancelled:
            # Cancelled once more, since the first request may have come before there was a job.
            self._canceller.end(self._hook, record)
            raise JobCancelledError(f"Job {record.job_name} was cancelled, since the task was killed.")

    def _refuse_taken_name(self, record: JobRecord) -> None:
        """Refuse a name that the user has chosen if another task's job has it: both may have been begun at once."""
        assert record.query_id is not None
        try:
            self._hook.refuse_taken_name(record.query_id)
        except JobInputError:
            # The job of that name is another task's: this task must neither cancel it nor go on with it.
            self._canceller.job = None
            self._records.mark_done()
            raise

    def _save(self, record: JobRecord) -> None:
        try:
            self._records.save(record)
        except Exception as error:
            # The job can be found without its query id, since its name is recorded.
            if was_replaced(error):
                self._canceller.note_replaced()
            log.warning("The query id of job %s could not be recorded: %s", record.job_name, error)
