"""The index follows the metadata database: every way in which a job there can change, and what that costs.

Also tests ``monitoring/listing.py``, ``monitoring/queries.py``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_snowflake_batch.monitoring import follow
from airflow_provider_snowflake_batch.monitoring.entries import JobGroup
from airflow_provider_snowflake_batch.monitoring.follow import Follower
from airflow_provider_snowflake_batch.monitoring.index import Wanted
from airflow_provider_snowflake_batch.monitoring.order import Order
from airflow_provider_snowflake_batch.monitoring.queries import task_marks
from tests.monitoring.conftest import Client
from tests.monitoring.rows import card, push, set_state

Run = Callable[[str], str]
JOBS = "/snowflake-batch/jobs"
DAGS = {"scores", "salaries"}


@pytest.fixture
def follower(database: None, monkeypatch: pytest.MonkeyPatch) -> Follower:
    """One whose thread never gets to compare: only what a request does counts. It looks each time, at what runs."""
    monkeypatch.setattr(follow, "LOOK_EVERY", 0)
    monkeypatch.setattr(follow, "LATE", 0)
    monkeypatch.setattr(follow, "SHORTEST_PAUSE", 1e9)
    one = Follower()
    monkeypatch.setattr(one, "_keep_comparing", lambda: None)
    monkeypatch.setattr(follow, "FOLLOWER", one)
    return one


def groups(follower: Follower, *, compare: bool = False) -> dict[str, int]:
    """How many jobs of each group there are, without those of which there are none."""
    from airflow.utils.session import create_session

    with create_session() as session:
        index = follower.current(session)
        if compare:
            follower.compare(session)
        _, counts = index.find(Wanted(DAGS), Order(), limit=1)
    return {group.value: count for group, count in counts.items() if count}


@pytest.fixture
def run(client: Client, follower: Follower, new_run: Run) -> str:
    """A run whose job runs, in an index that knows nothing yet but has been built."""
    assert groups(follower) == {}
    run = new_run("scores")
    set_state("scores", run, "deferred")
    push("scores", run, card())
    return run


def test_a_request_sees_at_once_what_a_task_that_runs_writes(follower: Follower, run: str) -> None:
    assert groups(follower) == {"active": 1}
    push("scores", run, card(status="FAILED"))
    assert groups(follower) == {"failed": 1}
    push("scores", run, card(status="DONE"))
    assert groups(follower) == {"done": 1}


@pytest.mark.parametrize(("state", "group"), [("success", "done"), ("failed", "failed")])
def test_a_request_sees_at_once_that_a_task_has_ended(follower: Follower, run: str, state: str, group: str) -> None:
    assert groups(follower) == {"active": 1}
    push("scores", run, card(status="DONE"))
    set_state("scores", run, state)
    assert groups(follower) == {group: 1}


def test_requests_that_come_at_once_are_all_answered_with_what_one_look_finds(
    follower: Follower, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert groups(follower) == {"active": 1}
    looks, go, told = threading.Event(), threading.Event(), []

    def slow(session: Any) -> Any:
        looks.set()
        assert go.wait(60)
        return task_marks(session)

    monkeypatch.setattr(follow, "task_marks", slow)
    # One that comes after another has begun to look need not look itself.
    monkeypatch.setattr(follow, "LOOK_EVERY", 60)
    monkeypatch.setattr(follow, "MOST_WAIT", 60)
    follower._looked = float("-inf")
    push("scores", run, card(status="DONE"))
    first, second = (threading.Thread(target=lambda: told.append(groups(follower))) for _ in range(2))
    first.start()
    assert looks.wait(60)
    second.start()
    # Without a wait for the look it would be answered by now.
    second.join(1)
    go.set()
    for each in (first, second):
        each.join(60)
    assert told == [{"done": 1}, {"done": 1}]


@pytest.mark.parametrize("fails", [False, True], ids=["slow", "away"])
def test_requests_do_not_queue_for_a_slow_database(
    follower: Follower, run: str, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    assert groups(follower) == {"active": 1}
    looks, go, told = 0, threading.Event(), []
    asking = threading.Semaphore(0)

    def slow(session: Any) -> Any:
        nonlocal looks
        looks += 1
        assert go.wait(60)
        if fails:
            raise OSError("the database is away")
        return task_marks(session)

    class Looking:
        """The lock of those who look, which tells who has come to it."""

        def __init__(self) -> None:
            self._lock = threading.Lock()

        def acquire(self, timeout: float) -> bool:
            asking.release()
            return self._lock.acquire(timeout=timeout)

        def release(self) -> None:
            self._lock.release()

    def ask() -> None:
        try:
            told.append(groups(follower))
        except OSError:
            told.append({})

    monkeypatch.setattr(follow, "task_marks", slow)
    monkeypatch.setattr(follow, "MOST_WAIT", 60)
    monkeypatch.setattr(follower, "_looking", Looking())
    requests = [threading.Thread(target=ask) for _ in range(8)]
    for request in requests:
        request.start()
    for _ in requests:
        assert asking.acquire(timeout=60)
    go.set()
    for request in requests:
        request.join(60)
    # Of those who came while one looked, one looks for all.
    assert looks <= 2
    assert len(told) == 8
    assert [one for one in told if one] == [{"active": 1}] * len([one for one in told if one])


def test_a_request_does_not_wait_for_ever(follower: Follower, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert groups(follower) == {"active": 1}
    monkeypatch.setattr(follow, "MOST_WAIT", 0.1)
    push("scores", run, card(status="DONE"))
    with follower._looking:
        assert groups(follower) == {"active": 1}
    assert groups(follower) == {"done": 1}


def test_a_request_looks_while_the_thread_compares(follower: Follower, run: str) -> None:
    assert groups(follower) == {"active": 1}
    push("scores", run, card(status="DONE"))
    with follower._following:
        assert groups(follower) == {"done": 1}


def test_a_request_sees_at_once_what_is_written_of_a_job_whose_task_has_just_ended(
    follower: Follower, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LATE", 60)
    push("scores", run, card(status="DONE"))
    set_state("scores", run, "success")
    assert groups(follower, compare=True) == {"done": 1}
    # Its trigger cancels the job of a task that a user has ended, and then says so.
    push("scores", run, card(status="CANCELLED"))
    assert groups(follower) == {"failed": 1}


def test_of_jobs_that_have_ended_a_look_reads_few(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.utils.session import create_session

    monkeypatch.setattr(follow, "LATE", 60)
    until, read = time.monotonic() + 60, []
    follower._late.extend(((number, "score", -1), until) for number in range(1_000))
    monkeypatch.setattr(follower, "read", lambda session, keys: read.extend(keys))
    with create_session() as session:
        follower.current(session)
    assert len(set(read)) <= 25


def test_a_comparison_sees_what_has_ended_unseen(follower: Follower, run: str) -> None:
    push("scores", run, card(status="DONE"))
    set_state("scores", run, "success")
    assert groups(follower, compare=True) == {"done": 1}
    # Its trigger may still write a card, and a user may mark it.
    push("scores", run, card(status="CANCELLED"))
    assert groups(follower, compare=True) == {"failed": 1}
    push("scores", run, card(status="DONE"))
    set_state("scores", run, "failed")
    assert groups(follower, compare=True) == {"failed": 1}


def test_a_comparison_sees_what_was_removed(client: Client, follower: Follower, run: str, new_run: Run) -> None:
    from airflow.models.xcom import XComModel

    assert groups(follower) == {"active": 1}
    other = new_run("scores")
    set_state("scores", other, "success")
    push("scores", other, card(status="DONE"))
    # As many as before.
    XComModel.clear(dag_id="scores", task_id="score", run_id=run)
    assert groups(follower, compare=True) == {"done": 1}


def test_a_task_that_is_cleared_and_runs_again_is_one_job(client: Client, follower: Follower, run: str) -> None:
    push("scores", run, card(status="DONE"))
    set_state("scores", run, "success")
    assert groups(follower, compare=True) == {"done": 1}
    body = {"dry_run": False, "dag_run_id": run, "task_ids": ["score"], "only_failed": False, "reset_dag_runs": False}
    answer = client("admin").post("/api/v2/dags/scores/clearTaskInstances", json=body)
    assert answer.status_code == 200, answer.text
    assert groups(follower, compare=True) == {"done": 1}
    set_state("scores", run, "running")
    push("scores", run, card())
    assert groups(follower) == {"active": 1}


def test_nothing_stale_or_removed_is_ever_shown(client: Client, follower: Follower, run: str, new_run: Run) -> None:
    viewer = client("viewer")
    ended = new_run("scores")
    push("scores", ended, card("DB.S.ENDED", "DONE"))
    set_state("scores", ended, "success")
    assert groups(follower, compare=True) == {"active": 1, "done": 1}
    # The index does not hear of any of this, but what it finds is read again.
    push("scores", ended, card("DB.S.ENDED", "CANCELLED", message="by hand"))
    assert viewer.get(JOBS, params={"group": "done"}).json()["jobs"] == []
    told = viewer.get(JOBS).json()
    assert [job["card"]["status"] for job in told["jobs"]] == ["RUNNING", "CANCELLED"]
    assert told["counts"] == {"active": 1, "done": 0, "failed": 1}
    assert client("admin").delete(f"/api/v2/dags/scores/dagRuns/{ended}").status_code == 204
    told = viewer.get(JOBS).json()
    assert (len(told["jobs"]), told["counts"]["failed"]) == (1, 0)
    # That the run is removed after the test is nothing to it.
    assert (
        client("admin").post("/api/v2/dags/scores/dagRuns", json={"dag_run_id": ended, "logical_date": None}).is_success
    )


def test_each_server_has_an_index_of_its_own(follower: Follower, run: str) -> None:
    assert groups(Follower()) == groups(follower) == {"active": 1}
    push("scores", run, card(status="DONE"))
    assert groups(follower) == groups(Follower()) == {"done": 1}


def test_after_a_pause_a_request_compares_for_itself(
    follower: Follower, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    push("scores", run, card(status="DONE"))
    set_state("scores", run, "success")
    assert groups(follower) == {}
    monkeypatch.setattr(follower, "_pause", 0)
    assert groups(follower) == {"done": 1}


def test_changes_without_a_time_are_found_one_by_one(
    follower: Follower, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import text

    set_state("scores", run, "success")
    push("scores", run, card(status="DONE"))
    assert groups(follower, compare=True) == {"done": 1}
    # As if all of it were long ago.
    monkeypatch.setattr(follow, "_MARGIN", -60)
    with create_session() as session:
        session.execute(text("UPDATE task_instance SET state = 'failed' WHERE run_id = :run"), {"run": run})
    assert groups(follower, compare=True) == {"done": 1}
    monkeypatch.setattr(follow, "WHOLE_EVERY", 0)
    assert groups(follower, compare=True) == {"failed": 1}


def test_a_thread_compares_and_survives_what_goes_wrong(
    database: None, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(follow, "LOOK_EVERY", 1e9)
    one, asked, seen = Follower(), [0], threading.Event()
    compare = one.compare
    # A request must not do what the thread is to do.
    monkeypatch.setattr(one, "_is_behind", lambda: asked[0] == 0)

    def sometimes(session: Any) -> None:
        asked[0] += 1
        if asked[0] == 2:
            raise OSError("no database")
        compare(session)
        if asked[0] > 2 and one.index.find(Wanted(DAGS), Order(), limit=1)[1][JobGroup.DONE]:
            monkeypatch.setattr(follow, "IDLE", 0)
            seen.set()

    monkeypatch.setattr(one, "compare", sometimes)
    assert groups(one) == {"active": 1}
    push("scores", run, card(status="DONE"))
    set_state("scores", run, "success")
    assert seen.wait(60)
    assert one._thread is not None
    one._thread.join(60)
    assert not one._thread.is_alive()


def test_no_statement_of_a_request_goes_through_a_table(client: Client, follower: Follower, run: str) -> None:
    from airflow import settings
    from sqlalchemy import event

    assert settings.engine is not None
    viewer = client("viewer")
    statements: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(settings.engine, "before_cursor_execute", note)
    try:
        for asked in ({}, {"group": "active"}, {"text": "score"}, {"sort": "duration"}, {"dag_id": "scores"}):
            assert len(viewer.get(JOBS, params=asked).json()["jobs"]) == 1
        this = {"dag_id": "scores", "run_id": run, "task_id": "score"}
        assert viewer.get("/snowflake-batch/job", params=this).json()["job"]
    finally:
        event.remove(settings.engine, "before_cursor_execute", note)
    with settings.engine.connect() as connection:
        plans = {
            statement: [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in statements
            if statement.startswith("SELECT") and "xcom" in statement
        }
    # The look at the tasks, the jobs of a page, one job, its links.
    assert len(plans) >= 4
    for statement, plan in plans.items():
        read = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
        # By the task's or the card's own names, or by the state of those that run; never by the key of all cards.
        assert read
        for step in read:
            assert step.startswith("SEARCH"), (step, statement)
            assert "idx_xcom_key" not in step, (step, statement)


def test_the_first_page_costs_the_database_the_same_however_many_jobs_there_are(
    client: Client, follower: Follower, run: str
) -> None:
    from airflow import settings
    from sqlalchemy import event

    viewer, steps, connections = client("viewer"), [0], set()

    def step() -> None:
        steps[0] += 1

    def count(connection: Any, cursor: Any, *_: Any) -> None:
        connections.add(cursor.connection)
        # Called at each instruction by which SQLite reads, compares or moves something.
        cursor.connection.set_progress_handler(step, 1)

    def cost() -> int:
        assert groups(follower, compare=True)["done"] > 25
        event.listen(settings.engine, "before_cursor_execute", count)
        try:
            steps[0] = 0
            assert len(viewer.get(JOBS).json()["jobs"]) == 25
        finally:
            event.remove(settings.engine, "before_cursor_execute", count)
            for each in connections:
                each.set_progress_handler(None, 1)
        return steps[0]

    set_state("scores", run, "success", task_id="parts", map_index=0)
    push("scores", run, card(status="DONE"), task_id="parts", map_index=0)
    copy_job(run, range(10, 110))
    few = cost()
    copy_job(run, range(110, 3_110))
    assert few > 1_000
    assert cost() < 1.05 * few


def copy_job(run: str, indexes: range) -> None:
    """More mapped tasks like the first one of a run, each with its card."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import text

    other = {"map_index": "number.at", "id": "lower(hex(randomblob(16)))"}
    numbers = "WITH RECURSIVE number(at) AS (SELECT :first UNION ALL SELECT at + 1 FROM number WHERE at + 1 < :end)"
    with create_session() as session:
        for table in (TaskInstance.__table__, XComModel.__table__):
            names = [column.name for column in table.columns]
            into = ", ".join(f'"{name}"' for name in names)
            values = ", ".join(other.get(name, f'{table.name}."{name}"') for name in names)
            first = f"FROM {table.name}, number WHERE run_id = :run AND task_id = 'parts' AND map_index = 0"
            given = {"run": run, "first": indexes.start, "end": indexes.stop}
            session.execute(text(f"INSERT INTO {table.name} ({into}) {numbers} SELECT {values} {first}"), given)
