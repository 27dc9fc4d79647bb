"""What each replica of a batch has done, as known to the replica that gives out the tasks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_snowflake_batch.contract.progress import AllReplicas, ReplicaProgress, ReplicaState


@dataclass
class _Replica:
    """A replica that has come.

    :param rows: of tasks that are done. :param at_hand: rows scored of those that are not.
    :param worked: seconds in which it had work, up to the last time that it had none.
    :param since: when it got the work that it has.
    """

    state: ReplicaState = ReplicaState.LOADING
    rows: int = 0
    at_hand: int = 0
    worked: float = 0.0
    since: float | None = None


class Tally:
    """Counts rows and working time of each replica.

    :param count: of the job's replicas; those that have not come are late.
    :param clock: in seconds.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count, self._clock = count, clock
        self._replicas: dict[int, _Replica] = {}

    def came(self, replica: int) -> None:
        """A replica takes part from now on; it may be one that was lost."""
        self._replicas.setdefault(replica, _Replica()).state = ReplicaState.LOADING

    def heard(self, replica: int, *, at_hand: int, working: bool, loaded: bool) -> None:
        """What a replica has told.

        :param at_hand: rows scored of tasks that are not done.
        :param working: it has tasks to do. :param loaded: it has the model in memory.
        """
        one = self._replicas[replica]
        one.at_hand = at_hand
        if loaded:
            one.state = ReplicaState.RUNNING
        self._work(one, working=working and loaded)

    def did(self, replica: int, rows: int) -> None:
        """A replica has done a task."""
        one = self._replicas[replica]
        one.rows += rows
        # The replica may have scored some batches of the next task already.
        one.at_hand = max(one.at_hand - rows, 0)

    def left(self, replica: int, *, lost: bool) -> None:
        """A replica takes part no longer; what it had not finished does not count."""
        one = self._replicas[replica]
        one.state = ReplicaState.LOST if lost else ReplicaState.DONE
        one.at_hand = 0
        self._work(one, working=False)

    def _work(self, one: _Replica, *, working: bool) -> None:
        now = self._clock()
        if one.since is not None and not working:
            one.worked += now - one.since
            one.since = None
        elif one.since is None and working:
            one.since = now

    def told(self, *, over: bool = False) -> AllReplicas:
        """What there is to tell now.

        :param over: the batch is done, and with it all that take part.
        """
        absent = set(range(self._count)) - self._replicas.keys()
        late = [ReplicaProgress(replica, ReplicaState.LATE) for replica in absent]
        return AllReplicas.of([*late, *(self._entry(number, one, over=over) for number, one in self._replicas.items())])

    def _entry(self, number: int, one: _Replica, *, over: bool) -> ReplicaProgress:
        rows = one.rows + one.at_hand
        seconds = one.worked + (self._clock() - one.since if one.since is not None else 0.0)
        speed = rows / seconds if rows and seconds > 0 and one.state is not ReplicaState.LOST else None
        state = ReplicaState.DONE if over and one.state is not ReplicaState.LOST else one.state
        return ReplicaProgress(number, state, rows, speed)
