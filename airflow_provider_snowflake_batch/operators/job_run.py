"""One part of a RunBatchOperator task: from its start to the job's end or to a deferral, or from there to the end.

The operator holds what a Dag's author has asked for. This does it, and is imported only when the task runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowTaskTimeout

from airflow_provider_snowflake_batch.exceptions import (
    JobCancelledError,
    JobInputError,
    JobLostError,
    JobSubmissionError,
    failing_for_good,
)
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines, Missed
from airflow_provider_snowflake_batch.jobs.kinds import keeps_input
from airflow_provider_snowflake_batch.jobs.waiting_mark import WAITS_KEY, waiting_mark
from airflow_provider_snowflake_batch.links.job_card import JobCardLink
from airflow_provider_snowflake_batch.links.snowsight import store_links
from airflow_provider_snowflake_batch.operators.base import describe_outlets
from airflow_provider_snowflake_batch.operators.earlier_job import CancelledForEarlierTry, EarlierJob, look
from airflow_provider_snowflake_batch.operators.ended_job import EndedJob, result_so_far
from airflow_provider_snowflake_batch.operators.job_canceller import JobCanceller
from airflow_provider_snowflake_batch.operators.job_card import TaskCard, tell_of_no_job
from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords
from airflow_provider_snowflake_batch.operators.job_waiter import JobWaiter, TimeLimits, give_up, unreachable
from airflow_provider_snowflake_batch.operators.metrics import count_begun
from airflow_provider_snowflake_batch.operators.named_jobs import find_records
from airflow_provider_snowflake_batch.operators.staged_input import discard_input_of_ended_job, discarding_staged_input
from airflow_provider_snowflake_batch.operators.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.hooks.results import JobResult
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.jobs.status import JobInfo
    from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

log = logging.getLogger(__name__)


class JobRun:
    """Runs, or goes on with, the job of a task.

    :param task: the operator, its fields rendered.
    :param context: the task's.
    """

    def __init__(self, task: RunBatchOperator, context: Context) -> None:
        self._task = task
        self._context = context
        self.canceller = JobCanceller(lambda: task.hook.twin(), self._tell_cancelled, enabled=task.cancel_on_kill)
        """What a kill of the task is to ask."""
        self.card: TaskCard | None = None
        """Tells of the job, once there is one."""
        self.result: JobResult | None = None
        """The job's result, once the task has it."""

    def begin(self, parse_job: Callable[[], BatchJob]) -> dict[str, Any]:
        """Submit the job, or go on with that of an earlier try, and wait for it as the task asks.

        :param parse_job: the job that the task asks for, under a new name each time.
        :returns: the task's result.
        :raises TaskDeferred: if the task is to wait in the triggerer.
        """
        with self._waiting_for_kill(), self._telling_why_not():
            try:
                return self._begin(parse_job())
            except CancelledForEarlierTry as error:
                return self._begin_again(parse_job, error)

    def resume(self, event: dict[str, Any], parse_job: Callable[[], BatchJob]) -> dict[str, Any]:
        """Continue after the trigger has seen the job end, or miss a deadline.

        :param event: the trigger's.
        :param parse_job: as for :meth:`begin`, should the job have been cancelled for the try before this one.
        :returns: the task's result.
        """
        record = JobRecord(
            job_name=event["job_name"],
            output_location=event["output_location"],
            submitted_at=event["submitted_at"],
            query_id=event["query_id"],
        )
        with self._waiting_for_kill():
            try:
                with TaskCard.resume(self._context, record, str(self._task.compute_pool), event) as card:
                    self.card = card
                    return self._resume(event, record, card)
            except CancelledForEarlierTry as error:
                self.card = None
                with self._telling_why_not():
                    return self._begin_again(parse_job, error)

    @contextmanager
    def _telling_why_not(self) -> Iterator[None]:
        """A task that fails before it has a job tells so on its page, as one whose job fails does."""
        try:
            yield
        except (Exception, AirflowTaskTimeout) as error:
            if self.card is None:
                pool, model = self._task.compute_pool, self._task.model_name
                tell_of_no_job(
                    self._context,
                    error,
                    self.canceller.job,
                    model=model if isinstance(model, str) else None,
                    compute_pool=pool if isinstance(pool, str) else "",
                )
                with suppress(Exception):
                    JobCardLink().store_for(self._context)
            raise

    def _tell_cancelled(self, hook: SnowflakeBatchHook) -> None:
        if self.card is not None:
            self.card.cancelled(hook, "The task was ended in Airflow, so its job was cancelled.")

    @contextmanager
    def _waiting_for_kill(self) -> Iterator[None]:
        """The task does not end before a kill has been dealt with."""
        try:
            yield
        finally:
            self.canceller.wait()

    def _begin(self, job: BatchJob) -> dict[str, Any]:
        with self._task.hook as hook, self._discarding_staged_input(hook, lambda: self.canceller.job):
            with failing_for_good():
                job = job.qualify(*hook.namespace, hook.session_role)
            records = find_records(
                self._context, hook, job, durable=self._task.durable, waits=self._task.wait_for_completion
            )
            if records.has_store:
                self.canceller.ask_before(self._context["ti"])
            submission = Submission(hook, records, self.canceller)
            earlier = EarlierJob(hook, records, submission.submit)
            resumed = earlier.go_on_or_clear_away(job)
            record = resumed or submission.submit(job)
            self.canceller.job = record
            store_links(self._context, hook, job=record.name, location=job.output.location)
            JobCardLink().store_for(self._context)
            begun = TaskCard.begin(
                self._context, job, record, poll_interval=self._task.poll_interval, statement=submission.statement
            )
            with begun as card, records.forgetting_lost_statement():
                self.card = card
                count_begun(self._context, card.card, resumed=resumed is not None)
                if not self._task.wait_for_completion:
                    return self._accept(hook, record, card)
                if self._task.deferrable:
                    info = look(hook, record)
                    if info is None or not info.status.is_terminal:
                        self._defer(record)
                    streamed = False
                else:
                    info = self._waiter(hook, record, card).until_ended(stream_logs=self._task.stream_logs)
                    streamed = self._task.stream_logs
                return self._finish(hook, info, record, card, streamed=streamed)

    def _begin_again(self, parse_job: Callable[[], BatchJob], error: CancelledForEarlierTry) -> dict[str, Any]:
        self.canceller.wait()
        if self.canceller.has_cancelled:
            raise JobCancelledError(str(error)) from None
        return self._begin(parse_job())

    def _resume(self, event: dict[str, Any], record: JobRecord, card: TaskCard) -> dict[str, Any]:
        from airflow_provider_snowflake_batch.hooks.pending import missed_deadline

        if event["status"] == "error":
            raise unreachable(record, event["message"], durable=self._task.durable)
        with self._task.hook as hook, self._discarding_staged_input(hook, lambda: record):
            match event["status"]:
                case "refused":
                    raise JobInputError(event["message"])
                case "not_submitted":
                    with JobRecords.of(self._context, durable=self._task.durable).forgetting_lost_statement():
                        raise JobSubmissionError(event["message"])
                case "lost":
                    raise JobLostError(event["message"])
            info = look(hook, record)
            # A job may have ended after all while this task waited for a worker slot.
            if info is None or not info.status.is_terminal:
                if event["status"] not in {missed.value for missed in Missed}:
                    log.warning("Job %s was seen %s, but has not ended.", record.job_name, event["status"])
                    self._defer(record)
                self.canceller.job = record
                if info is not None:
                    JobRecords.of(self._context, durable=self._task.durable).mark_seen(info)
                missed = missed_deadline(hook, record.name, Missed(event["status"]))
                give_up(hook, record, missed, self._time_limits(), card)
            return self._finish(hook, info, record, card, streamed=self._task.stream_logs)

    def _discarding_staged_input(
        self, hook: SnowflakeBatchHook, current_job: Callable[[], JobRecord | None]
    ) -> AbstractContextManager[None]:
        if keeps_input(self._task.model):
            # They stay for the next try, which goes on with the same rows.
            return nullcontext()
        return discarding_staged_input(hook, self._task.X, current_job)

    def _accept(self, hook: SnowflakeBatchHook, record: JobRecord, card: TaskCard) -> dict[str, Any]:
        """The result of a task that does not wait for the job's end."""
        info = self._waiter(hook, record, card).until_accepted()
        if info.status.is_terminal:
            return self._finish(hook, info, record, card, streamed=False)
        log.info("Job %s is %s; not waiting for it.", info.name, info.reported_status)
        card.look(info)
        JobRecords.of(self._context, durable=self._task.durable).mark_done()
        return self._hand_over(result_so_far(self._context, info, record, card), card)

    def _waiter(self, hook: SnowflakeBatchHook, record: JobRecord, card: TaskCard) -> JobWaiter:
        return JobWaiter(
            hook,
            record,
            card,
            limits=self._time_limits(),
            deadlines=self._deadlines(record),
            poll_interval=self._task.poll_interval,
            durable=self._task.durable,
        )

    def _time_limits(self) -> TimeLimits:
        return TimeLimits(self._task.timeout, self._task.execution_timeout, self._task.pending_timeout)

    def _deadlines(self, record: JobRecord) -> Deadlines:
        watched_here = self._task.deferrable and self._task.execution_timeout is not None
        try_started = self._context["ti"].start_date.timestamp() if watched_here else None
        return self._time_limits().deadlines(record.submitted_at, try_started=try_started)

    def _defer(self, record: JobRecord) -> NoReturn:
        from airflow_provider_snowflake_batch.triggers.batch_inference import BatchJobTrigger

        mark = waiting_mark(record.job_name, record.output_location, record.submitted_at)
        self._context["ti"].xcom_push(key=WAITS_KEY, value=mark)
        deadlines = self._deadlines(record)
        self._task.defer(
            trigger=BatchJobTrigger(
                job_name=record.job_name,
                query_id=record.query_id,
                output_location=record.output_location,
                submitted_at=record.submitted_at,
                end_deadline=deadlines.end,
                start_deadline=deadlines.start,
                pending_timeout=deadlines.pending,
                stream_logs=self._task.stream_logs,
                cancel_on_kill=self._task.cancel_on_kill,
                poll_interval=self._task.poll_interval,
                **self._task.connection.arguments(),
            ),
            method_name="execute_complete",
        )

    def _finish(
        self,
        hook: SnowflakeBatchHook,
        info: JobInfo,
        record: JobRecord,
        card: TaskCard,
        *,
        streamed: bool,
    ) -> dict[str, Any]:
        ended = EndedJob(self._context, hook, JobRecords.of(self._context, durable=self._task.durable), record, card)
        result = ended.collect(
            info, drop=self._task.on_finish == "drop", streamed=streamed, example_rows=self._task.example_rows
        )
        if keeps_input(self._task.model):
            discard_input_of_ended_job(hook, record)
        return self._hand_over(result, card)

    def _hand_over(self, result: JobResult, card: TaskCard) -> dict[str, Any]:
        """Tell those that come after the task: its XCom, and the events of its outlets."""
        self.result = result
        values = result.to_dict()
        told = {name: values[name] for name in ("job_name", "status", "output_location", "rows", "files")}
        describe_outlets(self._task, self._context, {**told, "model": card.card.model, "version": card.card.version})
        return values
