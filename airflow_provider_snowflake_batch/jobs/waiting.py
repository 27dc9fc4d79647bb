"""Waiting for a job: what to do after a look at it. The hook, the trigger and the operator all decide by this.

It asks nobody and sleeps nowhere, so each waiter looks in its own way: over a session of its own, or over one that many
triggers share.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines, Missed
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus

# The shortest pause between two looks, in seconds.
SHORTEST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """What a waiter does after a look.

    :param done: the wait is over: the job is where it was waited for.
    :param missed: the deadline that has passed; then the wait is over, too.
    :param pause: seconds until the next look; 0 if there is none.
    :param changed: the status differs from that of the last look, or this is the first one: to be told.
    :param is_new: this version does not know the status: to be told with a warning.
    """

    done: bool = False
    missed: Missed | None = None
    pause: float = 0.0
    changed: bool = False
    is_new: bool = False


class Waiting:
    """One wait for a job.

    :param poll_interval: most seconds between two looks.
    :param deadlines: until when to wait.
    :param submitted_at: seconds since the epoch; looks come more often soon after it, and after each change.
    :param until_accepted: wait until there is a job, not until it has ended.
    """

    def __init__(
        self, *, poll_interval: float, deadlines: Deadlines, submitted_at: float, until_accepted: bool = False
    ) -> None:
        self._poll_interval = poll_interval
        self._deadlines = deadlines
        self._changed_at = submitted_at
        self._until_accepted = until_accepted
        self._last: JobInfo | None = None

    @property
    def accepted(self) -> bool:
        """Whether the job was seen: the statement that submits it need not be asked about any more."""
        return self._last is not None

    def look(self, info: JobInfo | None, now: float) -> Step:
        """Decide.

        :param info: what a look has shown; None while Snowflake is still at work on the statement.
        :param now: seconds since the epoch.
        """
        changed = False
        if info is not None:
            self._deadlines = self._deadlines.for_job(info)
            changed = self._last is None or info.reported_status != self._last.reported_status
            if changed and self._last is not None:
                # Not at the first look: the job may have had this status for long.
                self._changed_at = now
            self._last = info
        is_new = changed and info is not None and info.status is JobStatus.UNKNOWN
        if info is not None and (info.status.is_terminal or self._until_accepted):
            return Step(done=True, changed=changed, is_new=is_new)
        missed = self._deadlines.missed(self._last.status if self._last is not None else None, now)
        if missed is not None:
            return Step(missed=missed, changed=changed, is_new=is_new)
        pause = next_pause(now - self._changed_at, self._poll_interval, now)
        return Step(pause=self._deadlines.shorten(pause, now), changed=changed, is_new=is_new)


def next_pause(elapsed: float, poll_interval: float, now: float) -> float:
    """Seconds until the next look at a job that was submitted, or changed its status, ``elapsed`` seconds ago.

    About a tenth of the time waited so far, at least half a second: short jobs are seen to end at once, however long
    they were PENDING, and long ones cost no more than one look each ``poll_interval``. All who wait look at the same
    moments, so that one statement answers many.

    :param now: seconds since the epoch.
    """
    pause = min(poll_interval, max(SHORTEST_PAUSE, elapsed / 10))
    step = poll_interval if pause >= poll_interval else min(SHORTEST_PAUSE, poll_interval)
    return pause - (now + pause) % step or step
