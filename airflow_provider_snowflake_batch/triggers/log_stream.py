"""A job's log on its way into the task's log, while the trigger that waits for the job looks at its status."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from airflow_provider_snowflake_batch.triggers.session_thread import Priority

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
    from airflow_provider_snowflake_batch.jobs.logs import Progress
    from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo
    from airflow_provider_snowflake_batch.triggers.poller import Poller

_T = TypeVar("_T")

log = logging.getLogger(__name__)

# Each job's position is saved after every reading, but all jobs of a triggerer together save no more often than this:
# its supervisor answers one request at a time, about a hundredth of a second each.
_SECONDS_A_SAVE = 0.25


class Positions(Protocol):
    """Where it is remembered how far a log has been shown."""

    async def load(self) -> Mapping[str, Sequence[int]] | None: ...

    async def save(self, positions: Mapping[str, Sequence[int]]) -> None: ...


class LogStream:
    """Shows what is new in a job's log.

    One reading is under way at most, each of its statements comes after all looks at statuses, and the trigger does
    not wait for it; except for the last one, after the job's end.

    :param poller: whose session reads.
    :param name: the job.
    :param show: what to do with a line.
    :param positions: where an earlier trigger of the same task has stopped.
    """

    def __init__(
        self, poller: Poller, name: QualifiedName, show: Callable[[str], object], positions: Positions | None
    ) -> None:
        from airflow_provider_snowflake_batch.hooks.logs import LogFollower

        self._poller = poller
        self._follower = LogFollower(name)
        self._show = show
        self._positions = positions
        self._resumed = positions is None
        self._saved_at = 0.0
        self._reading: asyncio.Task[None] | None = None
        # The session's thread adds lines, so that none is lost when the reading that asked for them is cancelled.
        self._lines: deque[str] = deque()

    @property
    def progress(self) -> Progress | None:
        """How far the whole job was at the last reading; None if its log does not tell."""
        return self._follower.progress

    @property
    def told(self) -> tuple[Progress | None, Sequence[ContainerInfo], Sequence[str]]:
        """As the last reading has found them: how far the job is, its containers, the last lines of its log."""
        return self.progress, self._follower.containers, self._follower.last_lines

    def follow(self, info: JobInfo) -> None:
        """Begin a reading, if one is due and none is under way."""
        if (self._reading is None or self._reading.done()) and self._follower.is_due(info):
            self._reading = asyncio.create_task(self._read(Priority.LOG))

    async def finish(self) -> None:
        """Show the rest of the log of a job that has ended."""
        await self.stop()
        await self._read(Priority.STATUS, last=True)

    async def stop(self) -> None:
        """End a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self, priority: Priority, *, last: bool = False) -> None:
        try:
            await self._read_all(priority, last=last)
        except Exception as error:
            # Following a log must never end a task.
            log.warning("The log of job %s could not be followed: %s", self._follower.name, error)

    async def _read_all(self, priority: Priority, *, last: bool) -> None:
        from airflow_provider_snowflake_batch.hooks.logs import several_replicas

        await self._resume()
        containers = await self._poller.run(partial(_once, self._follower.list_containers, not last), priority)
        several = several_replicas(containers)
        new = False
        for container in containers:
            read = partial(self._read_container, container, several=several, last=last)
            await self._poller.run(partial(_once, read, not last), priority)
            new = self._show_lines() or new
        self._lines.extend(self._follower.tell_progress())
        new = self._show_lines() or new
        if new:
            await self._save()

    def _read_container(self, container: ContainerInfo, hook: SnowflakeBatchHook, *, several: bool, last: bool) -> None:
        self._lines.extend(self._follower.read_container(hook, container, several=several, last=last))

    def _show_lines(self) -> bool:
        shown = False
        while self._lines:
            self._show(self._lines.popleft())
            shown = True
        return shown

    async def _resume(self) -> None:
        if self._resumed or self._positions is None:
            return
        try:
            found = await self._positions.load()
        except Exception as error:
            log.warning("How far the log of job %s was shown is not known: %s", self._follower.name, error)
        else:
            self._follower.resume(found or {})
        # Not before: a job that ends cancels the reading that waits here, and the last one has to ask anew.
        self._resumed = True

    async def _save(self) -> None:
        pause = _SECONDS_A_SAVE * self._poller.users
        if self._positions is not None and time.monotonic() - self._saved_at >= pause:
            self._saved_at = time.monotonic()
            await self._positions.save(self._follower.positions)


def _once(read: Callable[[SnowflakeBatchHook], _T], only: bool, hook: SnowflakeBatchHook) -> _T:
    """Read without trying again: while a reading is repeated, no trigger gets a status.

    :param only: False for the last reading, after which there is no other.
    """
    with hook.repeating_for(0) if only else nullcontext():
        return read(hook)
