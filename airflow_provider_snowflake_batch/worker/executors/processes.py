"""Model processes on one machine, taking tasks from one queue.

A process that dies is replaced and its tasks are done again. A task that its process dies on more than
``MOST_DEATHS`` times is named as the cause and ends the batch. As many deaths that no task explains (while the model
is loaded, or in forking), without a task done in between, end it as well.

Where there are several GPUs, each process sees its own only, so that models that take the first they find share none;
such processes are started anew rather than forked.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker import errors
from airflow_provider_snowflake_batch.worker.bad_rows import Quarantine
from airflow_provider_snowflake_batch.worker.executors.base import Work
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.model_worker import Worker, describe_exit
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.content import Identity
from airflow_provider_snowflake_batch.worker.input.plan import Task
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.output.records import arrow_schema
from airflow_provider_snowflake_batch.worker.processes import limits
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.scoring import messages
from airflow_provider_snowflake_batch.worker.values import schemas

MOST_DEATHS = 2
# So many times a task is done again whose part could not be written: a store may take it the next time.
MOST_UNWRITTEN = 2
# A process has its next task before the current one is done, so that its rows are read meanwhile.
TASKS_AT_HAND = 2
STOP_SECONDS = 8.0
WAIT_SECONDS = 0.25
ENDING_SECONDS = 0.005
# The share of the free memory that further processes may take: rows need the rest.
MEMORY_SHARE = 0.7


class ProcessPool:
    """Starts model processes and gives them tasks.

    :param launcher: starts the processes; the pool closes it.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._workers: dict[int, Worker] = {}
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._limit: messages.Limit | None = None
        self._load: messages.Load | None = None
        self._shares: list[str] = []
        self._unexplained_deaths = 0
        self._wanted = 0
        self._backlog = Backlog(())
        self._deaths: dict[int, int] = {}
        self._unwritten: dict[int, int] = {}
        self._schema: pa.Schema | None = None
        self._quarantine = Quarantine(0)
        self._proven = False
        self._identity: Callable[[], Identity] = lambda: Identity("")
        self._model_loaded: Callable[[], None] = lambda: None

    def _start(self, *, spare: bool = False) -> None:
        taken = [one.devices for one in self._workers.values()]
        devices = min(self._shares, key=taken.count, default=None)
        number, popen = self._launcher.start(devices)
        self._workers[number] = Worker(number, popen.pid, popen, devices=devices, spare=spare)

    def run(
        self,
        work: Work,
        backlog: Backlog,
        progress: Progress,
        done: Callable[[TaskRecord], None],
    ) -> None:
        """Do tasks until the backlog is empty and will stay so.

        :param done: told of each task when it is recorded.
        :raises WorkerError: what ended the batch early.
        """
        job = work.job
        self._backlog = backlog
        self._schema = work.known_schema
        self._quarantine = work.quarantine
        self._proven = work.known_schema is not None
        self._identity, self._model_loaded = work.identity, work.model_loaded
        self._wanted = limits.process_count(job.num_workers, len(backlog))
        self._limit = messages.Limit(limits.threads_per_process(self._wanted))
        self._shares = limits.device_shares(job.num_workers)
        self._load = messages.Load(job, work.schema, work.attempt, fork=self._wanted > 1 and not self._shares)
        self._start()
        if self._wanted > 1 and limits.cores() > 1:
            # A second process on a core that is idle meanwhile. If the first one can be forked, it was not needed.
            # Otherwise it has loaded the libraries by then, which takes longer than loading many models.
            self._start(spare=True)
        progress.phase("loading")
        while backlog.open or any(worker.assigned for worker in self._workers.values()):
            if backlog.look():
                for waiting in self._workers.values():
                    self._assign(waiting)
            woken_by = [] if backlog.signal is None else [backlog.signal]
            for ready in wait([self._launcher.server, *self._connections(), *woken_by], WAIT_SECONDS):
                if ready is self._launcher.server:
                    self._accept()
                # The process may have been dismissed in this round.
                elif worker := next((one for one in self._workers.values() if one.connection is ready), None):
                    self._receive(worker, progress, done)
            self._replace_ended(work, progress, done)
            progress.quarantined_rows = self._quarantine.rows
            progress.first_bad_rows = self._quarantine.first
            progress.workers = sum(worker.working for worker in self._workers.values())
            progress.tick()
        # Ended now to free memory and devices, while the batch is finished or other replicas are waited for.
        self._dismiss()

    def _dismiss(self) -> None:
        for worker in self._workers.values():
            worker.tell(messages.Stop())

    def _connections(self) -> list[Connection[Any, Any]]:
        return [worker.connection for worker in self._workers.values() if worker.connection is not None]

    def _accept(self) -> None:
        connection = self._launcher.accept()
        try:
            hello = connection.recv()
        except (EOFError, OSError):
            # It died before it could say who it is, and is treated as a process that never called.
            connection.close()
            return
        worker = self._workers.get(hello.worker)
        if worker is None:
            connection.close()
            return
        worker.connection, worker.pid = connection, hello.pid
        if worker.popen is not None:
            worker.tell(self._limit)
            assert self._load is not None
            worker.tell(replace(self._load, later=worker.spare))
        else:
            worker.working = True
            self._assign(worker)

    def _receive(self, worker: Worker, progress: Progress, done: Callable[[TaskRecord], None]) -> None:
        assert worker.connection is not None
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            worker.connection.close()
            worker.connection = None
            return
        if isinstance(message, messages.Finished):
            self._finished(worker, message.record, progress, done)
            self._assign(worker)
        elif isinstance(message, messages.Rows):
            progress.rows(worker.number, message.count)
            progress.batch(worker.number, message.batch)
        elif isinstance(message, messages.SetAside):
            self._quarantine.set_aside(worker.number, message.count, message.latest)
        elif isinstance(message, messages.Loaded):
            self._loaded(worker, message)
            progress.phase("running")
        elif isinstance(message, messages.Widened):
            self._join_schema(message.schema, message.task.place)
            self._again(worker, message.task, progress)
        elif isinstance(message, messages.NotWritten):
            times = self._unwritten.get(message.task.index, 0) + 1
            self._unwritten[message.task.index] = times
            if not message.passing or times > MOST_UNWRITTEN:
                raise errors.OutputError(message.message)
            _note(f"{message.message}; it is done again")
            self._again(worker, message.task, progress)
        elif isinstance(message, messages.Exited):
            if message.worker in self._workers:
                self._workers[message.worker].exit_status = message.status
        elif isinstance(message, messages.Failed):
            raise errors.BY_NAME[message.kind](message.message, message.details)

    def _finished(
        self, worker: Worker, record: TaskRecord, progress: Progress, done: Callable[[TaskRecord], None]
    ) -> None:
        task = worker.assigned.popleft()
        progress.task(worker.number, task.rows)
        self._join_schema(arrow_schema(record), task.place)
        self._quarantine.task(worker.number, record.quarantined_rows)
        self._unexplained_deaths = 0
        done(record)

    def _again(self, worker: Worker, task: Task, progress: Progress) -> None:
        """A process has given a task up, which is to be done once more."""
        worker.assigned.popleft()
        progress.forget(worker.number)
        self._quarantine.forget(worker.number)
        self._backlog.give_back([task])
        self._assign(worker)

    def _join_schema(self, schema: pa.Schema | None, where: str = "") -> None:
        if schema is None:
            return
        self._proven = True
        self._schema = schema if self._schema is None else schemas.join(self._schema, schema, where)

    def _loaded(self, worker: Worker, message: messages.Loaded) -> None:
        assert self._load is not None
        assert worker.connection is not None
        self._model_loaded()
        if message.forkable:
            worker.mother = True
        else:
            first = not any(one.working for one in self._workers.values())
            worker.working = True
            worker.tell(messages.Begin())
            self._assign(worker)
            # Measured once, since later the free memory depends on how far the other processes have loaded.
            if first and self._load.job.num_workers is None and message.resident:
                fitting = 1 + int(limits.free_memory() * MEMORY_SHARE / message.resident)
                self._wanted = min(self._wanted, fitting)
        self._fill()

    def _fill(self) -> None:
        """Bring the number of workers up to what is wanted, as far as there is a way to at this moment."""
        mother = next((one for one in self._workers.values() if one.mother and one.connection is not None), None)
        loading = any(one.loading for one in self._workers.values())
        first = not any(one.working for one in self._workers.values())
        while sum(not one.mother and not one.spare for one in self._workers.values()) < self._wanted:
            spare = next((one for one in self._workers.values() if one.spare), None)
            if mother is not None:
                number = self._launcher.number()
                self._workers[number] = Worker(number)
                mother.tell(messages.Fork(number))
            elif loading and first:
                # When the first process has loaded the model, it is known whether others can be forked from it.
                return
            elif spare is not None:
                spare.spare = False
                spare.tell(messages.LoadNow())
                loading = True
            else:
                self._start()
                loading = True
        for worker in [one for one in self._workers.values() if one.spare]:
            self._dismiss_spare(worker)

    def _dismiss_spare(self, worker: Worker) -> None:
        """End a process that has nothing at hand, without waiting until it is gone: others are about to call."""
        assert worker.popen is not None
        worker.popen.kill()
        self._leaving.append(worker.popen)
        if worker.connection is not None:
            worker.connection.close()
        del self._workers[worker.number]

    @property
    def _at_hand(self) -> int:
        """Tasks that a process may have. Near the end, some in advance would keep one busy while others have none."""
        return TASKS_AT_HAND if len(self._backlog) >= self._wanted else 1

    def room(self) -> int:
        """How many more tasks the processes could take at this moment. May be asked by another thread."""
        at_hand = self._at_hand
        working = [one for one in list(self._workers.values()) if one.working and one.connection is not None]
        return sum(max(at_hand - len(one.assigned), 0) for one in working)

    def widen(self, schema: pa.Schema | None) -> None:
        """What is written from now on is no narrower than a schema that parts written elsewhere have."""
        self._join_schema(schema)

    def _assign(self, worker: Worker) -> None:
        while worker.working and worker.connection is not None:
            if len(worker.assigned) >= self._at_hand or (task := self._backlog.take()) is None:
                return
            worker.assigned.append(task)
            worker.tell(messages.Assignment(task, self._identity(), self._schema, self._proven, self._quarantine.room))

    def _replace_ended(self, work: Work, progress: Progress, done: Callable[[TaskRecord], None]) -> None:
        """Look for processes that ended, give their tasks back, start others in their place."""
        for worker in list(self._workers.values()):
            if worker.popen is not None:
                status = worker.popen.poll()
                if status is None or (worker.connection is not None and worker.connection.poll()):
                    continue
                worker.exit_status = status
            elif worker.exit_status is None or (worker.connection is not None and worker.connection.poll()):
                continue
            progress.forget(worker.number)
            self._quarantine.forget(worker.number)
            # The process may have died after it had written a record and before it could report it.
            while worker.assigned and (record := recorded(work, worker.assigned[0])) is not None:
                self._finished(worker, record, progress, done)
            self._died(worker)
        started = [*(one.popen for one in self._workers.values()), *self._leaving]
        self._launcher.reap({popen.pid for popen in started if popen is not None})

    def _died(self, worker: Worker) -> None:
        assert worker.exit_status is not None
        del self._workers[worker.number]
        if worker.connection is not None:
            worker.connection.close()
        how = describe_exit(worker.exit_status)
        task = worker.assigned[0] if worker.assigned and not worker.bystander else None
        if worker.mother:
            # Processes that were forked from it end with it. Each has its turn here, and none is to blame.
            for other in self._workers.values():
                if other.popen is None:
                    other.bystander, other.exit_status = True, worker.exit_status
        if task is not None:
            self._deaths[task.index] = self._deaths.get(task.index, 0) + 1
            if self._deaths[task.index] > MOST_DEATHS:
                raise errors.ModelProcessDied(
                    f"a model process {how} each of the {self._deaths[task.index]} times it worked on {task.place}"
                )
        elif not worker.bystander:
            self._unexplained_deaths += 1
            if self._unexplained_deaths > MOST_DEATHS:
                forking = worker.mother or worker.popen is None
                doing = "forking processes that share the model" if forking else "loading the model"
                raise errors.ModelProcessDied(f"the model process (pid {worker.pid}) {how} while {doing}")
        if not worker.bystander:
            _note(f"model process {worker.number} (pid {worker.pid}) {how}; its work is done again by another")
        self._backlog.give_back(worker.assigned)
        worker.assigned.clear()
        self._fill()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask all processes to end after the batch at hand; kill what has not ended after some seconds."""
        deadline = time.monotonic() + seconds
        for worker in [one for one in self._workers.values() if one.popen and not one.working and not one.mother]:
            # A process that loads the model has no rows, and does not read orders.
            worker.kill()
            del self._workers[worker.number]
        self._backlog.clear()
        self._dismiss()
        while self._workers and time.monotonic() < deadline:
            # A process ends a moment after its connection.
            connections = self._connections()
            seconds = ENDING_SECONDS * (1 if len(connections) < len(self._workers) else 10)
            ready = wait([self._launcher.server, *connections], seconds)
            for worker in list(self._workers.values()):
                if worker.connection in ready:
                    self._drain(worker)
                if self._ended(worker):
                    del self._workers[worker.number]
            if self._launcher.server in ready:
                # A process that was forked late may call when all is done.
                self._accept()
                self._dismiss()
        self.kill()

    def _ended(self, worker: Worker) -> bool:
        if worker.popen is not None:
            return worker.popen.poll() is not None
        if worker.connection is None and worker.pid is None and worker.exit_status is None:
            # It has not called yet, unless its mother is gone.
            return not any(one.mother for one in self._workers.values())
        # The exit status counts as well, since a process that it has forked may hold the connection open.
        return worker.connection is None or worker.exit_status is not None

    def _drain(self, worker: Worker) -> None:
        """Hear what a process says while it ends; its records are on the stage, so only who has ended is of use."""
        assert worker.connection is not None
        try:
            message = worker.connection.recv()
            if isinstance(message, messages.Exited) and message.worker in self._workers:
                self._workers[message.worker].exit_status = message.status
        except (EOFError, OSError):
            worker.connection.close()
            worker.connection = None

    def kill(self) -> None:
        """End all processes now, and wait until they are gone, so that nothing is printed after this."""
        # Forked processes first, while their mother can still wait for them.
        for worker in sorted(self._workers.values(), key=lambda one: one.popen is not None):
            worker.kill()
        self._workers.clear()
        for popen in self._leaving:
            popen.wait()
        self._leaving.clear()
        self._launcher.close()


def recorded(work: Work, task: Task) -> TaskRecord | None:
    """What a process of this attempt has recorded of a task."""
    return OutputDirectory(work.job.output.path, work.attempt).own_record(task.index)


def _note(text: str) -> None:
    # The reader of the stream may be gone.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
