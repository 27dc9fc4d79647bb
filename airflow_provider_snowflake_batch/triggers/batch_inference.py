"""Waiting for a job, and for ``_SUCCESS``, in the triggerer."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_snowflake_batch.contract.output_layout import SUCCESS
from airflow_provider_snowflake_batch.exceptions import (
    JobFailedError,
    JobInputError,
    JobLostError,
    JobNotFoundError,
    JobSubmissionError,
)
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.jobs.connection import ConnectionSettings
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.json_values import json_value
from airflow_provider_snowflake_batch.jobs.waiting import SHORTEST_PAUSE, Waiting
from airflow_provider_snowflake_batch.jobs.waiting_mark import WAITS_KEY, still_waits
from airflow_provider_snowflake_batch.triggers.job_card import DeferredCard, tell_cancelled
from airflow_provider_snowflake_batch.triggers.log_stream import LogStream
from airflow_provider_snowflake_batch.triggers.poller import Poller, shared_poller
from airflow_provider_snowflake_batch.triggers.session_thread import open_hook
from airflow_provider_snowflake_batch.triggers.shielded import in_background, shielded
from airflow_provider_snowflake_batch.triggers.task_xcoms import TaskXComs

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.status import JobInfo

# Airflow's supervisor of a task may see only at its next heartbeat ([workers] min_heartbeat_interval, 5 s) that the
# part which deferred has ended. If the task goes on before the scheduler has heard of that, the scheduler takes the
# late message for the end of the new part and fails the task (apache/airflow#71580 and #72716, open in 3.3). To those
# five seconds come the time that the part takes to end after it has deferred, and a loop of the scheduler.
_SETTLING_SECONDS = 8.0
# Airflow waits thirty seconds for on_kill.
_KILL_SECONDS = 25.0
# Seconds for which to look for the end of a cancelled job, so that its card can tell of it. Containers have 30 to end.
_ENDING_SECONDS = 90.0
# Seconds for which a statement that cancels a job is repeated.
_REPEAT_SECONDS = 20.0


class SnowflakeTrigger(BaseTrigger):
    """What all triggers share: how they log in, and how they are stored.

    :param poll_interval: seconds between two looks.
    :param connection: the fields of :class:`~airflow_provider_snowflake_batch.jobs.connection.ConnectionSettings`.
    """

    def __init__(self, *, poll_interval: float, **connection: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.settings = ConnectionSettings(**connection)
        self.poll_interval = poll_interval

    _stored_at_default: ClassVar[frozenset[str]] = frozenset()
    """Arguments that are stored whatever they are."""

    def _own_arguments(self) -> dict[str, Any]:
        raise NotImplementedError

    async def _settle(self, started: float) -> None:
        """Wait until an event is safe to fire. ``dag.test()`` has no scheduler and names no task instance.

        :param started: when this trigger started, of the monotonic clock.
        """
        if self.task_instance is not None:
            await asyncio.sleep(max(0.0, started + _SETTLING_SECONDS - time.monotonic()))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What is at its default is left out: a triggerer of an older version refuses arguments that are new to it."""
        parameters = inspect.signature(type(self).__init__).parameters
        defaults = {name: parameter.default for name, parameter in parameters.items()}
        own = {
            name: value
            for name, value in self._own_arguments().items()
            if name in self._stored_at_default or value != defaults.get(name, inspect.Parameter.empty)
        }
        connection = {
            name: value
            for name, value in self.settings.arguments().items()
            if name in self._stored_at_default or value is not None
        }
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {**own, "poll_interval": self.poll_interval, **connection}


