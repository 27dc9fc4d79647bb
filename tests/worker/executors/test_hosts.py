"""Tasks are pulled by hosts as they have room. Hosts are stand-ins that answer as they are told.

Also tests ``worker/executors/share.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pyarrow as pa
import pytest

from airflow_provider_snowflake_batch.contract.job_file import Job, JobInput, JobOutput
from airflow_provider_snowflake_batch.contract.model_sources import PythonModel
from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.contract.vocabulary import SaveMode
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.bad_rows import Quarantine
from airflow_provider_snowflake_batch.worker.errors import (
    DataError,
    ModelError,
    ModelProcessDied,
    OutputError,
    TooManyBadRows,
)
from airflow_provider_snowflake_batch.worker.executors.base import Work
from airflow_provider_snowflake_batch.worker.executors.host import Failure, Order, Report
from airflow_provider_snowflake_batch.worker.executors.hosts import HostLost, Hosts
from airflow_provider_snowflake_batch.worker.executors.share import joined_schema
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.content import Identity
from airflow_provider_snowflake_batch.worker.input.plan import TASK_ROWS, RowRange, Task, make_tasks
from airflow_provider_snowflake_batch.worker.output.records import encode_schema
from airflow_provider_snowflake_batch.worker.progress import Progress

SECONDS = 10.0
JOB = Job("J", JobInput(Path("in")), JobOutput(Path("out"), SaveMode.ERROR), PythonModel("a:B", "f"))


class StandIn:
    """A host that says what a test has it say."""

    def __init__(self) -> None:
        self.orders: SimpleQueue[Order] = SimpleQueue()
        self.answers: SimpleQueue[Report | Exception] = SimpleQueue()
        self.has: list[int] = []

    def ask(self, order: Order) -> Report:
        self.orders.put(order)
        answer = self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def told(self) -> Order:
        order = self.orders.get(timeout=SECONDS)
        self.has += [task.index for task in order.tasks]
        return order


class Bench:
    """A batch of some tasks of ten rows."""

    def __init__(self, tasks: int, most_bad_rows: int = 5) -> None:
        self.time = 1000.0
        self.quarantine = Quarantine(most_bad_rows)
        self.progress = Progress()
        self.progress.plan(10 * tasks, tasks, 0, 0)
        self.done: list[int] = []
        self.notes: list[str] = []
        self.on_stage: dict[int, TaskRecord] = {}
        work = Work(
            replace(JOB, max_quarantined=most_bad_rows),
            pa.schema([]),
            Attempt("f"),
            lambda: Identity("model"),
            lambda: None,
            None,
            self.quarantine,
        )
        self.backlog = Backlog([task(index) for index in range(tasks)])
        self.hosts = Hosts(
            work,
            self.backlog,
            self.progress,
            lambda one: self.done.append(one.task),
            self._recorded,
            self.notes.append,
            lambda: self.time,
        )

    def _recorded(self, tasks: Collection[int]) -> Mapping[int, TaskRecord]:
        return {index: one for index, one in self.on_stage.items() if index in tasks}

    def join(self, replica: int) -> StandIn:
        host = StandIn()
        self.hosts.join(replica, host.ask)
        host.told()
        return host

    def say(self, host: StandIn, answer: Report | Exception) -> Order:
        """A host answers, and is told something."""
        self.hear(host, answer)
        return host.told()

    def hear(self, host: StandIn, answer: Report | Exception) -> None:
        host.answers.put(answer)
        self.hosts.step(SECONDS)


def task(index: int) -> Task:
    return Task(index, (RowRange("a.parquet", 0, 10 * index, 10 * index, 10),), 10, 100 - index)


def record(index: int, *, model: str = "model", bad: int = 0, kind: pa.DataType | None = None) -> TaskRecord:
    aside = PartFile(f"q{index}", bad, 1, "0") if bad else None
    schema = None if kind is None else encode_schema(pa.schema([("Y", kind)]))
    return TaskRecord(index, "f", None, 10, 0.1, schema, quarantine=aside, attempt="t", model=model)


def test_who_has_room_gets_the_next_ones() -> None:
    bench = Bench(10)
    slow, fast = bench.join(0), bench.join(1)

    assert [one.index for one in bench.say(slow, Report(room=1)).tasks] == [0]
    assert [one.index for one in bench.say(fast, Report(room=2)).tasks] == [1, 2]
    for first in (1, 3, 5, 7):
        done = (record(first), record(first + 1))
        bench.say(fast, Report(done, room=2))
    last = bench.say(fast, Report((record(9),), room=2))

    assert (last.tasks, last.complete) == ((), False)
    assert (slow.has, fast.has) == ([0], list(range(1, 10)))
    assert bench.hosts.open
    bench.say(slow, Report((record(0),)))
    assert not bench.hosts.open
    assert sorted(bench.done) == list(range(10))
    assert (bench.progress.tasks_done, bench.progress.rows_done) == (10, 100)
    assert bench.progress.by_replica is not None
    assert {one.replica: one.rows for one in bench.progress.by_replica().each} == {0: 10, 1: 90}


def test_what_is_left_is_likely_to_come_to_the_fast_ones() -> None:
    bench = Bench(30)
    slow, fast = bench.join(0), bench.join(1)
    assert bench.say(slow, Report(room=1)).share == 29 // 2
    bench.say(fast, Report(room=1))
    for index in range(1, 8):
        bench.time += 1
        bench.say(fast, Report((record(index),), room=1))
    bench.time += 1
    order = bench.say(slow, Report((record(0),), room=1))

    # One in 8 s, and seven.
    assert len(bench.backlog) == 20
    assert order.share == 20 * 1 // 8
    assert bench.say(fast, Report()).share == 20 * 7 // 8


def test_nothing_is_given_before_there_is_room() -> None:
    bench = Bench(4)
    loading = bench.join(1)
    assert bench.say(loading, Report()).tasks == ()
    assert len(bench.backlog) == 4


def ends(tasks: Sequence[Task], speeds: Sequence[float]) -> tuple[list[float], list[float]]:
    """When each of some hosts of one process has done its last task, and how long its longest one took.

    A process has the next task before the current one is done, as long as more are likely to come.

    :param speeds: rows a second.
    """
    bench = Bench(0)
    bench.hosts._backlog = Backlog(tasks)
    hosts = [bench.join(replica) for replica in range(len(speeds))]
    at_hand: list[list[Task]] = [[] for _ in hosts]
    done, ended, longest = [bench.time for _ in hosts], [bench.time for _ in hosts], [0.0 for _ in hosts]
    share = [len(tasks) for _ in hosts]

    def report(host: int, *records: TaskRecord) -> None:
        room = (2 if share[host] else 1) - len(at_hand[host])
        order = bench.say(hosts[host], Report(records, room=max(room, 0), workers=1))
        if not at_hand[host] and order.tasks:
            done[host] = bench.time + order.tasks[0].rows / speeds[host]
        at_hand[host] += order.tasks
        share[host] = order.share

    for host in range(len(hosts)):
        report(host)
    while any(at_hand):
        host = min((one for one in range(len(hosts)) if at_hand[one]), key=done.__getitem__)
        bench.time = ended[host] = done[host]
        finished = at_hand[host].pop(0)
        longest[host] = max(longest[host], finished.rows / speeds[host])
        if at_hand[host]:
            done[host] += at_hand[host][0].rows / speeds[host]
        report(host, replace(record(finished.index), input_rows=finished.rows))
    assert sorted(bench.done) == list(range(len(tasks)))
    return ended, longest


@pytest.mark.parametrize("speeds", [(1e5,) * 4, (1e5, 1e5, 1e5, 2.5e4)], ids=["alike", "one slow"])
@pytest.mark.parametrize("rows", [65_536, 2_000_000], ids=["row groups of a task", "large row groups"])
def test_in_the_end_no_host_works_alone_for_longer_than_a_task(rows: int, speeds: Sequence[float]) -> None:
    """Also where one of ten files holds 60 % of the rows: it is cut before, from its row groups."""
    sizes = (12_000_000, *[8_000_000 // 9] * 9)
    groups = [[rows] * (size // rows) + [size % rows] * bool(size % rows) for size in sizes]
    files = [(f"{number}.parquet", tuple((one, 16 * one) for one in found)) for number, found in enumerate(groups)]
    tasks = make_tasks(files)
    assert max(task.rows for task in tasks) <= 2 * TASK_ROWS
    ended, longest = ends(tasks, speeds)
    assert max(ended) - min(ended) <= max(longest)


def test_one_that_comes_late_helps() -> None:
    bench = Bench(4)
    bench.say(bench.join(0), Report(room=1))
    late = bench.join(3)
    assert [one.index for one in bench.say(late, Report(room=2)).tasks] == [1, 2]
    assert bench.hosts.replicas == {0, 3}


def test_the_unfinished_tasks_of_a_lost_host_are_done_by_others() -> None:
    bench = Bench(4)
    first, lost = bench.join(0), bench.join(1)
    bench.say(lost, Report(room=3))
    # It had recorded one when it was lost, and nobody heard of it.
    bench.on_stage[1] = record(1)
    bench.hear(lost, HostLost("its node is gone"))

    assert bench.done == [1]
    assert [one.index for one in bench.say(first, Report(room=4)).tasks] == [0, 2, 3]
    assert bench.notes == ["replica 1 is lost: its node is gone; 2 of its tasks are done again by others"]
    assert bench.hosts.replicas == {0}
    bench.say(first, Report((record(0), record(2), record(3))))
    assert sorted(bench.done) == [0, 1, 2, 3]


def test_a_lost_replica_may_come_again() -> None:
    bench = Bench(2)
    lost = bench.join(1)
    bench.say(lost, Report(room=2, rows_at_hand=7))
    assert bench.progress.rows_done == 7
    bench.hear(lost, HostLost("gone"))
    assert bench.progress.rows_done == 0
    assert [one.index for one in bench.say(bench.join(1), Report(room=2)).tasks] == [0, 1]


def test_a_task_that_takes_its_replica_along_again_and_again_is_named() -> None:
    bench = Bench(1)
    for replica in (1, 2):
        host = bench.join(replica)
        bench.say(host, Report(room=1))
        bench.hear(host, HostLost("gone"))
    host = bench.join(3)
    bench.say(host, Report(room=1))
    with pytest.raises(ModelProcessDied, match=r"lost each of the 3 times it worked on rows 0–9 of file a\.parquet"):
        bench.hear(host, HostLost("gone"))


def test_a_task_that_a_lost_host_had_in_advance_has_not_taken_it_along() -> None:
    """Its process has two tasks, one after the other. The third has not begun, however often that happens."""
    bench = Bench(9)
    for replica, first in ((1, 0), (2, 2), (3, 4)):
        lost = bench.join(replica)
        assert [one.index for one in bench.say(lost, Report(room=9, workers=1)).tasks] == list(range(first, 9))
        # What it worked on was recorded in time.
        bench.on_stage = {index: record(index) for index in (first, first + 1)}
        bench.hear(lost, HostLost("gone"))
    assert bench.done == list(range(6))
    assert [one.index for one in bench.say(bench.join(4), Report(room=9)).tasks] == [6, 7, 8]


def test_a_task_whose_types_do_not_go_with_those_of_others_is_named() -> None:
    bench = Bench(2)
    host = bench.join(1)
    bench.say(host, Report(room=2))
    records = (record(0, kind=pa.int64()), record(1, kind=pa.string()))
    message = r"column 'Y': int64 and string have no common type \(rows 10–19 of file a\.parquet\)"
    with pytest.raises(DataError, match=message):
        bench.hear(host, Report(records))
    with pytest.raises(DataError, match=message):
        joined_schema(dict(enumerate(records)), [task(0), task(1)])


def test_what_a_record_says_twice_counts_once() -> None:
    bench = Bench(2)
    host = bench.join(1)
    bench.say(host, Report(room=2))
    bench.say(host, Report((record(0), record(0))))
    assert bench.done == [0]


def test_the_failure_of_a_host_ends_the_batch() -> None:
    bench = Bench(2)
    with pytest.raises(ModelError, match="^no leaf$") as caught:
        bench.hear(bench.join(1), Report(failure=Failure("ModelError", "no leaf", "Traceback …"), ended=True))
    assert caught.value.details == "Traceback …"


def test_a_host_with_another_model_ends_the_batch() -> None:
    bench = Bench(2)
    host = bench.join(1)
    bench.say(host, Report(room=1))
    with pytest.raises(OutputError, match="^replica 1 has other files of the model than replica 0"):
        bench.hear(host, Report((record(0, model="other"),)))


def test_bad_rows_are_counted_over_all_hosts() -> None:
    bench = Bench(4, most_bad_rows=5)
    one, other = bench.join(0), bench.join(1)
    bench.say(one, Report(room=1))
    bench.say(other, Report(room=1))
    bench.say(one, Report((record(0, bad=2),), room=1))
    # What others have set aside; a host knows its own.
    assert bench.say(other, Report(bad_rows_at_hand=3)).bad_rows_elsewhere == 2
    assert bench.progress.quarantined_rows == 5
    told = tuple(f"ValueError: {number}" for number in range(2))
    bench.say(one, Report(bad_rows_at_hand=0, first_bad_rows=told, batch_rows=256))
    bench.say(other, Report(bad_rows_at_hand=3, first_bad_rows=("a", "b"), batch_rows=64))
    assert bench.progress.first_bad_rows == [*told, "a"]
    assert bench.progress.batch_rows == 256
    with pytest.raises(TooManyBadRows):
        bench.hear(one, Report(bad_rows_at_hand=1))


def test_one_that_is_still_being_started_holds_up_nobody() -> None:
    bench = Bench(1)
    one, starting = bench.join(0), bench.join(1)
    bench.say(one, Report(room=1))
    assert bench.say(one, Report((record(0),))).complete
    one.answers.put(Report(ended=True))

    def finish() -> None:
        bench.hosts.finish(600)
        bench.hosts.end(600)

    finishing = threading.Thread(target=finish, daemon=True)
    finishing.start()
    finishing.join(SECONDS)
    assert not finishing.is_alive()
    assert starting.has == []


def test_all_are_told_when_nothing_more_will_come() -> None:
    bench = Bench(1)
    one, idle = bench.join(0), bench.join(1)
    bench.say(one, Report(room=1))
    assert not bench.say(idle, Report(room=1)).complete
    assert bench.say(one, Report((record(0),))).complete

    finishing = threading.Thread(target=bench.hosts.finish, args=(SECONDS,))
    finishing.start()
    idle.answers.put(Report(room=1))
    assert idle.told().complete
    finishing.join(SECONDS)
    assert not finishing.is_alive()

    ending = threading.Thread(target=bench.hosts.end, args=(SECONDS,))
    ending.start()
    for host in (one, idle):
        host.answers.put(Report(ended=True))
    ending.join(SECONDS)
    assert not ending.is_alive()


def test_the_schema_of_all_parts_is_passed_on() -> None:
    from airflow_provider_snowflake_batch.worker.output.records import encode_schema

    bench = Bench(2)
    one, other = bench.join(0), bench.join(1)
    bench.say(one, Report(room=1))
    schema = pa.schema([("Y", pa.float64())])
    done = replace(record(0), schema=encode_schema(schema), part=PartFile("p", 10, 1, "0"))
    bench.say(one, Report((done,)))
    assert bench.say(other, Report(room=1)).schema == schema


def test_unforeseen_errors_of_a_conversation_are_not_swallowed() -> None:
    bench = Bench(1)
    with pytest.raises(ZeroDivisionError):
        bench.hear(bench.join(1), ZeroDivisionError())
