"""The statements that start jobs, from sending one to Snowflake's answer, which may take minutes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.exceptions import JobInputError, JobSubmissionError
from airflow_provider_snowflake_batch.jobs.errors import already_exists, error_text, is_interrupted, is_transient

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.batch_job import SubmittedJob

# Seconds. Snowflake refuses a taken name at once. An accepted statement may be at work for minutes.
_REFUSED_WITHIN = 10.0
# Airflow gives a task five seconds to end. The rest of them is for cancelling the job.
_KILLED_WITHIN = 1.5


class SentStatements:
    """The statements of one hook; its methods of the same names say more.

    :param hook: whose session they are sent over.
    """

    def __init__(self, hook: SnowflakeBatchHook) -> None:
        self._hook = hook
        self._unheard_of: dict[str, float] = {}
        """Since when Snowflake has known nothing of a query id, by the monotonic clock."""
        self._times_sent = 0
        """How often the last job's statement was sent: more than once if the session failed."""

    def send(self, job: SubmittedJob) -> str:
        from airflow_provider_snowflake_batch.hooks.preflight import prepare

        job = prepare(self._hook, job)
        submission = job.submission()
        self._hook.log.info("Submitting job %s:\n%s", job.name, submission.statement)
        self._times_sent = 0

        def send(cursor: SnowflakeCursor) -> str:
            self._times_sent += 1
            for statement in submission.preparation:
                cursor.execute(statement)
            cursor.execute_async(submission.statement)
            return str(cursor.sfqid)

        return self._hook.on_session(send)

    def has_ended(self, query_id: str) -> bool:
        def check(cursor: SnowflakeCursor) -> bool:
            from snowflake.connector.constants import QueryStatus

            connection = cursor.connection
            status = connection.get_query_status(query_id)
            if status is QueryStatus.NO_DATA:
                self._allow_for_delay(query_id)
                return False
            self._unheard_of.pop(query_id, None)
            if connection.is_still_running(status):
                return False
            if connection.is_an_error(status):
                # Fetching the result raises the statement's error with its number, which the status lacks.
                cursor.get_results_from_sfqid(query_id)
                cursor.fetchall()
            return True

        try:
            return self._hook.on_session(check)
        except JobSubmissionError:
            raise
        except Exception as error:
            if already_exists(error):
                # Nobody else uses the name, so a repeated request has found the job that the first one made.
                raise JobInputError(
                    f"A job of this name exists already: {error_text(error)} Snowflake keeps the names of ended jobs "
                    "for up to 30 days; leave job_name out to get a new one for each try, or drop the old job."
                ) from error
            if is_transient(error):
                raise
            if is_interrupted(error):
                raise JobSubmissionError(f"Snowflake gave up submitting the job: {error_text(error)}") from error
            raise JobInputError(f"Snowflake refused the job: {error_text(error)}") from error

    def refuse_taken_name(self, query_id: str) -> None:
        if self._times_sent != 1:
            # A statement that was sent more than once may have made the job that has the name.
            return
        deadline = time.monotonic() + _REFUSED_WITHIN
        try:
            while not self.has_ended(query_id) and time.monotonic() < deadline:
                time.sleep(0.2)
        except JobInputError as error:
            if error.__cause__ is not None and already_exists(error.__cause__):
                raise
        except JobSubmissionError:
            # Waiting for the job raises the same error.
            return

    def was_refused(self, query_id: str) -> bool:
        """Whether Snowflake has refused a statement that was just sent. A job of its name is then somebody else's."""
        deadline = time.monotonic() + _KILLED_WITHIN
        try:
            while not self.has_ended(query_id) and time.monotonic() < deadline:
                time.sleep(0.2)
        except JobInputError as error:
            # A statement that was sent more than once may have made the job that has the name.
            return self._times_sent <= 1 or error.__cause__ is None or not already_exists(error.__cause__)
        except JobSubmissionError:
            return True
        return False

    def _allow_for_delay(self, query_id: str) -> None:
        """Wait for a statement of which Snowflake does not know yet, but not for ever, since it may be lost.

        :raises JobSubmissionError: if that has gone on for ``transient_timeout``.
        """
        since = self._unheard_of.setdefault(query_id, time.monotonic())
        if time.monotonic() - since > self._hook.transient_timeout:
            del self._unheard_of[query_id]
            raise JobSubmissionError(
                f"Snowflake has known nothing of statement {query_id}, which submits the job, for "
                f"{self._hook.transient_timeout:g} seconds. It was lost; there is no job. A retry submits it again."
            )
