"""The job card of a deferred task, written beside the trigger's own work.

The first such write of a triggerer takes many seconds, in which Airflow loads its execution API and stores no event:
so nothing is written for a job that ends at once. Polling never waits for a write, the event no longer than a moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY, JobCard
from airflow_provider_snowflake_batch.jobs.status import JobStatus

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.logs import Progress
    from airflow_provider_snowflake_batch.jobs.status import JobInfo
    from airflow_provider_snowflake_batch.triggers.task_xcoms import TaskXComs

CARD_SECONDS = 10
"""Least time before the first write, and between two versions of a card while the job's status stays the same."""
CARDS_PER_SECOND = 10
"""Most cards that a triggerer writes for progress alone, so that many deferred tasks do not load the API server."""
_LAST_WRITE_SECONDS = 1

log = logging.getLogger(__name__)
_open_cards = 0


class DeferredCard:
    """A context manager around a trigger's wait.

    :param xcoms: of the task that the trigger belongs to; None, as in ``dag.test()``: nothing is written.
    :param job_name: a card that meanwhile tells of another job, because the task was cleared, is left alone.
    """

    def __init__(self, xcoms: TaskXComs | None, job_name: str) -> None:
        self._xcoms = xcoms
        self._job_name = job_name
        self._status: str | None = None
        self._progress: Progress | None = None
        self._begun_at = self._opened_at = 0.0
        self._running_since: float | None = None
        self._writing: asyncio.Task[None] | None = None

    def look(self, info: JobInfo, progress: Progress | None = None) -> None:
        """What a look at the job has shown. Returns at once; what is not written now is with the next look."""
        if self._running_since is None and info.status is JobStatus.RUNNING:
            self._running_since = time.time()
        if self._xcoms is None or (self._writing is not None and not self._writing.done()):
            return
        now = time.monotonic()
        if now - self._opened_at < CARD_SECONDS:
            return
        if info.reported_status == self._status:
            pause = max(CARD_SECONDS, _open_cards / CARDS_PER_SECOND)
            if progress == self._progress or now - self._begun_at < pause:
                return
        self._status, self._progress, self._begun_at = info.reported_status, progress, now
        self._writing = asyncio.create_task(self._write(self._xcoms, info, progress, time.time()))

    async def _write(self, xcoms: TaskXComs, info: JobInfo, progress: Progress | None, now: float) -> None:
        try:
            stored = JobCard.read(await xcoms.get(JOB_CARD_KEY))
            if stored is None or stored.job_name != self._job_name:
                return
            card = stored.seen(info, now, progress, running_since=self._running_since)
            await xcoms.set(JOB_CARD_KEY, card.to_dict())
        except Exception:
            # The card informs people; waiting goes on without it.
            log.debug("The card of job %s could not be written", self._job_name, exc_info=True)

    async def __aenter__(self) -> DeferredCard:
        global _open_cards
        _open_cards += 1
        self._opened_at = time.monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        global _open_cards
        _open_cards -= 1
        if self._writing is not None:
            # The task writes the card next; what is on its way goes before the event, what is not must not follow it.
            await asyncio.wait({self._writing}, timeout=_LAST_WRITE_SECONDS)
            self._writing.cancel()
