"""What becomes of the job that an earlier try of a task has begun: see docs/concepts.md, "Retries, crashes, clears"."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.exceptions import JobInputError, JobLostError, JobSubmissionError
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.specs import SaveMode
from airflow_provider_snowflake_batch.jobs.status import JobStatus

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.job import InferenceJob
    from airflow_provider_snowflake_batch.jobs.status import JobInfo
    from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords

log = logging.getLogger(__name__)

# An earlier job in one of these states gives no result; CANCELLING leads nowhere else.
_OF_NO_USE = frozenset(
    {
        JobStatus.FAILED,
        JobStatus.INTERNAL_ERROR,
        JobStatus.CANCELLING,
        JobStatus.CANCELLED,
        JobStatus.DELETING,
        JobStatus.DELETED,
    }
)
# When a deferred task is cleared, its old trigger cancels the job a few seconds later, and has 30 seconds for that
# ([triggerer] on_kill_timeout): by then the new try may have found the job. The rest is for clocks that differ.
_CANCELLED_BEHIND_US_SECONDS = 60.0


class CancelledBehindUs(Exception):
    """The job that this try went on with was cancelled for the one before."""


class EarlierJob:
    """Decides for one try.

    :param hook: asks about the job, and clears it away where it is in the way.
    :param records: where the try finds it.
    :param submit: sends a job's statement.
    """

    def __init__(
        self,
        hook: SnowflakeBatchHook,
        records: JobRecords,
        submit: Callable[[InferenceJob], JobRecord],
    ) -> None:
        self._hook = hook
        self._records = records
        self._submit = submit

    def find(self, job: InferenceJob) -> JobRecord | None:
        """The earlier job, if it is worth waiting for; it may have to be submitted first.

        :param job: what this try asks for.
        """
        record = self._records.load()
        if record is None:
            return None
        try:
            info = look(self._hook, record)
        except (JobLostError, JobInputError, JobSubmissionError) as error:
            if record.query_id is None:
                return self._submit_again(record, job)
            log.info("The job of an earlier try is of no use, starting a new one: %s", error)
            return None
        if record.fingerprint != job.fingerprint():
            self._give_up(record, info, job)
            return None
        status = _describe(info)
        if info is not None and info.status in _OF_NO_USE:
            log.info("Job %s of an earlier try is %s: starting a new one.", record.job_name, status)
            if record.name == job.name:
                self._make_room(record)
                if job.output.mode is SaveMode.ERROR:
                    # The directory was empty before that job began.
                    self._hook.remove_files(StagePath.parse(record.output_location, field="output_location"))
            return None
        log.info("Job %s of an earlier try is %s: no new one is needed.", record.job_name, status)
        self._records.mark_found(record)
        return record

    def _submit_again(self, record: JobRecord, job: InferenceJob) -> JobRecord:
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
            if info is None or record.fingerprint != job.fingerprint():
                raise
            # It arrived while this try looked whether name and directory are free.
            log.info("Job %s of an earlier try is %s after all.", record.job_name, info.reported_status)
            self._records.mark_found(record)
            return record

    def _give_up(self, record: JobRecord, info: JobInfo | None, job: InferenceJob) -> None:
        log.warning(
            "The task now asks for another job than %s (%s) of an earlier try: starting a new one.",
            record.job_name,
            _describe(info),
        )
        if info is None or not info.status.is_terminal:
            self._hook.kill(record.name, record.query_id)
        if info is not None and record.name == job.name:
            self._make_room(record)

    def _make_room(self, record: JobRecord) -> None:
        """Make room for a job of the same name, which Snowflake would refuse: it keeps the names of ended jobs."""
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
        return hook.poll(record.name, record.query_id)
    except JobLostError:
        if not record.dropping:
            raise
        info = done_and_dropped(hook, record.job_name, record.output_location, record.submitted_at)
        if info is None:
            raise
        return info


def cancelled_behind_us(records: JobRecords, info: JobInfo) -> bool:
    """Whether a job was cancelled for an earlier try just when this one went on with it.

    A clear does that: it ends the old try, whose trigger cancels the job, and starts the next one, neither of which
    waits for the other. Whoever cancels the job later means this try.
    """
    record = records.load()
    if info.status is not JobStatus.CANCELLED or record is None or record.found_at is None:
        return False
    if record.job_name != info.name or info.updated_on is None:
        return False
    ended = datetime.fromisoformat(info.updated_on).timestamp()
    return ended - record.found_at < _CANCELLED_BEHIND_US_SECONDS


def _describe(info: JobInfo | None) -> str:
    return "on its way" if info is None else info.reported_status