class BatchJobTrigger(SnowflakeTrigger):
    """Waits until a job has ended, then fires once.

    The event's payload has the trigger's ``job_name``, ``query_id``, ``output_location`` and ``submitted_at``, and a
    ``status``: Snowflake's; or ``timeout`` or ``pending_timeout`` (a deadline has passed); or, with a ``message``,
    ``refused`` (Snowflake refused the statement), ``not_submitted`` (it did not finish it), ``lost`` (the job is gone)
    or ``error`` (Snowflake could not be asked). ``progress`` is the last one of a job that has ended, as in its card,
    where its log tells one: the card may be some seconds older. It holds all that the task needs to go on, because
    ``dag.test()`` drops the keyword arguments of a deferral.

    :param job_name: ``database.schema.name``.
    :param query_id: of the statement that submits the job, as long as the job may not exist yet.
    :param output_location: where the job writes; handed back in the event.
    :param submitted_at: seconds since the epoch; looks come more often soon after it.
    :param end_deadline: seconds since the epoch by which the job must have ended.
    :param start_deadline: seconds since the epoch by which it must have left PENDING.
    :param pending_timeout: seconds for which it may be PENDING even where ``start_deadline`` has passed.
    :param poll_interval: most seconds between two looks.
    :param stream_logs: write what the job's containers write into the task's log.
    :param cancel_on_kill: cancel the job when a user marks or clears the deferred task.
    """

    def __init__(
        self,
        *,
        job_name: str,
        query_id: str | None,
        output_location: str,
        submitted_at: float,
        end_deadline: float | None = None,
        start_deadline: float | None = None,
        pending_timeout: float | None = None,
        stream_logs: bool = True,
        cancel_on_kill: bool = True,
        **connection: Any,
    ) -> None:
        super().__init__(**connection)
        self.job_name = job_name
        self.query_id = query_id
        self.output_location = output_location
        self.submitted_at = submitted_at
        self.deadlines = Deadlines(end_deadline, start_deadline, pending_timeout)
        self.stream_logs = stream_logs
        self.cancel_on_kill = cancel_on_kill
        # The job at the first look. A later job of the same name is another one.
        self._first_seen: JobInfo | None = None

    def _own_arguments(self) -> dict[str, Any]:
        return {
            "job_name": self.job_name,
            "query_id": self.query_id,
            "output_location": self.output_location,
            "submitted_at": self.submitted_at,
            "end_deadline": self.deadlines.end,
            "start_deadline": self.deadlines.start,
            "pending_timeout": self.deadlines.pending,
            "stream_logs": self.stream_logs,
            "cancel_on_kill": self.cancel_on_kill,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the job has ended."""
        started = time.monotonic()
        payload = await self._payload()
        await self._settle(started)
        told = {
            "job_name": self.job_name,
            "query_id": self.query_id,
            "output_location": self.output_location,
            "submitted_at": self.submitted_at,
        }
        yield TriggerEvent(json_value({**told, **payload}))

    async def _payload(self) -> dict[str, Any]:
        name = QualifiedName.parse(self.job_name, field="job_name")
        xcoms = TaskXComs(self.task_instance) if self.task_instance is not None else None
        async with (
            shared_poller(self.settings) as poller,
            DeferredCard(xcoms, self.job_name, self.poll_interval) as card,
        ):
            logs = LogStream(poller, name, self._show, xcoms) if self.stream_logs else None
            try:
                return await self._watch(poller, name, logs, card)
            finally:
                if logs is not None:
                    await logs.stop()

    def _show(self, line: str) -> None:
        self.log.info("%s", line)

    async def _watch(
        self, poller: Poller, name: QualifiedName, logs: LogStream | None, card: DeferredCard
    ) -> dict[str, Any]:
        waiting = Waiting(poll_interval=self.poll_interval, deadlines=self.deadlines, submitted_at=self.submitted_at)
        while True:
            try:
                info = await poller.poll(name, None if waiting.accepted else self.query_id)
            except JobInputError as error:
                return {"status": "refused", "message": str(error)}
            except JobSubmissionError as error:
                return {"status": "not_submitted", "message": str(error)}
            except JobLostError as error:
                return {"status": "lost", "message": str(error)}
            except Exception as error:
                self.log.exception("Snowflake cannot be asked about job %s", self.job_name)
                return {"status": "error", "message": f"{type(error).__name__}: {error}"}
            self._first_seen = self._first_seen or info
            if info is not None and self._first_seen is not None and info.replaces(self._first_seen):
                return {"status": "lost", "message": f"Job {name} was dropped, and another one has its name."}
            step = waiting.look(info, time.time())
            if info is not None:
                if step.changed:
                    self.log.info("Job %s is %s", self.job_name, info.reported_status)
                if step.is_new:
                    self.log.warning("The status %s is new to this version; waiting on.", info.reported_status)
                if logs is not None:
                    await logs.finish() if info.status.is_terminal else logs.follow(info)
                card.look(info, *(logs.told if logs is not None else ()))
                if step.done:
                    return {"status": info.reported_status, **last_progress(logs)}
            if step.missed is not None:
                return {"status": step.missed.value}
            await asyncio.sleep(step.pause)

    async def on_kill(self) -> None:
        """Cancel the job when a user has ended the deferred task (Airflow 3.3 and later call this)."""
        if self.cancel_on_kill:
            await shielded(self._cancel_unless_waited_for(), _KILL_SECONDS)

    async def _cancel_unless_waited_for(self) -> None:
        """Cancel the job, unless the task still waits for it."""
        if await self._task_still_waits():
            self.log.info("The task still waits for job %s: the trigger has only moved. Not cancelling.", self.job_name)
            return
        ours, info = await asyncio.to_thread(self._kill)
        if self.task_instance is None or not ours:
            return
        xcoms = TaskXComs(self.task_instance)
        await tell_cancelled(xcoms, self.job_name, info)
        if info is not None and not info.status.is_terminal:
            in_background(self._tell_end(xcoms))

    def _kill(self) -> tuple[bool, JobInfo | None]:
        """Cancel the job, unless another one has its name by now.

        :returns: whether it is this trigger's job, and what Snowflake says of it then; None if it knows of none.
        """
        with open_hook(self.settings, transient_timeout=_REPEAT_SECONDS) as hook:
            with suppress(JobNotFoundError):
                info = hook.status(self.job_name)
                if self._first_seen is not None and info.replaces(self._first_seen):
                    self.log.info("Job %s is gone, and another one has its name. Not cancelling.", self.job_name)
                    return False, info
                if info.status.is_terminal:
                    self.log.info("Job %s has ended already: %s", self.job_name, info.reported_status)
                    return True, info
            self.log.info("Cancelling job %s", self.job_name)
            hook.kill(self.job_name, self.query_id)
            with suppress(JobNotFoundError):
                return True, hook.status(self.job_name)
        return True, None

    async def _tell_end(self, xcoms: TaskXComs) -> None:
        """Write on the card how the cancelled job has ended, once it has."""
        name = QualifiedName.parse(self.job_name, field="job_name")
        until = time.monotonic() + _ENDING_SECONDS
        async with shared_poller(self.settings) as poller:
            while time.monotonic() < until:
                await asyncio.sleep(1)
                info = await poller.poll(name, None)
                if info is not None and info.status.is_terminal:
                    await tell_cancelled(xcoms, self.job_name, info)
                    return

    async def _task_still_waits(self) -> bool:
        """Whether the task still waits for this very job.

        A triggerer that stalls loses its triggers to another one and, when it wakes, takes that for a user's action
        (apache/airflow#73454).
        """
        instance = self.task_instance
        if instance is None:
            return False
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
        from asgiref.sync import sync_to_async

        index = instance.map_index if instance.map_index is not None else -1
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=instance.dag_id,
            task_ids=[instance.task_id],
            run_ids=[instance.run_id],
            map_index=index if index >= 0 else None,
        )
        key = instance.task_id if index < 0 else f"{instance.task_id}_{index}"
        state = states.get(instance.run_id, {}).get(key)
        xcoms = TaskXComs(instance)
        mark, card = await xcoms.get(WAITS_KEY), await xcoms.get(JOB_CARD_KEY)
        return still_waits(self.job_name, state=state, mark=mark, card=card)


def last_progress(logs: LogStream | None) -> dict[str, Any]:
    """What an event tells of a job's progress: nothing if its log is not read, or has no progress lines."""
    progress = logs.progress if logs is not None else None
    return {"progress": progress.to_dict()} if progress is not None else {}


class BatchSuccessSensorTrigger(SnowflakeTrigger):
    """Waits until a directory on a stage holds ``_SUCCESS``, then fires once.

    The event's payload is ``{"status": "success", "stage_location": …}``, or ``{"status": …, "message": …}`` with
    the status ``timeout``, ``execution_timeout``, ``failed`` (the job has ended without it), ``refused`` (no look can
    succeed: there is no such stage, for instance) or ``error`` (Snowflake could not be asked).

    :param stage_location: the job's output directory, ``@database.schema.stage/path/``.
    :param deadline: seconds since the epoch after which the event is ``timeout``.
    :param execution_deadline: seconds since the epoch after which the event is ``execution_timeout``.
    :param newer_than: ISO 8601 time with its zone; an older ``_SUCCESS`` does not count.
    :param job_name: the job that is to write it; when that has ended without it, the event is ``failed``.
    :param poll_interval: seconds between two looks.
    :param exponential_backoff: double them after each look.
    :param max_wait: most seconds between two looks then.
    :param silent_fail: log ``failed`` and ``error``, and look on.
    """

    def __init__(
        self,
        *,
        stage_location: str,
        deadline: float,
        execution_deadline: float | None = None,
        newer_than: str | None = None,
        job_name: str | None = None,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        silent_fail: bool = False,
        **connection: Any,
    ) -> None:
        super().__init__(**connection)
        self.stage_location = stage_location
        self.deadline = deadline
        self.execution_deadline = execution_deadline
        self.newer_than = newer_than
        self.job_name = job_name
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.silent_fail = silent_fail

    def _own_arguments(self) -> dict[str, Any]:
        return {
            "stage_location": self.stage_location,
            "deadline": self.deadline,
            "execution_deadline": self.execution_deadline,
            "newer_than": self.newer_than,
            "job_name": self.job_name,
            "exponential_backoff": self.exponential_backoff,
            "max_wait": self.max_wait,
            "silent_fail": self.silent_fail,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until ``_SUCCESS`` is there or the deadline has passed."""
        started = time.monotonic()
        payload = await self._payload()
        await self._settle(started)
        yield TriggerEvent(json_value(payload))

    async def _payload(self) -> dict[str, Any]:
        directory = StagePath.parse(self.stage_location, field="stage_location").directory()
        # Airflow allows a poke_interval of 0.
        pause = max(self.poll_interval, SHORTEST_PAUSE / 5)
        async with shared_poller(self.settings) as poller:
            while True:
                payload = await self._look(poller, directory)
                if payload is not None:
                    if payload["status"] not in ("failed", "error") or not self.silent_fail:
                        return payload
                    self.log.error("Looking on, since silent_fail is set: %s", payload["message"])
                now = time.time()
                for status, deadline in (("execution_timeout", self.execution_deadline), ("timeout", self.deadline)):
                    if deadline is not None and now >= deadline:
                        return {"status": status, "message": f"{directory} has no {SUCCESS} yet."}
                next_deadline = min(self.deadline, self.execution_deadline or self.deadline)
                await asyncio.sleep(min(pause, max(next_deadline - now, 0.1)))
                if self.exponential_backoff:
                    pause = min(2 * pause, self.max_wait or 2 * pause)

    async def _look(self, poller: Poller, directory: StagePath) -> dict[str, Any] | None:
        from airflow_provider_snowflake_batch.hooks.success import results_are_there

        newer_than = datetime.fromisoformat(self.newer_than) if self.newer_than is not None else None
        try:
            found = await poller.run(
                lambda hook: results_are_there(hook, directory, newer_than=newer_than, job_name=self.job_name)
            )
        except JobFailedError as error:
            return {"status": "failed", "message": str(error)}
        except (JobInputError, InvalidJobError) as error:
            return {"status": "refused", "message": str(error)}
        except Exception as error:
            self.log.exception("Snowflake cannot be asked about %s", directory)
            return {"status": "error", "message": f"{type(error).__name__}: {error}"}
        return {"status": "success", "stage_location": str(directory)} if found else None
