"""What another replica does from replica 0's first word to its last one, with a program in Ray's place."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.cluster import follower as followers
from airflow_provider_snowflake_batch.worker.cluster import leader as leaders
from airflow_provider_snowflake_batch.worker.cluster.follower import Follower
from airflow_provider_snowflake_batch.worker.cluster.leader import Leader
from airflow_provider_snowflake_batch.worker.cluster.place import Place, _free_ports
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Rendezvous, RunEnd, Timeouts
from airflow_provider_snowflake_batch.worker.errors import ClusterError, ModelError

VERSIONS = {"Python": "3.11.7", "Ray": "2.55.1"}
SECONDS = 120
PRINTS = """
from airflow_provider_snowflake_batch.worker.cluster.follower import NodeFacts
facts = NodeFacts.here()
with open(facts.out, "w") as out, open(facts.err, "w") as err:
    print("a model process was here", file=out)
    print("its threads were stated:", *facts.threads, file=err)
"""


@pytest.fixture
def leader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leader]:
    # A follower looks at its node with each word, and a word is a sign of life, too.
    monkeypatch.setattr(leaders, "SIGN_SECONDS", 0.05)
    leader = Leader(Place("127.0.0.2", _free_ports()), Rendezvous(tmp_path), 2, VERSIONS, Timeouts(silence=SECONDS))
    yield leader
    leader.end(RunEnd())


class Replica:
    """A follower at work.

    :ivar notes: what it has remarked. :ivar ended: its end.
    """

    def __init__(self, folder: Path, streams: tuple[int, int], *, needed: bool) -> None:
        self.notes: list[str] = []
        self._thread = ThreadPoolExecutor(1)
        self.ended: Future[None] = self._thread.submit(
            Follower(
                folder / "JOB.json",
                1,
                Place("127.0.0.3", _free_ports()),
                folder,
                streams,
                VERSIONS,
                Timeouts(silence=SECONDS),
                self.notes.append,
                needed=needed,
            )
        )

    def until_noted(self, words: str) -> None:
        wait_for(lambda: any(words in note for note in self.notes) or self.ended.done())
        assert any(words in note for note in self.notes), self.ended.exception(0)


def wait_for(there: Callable[[], bool]) -> None:
    for _ in range(SECONDS * 100):
        if there():
            return
        select.select([], [], [], 0.01)
    raise AssertionError("it has not come to that")


@pytest.fixture
def begin(
    leader: Leader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[Replica, list[int]]]]:
    """Begins to help with a program that is started as the node; the replica, and where its two streams can be read."""
    pipes = [os.pipe(), os.pipe()]
    begun: list[Replica] = []

    def start(program: str, *, needed: bool = False) -> tuple[Replica, list[int]]:
        monkeypatch.setattr(
            followers, "start_command", lambda *place, cluster: [sys.executable, "-c", program, cluster]
        )
        begun.append(Replica(tmp_path, (pipes[0][1], pipes[1][1]), needed=needed))
        wait_for(lambda: leader.here == {0, 1})
        return begun[0], [pipe[0] for pipe in pipes]

    yield start
    leader.end(RunEnd())
    for replica in begun:
        # Its failure is the test's affair.
        replica.ended.exception(SECONDS)
    for pipe in pipes:
        for end in pipe:
            os.close(end)


def read(stream: int) -> str:
    assert select.select([stream], [], [], SECONDS)[0], "nothing was written"
    return os.read(stream, 1000).decode()


def test_its_node_writes_where_it_writes_and_it_ends_as_the_first_one_does(
    leader: Leader, begin: Callable[..., tuple[Replica, list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    replica, (out, err) = begin(PRINTS)
    leader.cluster_is_up("127.0.0.2:12002")
    assert read(out) == "a model process was here\n"
    assert "OMP_NUM_THREADS" in read(err)
    replica.until_noted("this replica's Ray node has joined the cluster")
    leader.end(RunEnd())
    assert replica.ended.result(SECONDS) is None


def test_the_failure_of_the_first_one_is_its_own(
    leader: Leader, begin: Callable[..., tuple[Replica, list[int]]]
) -> None:
    replica, _ = begin("")
    leader.end(RunEnd("ModelError", "no leaf"))
    with pytest.raises(ModelError, match=r"^replica 0 has ended: no leaf$"):
        replica.ended.result(SECONDS)


def test_an_end_that_did_not_come_over_the_channel_is_read(
    leader: Leader, begin: Callable[..., tuple[Replica, list[int]]], tmp_path: Path
) -> None:
    """As when replica 0 ends at the moment when another one comes."""
    replica, _ = begin("")
    for channel in list(leader._channels.values()):
        channel.shut_down()
    Rendezvous(tmp_path).close(leader.announcement, RunEnd("ModelError", "no leaf"))
    with pytest.raises(ModelError, match=r"^replica 0 has ended: no leaf$"):
        replica.ended.result(SECONDS)


def test_a_first_one_that_is_lost_ends_it(
    leader: Leader, begin: Callable[..., tuple[Replica, list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "_END_SECONDS", 0.0)
    replica, _ = begin("")
    for channel in list(leader._channels.values()):
        channel.shut_down()
    with pytest.raises(ClusterError, match=r"^replica 0 is gone \(.+\); what is recorded stays"):
        replica.ended.result(SECONDS)


def test_where_no_node_starts_the_others_go_on_unless_all_are_needed(
    leader: Leader, begin: Callable[..., tuple[Replica, list[int]]]
) -> None:
    replica, _ = begin("raise SystemExit('no room')")
    leader.cluster_is_up("127.0.0.2:12002")
    replica.until_noted("Ray could not be started (exit code 1): no room; the others go on without this replica")
    assert not replica.ended.done(), "it still waits for the end"
    leader.end(RunEnd())
    assert replica.ended.result(SECONDS) is None


def test_a_node_that_is_needed_and_does_not_start_fails_the_job(
    leader: Leader, begin: Callable[..., tuple[Replica, list[int]]]
) -> None:
    replica, _ = begin("raise SystemExit('no room')", needed=True)
    leader.cluster_is_up("127.0.0.2:12002")
    with pytest.raises(ClusterError, match=r"^Ray could not be started \(exit code 1\): no room$"):
        replica.ended.result(SECONDS)
