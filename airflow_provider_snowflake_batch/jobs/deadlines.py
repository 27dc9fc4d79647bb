"""The moments by which a job must have started, and must have ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Self

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus


class Missed(str, Enum):
    """Which deadline has passed."""

    END = "timeout"
    START = "pending_timeout"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Moments, in seconds since the epoch, so that they hold across processes and restarts.

    :param end: by which the job must have ended.
    :param start: by which the job must have left PENDING. Snowflake itself lets a job wait for ever, for example when
        an image cannot be pulled
        (https://docs.snowflake.com/en/developer-guide/snowpark-container-services/monitoring-services).
    :param pending: seconds for which the job may be PENDING even where ``start`` has passed: Snowflake may build an
        image for minutes before there is a job that could start.
    """

    end: float | None = None
    start: float | None = None
    pending: float | None = None

    @classmethod
    def within(cls, seconds: float) -> Self:
        """An end so many seconds from now."""
        return cls(end=time.time() + seconds)

    def for_job(self, info: JobInfo) -> Self:
        """The deadlines, now that Snowflake has the job."""
        if self.start is None or self.pending is None or info.created_on is None:
            return self
        made = datetime.fromisoformat(info.created_on).timestamp()
        return replace(self, start=max(self.start, made + self.pending))

    def missed(self, status: JobStatus | None, now: float) -> Missed | None:
        """The deadline that a job has missed.

        :param status: the job's status; None while Snowflake is still at work on its statement. Only PENDING can miss
            the start: the build of an image has no deadline but the end.
        """
        if self.end is not None and now >= self.end:
            return Missed.END
        if self.start is not None and now >= self.start and status is JobStatus.PENDING:
            return Missed.START
        return None

    def shorten(self, pause: float, now: float) -> float:
        """A pause that does not sleep through a deadline."""
        ahead = [moment - now for moment in (self.end, self.start) if moment is not None and moment > now]
        return max(min([pause, *ahead]), 0.01)


def parse_moment(value: datetime | str | None, *, field: str) -> datetime | None:
    """A moment as a user gives it.

    :param value: a datetime with its time zone, ISO 8601 text with one, or nothing (None, or empty text).
    :param field: what is being read, for the error.
    :raises InvalidJobError: if it is something else, or lacks its time zone.
    """
    if value is None or value == "":
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise InvalidJobError(field, f"{value!r} is not an ISO 8601 time.") from None
    if moment.tzinfo is None:
        raise InvalidJobError(field, f"{value!s} lacks its time zone.")
    return moment


def check_seconds(name: str, value: object, *, optional: bool = False) -> None:
    """Refuse a duration that is not a number of seconds above zero.

    :raises InvalidJobError: naming the argument.
    """
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise InvalidJobError(name, f"expected a number of seconds above 0, got {value!r}.")
