"""Batch inference jobs: submit, follow, cancel, list."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.exceptions import (
    JobInputError,
    JobLostError,
    JobNotFoundError,
)
from airflow_provider_snowflake_batch.hooks.logs import LogFollower
from airflow_provider_snowflake_batch.hooks.pending import missed_deadline
from airflow_provider_snowflake_batch.hooks.sent_statements import SentStatements
from airflow_provider_snowflake_batch.hooks.stage_files import SnowflakeStageHook
from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.errors import (
    does_not_exist,
)
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.logs import Progress
from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo
from airflow_provider_snowflake_batch.jobs.waiting import Waiting

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.verification import Verification
    from airflow_provider_snowflake_batch.jobs.batch_job import SubmittedJob


class SnowflakeBatchHook(SnowflakeStageHook):
    """Talks to Snowflake about batch inference jobs.

    It logs in as the stock ``SnowflakeHook`` does (password, key pair, OAuth, programmatic access token, workload
    identity) with the same connection type, keeps that one session open for all its statements, and logs in anew when
    the session has expired. Use it as a context manager, or call :meth:`close`.

    Beyond the stock hook it hands the extras ``protocol``, ``login_timeout``, ``network_timeout`` and
    ``platform_detection_timeout_seconds`` on to the driver.

    :param snowflake_conn_id: the Airflow connection.
    :param transient_timeout: seconds for which a statement is repeated while the network, Snowflake's front end
        (429, 5xx) or the session fail.
    :param kwargs: ``warehouse``, ``database``, ``schema``, ``role`` and the other overrides of the stock hook.
    """

    def __init__(
        self, snowflake_conn_id: str = "snowflake_default", *, transient_timeout: float = 300, **kwargs: Any
    ) -> None:
        super().__init__(snowflake_conn_id, transient_timeout=transient_timeout, **kwargs)
        self._sent_statements = SentStatements(self)
        self.instance_families: dict[str, str] = {}
        """Of the compute pools that this hook has looked at, by their names."""

    def submit(self, job: SubmittedJob) -> str:
        """Send a job's statement without waiting for it.

        Snowflake answers the inference statement only when the image is built, which can take minutes: the statement
        is therefore sent with the driver's asynchronous execution, and :meth:`check_submission` tells how it went.

        :param job: the job, its name fully qualified.
        :returns: the statement's query id.
        """
        return self._sent_statements.send(job)

    def check_submission(self, query_id: str) -> bool:
        """Whether Snowflake has finished the statement that :meth:`submit` sent.

        :returns: False while it is at work, for example on the image build.
        :raises JobInputError: if Snowflake refused the statement; the message is Snowflake's own.
        :raises JobSubmissionError: if the statement was cancelled, timed out, met an internal error, or if Snowflake
            has known nothing of it for ``transient_timeout``.
        """

        return self._sent_statements.has_ended(query_id)

    def refuse_taken_name(self, query_id: str) -> None:
        """Look for a few seconds whether Snowflake refuses the statement that :meth:`submit` has just sent because
        somebody else's job has the name. That job would be taken for this one.

        :raises JobInputError: if so.
        """
        self._sent_statements.refuse_taken_name(query_id)

    def status(self, name: str | QualifiedName) -> JobInfo:
        """``DESCRIBE SERVICE`` of one job.

        :raises JobNotFoundError: if Snowflake knows no such job.
        """
        (row,) = self._job_rows(name, statements.describe_job)
        return JobInfo.from_row(row)

    def _job_rows(self, name: str | QualifiedName, statement: Callable[[QualifiedName], str]) -> list[dict[str, Any]]:
        """The rows of a statement about one job.

        :raises JobNotFoundError: if Snowflake knows no such job.
        """
        qualified = self.qualify_name(name)
        try:
            return self.rows(statement(qualified))
        except Exception as error:
            if does_not_exist(error):
                raise JobNotFoundError(
                    f"Job {qualified} does not exist, or this role may not see it. SHOW JOB SERVICES IN SCHEMA "
                    f"{qualified.database}.{qualified.schema} lists the ones that it can see."
                ) from error
            raise

    def list_jobs(
        self,
        database: str | None = None,
        schema: str | None = None,
        *,
        like: str | None = None,
        starts_with: str | None = None,
        limit: int | None = None,
    ) -> list[JobInfo]:
        """``SHOW JOB SERVICES``; without a schema, those of the session's schema.

        :param database: as written in SQL: case matters only in double quotes.
        :param schema: likewise.
        :param like: pattern with ``%`` and ``_``, case-insensitive.
        :param starts_with: beginning of the name, case-sensitive.
        :param limit: most rows; Snowflake itself stops at 10,000.
        """
        if database is None and schema is None:
            database, schema = self.namespace
        else:
            if database is not None:
                database = Identifier.parse(database, field="database").value
            if schema is not None:
                schema = Identifier.parse(schema, field="schema").value
                database = database or self.namespace[0]
        statement = statements.show_jobs(database, schema, like=like, starts_with=starts_with, limit=limit)
        return self.made_of_rows(statement, JobInfo.from_row)

    def containers(self, name: str | QualifiedName) -> list[ContainerInfo]:
        """``SHOW SERVICE CONTAINERS``: what every container of every replica reports."""
        rows = self._job_rows(name, statements.show_containers)
        return [ContainerInfo.from_row(row) for row in rows if row.get("container_name")]

    def logs(
        self,
        name: str | QualifiedName,
        *,
        instance_id: int = 0,
        container: str = "main",
        lines: int | None = None,
        since: datetime | None = None,
    ) -> str:
        """The newest lines a container has written, at most 100 KB; empty while it has not started.

        :param instance_id: which replica, from 0.
        :param container: the container's name; the inference runtime's is ``main``.
        :param lines: most lines.
        :param since: only lines after this time, each beginning with its timestamp.
        :raises JobNotFoundError: if Snowflake knows no such job.
        """
        try:
            rows = self._job_rows(
                name,
                lambda job: statements.service_logs(job, instance_id, container, lines=lines, since=since),
            )
        except Exception as error:
            # Snowflake answers this before there is a container.
            if "Container Status: PENDING" in str(error):
                return ""
            raise
        return str(next(iter(rows[0].values())) or "") if rows else ""

    def cancel(self, name: str | QualifiedName) -> None:
        """Ask Snowflake to stop a job; its logs and its history stay.

        :raises JobNotFoundError: if Snowflake knows no such job.
        """
        self._job_rows(name, statements.cancel_job)

    def kill(self, name: str | QualifiedName, query_id: str | None = None) -> None:
        """Stop what :meth:`submit` began, whether the job exists already or its statement is still at work.

        A job that has ended meanwhile is left as it is.
        """
        try:
            self.cancel(name)
        except JobNotFoundError:
            if query_id is not None:
                self.rows(statements.cancel_query(query_id))
                # The statement may have made its job before it was cancelled.
                with suppress(JobNotFoundError):
                    self.cancel(name)
        except Exception:
            if not self._has_ended(name):
                raise

    def kill_own(self, name: str | QualifiedName, query_id: str | None) -> None:
        """As :meth:`kill`, but leaves a job alone that has the name and is somebody else's.

        :param query_id: None if the statement was not sent, so that there is nothing to stop.
        """
        if query_id is None or self._sent_statements.was_refused(query_id):
            self.log.info("The statement for job %s has made none; whatever has the name is left alone.", name)
            return
        self.kill(name, query_id)

    def _has_ended(self, name: str | QualifiedName) -> bool:
        try:
            return self.status(name).status.is_terminal
        except JobNotFoundError:
            return True
        except Exception:
            return False

    def delete(self, name: str | QualifiedName) -> None:
        """Drop a job with its logs, stopping it first if it runs. A job that is not there is no error."""
        self.rows(statements.drop_job(self.qualify_name(name)))

    def wait(
        self,
        name: str | QualifiedName,
        *,
        query_id: str | None = None,
        poll_interval: float = 10,
        deadlines: Deadlines | None = None,
        submitted_at: float | None = None,
        until_accepted: bool = False,
        on_change: Callable[[JobInfo], None] | None = None,
        on_log: Callable[[str], None] | None = None,
        on_look: Callable[[JobInfo, Progress | None], None] | None = None,
        on_last_lines: Callable[[Sequence[str]], None] | None = None,
        on_containers: Callable[[Sequence[ContainerInfo]], None] | None = None,
    ) -> JobInfo:
        """Block until a job has ended, however it ended. A job that misses a deadline is left alone.

        A status that this version does not know is logged and waited on.

        :param query_id: what :meth:`submit` returned, if the job was just submitted.
        :param poll_interval: most seconds between two looks; the first ones come faster.
        :param deadlines: until when to wait.
        :param submitted_at: seconds since the epoch, from which the pauses between looks grow; now, if not given.
        :param until_accepted: wait until there is a job, not until it has ended.
        :param on_change: called with the job whenever its status has changed.
        :param on_log: called with each new line of the job's logs.
        :param on_look: called after each look, with how far the job is if its log has told; without ``on_log`` it
            is not read.
        :param on_last_lines: called after each reading of the logs, before ``on_look``, with the last few lines, as a
            job card tells them.
        :param on_containers: called likewise, with what the job's containers report; of a job that is PENDING, every
            20 seconds, with what they wait for.
        :raises JobInputError: if Snowflake refused the statement.
        :raises JobLostError: if there is no such job, although its statement succeeded.
        :raises JobTimeoutError: if the job has missed its end.
        :raises JobPendingError: if the job has missed its start; :class:`PoolCapacityError` if for want of a node.
        """
        qualified = self.qualify_name(name)
        waiting = Waiting(
            poll_interval=poll_interval,
            deadlines=deadlines or Deadlines(),
            submitted_at=time.time() if submitted_at is None else submitted_at,
            until_accepted=until_accepted,
        )
        follower = LogFollower(qualified)
        while True:
            info = self.poll(qualified, None if waiting.accepted else query_id)
            step = waiting.look(info, time.time())
            if info is not None:
                if step.is_new:
                    self.log.warning("The status %s is new to this version; waiting on.", info.reported_status)
                if step.changed and on_change is not None:
                    on_change(info)
                if on_log is not None and follower.is_due(info):
                    for line in follower.read(self, last=info.status.is_terminal):
                        on_log(line)
                    if on_last_lines is not None:
                        on_last_lines(follower.last_lines)
                    if on_containers is not None:
                        on_containers(follower.containers)
                if on_look is not None:
                    on_look(info, follower.progress)
                if step.done:
                    return info
            if step.missed is not None:
                raise missed_deadline(self, qualified, step.missed)
            time.sleep(step.pause)

    def poll(self, name: QualifiedName, query_id: str | None = None) -> JobInfo | None:
        """One look at a job that may still be on its way through submission.

        :returns: the job, or None while its statement is at work.
        :raises JobInputError: if Snowflake refused the statement.
        :raises JobLostError: if there is no such job, although its statement succeeded.
        """
        try:
            return self.status(name)
        except JobNotFoundError as error:
            try:
                if query_id is not None and not self.check_submission(query_id):
                    return None
            except JobInputError:
                # A statement whose first answer was lost is sent again, and may be refused because its job exists.
                with suppress(JobNotFoundError):
                    return self.status(name)
                raise
            try:
                # The statement may have finished between the two questions.
                return self.status(name)
            except JobNotFoundError:
                how = "Its statement succeeded, so it" if query_id is not None else "If there was one, it"
                raise JobLostError(f"{error} {how} was dropped.") from None

    def verify_results(
        self,
        directory: str | StagePath,
        *,
        contents: bool = False,
        expected_rows: int | None = None,
        min_rows: int | None = None,
        require_manifest: bool = False,
        on_fetched: Callable[[int, int], None] | None = None,
    ) -> Verification:
        """Hold that a finished job's results are all there: by its manifest, or, without one, that they can be read.

        :param directory: the job's output directory, ``@database.schema.stage/…/<job name>/``.
        :param contents: also fetch every file, one after the other, and compare checksum, rows and columns. Without it,
            only the manifest is fetched; where there is none, a warehouse counts the rows.
        :param expected_rows: how many rows there must be.
        :param min_rows: how many rows there must be at least.
        :param require_manifest: refuse results without a manifest.
        :param on_fetched: called after each file that was fetched: how many have been, of how many.
        :raises ResultsError: with everything that is wrong.
        """
        from airflow_provider_snowflake_batch.hooks.verification import verify_results

        return verify_results(
            self,
            self.qualify_location(directory).directory(),
            contents=contents,
            expected_rows=expected_rows,
            min_rows=min_rows,
            require_manifest=require_manifest,
            on_fetched=on_fetched,
        )

    def count_rows(self, directory: str | StagePath) -> int:
        """How many rows a finished job's results have: by its manifest, or, without one, counted by a warehouse.

        :param directory: the job's output directory.
        :raises ResultsError: if it is not complete, or its files cannot be read.
        """
        from airflow_provider_snowflake_batch.hooks.verification import count_rows

        return count_rows(self, self.qualify_location(directory).directory())

    def clean_up(self, stage_location: str | StagePath, *, days: float = 30, dry_run: bool = False) -> list[StagePath]:
        """Remove files that jobs with a model of your own have left below their output location, beside their results:
        rows and job files of failed jobs, and archives of worker, code and models that no job has used for long.

        Nothing is removed that a job may still read, as far as this role sees the jobs.

        :param stage_location: as in the jobs' ``output_spec``.
        :param days: how old it has to be; at least 30.
        :param dry_run: only tell what would be removed.
        :returns: the files.
        :raises InvalidJobError: if ``days`` is less.
        """
        from airflow_provider_snowflake_batch.hooks.worker_files import clean_up

        return clean_up(self, self.qualify_location(stage_location), days, dry_run=dry_run)
