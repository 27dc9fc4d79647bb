"""The rows of a worker's job, put on its output stage as Parquet files.

Each attempt writes into a directory of its own, since a failed one may leave files behind. Last it writes a list of its
files. Files count only with this list, by which a later try of the task finds them.
"""

from __future__ import annotations

import io
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.exceptions import JobInputError, JobSubmissionError
from airflow_provider_snowflake_batch.jobs import row_statements, statements
from airflow_provider_snowflake_batch.jobs.errors import (
    InvalidJobError,
    error_number,
    error_text,
    is_interrupted,
    is_transient,
)
from airflow_provider_snowflake_batch.jobs.sources import JobOutput, Source, StagePaths, StageQuery
from airflow_provider_snowflake_batch.jobs.text_forms import form_of
from airflow_provider_snowflake_batch.jobs.unload import (
    UNLOAD_FILE,
    RowColumn,
    StagedRows,
    Unload,
    UnloadedFile,
    unloaded_columns,
)

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.hooks.stage_files import StageFile
    from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
    from airflow_provider_snowflake_batch.jobs.worker_job import WorkerJob

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 5.0
_WATCH_SECONDS = 0.5


def check_unload(hook: SnowflakeBatchHook, job: WorkerJob) -> None:
    """Hold that the rows can be put into files without a value becoming another. No row is read for it.

    :raises JobInputError: naming the first column for which that is not known, or if Snowflake cannot compile the query
        that unloads the rows.
    """
    query = row_statements.select_source(job.source)
    with _telling_why_not(job):
        selected = unloaded_columns(_columns(hook, job, query))
        # A query that compiles alone may fail here, where each of its columns is named again.
        _columns(hook, job, row_statements.select_unloaded(query, selected))


def put_rows(hook: SnowflakeBatchHook, job: WorkerJob, watch: Callable[[], None]) -> StagedRows:
    """Put the rows of a job on its output stage, unless an earlier try has.

    :param job: fully qualified, its source looked up.
    :param watch: called at least every half second while Snowflake unloads them. If it raises, Snowflake stops as well.
    :raises JobInputError: if Snowflake cannot unload them.
    :raises JobSubmissionError: if the statement was cancelled, timed out or met an internal error, or its files are not
        those that it tells of: another try may help.
    """
    if job.resumed is not None and (found := _earlier_rows(hook, job)) is not None:
        return found
    if isinstance(job.source, StagePaths):
        return _put_paths(hook, job, job.source)
    with _telling_why_not(job):
        return _unload(hook, job, watch)


@contextmanager
def _telling_why_not(job: WorkerJob) -> Iterator[None]:
    """Turn errors of Snowflake into those of a task, which tell whether another try may help.

    :raises JobInputError: if the rows cannot be unloaded.
    :raises JobSubmissionError: if Snowflake has given up.
    """
    try:
        yield
    except InvalidJobError as error:
        raise JobInputError(str(error)) from None
    except Exception as error:
        if is_transient(error) or error_number(error) is None:
            raise
        if is_interrupted(error):
            raise JobSubmissionError(
                f"Snowflake gave up unloading the rows of {job.source}: {error_text(error)}"
            ) from error
        raise JobInputError(f"X: Snowflake cannot unload the rows of {job.source}: {error_text(error)}") from error


def _earlier_rows(hook: SnowflakeBatchHook, job: WorkerJob) -> StagedRows | None:
    """The rows of an earlier try, if all of their files are there."""
    files = {file.path: file for file in hook.list_files(job.staged_input)}
    for path in sorted(files):
        directory, _, name = path.rpartition("/")
        if name != UNLOAD_FILE:
            continue
        location = type(job.staged_input)(job.staged_input.stage, directory).directory()
        listed = Unload.parse(hook.read_file(location.child(UNLOAD_FILE)))
        if listed is None or listed.fingerprint not in (job.fingerprint(), *job.older_fingerprints()):
            continue
        there = [files.get(location.child(file.name).path) for file in listed.files]
        if all(file is not None for file in there):
            log.info("The rows are on the stage from an earlier try: %d rows in %s", listed.rows, location)
            return StagedRows(location, listed.columns)
    return None


def _unload(hook: SnowflakeBatchHook, job: WorkerJob, watch: Callable[[], None]) -> StagedRows:
    query = row_statements.select_source(job.source)
    columns = _columns(hook, job, query)
    selected = unloaded_columns(columns)
    if as_text := [f"{column.name} ({column.type})" for column in columns if column.becomes_text]:
        log.info("The model gets these columns as text, so that nothing of them is lost: %s", ", ".join(as_text))
    log.info("Unloading the rows of %s", job.source)

    def send(cursor: SnowflakeCursor) -> tuple[StagePath, str]:
        # A repeated statement gets another directory, since the first one may have written files.
        directory = job.staged_input.child(secrets.token_hex(4)).directory()
        for statement in _preparation(job):
            cursor.execute(statement)
        # It may take hours, so it must not hang on one connection.
        cursor.execute_async(row_statements.copy_into_stage(directory, query, selected))
        return directory, str(cursor.sfqid)

    directory, query_id = hook.on_session(send)
    try:
        rows = _wait_for_rows(hook, query_id, watch)
    except BaseException:
        with suppress(Exception):
            hook.rows(statements.cancel_query(query_id))
        raise
    files = [
        UnloadedFile(str(row["file_name"]).rpartition("/")[2], int(row["row_count"]), int(row["file_size"]))
        for row in rows
    ]
    _check_files(hook.list_files(directory), files, directory)
    if not files:
        # Without rows Snowflake writes no file, but the worker has to know the columns.
        content = _empty_file(columns)
        files = [UnloadedFile("empty.parquet", 0, len(content))]
        hook.write_file(directory.child("empty.parquet"), content)
    return _list(hook, job, directory, files, _original_types(job.source, columns))


