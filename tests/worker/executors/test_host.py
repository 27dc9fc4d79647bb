"""A host is the model processes of one machine, fed from elsewhere: here by the tests, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.executors.host import Host, Order, Report
from airflow_provider_snowflake_batch.worker.executors.hosts import HostLost
from airflow_provider_snowflake_batch.worker.job import Replica, read_job
from airflow_provider_snowflake_batch.worker.run import Run
from tests.worker.batches import Batch
from tests.worker.executors.two_hosts import TwoHosts

TASK_ROWS = 65_536


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
