"""How far a job was at earlier moments."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.progress_history import MOST_POINTS, Points, grown, readable


def looked_at(count: int, every: float, rows_per_second: float = 100) -> Points:
    points: Points = []
    for look in range(1, count + 1):
        points = grown(points, look * every, int(look * every * rows_per_second))
    return points


def test_a_short_job_keeps_every_look() -> None:
    assert looked_at(3, 10) == [[10, 1000], [20, 2000], [30, 3000]]


@pytest.mark.parametrize(("count", "every"), [(100, 10), (5_000, 10), (3_000, 0.5)])
def test_a_long_job_keeps_points_all_over_its_time(count: int, every: float) -> None:
    points = looked_at(count, every)
    times = [seconds for seconds, _ in points]
    assert MOST_POINTS / 4 < len(points) <= MOST_POINTS
    assert times == sorted(set(times))
    assert times[-1] == round(count * every)
    widest = max(later - earlier for earlier, later in pairwise(times))
    assert widest <= (times[-1] - times[0]) / 10


def test_it_stays_small_whatever_is_told() -> None:
    points: Points = []
    for look in range(300):
        points = grown(points, 10**12 + look if look > 200 else 10**8 + look * 10**6, 2**63 - 1)
    assert len(json.dumps(points)) < 4096 * 0.7


def test_a_second_look_in_a_second_and_a_clock_that_goes_back_replace_what_was_there() -> None:
    assert grown([[10, 5]], 10.2, 7) == [[10, 7]]
    assert grown([[10, 5], [20, 9]], 15, 7) == [[10, 5], [15, 7]]
    assert grown(None, -3, -1) == [[0, 0]]


@pytest.mark.parametrize(
    "stored",
    [None, "no", [], [1], [[1]], [[1, "x"]], [[2, 1], [1, 1]], [[1, float("nan")]], [[True, 1]], {"a": 1}, [[1, 2, 3]]],
)
def test_what_is_no_history_is_none(stored: Any) -> None:
    assert readable(stored) is None


def test_a_stored_history_is_read() -> None:
    assert readable([[1, 2], [3, 4]]) == [[1, 2], [3, 4]]
    assert readable([[second, 0] for second in range(500)]) == [[second, 0] for second in range(420, 500)]
