"""Puts a pipeline together from its parts, as the job asks for it. The caller has the model in memory, and tasks."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.vocabulary import OnError
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.input.batch_size import BatchSize
from airflow_provider_snowflake_batch.worker.input.file_columns import FileColumns
from airflow_provider_snowflake_batch.worker.input.footers import opener
from airflow_provider_snowflake_batch.worker.input.partitions import PartitionReader
from airflow_provider_snowflake_batch.worker.input.reader import TaskReader
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.columns import match_column, passed_columns
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.output.task_part import TaskPart
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.messages import Assignment
from airflow_provider_snowflake_batch.worker.scoring.model_calls import ModelCaller
from airflow_provider_snowflake_batch.worker.scoring.output_rows import GroupByGroup, OutputRows, RowByRow
from airflow_provider_snowflake_batch.worker.scoring.pipeline import Pipeline, Reader, Reporter
from airflow_provider_snowflake_batch.worker.stage_files.loaders import column_loaders


def assemble(
    job: Job,
    schema: pa.Schema,
    attempt: Attempt,
    model: LoadedModel,
    tasks: SimpleQueue[Assignment | None],
    reporter: Reporter,
    *,
    use_threads: bool,
    still_of: Callable[[str], None] = lambda digest: None,
) -> Pipeline:
    """The pipeline from the job's input through a model to its output.

    :param schema: of the input rows.
    :param attempt: on whose behalf parts and records are written.
    :param tasks: what it does, one after the other, until None is taken from it.
    :param reporter: is told what happens.
    :param use_threads: whether Parquet may be decoded by several threads.
    :param still_of: see `TaskPart`.
    :raises WorkerError: the input does not have what the model needs.
    """
    passed = passed_columns(job, schema.names)
    column = job.input.partition_column
    if column is not None:
        column = match_column(column, schema.names, "partition column")
        passed = [column] if model.partitioned else schema.names
    converter = InputConverter(schema.names, model.signature, model.form, model.columns, passed)
    loaders = column_loaders(job, schema)
    # A model with lengths is called with rows of like lengths, which are chosen from more rows than one call takes.
    fixed = job.max_batch_rows if model.lengths is None else None
    batch_size = BatchSize(fixed, reads_files=bool(loaders), sorts=model.sorts)
    quarantine = job.on_error is OnError.QUARANTINE
    files = FileColumns(loaders, quarantine=quarantine) if loaders else None
    reader: Reader
    output_rows: OutputRows
    if column is None:
        output_rows = RowByRow(model.signature, passed=passed)
        # Bad rows are written with all of their columns, so all are read.
        wanted = None if quarantine or converter.columns is None else {*converter.columns, *passed, *loaders}
        reader = TaskReader(opener(job.input.path), schema, batch_size, files, use_threads=use_threads, columns=wanted)
    else:
        reader = PartitionReader(column, files)
        if model.partitioned:
            output_rows = GroupByGroup(model.signature, column)
        else:
            output_rows = RowByRow(model.signature, divisible=False)
    directory = OutputDirectory(job.output.path, attempt)
    return Pipeline(
        ModelCaller(model, converter, batch_size, output_rows, quarantine=quarantine, most_rows=job.max_batch_rows),
        reader,
        lambda one: TaskPart(directory, one.task, one.schema, schema, one.identity, still_of),
        tasks,
        reporter,
    )
