"""What progress lines and job cards tell of each replica."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.contract.progress import (
    MOST_TOLD,
    AllReplicas,
    ReplicaProgress,
    ReplicaState,
    read_bad_rows,
    told_bad_row,
)

STATES = st.sampled_from(list(ReplicaState))
SPEEDS = st.none() | st.floats(0, 1e9, allow_nan=False).map(lambda speed: round(speed, 1))
REPLICAS = st.lists(
    st.builds(ReplicaProgress, st.integers(0, 600), STATES, st.integers(0, 10**12), SPEEDS),
    min_size=1,
    max_size=300,
    unique_by=lambda one: one.replica,
)


def running(*speeds: float) -> list[ReplicaProgress]:
    return [ReplicaProgress(number, ReplicaState.RUNNING, 10, speed) for number, speed in enumerate(speeds)]


@given(REPLICAS)
def test_no_replica_and_no_row_is_left_out_of_the_sums(replicas: list[ReplicaProgress]) -> None:
    told = AllReplicas.of(replicas)
    assert told.rows == sum(one.rows for one in replicas)
    assert sum(told.count(state) for state in ReplicaState) == len(replicas)
    assert len(told.each) == min(len(replicas), MOST_TOLD)
    text = json.dumps(told.to_json(), allow_nan=False)
    assert AllReplicas.from_json(json.loads(text)) == told
    assert len(text) < 2_800


@given(REPLICAS)
def test_who_holds_the_job_up_is_named(replicas: list[ReplicaProgress]) -> None:
    told = AllReplicas.of(replicas)
    lost = sum(one.state is ReplicaState.LOST for one in replicas)
    assert sum(one.state is ReplicaState.LOST for one in told.each) == min(lost, MOST_TOLD)
    assert [one.replica for one in told.each] == sorted(one.replica for one in told.each)


@pytest.mark.parametrize(
    ("speeds", "slow"),
    [
        ((100, 100, 49), [2]),
        ((100, 100, 51), []),
        ((100, 40), [1]),
        ((100,), []),
        ((10, 12, 11, 1, 9, 2), [3, 5]),
    ],
)
def test_slow_is_who_has_less_than_half_of_the_others_speed(speeds: tuple[float, ...], slow: list[int]) -> None:
    told = AllReplicas.of(running(*speeds))
    assert [one.replica for one in told.each if one.state is ReplicaState.SLOW] == slow


def test_only_who_runs_is_slow() -> None:
    done = [ReplicaProgress(2, ReplicaState.DONE, 1, 1.0), ReplicaProgress(3, ReplicaState.LOST, 1)]
    told = AllReplicas.of([*running(100, 100), *done])
    assert [one.state.value for one in told.each] == ["running", "running", "done", "lost"]


def test_it_is_written_so() -> None:
    """Other versions read it: what is here may be added to, not changed."""
    others = [ReplicaProgress(number, ReplicaState.RUNNING, 5, 9.0) for number in range(2, 2 + MOST_TOLD)]
    told = AllReplicas.of([ReplicaProgress(0, ReplicaState.LOST, 7), ReplicaProgress(1, ReplicaState.LATE), *others])
    value = told.to_json()
    assert value["each"][:3] == [
        {"replica": 0, "state": "lost", "rows": 7},
        {"replica": 1, "state": "late", "rows": 0},
        {"replica": 2, "state": "running", "rows": 5, "rows_per_second": 9.0},
    ]
    assert (value["others"], value["others_rows"]) == ({"running": 2}, 10)


def test_what_a_newer_version_has_written_is_read() -> None:
    entry = {"replica": 3, "state": "hibernating", "rows": 4, "rows_per_second": 2, "temperature": 20}
    told = AllReplicas.from_json({"each": [entry], "others": {"hibernating": 2}, "others_rows": 6, "moons": 1})
    assert told == AllReplicas((ReplicaProgress(3, ReplicaState.RUNNING, 4, 2.0),), {ReplicaState.RUNNING: 2}, 6)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "all",
        {},
        {"each": {}},
        {"each": []},
        {"each": ["one", None, {}]},
        {"each": [{"replica": True, "rows": 1}]},
        {"each": [{"replica": 1, "rows": -1}]},
        {"each": [{"replica": 2**70, "rows": 1}]},
    ],
)
def test_what_is_none_is_read_as_none(value: Any) -> None:
    assert AllReplicas.from_json(value) is None


@pytest.mark.parametrize("speed", [math.nan, math.inf, -1, "fast", True, 10**400, None])
def test_a_speed_that_is_none_is_left_out(speed: Any) -> None:
    told = AllReplicas.from_json({"each": [{"replica": 0, "state": ["?"], "rows": 1, "rows_per_second": speed}]})
    assert told == AllReplicas((ReplicaProgress(0, ReplicaState.RUNNING, 1),))


def test_somebody_elses_long_list_is_cut() -> None:
    told = AllReplicas.from_json({"each": [{"replica": number, "rows": 1} for number in range(10_000)], "others": 5})
    assert told is not None
    assert len(told.each) == MOST_TOLD


@given(st.text(max_size=1000))
def test_a_bad_row_is_told_in_a_line_of_bounded_length(text: str) -> None:
    told = told_bad_row(text)
    assert len(json.dumps(told)) <= 240
    assert told == told_bad_row(told)
    assert "\n" not in told
    line = " ".join(text.split())
    assert told == line or (told.endswith("…") and line.startswith(told[:-1]))


@pytest.mark.parametrize("value", [None, "ValueError: no", {"0": "x"}, 5, [1, None, ["x"]]])
def test_what_tells_of_no_bad_row_is_read_as_none(value: Any) -> None:
    assert read_bad_rows(value) == ()
    assert read_bad_rows(["a", 1, "b\nc", "d"]) == ("a", "b c")
