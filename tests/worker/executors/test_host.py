"""A host is the model processes of one machine, fed from elsewhere: here by the tests, without a network."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

import pyarrow as pa
import pytest

from airflow_provider_snowflake_batch.contract.job_file import Job, JobInput, JobOutput
from airflow_provider_snowflake_batch.contract.model_sources import PythonModel
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.contract.vocabulary import SaveMode
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.bad_rows import Quarantine
from airflow_provider_snowflake_batch.worker.executors import host as hosts
from airflow_provider_snowflake_batch.worker.executors.base import Work
from airflow_provider_snowflake_batch.worker.executors.host import Host, Order, Report
from airflow_provider_snowflake_batch.worker.executors.hosts import HostLost
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.processes import TASKS_AT_HAND
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.content import Identity
from airflow_provider_snowflake_batch.worker.input.plan import Task
from airflow_provider_snowflake_batch.worker.job import Replica, read_job
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.run import Run
from tests.worker.batches import Batch
from tests.worker.executors.two_hosts import TwoHosts

TASK_ROWS = 65_536
SECONDS = 60.0


class InOneProcess(TwoHosts):
    """Two hosts of this machine, each with one model process. Nothing is given out before both have loaded it.

    :param loses: whether the answer to an order gets lost on the way. :param dies: the host that is lost.
    """

    def __init__(self, loses: Callable[[Order], bool] = lambda order: False, dies: int | None = None) -> None:
        super().__init__()
        self.loses, self.dies = loses, dies
        self.loaded: set[int] = set()
        self.records: list[tuple[int, int]] = []

    def asking(self, number: int, host: Host) -> Callable[[Order], Report]:
        done = 0

        def ask(order: Order) -> Report:
            nonlocal done
            report = host.exchange(order)
            while self.loses(order):
                report = host.exchange(order)
            done += len(report.records)
            self.records += [(number, record.task) for record in report.records]
            if number == self.dies and done:
                host.kill()
                raise HostLost("killed")
            if report.workers:
                self.loaded.add(number)
            return report if len(self.loaded) == 2 else replace(report, room=0)

        return ask


@pytest.fixture
def ready(batch: Batch) -> Iterator[Batch]:
    batch.ids(8 * TASK_ROWS, row_group_size=TASK_ROWS)
    yield batch
    assert batch.result()["Y"].to_pylist() == [one * 6.0 for one in range(8 * TASK_ROWS)]
    assert batch.verify().code == 0
    assert not [path for path in batch.output.glob("_tasks/*") if path.is_dir()]


def run(path: Path, executor: InOneProcess) -> None:
    Run(read_job(path), Replica(), executor)()


def test_two_hosts_do_each_task_once(ready: Batch) -> None:
    marks = ready.root / "marks"
    path = ready.job(init={"marks": str(marks), "seconds": 0.1}, inference={"num_workers": 1})
    executor = InOneProcess()
    run(path, executor)

    assert sorted(task for _, task in executor.records) == list(range(8))
    assert {host for host, _ in executor.records} == {0, 1}
    firsts = [line.split()[1] for line in marks.read_text().splitlines()]
    assert len(firsts) == len(set(firsts))
    manifest = json.loads((ready.output / "_manifest.json").read_text())
    assert [one["rows"] for one in manifest["files"]] == [TASK_ROWS] * 8


def test_an_order_whose_answer_was_lost_is_given_again_and_done_once(ready: Batch) -> None:
    again = {number: iter([True, True, False]) for number in range(1, 100)}
    path = ready.job(inference={"num_workers": 1})
    executor = InOneProcess(loses=lambda order: next(again.get(order.number, iter(())), False))
    run(path, executor)

    assert sorted(task for _, task in executor.records) == list(range(8))


def test_what_a_lost_host_had_not_recorded_is_done_by_the_other(ready: Batch) -> None:
    path = ready.job(init={"seconds": 0.05}, inference={"num_workers": 1})
    executor = InOneProcess(dies=1)
    run(path, executor)

    assert len(executor.notes) == 1
    assert executor.notes[0].startswith("replica 1 is lost: killed")
    assert [host for host, _ in executor.records].count(0) >= 4


def test_a_failure_is_that_of_the_model(batch: Batch) -> None:
    from airflow_provider_snowflake_batch.worker.errors import ModelError

    batch.ids(2 * TASK_ROWS, row_group_size=TASK_ROWS)
    path = batch.job("Raises", inference={"num_workers": 1})
    with pytest.raises(ModelError, match="the tree has no leaf for 150"):
        run(path, InOneProcess())
    assert not batch.succeeded()


class HeldPool:
    """Two model processes, of which one ends its task when the test says so.

    :cvar last: the newest one.
    """

    last: HeldPool
    most = 2 * TASKS_AT_HAND

    def __init__(self, launcher: Launcher) -> None:
        HeldPool.last = self
        self.ends: SimpleQueue[float] = SimpleQueue()
        self._has: deque[Task] = deque()

    def run(self, work: Work, backlog: Backlog, progress: Progress, done: Callable[[TaskRecord], None]) -> None:
        progress.workers = 2
        while backlog.open or self._has:
            backlog.look()
            while self.room() and (task := backlog.take()) is not None:
                self._has.append(task)
            progress.tick()
            with contextlib.suppress(Empty):
                seconds = self.ends.get(timeout=0.01)
                assert self._has, "a test has it end a task that it does not have"
                done(TaskRecord(self._has.popleft().index, "f", None, 1, seconds, None))

    @property
    def has_begun(self) -> bool:
        """Whether it has more tasks than are about to end."""
        return len(self._has) > self.ends.qsize()

    def room(self) -> int:
        return self.most - len(self._has)

    def widen(self, schema: object) -> None:
        pass

    def stop(self) -> None:
        pass

    def kill(self) -> None:
        pass


class Fed:
    """A host of two processes that is given what it has room for, and is likely to get all that is left.

    :ivar left: tasks that it has not got.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tasks: int, column: str | None = None) -> None:
        monkeypatch.setattr(hosts, "ProcessPool", HeldPool)
        # So that only news ends an exchange.
        monkeypatch.setattr(hosts, "EXCHANGE_SECONDS", SECONDS)
        monkeypatch.setattr(hosts, "BUSY_EXCHANGE_SECONDS", SECONDS)
        source = JobInput(Path("in"), partition_column=column)
        job = Job("J", source, JobOutput(Path("out"), SaveMode.ERROR), PythonModel("a:B", "f"))
        work = Work(job, pa.schema([]), Attempt("f"), lambda: Identity("m"), lambda: None, None, Quarantine(0))
        self.left = [Task(index, (), 1, 1) for index in range(tasks)]
        self._launcher = Launcher()
        self._host = Host(work, self._launcher, tasks)
        self._thread = ThreadPoolExecutor(1)
        self._number = self._ended = self._told = 0
        self.room = 0
        self.told(None)

    def told(self, seconds: float | None) -> int:
        """How many tasks the next exchange tells of, while the processes end one after the other.

        :param seconds: that each task takes.
        """
        tasks, self.left = tuple(self.left[: self.room]), self.left[self.room :]
        self._number += 1
        over = not tasks and not self.left and self.room == HeldPool.most
        order = Order(self._number, tasks, len(self.left), over)
        exchange = self._thread.submit(self._host.exchange, order)
        while not exchange.done():
            if seconds is not None and HeldPool.last.has_begun:
                self._end_one(seconds)
            wait([exchange], 0.03)
        report = exchange.result()
        assert report.failure is None
        self.room = report.room
        self._told += len(report.records)
        return len(report.records)

    def _end_one(self, seconds: float) -> None:
        """Let a process end its task, if the last one that has ended is known and does not end the exchange."""
        with self._host._changed:
            is_known = self._told + len(self._host._records) == self._ended
            if is_known and not self._host._has_news():
                HeldPool.last.ends.put(seconds)
                self._ended += 1

    def end(self, seconds: float) -> None:
        """Do all that is left."""
        while self.left or self.room < HeldPool.most:
            self.told(seconds)
        self._thread.shutdown()
        self._host.kill()
        self._launcher.close()


