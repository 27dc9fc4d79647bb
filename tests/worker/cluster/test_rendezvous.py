"""Replicas find each other in any order, and each hears how it ended.

Also tests ``worker/cluster/leader.py``, ``worker/cluster/channel.py``.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.worker.cluster import channel
from airflow_provider_snowflake_batch.worker.cluster.channel import BROKEN, Channel
from airflow_provider_snowflake_batch.worker.cluster.follower import Follower, Unreachable, find
from airflow_provider_snowflake_batch.worker.cluster.leader import Leader, unlike
from airflow_provider_snowflake_batch.worker.cluster.place import Place, _free_ports
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Announcement, Rendezvous, RunEnd, Timeouts
from airflow_provider_snowflake_batch.worker.errors import ClusterError

VERSIONS = {"Python": "3.11.7", "Ray": "2.55.1"}


class Clock:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.then: dict[float, Callable[[], object]] = {}

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        for moment in [one for one in self.then if one <= self.time]:
            self.then.pop(moment)()


@pytest.fixture
def rendezvous(tmp_path: Path) -> Rendezvous:
    return Rendezvous(tmp_path)


def answered(announcement: Announcement) -> Any:
    return announcement.run


def refused(announcement: Announcement) -> Channel:
    raise ConnectionRefusedError


def search(rendezvous: Rendezvous, call: Callable[[Announcement], Any], clock: Clock) -> Any:
    return find(rendezvous, Timeouts(), call, clock, clock.sleep)


def test_the_first_replica_may_come_much_later(rendezvous: Rendezvous) -> None:
    clock = Clock()
    made: list[Announcement] = []
    clock.then[500.0] = lambda: made.append(rendezvous.announce("10.0.0.1", 12001))

    assert search(rendezvous, answered, clock) == (made[0], made[0].run)
    assert 500 <= clock.time <= 502


def test_the_announcement_of_a_run_that_was_killed_is_not_waited_for(rendezvous: Rendezvous) -> None:
    clock = Clock()
    dead = rendezvous.announce("10.0.0.1", 12001)
    live: list[Announcement] = []
    clock.then[20.0] = lambda: live.append(rendezvous.announce("10.0.0.2", 12001))

    def call(announcement: Announcement) -> Any:
        return refused(announcement) if announcement.run == dead.run else announcement.run

    assert search(rendezvous, call, clock) == (live[0], live[0].run)
    # It has been removed by the one that lives.
    assert rendezvous.read() == (live, [])


def test_one_that_never_comes_is_named(rendezvous: Rendezvous) -> None:
    with pytest.raises(ClusterError, match=r"^replica 0 has not come within 720 s$"):
        search(rendezvous, answered, Clock())
    rendezvous.announce("10.0.0.9", 12001)
    with pytest.raises(Unreachable, match=r"listens at 10\.0\.0\.9:12001, but nobody answers there"):
        search(rendezvous, refused, Clock())


def follower(folder: Path, notes: list[str], *, needed: bool) -> Follower:
    place, timeouts = Place("127.0.0.3", _free_ports()), Timeouts(rendezvous=0.0)
    return Follower(folder / "JOB.json", 1, place, folder, (1, 2), VERSIONS, timeouts, notes.append, needed=needed)


def test_a_replica_that_cannot_reach_the_first_fails_the_job_only_if_it_is_needed(
    rendezvous: Rendezvous, tmp_path: Path
) -> None:
    """Where no port is open between containers, replica 0 does all."""
    rendezvous.announce("127.0.0.2", 1)
    notes: list[str] = []
    with pytest.raises(Unreachable):
        follower(tmp_path, notes, needed=True)()
    follower(tmp_path, notes, needed=False)()
    assert notes == [
        "replica 0 says that it listens at 127.0.0.2:1, but nobody answers there; it goes on without this replica"
    ]


def test_who_comes_when_all_is_over_hears_how_it_ended(rendezvous: Rendezvous) -> None:
    """But not at once: it may be the word of an attempt before this one."""
    clock = Clock()
    rendezvous.close(rendezvous.announce("10.0.0.1", 12001), RunEnd("ModelError", "no leaf"))

    assert search(rendezvous, answered, clock) == RunEnd("ModelError", "no leaf")
    assert 30 <= clock.time <= 33


def test_the_word_of_an_earlier_run_is_not_believed_as_long_as_the_first_replica_waits_for_a_node(
    rendezvous: Rendezvous,
) -> None:
    """As where a job runs again under its name: its first replica may get a node minutes after the others."""
    clock = Clock()
    statuses = ["PENDING"]
    rendezvous.close(rendezvous.announce("10.0.0.1", 12001), RunEnd("ModelError", "no leaf"))
    live: list[Announcement] = []
    clock.then[200.0] = lambda: statuses.append("READY")
    # A container that has begun has a program to load.
    clock.then[220.0] = lambda: live.append(rendezvous.announce("10.0.0.2", 12001))

    def status_of(replica: int) -> str | None:
        return statuses[-1] if replica == 0 else None

    found = find(rendezvous, Timeouts(), answered, clock, clock.sleep, status_of=status_of)
    assert found == (live[0], live[0].run)  # type: ignore[comparison-overlap]


def test_a_first_replica_that_never_begins_is_named_though_an_earlier_run_has_ended(rendezvous: Rendezvous) -> None:
    clock = Clock()
    rendezvous.close(rendezvous.announce("10.0.0.1", 12001), RunEnd())
    with pytest.raises(ClusterError, match=r"^replica 0 has not come within 720 s$"):
        find(rendezvous, Timeouts(), answered, clock, clock.sleep, status_of=lambda replica: "PENDING")


def test_a_first_replica_whose_port_is_taken_says_so_and_the_others_hear_it(rendezvous: Rendezvous) -> None:
    place = Place("127.0.0.2", _free_ports())
    with socket.create_server((place.address, place.ports[0])), pytest.raises(ClusterError) as raised:
        Leader(place, rendezvous, 3, VERSIONS, Timeouts())
    told = (
        f"replica 0 cannot wait for the others at 127.0.0.2:{place.ports[0]}: Address already in use; WORKER_PORTS "
        "and WORKER_ADDRESS say where it listens"
    )
    assert raised.value.message == told
    assert search(rendezvous, refused, Clock()) == RunEnd("ClusterError", told)


def test_the_secret_is_in_one_file_for_this_user_and_in_no_text(rendezvous: Rendezvous, tmp_path: Path) -> None:
    announcement = rendezvous.announce("10.0.0.1", 12001)
    path = tmp_path / f"_replicas-{announcement.run}.json"

    assert path.stat().st_mode & 0o777 == 0o600
    assert len({announcement.secret, announcement.ray_token, announcement.key.decode()}) == 3
    assert announcement.secret not in repr(announcement)
    assert rendezvous.read() == ([announcement], [])
    rendezvous.close(announcement, RunEnd())
    assert announcement.secret not in "".join(one.read_text() for one in tmp_path.iterdir())


def test_what_is_no_announcement_is_not_read(rendezvous: Rendezvous, tmp_path: Path) -> None:
    for number, text in enumerate(["", "{", "[]", "{}", json.dumps({"address": "x"})]):
        (tmp_path / f"_replicas-{number}.json").write_text(text)
    assert rendezvous.read() == ([], [])


@pytest.fixture
def leader(rendezvous: Rendezvous) -> Iterator[Leader]:
    leader = Leader(Place("127.0.0.2", _free_ports()), rendezvous, 3, VERSIONS, Timeouts(silence=5.0))
    yield leader
    leader.end(RunEnd())


def call(leader: Leader, replica: int, **changes: str) -> Channel:
    connected = channel.connect(leader.announcement.address, leader.announcement.port, leader.announcement.key, 5.0)
    connected.send(replica=replica, **(VERSIONS | changes))
    return connected


def word(connected: Channel, name: str) -> Any:
    while name not in (heard := connected.receive()):
        pass
    return heard[name]


def test_all_are_told_where_the_cluster_is_and_how_it_ended(leader: Leader) -> None:
    early = call(leader, 2)
    until(lambda: leader.here == {0, 2})
    leader.cluster_is_up("127.0.0.2:12002")
    late = call(leader, 1)
    assert word(early, "cluster") == word(late, "cluster") == "127.0.0.2:12002"

    ending = threading.Thread(target=leader.end, args=(RunEnd("ModelError", "no leaf"),))
    ending.start()
    assert word(early, "end") == word(late, "end") == "ModelError"
    early.close()
    late.close()
    ending.join(60)
    assert not ending.is_alive()


def test_who_hangs_up_is_not_there_any_more_and_may_call_again(leader: Leader) -> None:
    connected = call(leader, 1)
    until(lambda: leader.here == {0, 1})
    connected.close()
    until(lambda: leader.here == {0})
    again = call(leader, 1)
    until(lambda: leader.here == {0, 1})
    again.close()


def test_a_stranger_hears_nothing(leader: Leader) -> None:
    with pytest.raises(BROKEN):
        channel.connect(leader.announcement.address, leader.announcement.port, b"guessed", 5.0)
    assert leader.here == {0}


@pytest.mark.parametrize(
    ("replica", "changes", "message"),
    [
        (7, {}, "there is no replica 7 of 3"),
        (1, {"Ray": "2.53.0"}, "replica 1 has Ray 2.53.0, replica 0 has 2.55.1: all replicas need the same image"),
    ],
)
def test_who_does_not_fit_is_told_why(leader: Leader, replica: int, changes: dict[str, str], message: str) -> None:
    connected = call(leader, replica, **changes)
    heard = connected.receive()
    assert heard == {"refused": message}
    assert leader.here == {0}
    connected.close()


def test_a_replica_of_another_version_ends_with_the_reason(leader: Leader, tmp_path: Path) -> None:
    place, versions = Place("127.0.0.3", _free_ports()), VERSIONS | {"Ray": "2.53.0"}
    other = Follower(tmp_path / "JOB.json", 1, place, tmp_path, (1, 2), versions, Timeouts(), str, needed=False)
    with pytest.raises(
        ClusterError, match=r"^replica 1 has Ray 2\.53\.0, replica 0 has 2\.55\.1: all replicas need the"
    ):
        other()


def test_versions_are_compared_to_the_patch() -> None:
    assert unlike(1, VERSIONS, VERSIONS | {"replica": 1}) is None
    assert "Python 3.11.8" in str(unlike(1, VERSIONS, VERSIONS | {"Python": "3.11.8"}))


def test_who_is_missing_is_looked_at_when_all_had_their_time(rendezvous: Rendezvous) -> None:
    notes: list[str] = []
    leader = Leader(Place("127.0.0.2", _free_ports()), rendezvous, 4, VERSIONS, Timeouts(rendezvous=0.0))
    try:
        assert leader.missing(None, notes.append)
        assert notes == ["not come within 0 s: replicas 1, 2, 3 of 4; the others go on without"]
        with pytest.raises(ClusterError, match=r"replicas 1, 2, 3 of 4\. inference.min_replicas is 2: is the compute"):
            leader.missing(2, notes.append)
    finally:
        leader.end(RunEnd())
    patient = Leader(Place("127.0.0.2", _free_ports()), rendezvous, 4, VERSIONS, Timeouts())
    assert not patient.missing(4, notes.append)
    patient.end(RunEnd())


def until(there: Callable[[], bool]) -> None:
    reached = threading.Event()
    for _ in range(1000):
        if there():
            return
        reached.wait(0.01)
    raise AssertionError("it has not come to that")


def test_replicas_cannot_meet_in_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    assert Rendezvous(tmp_path).is_writable
    if os.getuid():
        tmp_path.chmod(0o500)
    assert not Rendezvous(tmp_path / "gone").is_writable
