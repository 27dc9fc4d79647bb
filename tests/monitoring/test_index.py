"""The index of jobs alone: what it finds, in which order, and how, against a plain search of a list.

Also tests ``monitoring/entries.py``, ``monitoring/order.py``.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.monitoring import index as index_module
from airflow_provider_snowflake_batch.monitoring.entries import Entry, JobGroup, StoredJob, entry, group_of, mark
from airflow_provider_snowflake_batch.monitoring.index import Ended, Found, JobsIndex, Wanted
from airflow_provider_snowflake_batch.monitoring.order import InvalidPlace, Order, Place, Sort
from tests.monitoring.rows import card

NOW = 1_000_000.0
WRITTEN = datetime.fromtimestamp(NOW, UTC)
DAGS = {"a", "b", "hidden"}
READABLE = DAGS - {"hidden"}


def indexed(number: int, dag_id: str = "a", state: str | None = "success", **told: Any) -> Entry:
    """A job of a run of its own."""
    stored = card(f"JOB_{number}", told.pop("status", "DONE"), **{"submitted_at": NOW - 60, **told})
    started = datetime.fromtimestamp(NOW - number % 3, UTC)
    job = StoredJob(
        dag_id, f"run_{number}", "score", -1, None, state, 1, started, None, False, group_of(state, stored), stored
    )
    return entry((number, "score", -1), mark(WRITTEN, state, 1, started, None), job, WRITTEN)


def of(*entries: Entry) -> JobsIndex:
    index = JobsIndex()
    index.put(entries)
    return index


def numbers(found: list[Found]) -> list[int]:
    return [each.key[0] for each in found]


jobs = st.lists(
    st.builds(
        lambda dag, state, status, pool, model, lasted: {
            "dag_id": dag, "state": state, "status": status, "compute_pool": pool, "model": model,
            "ended_at": NOW - 60 + lasted if status == "DONE" else None,
        },
        st.sampled_from(sorted(DAGS)), st.sampled_from(["success", "failed", "deferred", None]),
        st.sampled_from(["DONE", "RUNNING", "FAILED", "odd"]), st.sampled_from(["P", "Q", "é", ""]),
        st.sampled_from([None, "M", "m"]), st.sampled_from([1.0, 1.5, 100.25]),
    ),
    max_size=12,
)  # fmt: skip


@given(
    jobs,
    st.sampled_from(Sort),
    st.booleans(),
    st.sampled_from([None, *JobGroup]),
    st.sampled_from([None, "job_1", "done", "P", "é q"]),
    st.integers(1, 4),
    st.sampled_from([0, 2, 5_000]),
    st.sampled_from([None, "a", "b"]),
)
def test_pages_in_both_directions_are_those_of_a_sorted_list(
    told: list[dict[str, Any]],
    sort: Sort,
    reverse: bool,
    group: JobGroup | None,
    text: str | None,
    limit: int,
    few: int,
    dag_id: str | None,
) -> None:
    with mock.patch.object(index_module, "_FEW", few):
        hold_pages(told, sort, reverse, group, text, limit, dag_id)


def hold_pages(
    told: list[dict[str, Any]],
    sort: Sort,
    reverse: bool,
    group: JobGroup | None,
    text: str | None,
    limit: int,
    dag_id: str | None,
) -> None:
    entries = [indexed(number, **each) for number, each in enumerate(told)]
    index, order, wanted = of(*entries), Order(sort, reverse=reverse, now=NOW), Wanted(READABLE, dag_id, text=text)
    groups = JobGroup if group is None else [group]
    words = (text or "").lower().split()
    mine = [each for each in entries if each.dag_id in READABLE and all(word in each.told for word in words)]
    mine = [each for each in mine if dag_id in (None, each.dag_id)]
    expected = {each: sum(one.group is each for one in mine) for each in JobGroup}
    places: list[Place] = []
    forwards: list[int] = []
    while True:
        place = places[-1] if places else None
        found, counts = index.find(wanted, order, list(groups), limit=limit, place=place)
        assert counts == expected
        if not found:
            break
        forwards += numbers(found)
        # As it comes back in an address.
        places.append(Place.decode(Place(found[-1].place, NOW).encode()))
    assert sorted(forwards) == sorted(each.key[0] for each in mine if each.group in groups)
    whole, _ = index.find(wanted, order, list(groups), limit=100)
    assert numbers(whole) == forwards
    assert [each.place for each in whole] == sorted((each.place for each in whole), reverse=reverse)
    if places:
        before, _ = index.find(wanted, order, list(groups), limit=100, place=places[-1], backwards=True)
        assert numbers(before) == forwards[-2::-1]


def test_what_is_put_again_replaces_and_what_is_dropped_is_gone() -> None:
    index = of(indexed(1, status="RUNNING", state="deferred"), indexed(2, "b"))
    assert (len(index), index.watched(), index.dags()) == (2, [(1, "score", -1)], ["a", "b"])
    again = indexed(1)
    assert index.mark(again.key) != again.mark
    index.put([again])
    assert (len(index), index.watched(), index.mark(again.key)) == (2, [], again.mark)
    index.drop([again.key, (7, "score", -1)])
    assert (index.marks().keys(), index.dags(), index.mark(again.key)) == ({(2, "score", -1)}, ["b"], None)


@given(jobs)
def test_jobs_taken_together_are_what_each_of_them_adds(told: list[dict[str, Any]]) -> None:
    more = [
        {"started_at": NOW - 50, "replicas": 2, "progress": {"rows_done": 3, "rows_total": 4, "rows_per_second": 0.5},
         "updated_at": NOW - 20, "confirmed_every": 10 if number % 2 else 6}
        for number in range(len(told))
    ]  # fmt: skip
    entries = [indexed(number, **each, **more[number]) for number, each in enumerate(told)]
    mine = [each for each in entries if each.dag_id in READABLE]
    sums = of(*entries).sums(Wanted(READABLE), NOW)
    assert {(each.group, each.status): each.count for each in sums} == dict(
        Counter((each.group, each.status) for each in mine)
    )
    assert sum(each.rows_done for each in sums) == 3 * len(mine)
    assert sum(each.rows_total for each in sums) == 4 * len(mine)
    # One that was looked at 20 s ago and every 6 s before is not what is so now.
    active = [each for each in mine if each.group is JobGroup.ACTIVE]
    fresh = [each for each in active if each.key[0] % 2]
    assert sum(each.fresh for each in sums if each.group is JobGroup.ACTIVE) == len(fresh)
    assert sum(each.rows_per_second for each in sums) == 0.5 * len(fresh)
    running = 100.0 * len(fresh) + 2 * 48 * (len(active) - len(fresh))
    over = sum(each.node_seconds for each in mine)
    assert sum(each.node_seconds for each in sums) == pytest.approx(running + over)
    only = of(*entries).sums(Wanted(READABLE, dag_id="a"), NOW, active=True, by_task=True)
    assert sum(each.count for each in only) == sum(each.dag_id == "a" for each in active)
    assert {each.task_id for each in only} <= {"score"}


def test_jobs_count_for_the_time_in_which_they_ended() -> None:
    index = of(
        indexed(1, started_at=NOW - 30, ended_at=NOW - 10, replicas=3),
        indexed(2, status="FAILED", state="failed", ended_at=NOW - 11),
        indexed(3, "hidden", ended_at=NOW - 10),
        indexed(4, status="RUNNING", state="deferred", updated_at=NOW - 10),
        # Nobody saw its end: it counts for when its card was written last.
        indexed(5, status="RUNNING", state="failed", updated_at=NOW - 12),
        indexed(6, status="NOT_SUBMITTED", state="failed"),
    )
    assert index.ended(Wanted(READABLE), NOW - 11, NOW) == Ended({JobGroup.DONE: 1, JobGroup.FAILED: 1}, 60)
    assert index.ended(Wanted(READABLE), NOW - 20, NOW - 11) == Ended({JobGroup.FAILED: 1}, 0)
    assert index.ended(Wanted(READABLE), NOW, NOW + 1) == Ended({JobGroup.FAILED: 1}, 0)
    assert index.ended(Wanted(READABLE, dag_id="b"), NOW - 20, NOW) == Ended({}, 0)


def test_figures_beyond_all_measure_break_no_sum() -> None:
    huge = {"started_at": -(2**62), "ended_at": 2**62, "replicas": 2**62, "updated_at": -(2**62)}
    rows = {"rows_done": 2**62, "rows_total": -5, "rows_per_second": 2**62}
    entries = [indexed(number, **huge, progress=rows, confirmed_every=2**62) for number in range(99)]
    active = [
        indexed(100 + number, state="deferred", status="RUNNING", **{**huge, "ended_at": None}) for number in range(9)
    ]
    index = of(*entries, *active)
    (running, done) = sorted(index.sums(Wanted(READABLE), NOW), key=lambda each: each.count)
    assert done.rows_done == done.rows_total == 99e15
    assert 0 < running.node_seconds < float("inf")
    assert 0 < done.node_seconds < float("inf")


def test_texts_that_no_database_takes_are_indexed_all_the_same() -> None:
    index = of(indexed(1, message="half \ud800 and \0 of it", model="\ud800"), indexed(2, submitted_at=10**400))
    assert numbers(index.find(Wanted(READABLE, text="of it"), Order(), limit=9)[0]) == [1]
    assert len(index.find(Wanted(READABLE, text="\ud800", run_id="\ud800"), Order(Sort.MODEL), limit=9)[0]) == 0
    assert len(index.find(Wanted(READABLE), Order(Sort.DURATION, now=NOW), limit=9)[0]) == 2


def test_a_mark_is_another_when_anything_shown_is() -> None:
    one = (WRITTEN, "success", 1, WRITTEN, "x")
    other = (WRITTEN.replace(year=2020), None, 2, None, None)
    marks = {mark(*one)} | {mark(*(*one[:at], other[at], *one[at + 1 :])) for at in range(5)}
    assert len(marks) == 6
    assert mark(*one) == mark(*one)


@pytest.mark.parametrize("sort", Sort)
def test_a_place_of_another_order_is_refused(sort: Sort) -> None:
    index = of(indexed(1))
    for values in ((), (1,), ("a", 1, 1, 1, 1), (1, 1, 1, 1, "t", 1), ("a", "b", "c", "d")):
        try:
            found, _ = index.find(Wanted(READABLE), Order(sort), limit=1, place=Place(values, NOW))
        except InvalidPlace:
            continue
        assert sort is Sort.TASK, found
    for text in ("[NaN, 1]", "[1e400]", "[1, 9223372036854775808]", "[1, 1.5]", "[1, true]", "[]", "{}", "1"):
        with pytest.raises(InvalidPlace):
            Place.decode(encoded(text))


def encoded(text: str) -> str:
    import base64

    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("wanted", [Wanted(DAGS), Wanted({"a"}), Wanted(DAGS, text="job")], ids=["all", "half", "text"])
@pytest.mark.parametrize("group", [None, JobGroup.FAILED])
@pytest.mark.parametrize("sort", Sort)
def test_the_first_page_costs_the_same_however_many_jobs_there_are(
    sort: Sort, group: JobGroup | None, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_FEW", 20)
    costs = []
    for size in (300, 1_200):
        index = of(*(indexed(n, "ab"[n % 2], "failed" if n % 9 == 0 else "success") for n in range(size)))
        steps = Steps(index)
        index.find(wanted, Order(sort), [group] if group else list(JobGroup), limit=26)
        costs.append(steps.count)
    assert costs[1] < 1.2 * costs[0], costs


class Steps:
    """Counts the instructions of SQLite's machine."""

    def __init__(self, index: JobsIndex) -> None:
        self.count = 0
        database: sqlite3.Connection = index._database
        database.set_progress_handler(self._step, 1)

    def _step(self) -> int:
        self.count += 1
        return 0