def test_of_short_tasks_one_exchange_tells_of_several_and_brings_several(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = Fed(monkeypatch, 200)
    assert fed.room == HeldPool.most
    # Until it is known how long they take.
    assert fed.told(0.1) in (1, 2)
    # 40 would be done soon; no more than a quarter of what is likely to come is given out in advance.
    assert HeldPool.most < fed.room <= 49 + HeldPool.most
    assert fed.told(0.1) >= 10
    fed.end(0.1)


def test_no_process_waits_for_an_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is something to do as long as the answer is on its way."""
    fed = Fed(monkeypatch, 200)
    for _ in range(4):
        fed.told(0.1)
        assert len(HeldPool.last._has) >= HeldPool.most - 1
    fed.end(0.1)


@pytest.mark.parametrize(("seconds", "column"), [(30.0, None), (0.1, "G")], ids=["long", "in groups"])
def test_of_other_tasks_each_is_told_as_soon_as_it_is_done(
    monkeypatch: pytest.MonkeyPatch, seconds: float, column: str | None
) -> None:
    """A long one is worth an exchange; the rows of groups take room from the moment when a host has them."""
    fed = Fed(monkeypatch, 40, column)
    for _ in range(10):
        assert fed.told(seconds) in (0, 1, 2)
        assert fed.room <= HeldPool.most
    fed.end(seconds)


def test_the_last_tasks_are_not_taken_in_advance(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = Fed(monkeypatch, 200)
    while len(fed.left) > 3:
        fed.told(0.1)
    fed.told(0.1)
    assert fed.room <= HeldPool.most
    fed.end(0.1)
