"""The part file of one task while it is being written.

Without a signature, only the values that the model returns tell the types of the outputs. The first tables are held
back until there are enough of them to choose a schema. A later batch that does not fit it, which is rare, has the task
done again with a wider one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.bad_rows import BadRows, quarantine_schema
from airflow_provider_snowflake_batch.worker.errors import DataError, OutputError, Superseded
from airflow_provider_snowflake_batch.worker.input.content import Content, Identity
from airflow_provider_snowflake_batch.worker.input.plan import Task
from airflow_provider_snowflake_batch.worker.output.disk import may_pass
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.output.part_writer import PartWriter
from airflow_provider_snowflake_batch.worker.output.records import encode_schema
from airflow_provider_snowflake_batch.worker.values import schemas

HELD_BACK_BYTES = 64 * 1024 * 1024


class SchemaWidened(Exception):
    """A batch does not fit the schema that the part was begun with."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__("the output schema became wider")
        self.schema = schema


class NotWritten(Exception):
    """What a task wrote has not arrived.

    :param passing: it may, if the task is done again.
    """

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


class TaskPart:
    """Collects a task's rows, writes its part, then its record.

    :param schema: the schema of parts written before, if any.
    :param inputs: the input's columns.
    :param identity: what the model and, for groups, the input are.
    :param still_of: called with the model's hash before the task is recorded; raises `OutputError` if the rows may have
        been scored with another one.
    """

    def __init__(
        self,
        directory: OutputDirectory,
        task: Task,
        schema: pa.Schema | None,
        inputs: pa.Schema,
        identity: Identity,
        still_of: Callable[[str], None] = lambda digest: None,
    ) -> None:
        self.task = task
        self._still_of = still_of
        self._identity = identity
        self._files: list[PartWriter] = []
        self._directory = directory
        self._schema = schema
        self._inputs = inputs
        self._quarantine: PartWriter | None = None
        self._held: list[tuple[pa.Table, Callable[[int], str]]] = []
        self._held_bytes = 0
        self._writer: PartWriter | None = None
        self._input_rows = 0
        self._begun = time.monotonic()
        self._warnings: dict[str, None] = {}
        self._passed: list[str] | None = None

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of the file system, in words and without what has been written by then."""
        try:
            yield
        except OSError as error:
            self.abandon()
            what = f"what task {self.task.index} wrote has not arrived in {self._directory.path}"
            raise NotWritten(f"{what}: {error.strerror or error}", passing=may_pass(error)) from error

    def write(
        self, inputs: pa.Table, outputs: pa.Table, input_rows: int, row_name: Callable[[int], str] = "row {}".format
    ) -> None:
        """Add the rows of one batch.

        :param input_rows: rows that the model was given for them.
        :param row_name: tells which row of the input a row is, in words.
        :raises SchemaWidened: the batch does not fit what is written already.
        :raises DataError: its types do not go together with those of earlier batches at all, or a value cannot be had
            in the type that they have in common.
        :raises NotWritten: the file system failed.
        """
        for name in schemas.replaced_inputs(inputs.column_names, outputs.column_names):
            self._warnings[f"input column {name!r} is replaced by the model's output of that name"] = None
        kept = schemas.kept_inputs(inputs.column_names, outputs.column_names)
        self._passed = kept if self._passed is None else [name for name in self._passed if name in kept]
        self._input_rows += input_rows
        table = schemas.output_table(inputs, outputs)
        schema = _joined(self._schema, table, row_name)
        if self._writer is None:
            self._schema = schema
            self._held.append((table, row_name))
            self._held_bytes += table.nbytes
            if self._held_bytes >= HELD_BACK_BYTES:
                with self._named():
                    self._begin()
        elif not schema.equals(self._schema):
            raise SchemaWidened(schema)
        else:
            self._schema = schema
            fitted = _fitted(table, schema, row_name)
            with self._named():
                self._writer.write(fitted)

    def set_aside(self, bad: BadRows) -> None:
        """Add rows that failed.

        :raises NotWritten: the file system failed.
        """
        table = bad.to_table()
        with self._named():
            if self._quarantine is None:
                schema = quarantine_schema(self._inputs)
                self._quarantine = PartWriter(self._directory.quarantine_path(self.task.index), schema)
                self._files.append(self._quarantine)
            self._quarantine.write(table)
        self._input_rows += table.num_rows

    def _begin(self) -> PartWriter:
        assert self._schema is not None
        # The record is checked again later. This check keeps new files out of a directory that may be read already.
        self._directory.check_superseded()
        writer = PartWriter(self._directory.part_path(self.task.index), self._schema)
        self._writer = writer
        self._files.append(writer)
        held, self._held, self._held_bytes = self._held, [], 0
        for table, row_name in held:
            writer.write(_fitted(table, self._schema, row_name))
        return writer

    def close(self, content: Content | None) -> TaskRecord:
        """Finish the part and the file of bad rows, then record the task.

        :param content: what was read of the input, where that is not known for all tasks alike.
        :raises Superseded: another attempt has finished the batch; nothing is left of this task.
        :raises NotWritten: the file system failed; nothing is left of this task.
        :raises OutputError: the model's files were replaced meanwhile; nothing is left of this task.
        """
        try:
            with self._named():
                record = self._finished(content)
            self._still_of(self._identity.model)
            with self._named():
                self._directory.write_record(record)
        except (Superseded, OutputError):
            self.abandon()
            raise
        return record

    def _finished(self, content: Content | None) -> TaskRecord:
        part = schema = None
        if self._writer is not None or self._held:
            part = (self._writer or self._begin()).close()
            assert self._schema is not None
            schema = encode_schema(self._schema)
        return TaskRecord(
            task=self.task.index,
            fingerprint=self._directory.fingerprint,
            part=part,
            quarantine=None if self._quarantine is None else self._quarantine.close(),
            input_rows=self._input_rows,
            seconds=round(time.monotonic() - self._begun, 3),
            schema=schema,
            warnings=tuple(self._warnings),
            attempt=self._directory.attempt.token,
            model=self._identity.model,
            input=self._identity.input if content is None else content.digest,
            seen=None if content is None else content.seen,
            job=self._directory.attempt.job,
            passed=None if self._passed is None else tuple(self._passed),
        )

    def abandon(self) -> None:
        """Give the task up, and remove what is written of it."""
        self._held = []
        for file in self._files:
            file.abandon()


def _joined(known: pa.Schema | None, table: pa.Table, row_name: Callable[[int], str]) -> pa.Schema:
    if known is None:
        return table.schema
    try:
        return schemas.join(known, table.schema)
    except DataError as error:
        where = f" (in the batch from {row_name(0)} on)" if table.num_rows else ""
        raise DataError(f"{error.message}{where}") from None


def _fitted(table: pa.Table, schema: pa.Schema, row_name: Callable[[int], str]) -> pa.Table:
    try:
        return schemas.fit(table, schema)
    except schemas.Misfit as error:
        raise DataError(f"output {error.message} ({row_name(error.row)})") from None
