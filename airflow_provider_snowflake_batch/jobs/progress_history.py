"""How far a job was at earlier moments: few enough points for a card, whatever the job's length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_snowflake_batch.jobs.json_values import number

MOST_POINTS = 80
"""At most so many points; as JSON they take less than 2.5 KB."""
# More than any job takes (31 years) or scores. They bound the length of a point.
_MOST_SECONDS, _MOST_ROWS = 10**9, 10**15

Points = list[list[int]]
"""Of each point the whole seconds since the submission and the rows done, oldest first."""


def grown(points: Sequence[Sequence[int]] | None, seconds: float, rows: int) -> Points:
    """The points with one more, which is always the last. They stay spread evenly over the time that has passed.

    :param seconds: since the job's submission.
    :param rows: done by then.
    """
    told = [list(point) for point in points or ()]
    now = [min(max(round(seconds), 0), _MOST_SECONDS), min(max(int(rows), 0), _MOST_ROWS)]
    # The last point moves with time until it is far enough from the one before.
    apart = (now[0] - told[0][0]) / MOST_POINTS if told else 0
    while told and (told[-1][0] >= now[0] or (len(told) > 1 and told[-1][0] - told[-2][0] < apart)):
        told.pop()
    told.append(now)
    if len(told) > MOST_POINTS:
        told = [*told[:-1:2], told[-1]]
    return told


def readable(stored: Any) -> Points | None:
    """Points that somebody has stored, in the order of time; None if these are none.

    Of more than :data:`MOST_POINTS` the last ones are kept.
    """
    if not isinstance(stored, (list, tuple)):
        return None
    points: Points = []
    for point in stored[-MOST_POINTS:]:
        if not isinstance(point, (list, tuple)) or len(point) != 2:
            return None
        seconds, rows = map(number, point)
        if seconds is None or rows is None or (points and seconds <= points[-1][0]):
            return None
        points.append([int(seconds), int(rows)])
    return points or None
