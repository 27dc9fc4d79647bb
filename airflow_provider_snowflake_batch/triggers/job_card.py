"""The job card of a deferred task, written beside the trigger's own work.

The first such write of a triggerer takes many seconds, in which Airflow loads its execution API and stores no event. So
nothing is written for a job that ends at once. Polling never waits for a write; the event waits for a moment at most.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.jobs.card import CARD_SECONDS, JOB_CARD_KEY, JobCard
from airflow_provider_snowflake_batch.jobs.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_snowflake_batch.jobs.logs import Progress
    from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo
    from airflow_provider_snowflake_batch.triggers.task_xcoms import TaskXComs

CARDS_PER_SECOND = 10
"""Most cards that a triggerer writes for progress alone, so that many deferred tasks do not load the API server."""
_LAST_WRITE_SECONDS = 1

log = logging.getLogger(__name__)
_open_cards = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look at a job has shown, and when."""

    info: JobInfo
    progress: Progress | None
    containers: Sequence[ContainerInfo]
    lines: Sequence[str]
    at: float


class DeferredCard:
    """A context manager around a trigger's wait.

    :param xcoms: of the task that the trigger belongs to; None, as in ``dag.test()``: nothing is written.
    :param job_name: a card that meanwhile tells of another job, because the task was cleared, is left alone.
    :param poll_interval: most seconds between two looks.
    """

    def __init__(self, xcoms: TaskXComs | None, job_name: str, poll_interval: float = CARD_SECONDS) -> None:
        self._xcoms = xcoms
        self._job_name = job_name
        self._poll_interval = poll_interval
        self._status: str | None = None
        self._begun_at = self._opened_at = 0.0
        self._running_since: float | None = None
        self._writing: asyncio.Task[None] | None = None

    def look(
        self,
        info: JobInfo,
        progress: Progress | None = None,
        containers: Sequence[ContainerInfo] = (),
        lines: Sequence[str] = (),
    ) -> None:
        """What a look at the job has shown. Returns at once; what is not written now is with the next look.

        :param lines: the last ones of its log.
        """
        if self._running_since is None and info.status is JobStatus.RUNNING:
            self._running_since = time.time()
        if self._xcoms is None or (self._writing is not None and not self._writing.done()):
            return
        now = time.monotonic()
        if now - self._opened_at < CARD_SECONDS:
            return
        pause = max(CARD_SECONDS, self._poll_interval, _open_cards / CARDS_PER_SECOND)
        if info.reported_status == self._status and now - self._begun_at < pause:
            return
        self._status, self._begun_at = info.reported_status, now
        seen = _Seen(info, progress, containers, lines, time.time())
        self._writing = asyncio.create_task(self._write(self._xcoms, seen, pause))

    async def _write(self, xcoms: TaskXComs, seen: _Seen, pause: float) -> None:
        def change(card: JobCard) -> JobCard:
            looked_at = card.seen(
                seen.info,
                seen.at,
                seen.progress,
                running_since=self._running_since,
                containers=seen.containers,
                lines=seen.lines,
            )
            # Written also when nothing has changed: a page takes an old card as a sign that nobody looks at the job.
            return replace(looked_at, confirmed_every=pause)

        await _change(xcoms, self._job_name, change)

    async def __aenter__(self) -> DeferredCard:
        global _open_cards
        _open_cards += 1
        self._opened_at = time.monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        global _open_cards
        _open_cards -= 1
        if self._writing is not None:
            # The task writes the card next, so a write that has begun is to end before the event, and no other begins.
            await asyncio.wait({self._writing}, timeout=_LAST_WRITE_SECONDS)
            self._writing.cancel()


async def tell_cancelled(xcoms: TaskXComs, job_name: str, info: JobInfo | None) -> None:
    """Write on the card of a job that it was cancelled because the deferred task was ended.

    :param xcoms: of the task.
    :param info: what Snowflake said of the job afterwards; None if it knew of none.
    """

    def cancelled(card: JobCard) -> JobCard:
        why = "The deferred task was ended in Airflow, so its job was cancelled."
        if info is None:
            return replace(card, message=f"{why} Snowflake knew no such job then.", updated_at=time.time())
        if info.status.is_terminal and info.status is not JobStatus.CANCELLED:
            why = "The deferred task was ended in Airflow. Its job had ended already."
        return replace(card.seen(info, time.time()), message=f"{why} Snowflake said then: {info.reported_status}.")

    await _change(xcoms, job_name, cancelled)


async def _change(xcoms: TaskXComs, job_name: str, change: Callable[[JobCard], JobCard]) -> None:
    try:
        stored = JobCard.read(await xcoms.get(JOB_CARD_KEY))
        if stored is not None and stored.job_name == job_name:
            await xcoms.set(JOB_CARD_KEY, change(stored).to_dict())
    except Exception:
        # The card only informs people, so all else goes on without it.
        log.debug("The card of job %s could not be written", job_name, exc_info=True)
