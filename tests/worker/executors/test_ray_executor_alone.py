"""What replica 0 does where no cluster comes about. Nothing here needs Ray."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_snowflake_batch.worker.cluster.leader import Leader
from airflow_provider_snowflake_batch.worker.cluster.place import Place, _free_ports
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Rendezvous, RunEnd, Timeouts
from airflow_provider_snowflake_batch.worker.errors import ClusterError
from airflow_provider_snowflake_batch.worker.executors import ray_cluster, ray_executor
from airflow_provider_snowflake_batch.worker.executors.hosts import HostLost
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.ray_executor import RayExecutor
from airflow_provider_snowflake_batch.worker.job import Replica, read_job
from airflow_provider_snowflake_batch.worker.run import Run
from tests.worker.batches import Batch

TASK_ROWS = 65_536


class NoCluster:
    """A cluster whose head cannot be started."""

    children: frozenset[int] = frozenset()

    def __init__(self, *_: object) -> None:
        pass

    def newcomers(self) -> Iterator[tuple[int, str]]:
        raise ClusterError("Ray could not be started (exit code 1): no room")

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[Leader]:
    leader = Leader(Place("127.0.0.2", _free_ports()), Rendezvous(tmp_path), 2, {}, Timeouts())
    yield leader
    leader.end(RunEnd())


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "RayCluster", NoCluster)


def lead(path: Path, leader: Leader) -> None:
    job = read_job(path)
    Run(job, Replica(0, 2), RayExecutor(leader, Launcher(), job, path.parent))()


def test_it_does_all_tasks_by_itself(batch: Batch, leader: Leader, capsys: pytest.CaptureFixture[str]) -> None:
    batch.ids(3 * TASK_ROWS, row_group_size=TASK_ROWS)
    lead(batch.job(inference={"num_workers": 1}), leader)

    assert batch.result()["Y"].to_pylist() == [one * 6.0 for one in range(3 * TASK_ROWS)]
    assert batch.verify().code == 0
    said = capsys.readouterr().err.splitlines()
    assert said == ["Ray could not be started (exit code 1): no room; replica 0 goes on without the others"]


@pytest.mark.parametrize("asked", [{"executor": "ray"}, {"min_replicas": 2}])
def test_it_fails_where_a_cluster_was_asked_for(batch: Batch, leader: Leader, asked: dict[str, object]) -> None:
    batch.ids(3 * TASK_ROWS, row_group_size=TASK_ROWS)
    path = batch.job(init={"seconds": 0.2}, inference={"num_workers": 1, **asked})
    with pytest.raises(ClusterError, match="no room"):
        lead(path, leader)
    assert not batch.succeeded()


def test_it_asks_for_no_cluster_where_its_own_processes_can_have_all_tasks(
    batch: Batch, leader: Leader, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.ids(1000)
    lead(batch.job(inference={"num_workers": 1, "executor": "ray"}), leader)
    assert batch.result()["ID"].to_pylist() == list(range(1000))
    assert capsys.readouterr().err == ""


class Silent:
    """Ray, of which nothing is heard: as long as it is not sure that a node is dead."""

    class RayError(Exception):
        pass

    class ActorUnavailableError(RayError):
        pass

    class GetTimeoutError(RayError):
        pass

    def __init__(self, *, hangs_up: bool) -> None:
        self.exceptions, self.here, self.hangs_up, self.asked = self, {0, 1}, hangs_up, 0
        self.cluster = ray_cluster.RayCluster.__new__(ray_cluster.RayCluster)
        self.cluster._asking, self.cluster._asked = 0, threading.Condition()
        self.cluster._ray, self.cluster._leader = self, SimpleNamespace(here=self.here)  # type: ignore[assignment]

    def get(self, asked: object, timeout: float) -> object:
        self.asked += 1
        if self.hangs_up:
            self.here.discard(1)
        raise self.GetTimeoutError

    def answer(self, seconds: float) -> object:
        return self.cluster.answer(1, object, seconds)


def test_a_replica_that_has_hung_up_is_lost_before_ray_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Silent(hangs_up=True)
    monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
    with pytest.raises(HostLost, match="its node is gone"):
        ray.answer(600)
    assert ray.asked == 1


def test_one_that_is_there_has_its_time_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Silent(hangs_up=False)
    monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
    # A second passes with each look.
    monkeypatch.setattr(ray_cluster, "time", SimpleNamespace(monotonic=itertools.count().__next__))
    with pytest.raises(HostLost, match="it has not answered for 3 s"):
        ray.answer(3)
    assert ray.asked == 4


class Waiting(Silent):
    """Ray as one thread waits for an answer of it, and another one leaves it."""

    def __init__(self) -> None:
        super().__init__(hangs_up=False)
        self.waits, self.answers, self.calls = threading.Event(), threading.Event(), list[str]()
        self.cluster._actors, self.cluster._readers = ["host"], ["reader"]

    def get(self, asked: object, timeout: float) -> object:
        self.waits.set()
        assert self.answers.wait(60)
        # Whoever leaves the cluster has time to be too early.
        time.sleep(0.2)
        self.calls.append("got")
        raise self.GetTimeoutError

    def kill(self, actor: str) -> None:
        self.calls.append(f"killed {actor}")
        self.answers.set()

    def shutdown(self) -> None:
        self.calls.append("shut down")


def test_a_cluster_is_left_when_nobody_waits_for_an_answer_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray ends the process when it is called, or is being called, after its shutdown."""
    ray = Waiting()
    monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(ray.answer, 600)
        assert ray.waits.wait(60)
        ray.cluster.close()
        with pytest.raises(HostLost, match="the cluster is left"):
            answer.result(60)
    assert ray.calls == ["killed host", "killed reader", "got", "shut down"]

    # Who comes later asks nothing: for a call, Ray would start another cluster.
    with pytest.raises(HostLost, match="the cluster is left"):
        ray.cluster.answer(1, lambda: ray.calls.append("called"), 600)
    ray.cluster.close()
    assert ray.calls[4:] == []


def test_a_host_that_has_ended_is_started_again_on_its_node_but_not_for_ever() -> None:
    """As one that was killed for lack of memory: otherwise its node would stand idle to the end."""
    here, lost = {0, 1, 2}, set[str]()
    nodes = [
        {"NodeID": "head", "Alive": True, "Resources": {"replica_0": 1.0, "CPU": 0.0}},
        {"NodeID": "a", "Alive": True, "Resources": {"replica_1": 1.0}},
        {"NodeID": "b", "Alive": True, "Resources": {"replica_2": 1.0}},
        {"NodeID": "gone", "Alive": False, "Resources": {"replica_3": 1.0}},
    ]
    cluster = ray_cluster.RayCluster.__new__(ray_cluster.RayCluster)
    cluster._ray, cluster._leader = SimpleNamespace(nodes=lambda: nodes), SimpleNamespace(here=here)  # type: ignore[assignment]
    cluster._starts, cluster._lost = {}, lost

    def come() -> list[tuple[int, str]]:
        cluster._looked = float("-inf")
        return list(cluster.newcomers())

    assert come() == [(1, "a"), (2, "b")]
    assert come() == []
    lost.add("a")
    assert come() == [(1, "a")]
    assert come() == []
    # Ray says for a while that the node of a replica lives that has hung up.
    here.discard(2)
    lost.update("ab")
    assert come() == [(1, "a")]
    lost.add("a")
    assert come() == []
