"""What a try does about the job of an earlier try: see docs/concepts.md, "Retries, crashes, clears"."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.exceptions import JobInputError, JobLostError, JobSubmissionError
from airflow_provider_snowflake_batch.jobs.batch_job import other_sizing
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.specs import SaveMode
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.operators.retry_decision import Decision, decide

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.jobs.status import JobInfo
    from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords

log = logging.getLogger(__name__)

# When a deferred task is cleared, its old trigger cancels the job a few seconds later, and has 30 seconds for that
# ([triggerer] on_kill_timeout). The new try may have found the job before. The rest is for clocks that differ.
_LATE_CANCEL_SECONDS = 60.0


class CancelledForEarlierTry(Exception):
    """The job that this try went on with was cancelled for the one before."""


class _ReplacedError(JobLostError):
    """The job is gone, and somebody else's has its name, and perhaps its directory."""


class EarlierJob:
    """Goes on with the job of an earlier try, or clears it away: what ``retry_decision.py`` decides for one try.

    :param hook: asks about the job, and clears it away where it is in the way.
    :param records: where the try finds it.
    :param submit: sends a job's statement.
    """

    def __init__(
        self,
        hook: SnowflakeBatchHook,
        records: JobRecords,
        submit: Callable[[BatchJob], JobRecord],
    ) -> None:
        self._hook = hook
        self._records = records
        self._submit = submit

    def go_on_or_clear_away(self, job: BatchJob) -> JobRecord | None:
        """Go on with the earlier job, or submit it if its try did not get so far, or else clear it away.

        :param job: what this try asks for.
        :returns: the job to wait for, or None if the caller is to submit a new one.
        """
        record = self._records.load()
        if record is None:
            return None
        info, why_gone = None, None
        try:
            info = look(self._hook, record)
        except _ReplacedError as error:
            # Nothing of it is touched. What this try submits is refused as long as the name is taken.
            log.info("The job of an earlier try is of no use: %s", error)
            return None
        except (JobLostError, JobInputError, JobSubmissionError) as error:
            why_gone = error
        match decide(record, info, job, gone=why_gone is not None):
            case Decision.SEND_AGAIN:
                return self._submit_again(record, job)
            case Decision.START_AFTER_LOSS:
                log.info("The job of an earlier try is of no use, starting a new one: %s", why_gone)
            case Decision.START_AFTER_END:
                log.info("Job %s of an earlier try is %s: starting a new one.", record.job_name, _describe(info))
                self._clear_away_ended(record, job)
            case Decision.REPLACE_OTHER:
                self._replace_other(record, info, job)
            case Decision.REPLACE_RESIZED:
                self._replace_resized(record, info, job)
            case Decision.GO_ON:
                return self._go_on(record, info, job)
        if job.can_resume and not self._records.resumes(job):
            self._discard_input(record)
        return None

    def _discard_input(self, record: JobRecord) -> None:
        """Remove the rows and job files of earlier tries, which this try does not go on with."""
        from airflow_provider_snowflake_batch.hooks.worker_files import remove_worker_input

        remove_worker_input(self._hook, StagePath.parse(record.output_location, field="output_location"))

    def _go_on(self, record: JobRecord, info: JobInfo | None, job: BatchJob) -> JobRecord:
        log.info("Job %s of an earlier try is %s: no new one is needed.", record.job_name, _describe(info))
        if record.sizing is not None and (other := other_sizing(record.sizing, job.sizing)):
            log.warning("The task now asks for another size, but the job has begun and keeps its own: %s.", other)
        self._records.mark_found(record, info)
        return record

    def _submit_again(self, record: JobRecord, job: BatchJob) -> JobRecord | None:
        """The try ended between writing the record and hearing from Snowflake.

        If its statement is still on the way, the name makes sure that only one of the two becomes a job.
        """
        log.info("An earlier try meant to submit job %s; submitting it now.", record.job_name)
        try:
            return self._submit(job.under_name(record.name))
        except JobInputError:
            try:
                info = look(self._hook, record)
            except JobLostError:
                info = None
            if info is None or not record.is_of(job):
                raise
            # The earlier try's statement made its job while this try looked whether name and directory are free.
            log.info("Job %s of an earlier try is %s after all.", record.job_name, info.reported_status)
            if decide(record, info, job) is Decision.REPLACE_RESIZED:
                self._replace_resized(record, info, job)
                return None
            self._records.mark_found(record, info)
            return record

    def _replace_other(self, record: JobRecord, info: JobInfo | None, job: BatchJob) -> None:
        log.warning(
            "The task now asks for another job than %s (%s) of an earlier try: starting a new one.",
            record.job_name,
            _describe(info),
        )
        if info is None or not info.status.is_terminal:
            self._hook.kill(record.name, record.query_id)
        if info is not None and record.name == job.name:
            self._make_room(record)

    def _replace_resized(self, record: JobRecord, info: JobInfo | None, job: BatchJob) -> None:
        log.warning(
            "Job %s of an earlier try is %s, and the task now asks for another size (%s): cancelling it and starting a "
            "new one.",
            record.job_name,
            _describe(info),
            other_sizing(record.sizing or {}, job.sizing),
        )
        self._hook.kill(record.name, record.query_id)
        self._clear_away_ended(record, job)

    def _clear_away_ended(self, record: JobRecord, job: BatchJob) -> None:
        """Remove what is in the way of a job of the same name: the ended job, and its files."""
        if record.name != job.name:
            return
        self._make_room(record)
        if job.output.mode is SaveMode.ERROR and not self._records.resumes(job):
            # All files are the ended job's: it was refused unless the directory was empty.
            self._hook.remove_files(StagePath.parse(record.output_location, field="output_location"))

    def _make_room(self, record: JobRecord) -> None:
        """Drop the ended job: Snowflake refuses a new one while it keeps the name of an ended one."""
        log.info("Dropping job %s of an earlier try, since the new one has its name.", record.job_name)
        self._hook.delete(record.name)


def look(hook: SnowflakeBatchHook, record: JobRecord) -> JobInfo | None:
    """One look at a job, or None while its statement is at work. One that we dropped when it was done counts.

    :raises JobLostError: if it is gone.
    :raises JobInputError: if Snowflake has refused its statement.
    :raises JobSubmissionError: if Snowflake has given its statement up.
    """
    from airflow_provider_snowflake_batch.hooks.results import done_and_dropped

    try:
        info = hook.poll(record.name, record.query_id)
    except JobLostError:
        if not record.dropping:
            raise
        dropped = done_and_dropped(hook, record.job_name, record.output_location, record.submitted_at)
        if dropped is None:
            raise
        return dropped
    if info is not None and info.made_after(record.created_on):
        raise _ReplacedError(f"Job {record.job_name} was dropped, and another one has its name.")
    return info


def cancelled_for_earlier_try(records: JobRecords, info: JobInfo) -> bool:
    """Whether a job was cancelled for an earlier try just when this one went on with it.

    A clear does that: it ends the old try, whose trigger cancels the job, and starts the next one. Neither waits for
    the other. A job that is cancelled later was cancelled for another reason.
    """
    record = records.load()
    if info.status is not JobStatus.CANCELLED or record is None or record.found_at is None:
        return False
    if record.job_name != info.name or info.updated_on is None:
        return False
    ended = datetime.fromisoformat(info.updated_on).timestamp()
    return ended - record.found_at < _LATE_CANCEL_SECONDS


def _describe(info: JobInfo | None) -> str:
    return "on its way" if info is None else info.reported_status
