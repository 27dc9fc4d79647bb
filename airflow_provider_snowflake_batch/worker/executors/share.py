"""A replica's share of the tasks: what is kept of an earlier attempt, what is left, and what the others do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.manifest import StoredManifest
from airflow_provider_snowflake_batch.contract.output_layout import QUARANTINE
from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.contract.result_faults import manifest_faults
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.contract.vocabulary import OnError
from airflow_provider_snowflake_batch.worker.bad_rows import (
    ERROR_COLUMN,
    FILE_COLUMN,
    ROW_COLUMN,
    Quarantine,
    too_many,
)
from airflow_provider_snowflake_batch.worker.errors import OutputError
from airflow_provider_snowflake_batch.worker.executors.base import Executor, Work
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.content import Identity, seen_by_plan
from airflow_provider_snowflake_batch.worker.input.plan import Plan, Task
from airflow_provider_snowflake_batch.worker.job import Replica
from airflow_provider_snowflake_batch.worker.output.heartbeats import Watch
from airflow_provider_snowflake_batch.worker.output.kept_tasks import Checks, Fault, RecordCheck, input_digest, seen_now
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.output.records import arrow_schema
from airflow_provider_snowflake_batch.worker.output.replica_notes import ReplicaNotes
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.values import schemas

POLL_SECONDS = 1.0
# Seconds for which a failure does not count that was noted before this replica began: it may be an earlier attempt's.
# Then the other replica's next attempt removes it.
FAILED_BEFORE_SECONDS = 30.0
# Seconds in which files of other replicas are to be seen here: Snowflake's own library waits half as long for records.
ARRIVAL_SECONDS = 60.0


class Others:
    """What is heard of the other replicas.

    :param now: when this one began, by `time.monotonic`.
    """

    def __init__(self, notes: ReplicaNotes, now: float) -> None:
        self._notes = notes
        self._before = notes.read_failures()
        self._watch = Watch(notes.read_heartbeats(), now)

    def check(self, missing: Sequence[int]) -> None:
        """Look after replicas whose tasks are missing.

        :raises OutputError: one has failed, or is given up.
        """
        now = time.monotonic()
        silent = self._watch.silent(missing, self._notes.read_heartbeats(), now)
        for replica, failure in self._notes.read_failures().items():
            if self._before.get(replica) != failure:
                raise OutputError(f"another replica failed: {failure[1]}")
            waited = now - self._watch.begun
            if replica in missing and not self._watch.heard_of(replica) and waited > FAILED_BEFORE_SECONDS:
                # Removed, so that the next attempt does not fail for it again.
                self._notes.clear_failure(replica)
                raise OutputError(f"another replica, {replica}, failed before this one began: {failure[1]}")
        if silent:
            words = ", ".join(f"replica {replica} for {seconds:.0f} s" for replica, seconds in silent.items())
            raise OutputError(f"not heard of: {words}; what is recorded stays, and another attempt goes on from it")


class Share:
    """What one replica does.

    :param identity: tells what the model and, for groups, the input are now.
    :param model_loaded: see `Work`.
    :ivar others: hears of the other replicas, from the moment that this one begins.
    """

    def __init__(
        self,
        job: Job,
        replica: Replica,
        plan: Plan,
        directory: OutputDirectory,
        identity: Callable[[], Identity],
        model_loaded: Callable[[], None],
        executor: Executor,
        progress: Progress,
    ) -> None:
        self._job, self._replica, self._plan = job, replica, plan
        self._model_loaded = model_loaded
        self._directory, self._executor, self._progress = directory, executor, progress
        self.identity = identity
        self.others: Others | None = None
        self._tasks = {task.index: task for task in plan.tasks}
        self._check = RecordCheck(directory.path, directory.path / QUARANTINE, job.input.path, plan, identity)
        # Records of this batch that do not count. They are not read again.
        self._refused: list[TaskRecord] = []
        self._records = self._usable(directory.read_records())
        # Each replica checks its own tasks. The first one checks all, since it writes the manifest.
        kept = {index: one for index, one in self._records.items() if self._mine(index) or replica.index == 0}
        self._kept = set(self._records)
        self._checks = Checks([(index, _later(self._check, one)) for index, one in sorted(kept.items())])
        self._quarantine = Quarantine(job.max_quarantined)

    def _mine(self, task: int) -> bool:
        return self._executor.owner(task) == self._replica.index

    def _usable(self, records: dict[int, TaskRecord]) -> dict[int, TaskRecord]:
        """The records that count at first sight."""
        found = {}
        for index, record in records.items():
            if index not in self._tasks or self._check.model(record) is not None:
                self._refused.append(record)
            # With ``on_error`` back at ``fail``, tasks with bad rows are done again.
            elif self._job.on_error is OnError.QUARANTINE or record.quarantine is None:
                found[index] = record
        return found

    def rows_reused(self) -> int:
        """Input rows of the records that were here when this replica began and that count.

        Another replica may have begun earlier: what it has done in this very job is not reused.
        """
        earlier = ((index, one) for index, one in self._records.items() if index in self._kept)
        return sum(one.input_rows for index, one in earlier if self._mine(index) or one.job != self._job.name)

    def do(self) -> None:
        """Do the tasks that are left, and those whose records turn out not to count.

        :raises WorkerError: what ended it.
        """
        share = [task for task in self._plan.tasks if self._mine(task.index)]
        left = [task for task in share if task.index not in self._records]
        rows = sum(task.rows for task in share)
        self._progress.plan(rows, len(share), rows - sum(task.rows for task in left), len(share) - len(left))
        self._quarantine = Quarantine(self._job.max_quarantined, self._count_bad_rows())
        while not left and (more := self._more(POLL_SECONDS)) is not None:
            left.extend(more)
        if not left or self._plan.schema is None:
            return

        def done(record: TaskRecord) -> None:
            self._records[record.task] = record

        known = joined_schema(self._records, self._plan.tasks)
        attempt = self._directory.attempt
        work = Work(self._job, self._plan.schema, attempt, self.identity, self._model_loaded, known, self._quarantine)
        self._executor.run(work, Backlog(left, self._more), self._progress, done)

    def stop(self) -> None:
        """Begin no further check of what is kept, unless it has to be finished."""
        if self._replica.index or sys.exc_info()[0] is not None:
            self._checks.stop()

    def _more(self, seconds: float = 0.0) -> list[Task] | None:
        """Tasks of this replica that have turned out to be left; None when all that is kept has been looked at."""
        if not self._checks.open:
            return None
        found = []
        for index, fault in self._checks.take(seconds):
            record = self._records.pop(index)
            self._kept.discard(index)
            self._refuse(record, fault)
            if self._mine(index):
                # Removed, so that no other replica counts it.
                self._directory.remove_record(record)
                self._quarantine.withdraw(record.quarantined_rows)
                self._progress.again(self._tasks[index].rows)
                found.append(self._tasks[index])
        self._progress.tick()
        return found

    def _refuse(self, record: TaskRecord, fault: Fault) -> None:
        note(f"task {record.task} does not count and is done again: {fault.message}")
        self._refused.append(record)

    def wait_for_all(self) -> dict[int, TaskRecord]:
        """The records of all tasks, once the other replicas have written theirs and all that was kept is looked at.

        :raises OutputError: another replica has failed, or is given up.
        :raises Superseded: another attempt has finished the batch.
        """
        while True:
            while self._more(POLL_SECONDS) is not None:
                self._directory.check_superseded()
            found = self._usable(self._directory.read_records(self._records, self._refused))
            new = [record for index, record in found.items() if index not in self._records]
            for record in new:
                fault = self._look_at(record)
                if fault is not None:
                    self._refuse(record, fault)
                    del found[record.task]
            self._records = found
            if new:
                self._count_bad_rows()
            missing = sorted({self._executor.owner(index) for index in self._tasks if index not in self._records})
            if not missing:
                self._wait_for_files()
                self.check_unchanged()
                return self._records
            self._directory.check_superseded()
            assert self.others is not None
            self.others.check(missing)
            time.sleep(POLL_SECONDS)
            self._progress.tick()

    def _wait_for_files(self) -> None:
        """Wait until what others have written is seen here: over Ray, word of it comes sooner than the stage tells.

        What is not seen in time is missed by who finishes the batch.
        """
        deadline = time.monotonic() + ARRIVAL_SECONDS
        late = [one for one in self._records.values() if one.attempt != self._directory.attempt.token]
        while (late := [one for one in late if self._directory.difference(one)]) and time.monotonic() < deadline:
            self._directory.check_superseded()
            time.sleep(POLL_SECONDS)
            self._progress.tick()

    def _look_at(self, record: TaskRecord) -> Fault | None:
        """Whether a record counts that another replica has written just now.

        Its input is not read again if both replicas have seen the same files. Otherwise the other replica may belong to
        an attempt that is thought dead, and may go on with files that have been replaced since.
        """
        task = self._tasks[record.task]
        if record.seen is not None and record.seen == seen_by_plan(task, self._plan.seen):
            return None
        return self._check.content(record)

    def check_unchanged(self) -> None:
        """Hold that no input file was replaced since this attempt began: the result is of the input as it is now.

        An attempt that was stalled for a while, and thought dead, finds out here.

        :raises OutputError: one was.
        """
        now = seen_now(self._job.input.path, self._plan)
        changed = {path for path, seen in self._plan.seen.items() if now[path] != seen}
        if self._job.input.partition_column is not None:
            if changed and input_digest(self._job.input.path, self._plan) != self.identity().input:
                raise OutputError(f"the input was replaced while it was read; run again: {min(changed)} is another now")
            return
        for record in self._records.values():
            task = self._tasks[record.task]
            if record.task not in self._kept and record.seen not in (None, seen_by_plan(task, self._plan.seen)):
                changed.update(piece.path for piece in task.ranges)
        for index, record in self._records.items() if changed else ():
            if any(piece.path in changed for piece in self._tasks[index].ranges):
                fault = self._check.content(record)
                if fault is not None:
                    self._directory.remove_record(record)
                    raise OutputError(f"the input was replaced while it was read; run again: {fault.message}")

    def _count_bad_rows(self) -> int:
        rows = sum(record.quarantined_rows for record in self._records.values())
        self._progress.quarantined_rows = rows
        if rows > self._job.max_quarantined:
            raise too_many(one_bad_row(self._directory, self._records))
        return rows


class FinishedCheck:
    """Looks whether a finished directory is what its manifest says, and is of the input and model as they are now."""

    def __init__(
        self,
        job: Job,
        replica: Replica,
        plan: Plan,
        directory: OutputDirectory,
        identity: Callable[[], Identity],
        executor: Executor,
    ) -> None:
        self._replica, self._directory, self._identity, self._executor = replica, directory, identity, executor
        self._most_bad_rows = job.max_quarantined if job.on_error is OnError.QUARANTINE else 0
        self._check = RecordCheck(directory.path, directory.path / QUARANTINE, job.input.path, plan, identity)
        # Groups get their numbers when they are brought together, and each is made of the whole input.
        self._tasks = {task.index for task in plan.tasks} if job.input.partition_column is None else None
        self._rows = plan.rows

    def __call__(self, stored: StoredManifest, tick: Callable[[], None]) -> Fault | None:
        """The first fault that is found, None if there is none.

        As with records that are kept, each replica looks at its share, and the first one at everything: it alone takes
        ``_SUCCESS`` away, and waits for what the others have to do again.

        :param tick: called again and again meanwhile.
        """
        if stored.quarantined_rows > self._most_bad_rows:
            allowed = f"max_quarantined is {self._most_bad_rows}" if self._most_bad_rows else "on_error is fail"
            return Fault(
                f"{stored.quarantined_rows} rows were set aside as bad, and {allowed}", unlike="a finished result"
            )
        foreign_files = self._directory.foreign_files(stored)
        if foreign_files:
            shown = ", ".join(foreign_files[:5]) + (", …" if len(foreign_files) > 5 else "")
            return Fault(f"this batch did not write {shown}", unlike="other files beside a finished result")
        faults = manifest_faults(stored, ())
        if faults:
            return Fault("; ".join(faults))
        model = stored.document.get("model")
        if isinstance(model, str) and model != self._identity().model:
            return Fault("the model's files are others now", other_batch=True)
        listed = {one.name for one in [*stored.files, *stored.quarantine]}
        records = [
            record
            for index, record in self._directory.read_records(listed=listed).items()
            if self._tasks is None or index in self._tasks
        ]
        told_of = {one.name for record in records for one in record.files}
        lost = self._without_record(records, listed - told_of)
        if lost is not None:
            return Fault(f"no record tells which rows of the input {lost} was made of")
        work: list[Callable[[], Fault | None]] = [
            _later(self._check, one) for one in records if self._looked_at(one.task)
        ]
        if self._replica.index == 0:
            work += [_file(self._check, one, aside=False) for one in stored.files if one.name not in told_of]
            work += [_file(self._check, one, aside=True) for one in stored.quarantine if one.name not in told_of]
        checks = Checks(list(enumerate(work)))
        try:
            while checks.open:
                for _, fault in checks.take(POLL_SECONDS):
                    return fault
                tick()
        finally:
            checks.stop()
        return None

    def _looked_at(self, task: int) -> bool:
        return self._replica.index in (0, self._executor.owner(task))

    def _without_record(self, records: Sequence[TaskRecord], untold: Collection[str]) -> str | None:
        """A task or, for groups, a part that nothing is known of but the file, in words."""
        if not self._rows:
            return None
        if self._tasks is not None:
            missing = self._tasks - {record.task for record in records}
            return next((f"task {task}" for task in sorted(missing) if self._looked_at(task)), None)
        return min(untold, default=None)


def _later(check: RecordCheck, record: TaskRecord) -> Callable[[], Fault | None]:
    return lambda: check(record)


def _file(check: RecordCheck, file: PartFile, *, aside: bool) -> Callable[[], Fault | None]:
    return lambda: check.file(file, aside=aside)


def joined_schema(records: Mapping[int, TaskRecord], tasks: Iterable[Task]) -> pa.Schema | None:
    """The schema that all parts can have.

    :param tasks: those that the records may be of.
    :raises DataError: a column has types that do not go together.
    """
    schema: pa.Schema | None = None
    seen: set[str] = set()
    places = {task.index: task for task in tasks}
    for index in sorted(records):
        encoded = records[index].schema
        if encoded is not None and encoded not in seen:
            seen.add(encoded)
            found = arrow_schema(records[index])
            schema = found if schema is None else schemas.join(schema, found, places[index].place)
    return schema


def one_bad_row(directory: OutputDirectory, records: Mapping[int, TaskRecord]) -> str:
    """A row that an earlier or another process set aside, with its error, in words."""
    file = next(record.quarantine for _, record in sorted(records.items()) if record.quarantine is not None)
    columns = [ERROR_COLUMN, ROW_COLUMN, FILE_COLUMN]
    row = pq.read_table(directory.path / QUARANTINE / file.name, columns=columns).slice(0, 1).to_pylist()[0]
    return f"{row[ERROR_COLUMN]} (row {row[ROW_COLUMN]} of file {row[FILE_COLUMN]})"


def note(text: str) -> None:
    """Write a remark into the log."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
