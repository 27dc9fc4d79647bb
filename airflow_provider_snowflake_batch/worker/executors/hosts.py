"""All tasks of a batch, given to hosts as they have room: a fast one gets more than a slow one, a late one helps.

If a host is lost, the tasks that it has recorded count, and its other tasks are given to hosts that have room.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker import errors
from airflow_provider_snowflake_batch.worker.bad_rows import too_many
from airflow_provider_snowflake_batch.worker.executors.base import Work
from airflow_provider_snowflake_batch.worker.executors.host import Order, Report
from airflow_provider_snowflake_batch.worker.executors.processes import MOST_DEATHS, TASKS_AT_HAND
from airflow_provider_snowflake_batch.worker.executors.tally import Tally
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.plan import Task
from airflow_provider_snowflake_batch.worker.output.records import arrow_schema
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.values import schemas

WAIT_SECONDS = 0.25


class HostLost(Exception):
    """A host does not answer any more. The text says why, as far as is known."""


@dataclass
class _Member:
    """A host, as seen from here.

    :param key: tells it from every other one. :param replica: whose it is.
    :param ask: does one exchange with it; raises `HostLost`.
    :param at_hand: its tasks that are not done.
    :param bad_rows: rows that it has set aside, of tasks that are done.
    :param begun: when it got its first task. :param done: how many it has done.
    :param there: it has said something. Until then it has nothing, and is still being started.
    """

    key: int
    replica: int
    ask: Callable[[Order], Report]
    orders: SimpleQueue[Order | None] = field(default_factory=SimpleQueue)
    at_hand: dict[int, Task] = field(default_factory=dict)
    number: int = 0
    bad_rows: int = 0
    bad_rows_at_hand: int = 0
    workers: int = 0
    told_complete: bool = False
    begun: float | None = None
    done: int = 0
    there: bool = False


class Hosts:
    """Shares the tasks of a batch among hosts.

    :param recorded: the records on the stage of some tasks, as far as there are any.
    :param note: takes a remark for whoever reads the log.
    :param clock: in seconds.
    """

    def __init__(
        self,
        work: Work,
        backlog: Backlog,
        progress: Progress,
        done: Callable[[TaskRecord], None],
        recorded: Callable[[Collection[int]], Mapping[int, TaskRecord]],
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._work, self._backlog, self._progress = work, backlog, progress
        self._done, self._recorded, self._note = done, recorded, note
        self._schema = work.known_schema
        # Those of records, as these have them: most are alike.
        self._known: set[str | None] = set()
        self._members: dict[int, _Member] = {}
        self._reports: SimpleQueue[tuple[_Member, Report | Exception]] = SimpleQueue()
        self._losses: dict[int, int] = {}
        self._joined = 0
        self._tally = Tally(progress.replicas, clock)
        progress.by_replica = self._tally.told

    @property
    def open(self) -> bool:
        """Whether a task is left, or with a host."""
        return self._backlog.open or any(member.at_hand for member in self._members.values())

    @property
    def replicas(self) -> set[int]:
        """The replicas that take part."""
        return {member.replica for member in self._members.values()}

    @property
    def tasks_left(self) -> int:
        """Tasks that no host has."""
        return len(self._backlog)

    def join(self, replica: int, ask: Callable[[Order], Report]) -> None:
        """A host takes part from now on.

        :param ask: does one exchange with it, in a thread of its own; raises `HostLost` if it is gone.
        """
        key = self._joined = self._joined + 1
        member = self._members[key] = _Member(key, replica, ask)
        self._tally.came(replica)
        threading.Thread(target=self._converse, args=(member,), name=f"host-{replica}", daemon=True).start()
        self._tell(member)

    def _converse(self, member: _Member) -> None:
        while (order := member.orders.get()) is not None:
            try:
                self._reports.put((member, member.ask(order)))
            except Exception as error:
                self._reports.put((member, error))
                return

    def step(self, seconds: float = WAIT_SECONDS) -> None:
        """Hear one host, if one says something within some seconds, and give it what there is.

        :raises WorkerError: what ends the batch.
        """
        self._backlog.look()
        try:
            member, report = self._reports.get(timeout=seconds)
        except Empty:
            report = None
        if isinstance(report, Report):
            self._hear(member, report)
        elif report is not None:
            self._lose(member, report)
        self._count()

    def _hear(self, member: _Member, report: Report) -> None:
        for record in report.records:
            self._take(member, record)
        member.there = True
        member.workers = report.workers
        member.bad_rows_at_hand = report.bad_rows_at_hand
        self._work.quarantine.at_hand(member.key, report.bad_rows_at_hand)
        self._work.quarantine.remember(report.first_bad_rows)
        self._progress.at_hand(member.key, report.rows_at_hand)
        self._progress.batch(member.key, report.batch_rows)
        if report.failure is not None:
            kind = errors.BY_NAME.get(report.failure.kind, errors.WorkerError)
            raise kind(report.failure.message, report.failure.details)
        if report.ended:
            member.orders.put(None)
            if member.at_hand:
                self._lose(member, HostLost("it has stopped"))
            else:
                self._tally.left(member.replica, lost=False)
            self._members.pop(member.key, None)
            return
        self._tell(member, report.room)
        working = bool(member.at_hand)
        self._tally.heard(member.replica, at_hand=report.rows_at_hand, working=working, loaded=report.workers > 0)

    def _take(self, member: _Member, record: TaskRecord) -> None:
        task = member.at_hand.pop(record.task, None)
        if task is None:
            return
        if record.model is not None and record.model != self._work.identity().model:
            raise errors.OutputError(
                f"replica {member.replica} has other files of the model than replica 0: all have to read the same ones"
            )
        self._progress.task(member.key, task.rows)
        self._tally.did(member.replica, task.rows)
        self._work.quarantine.task(member.key, record.quarantined_rows)
        member.bad_rows += record.quarantined_rows
        member.done += 1
        if record.schema not in self._known:
            self._join_schema(record, task)
        self._done(record)

    def _join_schema(self, record: TaskRecord, task: Task) -> None:
        schema = arrow_schema(record)
        if schema is not None:
            self._schema = schema if self._schema is None else schemas.join(self._schema, schema, task.place)
        self._known.add(record.schema)

    def _tell(self, member: _Member, room: int = 0) -> None:
        """Give a host what it has room for, and answer its report."""
        tasks: list[Task] = []
        # What its processes would only have in advance is left to others, unless it is likely to come to it: since the
        # host was told what is, others may have taken much.
        idle = max(max(member.workers, 1) - len(member.at_hand), 0)
        room = min(room, idle + self._share(member))
        while len(tasks) < room and (task := self._backlog.take()) is not None:
            tasks.append(task)
            member.at_hand[task.index] = task
            member.begun = member.begun or self._clock()
        member.number += 1
        member.told_complete = not self.open
        own = member.bad_rows + member.bad_rows_at_hand
        member.orders.put(
            Order(
                member.number,
                tuple(tasks),
                self._share(member),
                member.told_complete,
                self._schema,
                self._work.quarantine.rows - own,
            )
        )

    def _share(self, member: _Member) -> int:
        """How many of the tasks that are left are likely to come to a host, as fast as each has been.

        So a slow one stops taking tasks in advance while there are still many.
        """
        now = self._clock()
        speeds = {one.key: one.done / max(now - one.begun, 0.001) for one in self._members.values() if one.begun}
        known = [speed for speed in speeds.values() if speed]
        if not known:
            return len(self._backlog) // len(self._members)
        usual = sum(known) / len(known)
        speed = speeds.get(member.key) or usual
        return int(len(self._backlog) * speed / sum(speeds.get(one) or usual for one in self._members))

    def _lose(self, member: _Member, error: Exception) -> None:
        """Go on without a host."""
        if not isinstance(error, HostLost):
            raise error
        self._members.pop(member.key, None)
        self._progress.at_hand(member.key, 0)
        self._work.quarantine.at_hand(member.key, 0)
        for record in self._recorded(list(member.at_hand)).values():
            self._take(member, record)
        self._tally.left(member.replica, lost=True)
        # It takes them in the order in which they were given. What it has in advance has not harmed it.
        worked_on = list(member.at_hand.values())[: max(member.workers, 1) * TASKS_AT_HAND]
        left = sorted(member.at_hand.values(), key=lambda task: (-task.bytes, task.index))
        member.at_hand.clear()
        for task in worked_on:
            self._losses[task.index] = self._losses.get(task.index, 0) + 1
            if self._losses[task.index] > MOST_DEATHS:
                raise errors.ModelProcessDied(
                    f"a replica was lost each of the {self._losses[task.index]} times it worked on {task.place}"
                )
        self._backlog.give_back(left)
        again = f"; {len(left)} of its tasks are done again by others" if left else ""
        self._note(f"replica {member.replica} is lost: {error}{again}")

    def _count(self) -> None:
        quarantine = self._work.quarantine
        if quarantine.room < 0:
            raise too_many("rows of several replicas, see the files of bad rows")
        self._progress.quarantined_rows = quarantine.rows
        self._progress.first_bad_rows = quarantine.first
        self._progress.workers = sum(member.workers for member in self._members.values())
        self._progress.tick()

    @property
    def schema(self) -> pa.Schema | None:
        """The schema that the parts of all hosts share, as far as is known."""
        return self._schema

    def finish(self, seconds: float) -> None:
        """Tell all hosts that nothing more will come, so that they give back memory and devices.

        :param seconds: one that has not asked by then is left alone, as is one that is still being started.
        """
        deadline = time.monotonic() + seconds
        while any(not one.told_complete for one in self._there) and time.monotonic() < deadline:
            self.step()

    @property
    def _there(self) -> list[_Member]:
        return [member for member in self._members.values() if member.there]

    def end(self, seconds: float) -> None:
        """Give out nothing any more, and wait until all hosts have ended, at most for some seconds.

        One that is still being started is not waited for: it has nothing.
        """
        deadline = time.monotonic() + seconds
        self._backlog.clear()
        with contextlib.suppress(errors.WorkerError):
            while self._there and (left := deadline - time.monotonic()) > 0:
                self.step(min(left, WAIT_SECONDS))
