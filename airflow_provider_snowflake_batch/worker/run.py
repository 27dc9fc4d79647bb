"""One replica's run, from the job file to ``_SUCCESS``."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.contract.file_names import folder_columns
from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.manifest import Manifest
from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.contract.vocabulary import OnError, SaveMode
from airflow_provider_snowflake_batch.worker import models
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.bad_rows import quarantine_schema
from airflow_provider_snowflake_batch.worker.errors import (
    DataError,
    ModelError,
    OutputError,
    Refused,
    Superseded,
    Terminated,
    WorkerError,
)
from airflow_provider_snowflake_batch.worker.executors.base import Executor, Groups
from airflow_provider_snowflake_batch.worker.executors.share import (
    FinishedCheck,
    Others,
    Share,
    joined_schema,
    note,
    one_bad_row,
)
from airflow_provider_snowflake_batch.worker.input.content import Identity
from airflow_provider_snowflake_batch.worker.input.partitions import bucket_count
from airflow_provider_snowflake_batch.worker.input.plan import Plan, Task, fingerprint, make_plan
from airflow_provider_snowflake_batch.worker.job import Replica
from airflow_provider_snowflake_batch.worker.model_files import ModelFiles, unreadable
from airflow_provider_snowflake_batch.worker.models.base import Description
from airflow_provider_snowflake_batch.worker.models.columns import check_columns, match_column, passed_columns
from airflow_provider_snowflake_batch.worker.output.disk import persistently
from airflow_provider_snowflake_batch.worker.output.heartbeats import Heartbeat
from airflow_provider_snowflake_batch.worker.output.kept_tasks import in_background, input_digest
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.output.part_writer import PartWriter
from airflow_provider_snowflake_batch.worker.output.records import arrow_schema, encode_schema
from airflow_provider_snowflake_batch.worker.output.replica_notes import ReplicaNotes
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.stage_files.loaders import column_loaders
from airflow_provider_snowflake_batch.worker.values import schemas

# Seconds for which a look at input and model need not be repeated.
LOOK_SECONDS = 1.0
# So many are named in a warning, which is kept in the manifest.
_MOST_FOLDERS = 12


class Run:
    """A batch as one replica does it.

    :param job: what to do. :param replica: as which of those that do it together.
    :param executor: does the tasks; it is ended with the run.
    :param progress: told how far it is.
    """

    def __init__(self, job: Job, replica: Replica, executor: Executor, progress: Progress | None = None) -> None:
        self._executor = executor
        self._job = job
        self._replica = replica
        self._progress = progress or Progress(replica.index, replica.count)
        self._warnings: list[str] = []
        self._directory: OutputDirectory | None = None

    def __call__(self) -> None:
        """Do this replica's share; replica 0 also finishes the batch.

        :raises WorkerError: what ended it.
        """
        executor = self._executor
        try:
            self._do()
            self._progress.complete()
            executor.stop()
        except (Terminated, Superseded):
            # Stopped first, so that no process leaves a half-written file in a directory that may be read already.
            executor.stop()
            raise
        except WorkerError:
            self._progress.phase("failed")
            raise
        finally:
            executor.kill()
            if self._directory is not None:
                self._directory.tidy()
        self._progress.phase("done")

    def _do(self) -> None:
        job, replica = self._job, self._replica
        description = models.describe_model(job)
        files = ModelFiles(job)
        self._progress.phase("planning")
        pattern, reads_files = job.input.pattern, lambda schema: bool(column_loaders(job, schema))
        tick, apart_from = self._progress.tick, job.output.path
        plan = make_plan(job.input.path, pattern, reads_files, tick, apart_from, job.max_task_rows)
        if plan.left_out is not None:
            note(plan.left_out)
        if plan.schema is not None:
            self._tell_of_folders(plan, plan.schema)
            check_columns(job, plan.schema, description.signature)
            if job.on_error is OnError.QUARANTINE:
                quarantine_schema(plan.schema)
        groups, groups_digest = self._groups(plan)
        identity = functools.partial(_identity, files, groups_digest)
        directory = OutputDirectory(job.output.path, Attempt(self._fingerprint(plan, description), job=job.name))
        if self._finished(plan, directory, identity):
            own = [task.rows for task in plan.tasks if self._executor.owner(task.index) == replica.index]
            self._progress.plan(sum(own), len(own), sum(own), len(own))
            return
        self._directory = directory
        try:
            work = groups.fill() if groups else plan
            unchanged = files.check_unchanged
            share = Share(job, replica, work, directory, identity, unchanged, self._executor, self._progress)
            self._share(share, directory)
            if replica.index == 0:
                self._progress.phase("finishing")
                records = share.wait_for_all()
                unchanged()
                again = _look_again(share.check_unchanged, unchanged)
                self._finish(work, description, directory, records, identity().model, share.rows_reused(), again)
        finally:
            if groups:
                groups.close()

    def _groups(self, plan: Plan) -> tuple[Groups | None, Future[str] | None]:
        """For groups of rows: where they are brought together, and the hash of the input that they are made of."""
        job = self._job
        if job.input.partition_column is None or plan.schema is None:
            return None, None
        column = match_column(job.input.partition_column, plan.schema.names, "partition column")
        groups = self._executor.group(job, plan, column)
        return groups, in_background(lambda: input_digest(job.input.path, plan))

    def _finished(self, plan: Plan, directory: OutputDirectory, identity: Callable[[], Identity]) -> bool:
        """Whether the batch is done already, and sound; if not, the directory is ready for doing it.

        :raises Refused: it is done, but is not this job's result, or has files of somebody else in it; and mode is
            error.
        :raises Superseded: another attempt has finished meanwhile.
        """
        mode, first = self._job.output.mode, self._replica.index == 0
        stored = directory.finished()
        if stored is None or (mode is SaveMode.OVERWRITE and self._replica.count == 1):
            directory.prepare(mode, first=first, again=stored is not None)
            return False
        check = FinishedCheck(self._job, self._replica, plan, directory, identity, self._executor)
        fault = check(stored, self._progress.tick)
        if fault is None:
            if first:
                directory.seal(stored.files, stored.quarantine)
            return True
        if fault.refusal and mode is SaveMode.ERROR:
            raise Refused(
                f"the output directory {directory.path} holds {fault.refusal}, and mode is error: {fault.message}"
            )
        note(f"the finished result in {directory.path} cannot stay as it is: {fault.message}")
        directory.prepare(mode, first=first)
        return False

    def _share(self, share: Share, directory: OutputDirectory) -> None:
        replica, notes = self._replica, ReplicaNotes(directory.path, directory.tag)
        notes.clear_failure(replica.index)
        share.others = Others(notes, time.monotonic())
        heartbeat = Heartbeat(notes.heartbeat_path(replica.index)) if replica.index else None
        try:
            share.do()
        except Superseded:
            raise
        except Exception as error:
            if replica.index:
                with contextlib.suppress(OSError):
                    notes.write_failure(replica.index, str(error) or type(error).__name__)
            raise
        finally:
            share.stop()
            if heartbeat is not None:
                heartbeat.stop()

    def _fingerprint(self, plan: Plan, description: Description) -> str:
        handling = {name: encoding.value for name, encoding in self._job.input.column_handling.items()}
        return fingerprint(
            plan.input_fingerprint,
            description.identity,
            json.dumps(dict(self._job.input.params), sort_keys=True),
            json.dumps(handling, sort_keys=True),
            json.dumps(self._job.input.partition_column),
            json.dumps(self._job.output.columns),
            # Another version may cut the input into other tasks. Its records are then of other rows.
            json.dumps([task.rows for task in plan.tasks]),
            json.dumps(bucket_count(self._job.input.path, plan) if self._job.input.partition_column else None),
        )

    def _finish(
        self,
        plan: Plan,
        description: Description,
        directory: OutputDirectory,
        records: Mapping[int, TaskRecord],
        model: str,
        rows_reused: int,
        unchanged: Callable[[], None],
    ) -> None:
        bad_rows = sum(record.quarantined_rows for record in records.values())
        if bad_rows and bad_rows == plan.rows:
            raise ModelError(f"every row failed, so none is set aside; {one_bad_row(directory, records)}")
        schema = joined_schema(records, plan.tasks)
        if schema is None:
            schema = self._empty_schema(plan, description)
            parts = [_written(directory, 0, schema, lambda: [schemas.no_rows(schema)])]
        else:
            parts = []
            for task in plan.tasks:
                part = self._in_schema(directory, records[task.index], schema, task)
                if part is not None:
                    parts.append(part)
        for record in records.values():
            self._warnings.extend(warning for warning in record.warnings if warning not in self._warnings)
        directory.finish(
            Manifest(
                job_name=self._job.name,
                fingerprint=directory.fingerprint,
                input_fingerprint=plan.input_fingerprint,
                rows=sum(part.rows for part in parts),
                files=parts,
                schema=schemas.columns(schema),
                seconds=self._progress.seconds,
                warnings=self._warnings,
                quarantine=[one.quarantine for _, one in sorted(records.items()) if one.quarantine is not None],
                attempt=directory.attempt.token,
                model=model,
                rows_reused=rows_reused,
                original_types=self._original_types(description, schema, records.values()),
            ),
            unchanged,
        )

    def _tell_of_folders(self, plan: Plan, schema: pa.Schema) -> None:
        names = folder_columns(plan.seen, schema.names)
        if names:
            told = ", ".join(f"{name[:40]}=…" for name in names[:_MOST_FOLDERS])
            more = f" and {len(names) - _MOST_FOLDERS} more" if len(names) > _MOST_FOLDERS else ""
            self._warnings.append(
                f"what the input's folders say ({told}{more}) is no column of its files: "
                "neither the model nor the result has it"
            )
            note(self._warnings[-1])

    def _original_types(
        self, description: Description, schema: pa.Schema, records: Iterable[TaskRecord]
    ) -> dict[str, str]:
        """The SQL types that columns of the results had before, as far as these are input columns as they came."""
        written = [record.passed for record in records if record.schema is not None]
        outputs = [one.name for one in description.signature.outputs] if description.signature else []
        passed = set(schemas.kept_inputs(schema.names, outputs)).intersection(*(one or () for one in written))
        return {name: kind for name, kind in self._job.input.types.items() if name in passed}

    def _empty_schema(self, plan: Plan, description: Description) -> pa.Schema:
        inputs = pa.schema([])
        if plan.schema is not None:
            inputs = pa.schema([plan.schema.field(name) for name in passed_columns(self._job, plan.schema.names)])
        if description.signature is None:
            self._warnings.append("the input has no rows and the model states no outputs: only input columns are known")
            return inputs
        if description.partitioned and self._job.input.partition_column is not None and plan.schema is not None:
            column = match_column(self._job.input.partition_column, plan.schema.names, "partition column")
            inputs = pa.schema([plan.schema.field(column)])
        outputs = pa.schema([(one.name, one.arrow_type()) for one in description.signature.outputs])
        return schemas.output_table(schemas.no_rows(inputs), schemas.no_rows(outputs)).schema

    def _in_schema(
        self, directory: OutputDirectory, record: TaskRecord, schema: pa.Schema, task: Task
    ) -> PartFile | None:
        """The task's part in the schema that all parts share; written anew beside the old one if it is narrower."""
        # A function of groups may return any number of rows, so for groups only the rows that it was given are
        # compared.
        written = record.part.rows if record.part is not None else 0
        counted = [record.input_rows]
        if not self._job.input.partition_column:
            counted.append(written + record.quarantined_rows)
        if any(rows != task.rows for rows in counted):
            raise OutputError(
                f"task {task.index} of {task.rows} rows has {written} written and {record.quarantined_rows} set aside"
            )
        own_schema = arrow_schema(record)
        if record.part is None or own_schema is None or own_schema.equals(schema):
            return record.part
        # The narrower part stays, since another attempt may be about to list it. Unlisted parts are removed in the end.
        name = record.part.name

        def tables() -> Iterator[pa.Table]:
            first_row = 0
            with pq.ParquetFile(directory.path / name) as source:
                for batch in source.iter_batches():
                    try:
                        fitted = schemas.fit(pa.Table.from_batches([batch]), schema)
                    except schemas.Misfit as error:
                        # If rows were set aside, the row's number in the part is not its number in the task.
                        where = task.place if record.quarantine else task.row(first_row + error.row)
                        raise DataError(f"output {error.message} ({where})") from None
                    yield fitted
                    first_row += batch.num_rows

        part = _written(directory, task.index, schema, tables)
        token = directory.attempt.token
        directory.write_record(replace(record, part=part, schema=encode_schema(schema), attempt=token))
        return part


def _written(
    directory: OutputDirectory, task: int, schema: pa.Schema, tables: Callable[[], Iterable[pa.Table]]
) -> PartFile:
    """A part of some tables.

    :raises OSError: it has not arrived.
    """

    def write() -> PartFile:
        writer = PartWriter(directory.part_path(task), schema)
        try:
            for table in tables():
                writer.write(table)
            return writer.close()
        except BaseException:
            writer.abandon()
            raise

    return persistently(write)


def _look_again(*looks: Callable[[], None]) -> Callable[[], None]:
    """A function that repeats looks, unless the last ones were made a moment ago.

    A look at hundreds of thousands of files takes a while. It has to be repeated if the attempt was stalled since.
    """
    looked = time.monotonic()

    def again() -> None:
        if time.monotonic() - looked > LOOK_SECONDS:
            for look in looks:
                look()

    return again


def _identity(model: ModelFiles, groups: Future[str] | None) -> Identity:
    """What the model and, for groups, the input are now; waits until that is known.

    :raises WorkerError: a file of either cannot be read.
    """
    try:
        return Identity(model.digest(), None if groups is None else groups.result())
    except OSError as error:
        raise DataError(unreadable(error)) from None
