"""One replica's run, from the job file to ``_SUCCESS``."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker import models, schemas
from airflow_provider_snowflake_batch.worker.bad_rows import (
    ERROR_COLUMN,
    FILE_COLUMN,
    ROW_COLUMN,
    Quarantine,
    quarantine_schema,
    too_many,
)
from airflow_provider_snowflake_batch.worker.columns import check_columns, match_column, passed_columns
from airflow_provider_snowflake_batch.worker.errors import ModelError, OutputError, Terminated, WorkerError
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.processes import ProcessPool
from airflow_provider_snowflake_batch.worker.heartbeats import Heartbeat, Watch
from airflow_provider_snowflake_batch.worker.job import Job, OnError, Replica
from airflow_provider_snowflake_batch.worker.loaders import column_loaders
from airflow_provider_snowflake_batch.worker.models.base import Description
from airflow_provider_snowflake_batch.worker.output import (
    Manifest,
    OutputDirectory,
    TaskRecord,
    encode_schema,
)
from airflow_provider_snowflake_batch.worker.part_file import PartFile, PartWriter
from airflow_provider_snowflake_batch.worker.partitions import Buckets, bucket_count
from airflow_provider_snowflake_batch.worker.plan import Plan, Task, fingerprint, make_plan
from airflow_provider_snowflake_batch.worker.progress import Progress

POLL_SECONDS = 1.0


class Run:
    """A batch as one replica does it.

    :param job: what to do. :param replica: which share of it.
    :param progress: told how far it is.
    """

    def __init__(self, job: Job, replica: Replica, launcher: Launcher, progress: Progress | None = None) -> None:
        self._launcher = launcher
        self._job = job
        self._replica = replica
        self._progress = progress or Progress(replica.index, replica.count)
        self._warnings: list[str] = []

    def __call__(self) -> None:
        """Do this replica's share; replica 0 also finishes the batch.

        :raises WorkerError: what ended it.
        """
        job, replica = self._job, self._replica
        pool = ProcessPool(self._launcher)
        try:
            self._do(job, replica, pool)
            self._progress.complete()
            pool.stop()
        except Terminated:
            pool.stop()
            raise
        except WorkerError:
            self._progress.phase("failed")
            raise
        finally:
            pool.kill()
        self._progress.phase("done")

    def _do(self, job: Job, replica: Replica, pool: ProcessPool) -> None:
        description = models.describe_model(job)
        self._progress.phase("planning")
        pattern, reads_files = job.input.pattern, lambda schema: bool(column_loaders(job, schema))
        plan = make_plan(job.input.path, pattern, reads_files, self._progress.tick)
        if plan.schema is not None:
            check_columns(job, plan.schema, description.signature)
            if job.on_error is OnError.QUARANTINE:
                quarantine_schema(plan.schema)
        directory = OutputDirectory(job.output.path, self._fingerprint(plan, description))
        if directory.prepare(job.output.mode, first=replica.index == 0, alone=replica.count == 1):
            self._progress.plan(plan.rows, len(plan.tasks), plan.rows, len(plan.tasks))
            return
        buckets: Buckets | None = None
        if job.input.partition_column is not None and plan.schema is not None:
            column = match_column(job.input.partition_column, plan.schema.names, "partition column")
            buckets = Buckets(job.input.path, plan, column, replica)
        try:
            self._share(buckets.fill() if buckets else plan, description, directory, pool)
        finally:
            if buckets:
                buckets.close()

    def _share(self, plan: Plan, description: Description, directory: OutputDirectory, pool: ProcessPool) -> None:
        replica = self._replica
        directory.clear_failure(replica.index)
        failures_before = directory.read_failures()
        watch = Watch(directory.read_heartbeats(), time.monotonic())
        heartbeat = Heartbeat(directory.heartbeat_path(replica.index)) if replica.index else None
        records = self._usable(directory.read_records())
        try:
            self._do_tasks(plan, directory, records, pool)
        except Exception as error:
            if replica.index:
                with contextlib.suppress(OSError):
                    directory.write_failure(replica.index, str(error) or type(error).__name__)
            raise
        finally:
            if heartbeat is not None:
                heartbeat.stop()
        if replica.index == 0:
            self._progress.phase("finishing")
            records = self._wait_for_all(plan, directory, records, failures_before, watch)
            self._finish(plan, description, directory, records)

    def _fingerprint(self, plan: Plan, description: Description) -> str:
        handling = {name: encoding.value for name, encoding in self._job.input.column_handling.items()}
        return fingerprint(
            plan.input_fingerprint,
            description.identity,
            json.dumps(dict(self._job.input.params), sort_keys=True),
            json.dumps(handling, sort_keys=True),
            json.dumps(self._job.input.partition_column),
            json.dumps(self._job.output.columns),
            # Another version may cut the input in other places: its records are of other rows then.
            json.dumps([task.rows for task in plan.tasks]),
            json.dumps(bucket_count(self._job.input.path, plan) if self._job.input.partition_column else None),
        )

    def _do_tasks(
        self, plan: Plan, directory: OutputDirectory, records: dict[int, TaskRecord], pool: ProcessPool
    ) -> None:
        share = [task for task in plan.tasks if task.index % self._replica.count == self._replica.index]
        open_tasks = [task for task in share if task.index not in records]
        rows = sum(task.rows for task in share)
        self._progress.plan(
            rows, len(share), rows - sum(task.rows for task in open_tasks), len(share) - len(open_tasks)
        )
        if not open_tasks or plan.schema is None:
            return

        def done(record: TaskRecord) -> None:
            records[record.task] = record

        quarantine = Quarantine(self._job.max_quarantined, self._count_bad_rows(directory, records))
        known = _joined(records)
        pool.run(self._job, plan.schema, directory.fingerprint, open_tasks, known, quarantine, self._progress, done)

    def _wait_for_all(
        self,
        plan: Plan,
        directory: OutputDirectory,
        records: dict[int, TaskRecord],
        failures_before: Mapping[str, tuple[float, str]],
        watch: Watch,
    ) -> dict[int, TaskRecord]:
        """The records of all tasks, once the other replicas have written theirs."""
        while len(records) < len(plan.tasks):
            for name, failure in directory.read_failures().items():
                if failures_before.get(name) != failure:
                    raise OutputError(f"another replica failed: {failure[1]}")
            found = self._usable(directory.read_records(records))
            if len(found) > len(records):
                self._count_bad_rows(directory, found)
            records = found
            missing = sorted({task.index % self._replica.count for task in plan.tasks if task.index not in records})
            silent = watch.silent(missing, directory.read_heartbeats(), time.monotonic())
            if silent:
                words = ", ".join(f"replica {replica} for {seconds:.0f} s" for replica, seconds in silent.items())
                raise OutputError(f"not heard of: {words}; what is recorded stays, and another attempt goes on from it")
            if missing:
                time.sleep(POLL_SECONDS)
                self._progress.tick()
        return records

    def _finish(
        self, plan: Plan, description: Description, directory: OutputDirectory, records: Mapping[int, TaskRecord]
    ) -> None:
        bad_rows = self._count_bad_rows(directory, records)
        if bad_rows and bad_rows == plan.rows:
            raise ModelError(f"every row failed, so none is set aside; {_one_bad_row(directory, records)}")
        schema = _joined(records)
        if schema is None:
            schema = self._empty_schema(plan, description)
            writer = PartWriter(directory.part_path(0), schema)
            writer.write(schemas.no_rows(schema))
            parts = [writer.close()]
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
                schema=schema,
                seconds=self._progress.seconds,
                warnings=self._warnings,
                quarantine=[one.quarantine for _, one in sorted(records.items()) if one.quarantine is not None],
            )
        )

    def _usable(self, records: dict[int, TaskRecord]) -> dict[int, TaskRecord]:
        """The records that count: with ``on_error`` back at ``fail``, tasks with bad rows are done again."""
        if self._job.on_error is OnError.QUARANTINE:
            return records
        return {index: record for index, record in records.items() if record.quarantine is None}

    def _count_bad_rows(self, directory: OutputDirectory, records: Mapping[int, TaskRecord]) -> int:
        rows = sum(record.quarantined_rows for record in records.values())
        self._progress.quarantined_rows = rows
        if rows > self._job.max_quarantined:
            raise too_many(_one_bad_row(directory, records))
        return rows

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
        # A function of groups returns as many rows as it likes; what it was given is known all the same.
        written = record.part.rows if record.part is not None else 0
        counted = [record.input_rows]
        if not self._job.input.partition_column:
            counted.append(written + record.quarantined_rows)
        if any(rows != task.rows for rows in counted):
            raise OutputError(
                f"task {task.index} of {task.rows} rows has {written} written and {record.quarantined_rows} set aside"
            )
        own_schema = record.arrow_schema()
        if record.part is None or own_schema is None or own_schema.equals(schema):
            return record.part
        revision = _revision(record.part.name) + 1
        writer = PartWriter(directory.part_path(task.index, revision), schema)
        with pq.ParquetFile(directory.path / record.part.name) as source:
            for batch in source.iter_batches():
                writer.write(schemas.fit(pa.Table.from_batches([batch]), schema))
        part = writer.close()
        directory.write_record(replace(record, part=part, schema=encode_schema(schema)), revision)
        (directory.path / record.part.name).unlink(missing_ok=True)
        return part


def _revision(part_name: str) -> int:
    _, _, ending = part_name.partition(".")
    number = ending.partition(".")[0]
    return int(number[1:]) if number.startswith("r") else 0


def _joined(records: Mapping[int, TaskRecord]) -> pa.Schema | None:
    schema: pa.Schema | None = None
    seen: set[str] = set()
    for index in sorted(records):
        encoded = records[index].schema
        if encoded is not None and encoded not in seen:
            seen.add(encoded)
            found = records[index].arrow_schema()
            schema = found if schema is None else schemas.join(schema, found)
    return schema


def _one_bad_row(directory: OutputDirectory, records: Mapping[int, TaskRecord]) -> str:
    """A row that an earlier or another process set aside, with its error, in words."""
    task = min(index for index, record in records.items() if record.quarantine is not None)
    columns = [ERROR_COLUMN, ROW_COLUMN, FILE_COLUMN]
    row = pq.read_table(directory.quarantine_path(task), columns=columns).slice(0, 1).to_pylist()[0]
    return f"{row[ERROR_COLUMN]} (row {row[ROW_COLUMN]} of file {row[FILE_COLUMN]})"