def _original_types(source: Source, columns: Sequence[RowColumn]) -> list[tuple[str, str]]:
    """The SQL type of each column; for a text that an earlier job's unload has made, the type that it was made of."""
    originals = dict(source.originals) if isinstance(source, StageQuery) else {}

    def original(column: RowColumn) -> str:
        told = originals.get(column.name, "")
        return told if column.kind == "TEXT" and form_of(told) is not None else column.type

    return [(column.name, original(column)) for column in columns]


def _wait_for_rows(hook: SnowflakeBatchHook, query_id: str, watch: Callable[[], None]) -> list[dict[str, Any]]:
    """The answer of a statement that was sent.

    :raises JobSubmissionError: if Snowflake has known nothing of it for the hook's ``transient_timeout``.
    """
    pause, heard_of = 0.1, time.monotonic()

    def look(cursor: SnowflakeCursor) -> tuple[bool, list[dict[str, Any]] | None]:
        from snowflake.connector.constants import QueryStatus

        status = cursor.connection.get_query_status(query_id)
        if status is QueryStatus.NO_DATA:
            return False, None
        if cursor.connection.is_still_running(status):
            return True, None
        # This raises the statement's error; its status tells only that it has failed.
        cursor.get_results_from_sfqid(query_id)
        rows = cursor.fetchall()
        names = [column.name.lower() for column in cursor.description]
        return True, [dict(zip(names, row, strict=True)) for row in rows]

    while True:
        known, rows = hook.on_session(look)
        if rows is not None:
            return rows
        if known:
            heard_of = time.monotonic()
        elif time.monotonic() - heard_of > hook.transient_timeout:
            raise JobSubmissionError(
                f"Snowflake has known nothing of statement {query_id}, which unloads the rows, for "
                f"{hook.transient_timeout:g} seconds. A retry unloads them again."
            )
        _sleep(pause, watch)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _sleep(seconds: float, watch: Callable[[], None]) -> None:
    """Sleep, but call ``watch`` often: Airflow gives a task five seconds to end."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _WATCH_SECONDS))
        watch()


def _put_paths(hook: SnowflakeBatchHook, job: WorkerJob, source: StagePaths) -> StagedRows:
    import pyarrow as pa

    assert source.column_name is not None
    directory = job.staged_input.child(secrets.token_hex(4)).directory()
    content = _parquet(pa.table({source.column_name.value: [str(path) for path in source.paths]}))
    hook.write_file(directory.child("paths.parquet"), content)
    files = [UnloadedFile("paths.parquet", len(source.paths), len(content))]
    return _list(hook, job, directory, files, [(source.column_name.value, "VARCHAR")])


def _list(
    hook: SnowflakeBatchHook,
    job: WorkerJob,
    directory: StagePath,
    files: Sequence[UnloadedFile],
    columns: Sequence[tuple[str, str]],
) -> StagedRows:
    listed = Unload(job.fingerprint(), tuple(files), tuple(columns))
    hook.write_file(directory.child(UNLOAD_FILE), listed.to_json().encode())
    log.info("%d rows in %d file(s) are in %s", listed.rows, len(files), directory)
    return StagedRows(directory, listed.columns)


def _check_files(found: Sequence[StageFile], told: Sequence[UnloadedFile], directory: StagePath) -> None:
    """Hold that the directory has exactly what the statement says it has written."""
    names = sorted(file.path.rpartition("/")[2] for file in found)
    if names != sorted(file.name for file in told):
        raise JobSubmissionError(
            f"The unload says that it has written {len(told)} file(s), but {directory} has {len(names)}: rows would be "
            "lost or doubled. Has somebody else written there? A retry unloads into a directory of its own."
        )


def _columns(hook: SnowflakeBatchHook, job: WorkerJob, query: str) -> list[RowColumn]:
    def describe(cursor: SnowflakeCursor) -> list[RowColumn]:
        from snowflake.connector.constants import FIELD_ID_TO_NAME

        for statement in _preparation(job):
            cursor.execute(statement)
        return [
            RowColumn(column.name, FIELD_ID_TO_NAME[column.type_code], column.precision, column.scale)
            for column in cursor.describe(query)
        ]

    return hook.on_session(describe)


def _preparation(job: WorkerJob) -> list[str]:
    source = job.source
    assert not isinstance(source, JobOutput)
    if isinstance(source, StageQuery) and source.temporary:
        return [row_statements.create_parquet_format(source.file_format)]
    return []


def _empty_file(columns: Sequence[RowColumn]) -> bytes:
    import pyarrow as pa

    plain = {
        "REAL": pa.float64(),
        "DATE": pa.date32(),
        "BOOLEAN": pa.bool_(),
        "BINARY": pa.binary(),
    }

    def kind(column: RowColumn) -> pa.DataType:
        if column.kind == "FIXED":
            return pa.decimal128(column.precision or 38, column.scale or 0)
        return plain.get(column.kind, pa.string())

    return _parquet(pa.schema([(column.name, kind(column)) for column in columns]).empty_table())


def _parquet(table: Any) -> bytes:
    import pyarrow.parquet as pq

    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()
