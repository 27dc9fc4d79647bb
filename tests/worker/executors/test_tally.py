"""What each replica has done, as the one tells that gives out the tasks."""

from __future__ import annotations

from airflow_provider_snowflake_batch.contract.progress import ReplicaProgress, ReplicaState
from airflow_provider_snowflake_batch.worker.executors.tally import Tally


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def states(tally: Tally, *, over: bool = False) -> list[str]:
    return [one.state.value for one in tally.told(over=over).each]


def test_who_has_not_come_is_late_and_who_loads_is_not_slow() -> None:
    tally = Tally(3, Clock())
    tally.came(0)
    assert states(tally) == ["loading", "late", "late"]
    tally.came(2)
    tally.heard(0, at_hand=0, working=True, loaded=True)
    assert states(tally) == ["running", "late", "loading"]
    assert states(tally, over=True) == ["done", "late", "done"]


def test_the_speed_is_that_of_the_time_with_work() -> None:
    clock = Clock()
    tally = Tally(2, clock)
    for replica in (0, 1):
        tally.came(replica)
        tally.heard(replica, at_hand=0, working=True, loaded=True)
    clock.now += 10
    tally.did(0, 1000)
    tally.heard(0, at_hand=0, working=False, loaded=True)
    tally.heard(1, at_hand=100, working=True, loaded=True)
    clock.now += 90

    fast, slow = tally.told().each
    assert fast == ReplicaProgress(0, ReplicaState.RUNNING, 1000, 100.0)
    assert slow == ReplicaProgress(1, ReplicaState.SLOW, 100, 1.0)


def test_a_lost_replica_keeps_what_is_recorded_and_may_come_again() -> None:
    clock = Clock()
    tally = Tally(2, clock)
    tally.came(1)
    tally.heard(1, at_hand=40, working=True, loaded=True)
    clock.now += 1
    tally.did(1, 30)
    assert tally.told().rows == 40
    tally.left(1, lost=True)
    assert tally.told().each[1] == ReplicaProgress(1, ReplicaState.LOST, 30)
    assert states(tally, over=True) == ["late", "lost"]
    tally.came(1)
    tally.did(1, 5)
    assert tally.told().each[1].rows == 35
    assert tally.told().each[1].state is ReplicaState.LOADING


def test_one_that_has_ended_is_done() -> None:
    tally = Tally(1, Clock())
    tally.came(0)
    tally.heard(0, at_hand=3, working=True, loaded=True)
    tally.left(0, lost=False)
    assert tally.told().each == (ReplicaProgress(0, ReplicaState.DONE, 0),)
