"""Waiting for a job in the task's own process, and giving up on one that has missed a deadline."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from airflow.sdk.exceptions import AirflowException

from airflow_provider_snowflake_batch.exceptions import JobLostError, JobTimeoutError, SnowflakeUnreachableError
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.operators.earlier_job import look

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.status import JobInfo
    from airflow_provider_snowflake_batch.operators.job_card import TaskCard
    from airflow_provider_snowflake_batch.operators.job_record import JobRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a task may wait for its job.

    :param timeout: seconds from the submission to the job's end.
    :param execution_timeout: Airflow's, from the start of the try.
    :param pending_timeout: seconds for which the job may be PENDING.
    """

    timeout: float | None = None
    execution_timeout: timedelta | None = None
    pending_timeout: float | None = None

    def deadlines(self, submitted_at: float, *, try_started: float | None) -> Deadlines:
        """The limits as moments.

        :param submitted_at: seconds since the epoch.
        :param try_started: seconds since the epoch, for a task that defers: Airflow itself does not watch its
            ``execution_timeout`` while it is deferred (apache/airflow#19382). None leaves it to Airflow.
        """
        ends = []
        if self.timeout is not None:
            ends.append(submitted_at + self.timeout)
        if self.execution_timeout is not None and try_started is not None:
            ends.append(try_started + self.execution_timeout.total_seconds())
        start = submitted_at + self.pending_timeout if self.pending_timeout is not None else None
        return Deadlines(min(ends, default=None), start, self.pending_timeout)

    def __str__(self) -> str:
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{name} {value}" for name, value in given if value is not None)


class JobWaiter:
    """Waits for the job of one try.

    :param hook: asks Snowflake.
    :param record: which job.
    :param card: shows what each look has found.
    :param limits: what a message names when a deadline is missed.
    :param deadlines: until when to wait.
    :param poll_interval: most seconds between two looks.
    :param durable: a retry would go on with the job.
    """

    def __init__(
        self,
        hook: SnowflakeBatchHook,
        record: JobRecord,
        card: TaskCard,
        *,
        limits: TimeLimits,
        deadlines: Deadlines,
        poll_interval: float,
        durable: bool,
    ) -> None:
        self._hook = hook
        self._record = record
        self._card = card
        self._limits = limits
        self._deadlines = deadlines
        self._poll_interval = poll_interval
        self._durable = durable

    def until_accepted(self) -> JobInfo:
        """Wait until the job exists, which takes minutes when Snowflake builds the image first."""
        info = self._hook.poll(self._record.name, self._record.query_id)
        if info is not None:
            return info
        log.info("Snowflake is still preparing job %s (it builds the image the first time)", self._record.job_name)
        return self._wait(until_accepted=True, stream_logs=False)

    def until_ended(self, *, stream_logs: bool) -> JobInfo:
        """Wait until the job has ended, however it ended.

        :param stream_logs: write what its containers write into the task's log.
        """
        return self._wait(until_accepted=False, stream_logs=stream_logs)

    def _wait(self, *, until_accepted: bool, stream_logs: bool) -> JobInfo:
        try:
            return self._hook.wait(
                self._record.name,
                query_id=self._record.query_id,
                poll_interval=self._poll_interval,
                deadlines=self._deadlines,
                submitted_at=self._record.submitted_at,
                until_accepted=until_accepted,
                on_change=lambda seen: log.info("Job %s is %s", seen.name, seen.reported_status),
                on_log=log.info if stream_logs else None,
                on_look=self._card.look,
                on_last_lines=self._card.tell_lines,
                on_containers=self._card.tell_containers,
            )
        except JobTimeoutError as error:
            give_up(self._hook, self._record, error, self._limits, self._card)
        except JobLostError:
            info = look(self._hook, self._record)
            if info is None:
                raise
            return info
        except AirflowException:
            raise
        except Exception as error:
            raise unreachable(self._record, f"{type(error).__name__}: {error}", durable=self._durable) from error


def give_up(
    hook: SnowflakeBatchHook, record: JobRecord, error: JobTimeoutError, limits: TimeLimits, card: TaskCard
) -> NoReturn:
    """Cancel a job that has missed a deadline, and raise the error that says so.

    :param error: which deadline it has missed.
    :param card: shows what Snowflake says of the job then.
    :raises JobTimeoutError: always, of the class of ``error``.
    """
    log.error("%s Cancelling it. The task's limits: %s.", error, limits)
    try:
        hook.kill(record.name, record.query_id)
    except Exception as failure:
        raise type(error)(f"{error} It could not be cancelled and may still run: {failure}") from failure
    card.cancelled(hook, f"{error} It was cancelled.")
    raise type(error)(f"{error} It was cancelled.") from None


def unreachable(record: JobRecord, how: str, *, durable: bool) -> SnowflakeUnreachableError:
    """What a task fails with when it cannot ask about its job. The job is left alone.

    :param how: the error that asking has ended with.
    :param durable: a retry would go on with the job.
    """
    next_try = " A retry goes on with it." if durable else ""
    return SnowflakeUnreachableError(
        f"Snowflake could not be asked about job {record.job_name}: {how.rstrip('.')}. "
        f"The job itself was left alone and may still run.{next_try}"
    )
