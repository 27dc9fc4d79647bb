"""A job's input rows: what its stages say about them, and rows that are too many for the job's statement."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_snowflake_batch.contract.file_names import folder_columns
from airflow_provider_snowflake_batch.contract.manifest import parse_result_manifest
from airflow_provider_snowflake_batch.contract.output_layout import MANIFEST, SUCCESS
from airflow_provider_snowflake_batch.exceptions import JobInputError, JobNotFoundError
from airflow_provider_snowflake_batch.hooks.file_columns import columns_of_files
from airflow_provider_snowflake_batch.jobs import row_statements, statements
from airflow_provider_snowflake_batch.jobs.column_types import FileColumn
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError, error_text, is_transient, some
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.input_files import EVERY_FILE, PARQUET_FILES, InputFiles, visible_parquet
from airflow_provider_snowflake_batch.jobs.job import RegistryJob, staged_input
from airflow_provider_snowflake_batch.jobs.sources import (
    JobOutput,
    Query,
    Source,
    StageListing,
    StageParquet,
    StagePaths,
    StageQuery,
    Table,
)

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.batch_job import SubmittedJob
    from airflow_provider_snowflake_batch.jobs.specs import InputSpec
    from airflow_provider_snowflake_batch.jobs.worker_job import WorkerJob

    AnyJob = RegistryJob | WorkerJob

_T = TypeVar("_T")

log = logging.getLogger(__name__)

# Snowflake takes 1 MB of text and 200,000 rows of VALUES, but the statement also stands in the task's log.
MOST_PATHS_IN_STATEMENT = 200


def look_up_source(hook: SnowflakeBatchHook, job: AnyJob) -> Source:
    """The job's source with everything that its statement needs to know of it.

    :raises JobInputError: if there is no such input, or it lacks a column that the job names.
    """
    source = job.source
    match source:
        case Query() | Table():
            query = row_statements.select_source(source)
            columns = _ask(lambda: hook.columns(query), str(source))
            _check_columns_differ(columns)
            _check_columns_exist(job.input, columns)
            return source
        case StageParquet() if not source.needs_query:
            among = _parquet_files(hook, source)
            if isinstance(job, RegistryJob):
                _refuse_hidden(source.location, among)
            _tell_of_folders(source, among.parquet)
            return source
        case StageParquet():
            return _query_of_files(hook, job, source)
        case JobOutput(location):
            if not hook.is_complete(location):
                raise JobInputError(
                    f"X: {location} has no {SUCCESS}: the job that writes there has failed, or is still at work. "
                    "Let a task wait for it first, for example a BatchSuccessSensor."
                )
            found = _query_of_files(hook, job, source.files)
            return found if isinstance(job, RegistryJob) else replace(found, originals=_original_types(hook, location))
        case StageListing(location, pattern, column_name):
            files = [file for file in hook.list_files(location, pattern=pattern) if not file.path.endswith("/")]
            if not files:
                raise JobInputError(f"X: there are no files under {location}{_matching(pattern)}.")
            paths = tuple(StagePath(location.stage, file.path) for file in files)
            return _checked_paths(hook, job, StagePaths(paths, column_name))
        case StagePaths():
            return _checked_paths(hook, job, source)
    return source


def put_long_list(hook: SnowflakeBatchHook, job: SubmittedJob) -> SubmittedJob:
    """A job whose list of paths would make its statement too long, with the list in a file instead.

    The file lies where snowflake-ml-python puts a DataFrame's rows, below the output location, in a folder that belongs
    to this job; who runs the job removes it.
    """
    if not isinstance(job, RegistryJob):
        return job
    source = job.source
    if not isinstance(source, StagePaths) or len(source.paths) <= MOST_PATHS_IN_STATEMENT:
        return job
    assert source.column_name is not None
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = io.BytesIO()
    pq.write_table(pa.table({source.column_name.value: [str(path) for path in source.paths]}), content)
    hook.write_file(job.staged_input.child("paths.parquet"), content.getvalue())
    return replace(job, source=StageParquet(job.staged_input))


def discard_long_list(hook: SnowflakeBatchHook, name: QualifiedName, output_directory: StagePath) -> None:
    """Remove what :func:`put_long_list` has put, if anything, unless there is a job that may still read it."""
    discard_input(hook, name, [staged_input(output_directory)])


def discard_input(hook: SnowflakeBatchHook, name: QualifiedName, places: Iterable[StagePath]) -> None:
    """Remove what a job was given, unless it has not ended and may still read it. A failure is logged."""
    try:
        if may_still_read(hook, name):
            return
    except Exception as error:
        log.warning("What job %s was given could not be removed: %s", name, error_text(error))
        return
    remove_input(hook, places)


def may_still_read(hook: SnowflakeBatchHook, name: QualifiedName) -> bool:
    """Whether there is such a job that has not ended."""
    try:
        return not hook.status(name).status.is_terminal
    except JobNotFoundError:
        return False


def remove_input(hook: SnowflakeBatchHook, places: Iterable[StagePath]) -> None:
    """Remove what jobs were given. A failure is logged."""
    for place in places:
        try:
            hook.remove_files(place)
        except Exception as error:
            # Files in a reserved folder do no harm, and the task is to end as its job did.
            log.warning("The files in %s could not be removed: %s", place, error_text(error))


def _query_of_files(hook: SnowflakeBatchHook, job: AnyJob, source: StageParquet) -> StageQuery:
    if source.pattern is None:
        among = _parquet_files(hook, source)
        files = among.parquet
        source = replace(source, pattern=visible_parquet(source.location) if among.hidden else PARQUET_FILES)
    else:
        files = _list(hook, source)
    file_format = source.file_format
    if file_format is None:
        # Named after the job, since two sessions of one schema must not share a format.
        file_format = QualifiedName(f"{job.name.name[:240]}_PARQUET", job.name.schema, job.name.database)
    found = StageQuery(source, (), file_format, temporary=source.file_format is None)
    preparation = [row_statements.create_parquet_format(file_format)] if found.temporary else []
    columns = _ask(
        lambda: columns_of_files(hook, source.location, files, file_format, field="X", preparation=preparation),
        str(source),
    )
    _tell_of_folders(source, files, [column.name for column in columns])
    _check_one_spelling(columns)
    _check_whole_numbers(hook, source, file_format, preparation, columns)
    found = replace(found, columns=tuple((column.name, column.kind) for column in columns))
    try:
        query = row_statements.select_source(found)
    except InvalidJobError as error:
        raise JobInputError(str(error)) from None

    def describe(cursor: SnowflakeCursor) -> list[str]:
        for sql in preparation:
            cursor.execute(sql)
        return [column.name for column in cursor.describe(query)]

    _check_columns_exist(job.input, _ask(lambda: hook.on_session(describe), str(source)))
    return found


def _original_types(hook: SnowflakeBatchHook, directory: StagePath) -> tuple[tuple[str, str], ...]:
    """The types that columns of a job's results had, where its manifest tells them."""
    try:
        return tuple(parse_result_manifest(hook.read_file(directory.child(MANIFEST))).original_types.items())
    except (FileNotFoundError, ValueError):
        return ()


def _list(hook: SnowflakeBatchHook, source: StageParquet) -> list[str]:
    """The files of a source, relative to its location."""
    return [name for name, _ in _listed(hook, source)]


def _listed(hook: SnowflakeBatchHook, source: StageParquet) -> list[tuple[str, int]]:
    files = hook.list_files(source.location, pattern=source.pattern)
    if not files:
        raise JobInputError(f"X: there are no files under {source.location}{_matching(source.pattern)}.")
    return [(file.path.removeprefix(source.location.path), file.size) for file in files]


def _parquet_files(hook: SnowflakeBatchHook, source: StageParquet) -> InputFiles:
    """The files that a source without a pattern stands for.

    :raises JobInputError: if there is none, or one beside them that a job might read or not.
    """
    found = InputFiles.of(_listed(hook, source))
    if found.unclear:
        every = {"stage_location": str(source.location), "pattern": EVERY_FILE}
        raise JobInputError(
            f"X: under {source.location} are files whose names do not end in .parquet, so that it is not sure that a "
            f"job reads them: {some(found.unclear)}. Rename them, or have a query read them: X = {every} reads "
            f"every file, and with the pattern {PARQUET_FILES!r} these are left out."
        )
    if not found.parquet:
        seen = some(found.others + found.hidden)
        raise JobInputError(
            f"X: there are no Parquet files under {source.location}; there are {seen}. Names that begin with _ or . "
            "are no data."
        )
    if found.others or found.hidden:
        log.warning("These files under %s are no input: %s", source.location, some(found.others + found.hidden))
    return found


def _tell_of_folders(source: StageParquet, files: Iterable[str], columns: Iterable[str] = ()) -> None:
    names = folder_columns(files, columns)
    if names:
        log.warning(
            "What folders under %s say (%s) is no column of the input, unless the files have it as well. A query can "
            "add it, from METADATA$FILENAME.",
            source.location,
            some(f"{name}=…" for name in names),
        )


def _refuse_hidden(location: StagePath, among: InputFiles) -> None:
    """:raises JobInputError: if a runtime that goes by the endings of names would read files that are no data."""
    if among.hidden:
        others = {"stage_location": str(location), "pattern": visible_parquet(location)}
        raise JobInputError(
            f"X: under {location} are Parquet files on whose path a name begins with _ or ., so that they are no data, "
            f"but it is not sure that a job leaves them out: {some(among.hidden)}. Move them away, or let a query read "
            f"the others: X = {others}; with the pattern {PARQUET_FILES!r} it reads these, too."
        )


def _checked_paths(hook: SnowflakeBatchHook, job: AnyJob, source: StagePaths) -> StagePaths:
    assert source.column_name is not None
    _check_columns_exist(job.input, [source.column_name.value])
    for stage in sorted({path.stage for path in source.paths}):
        _check_encryption(hook, stage)
    return source


def _check_encryption(hook: SnowflakeBatchHook, stage: QualifiedName) -> None:
    """Jobs read files only from stages with server-side encryption.

    https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs
    """
    rows = [row for row in hook.rows(statements.show_stages(stage)) if row["name"] == stage.name]
    if not rows:
        raise JobInputError(
            f"X: stage {stage} does not exist, or this role may not see it. SHOW STAGES IN ACCOUNT lists the ones that "
            "it can see."
        )
    kind = str(rows[0]["type"]).upper()
    if kind.startswith("INTERNAL") and "NO CSE" not in kind:
        raise JobInputError(
            f"X: the files on stage {stage} are encrypted by the client that uploads them, so that a job cannot read "
            "them. Put them on a stage made with ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')."
        )


def _check_columns_exist(spec: InputSpec, columns: Sequence[str]) -> None:
    present = {column.upper() for column in columns}
    wanted = [(f"input_spec.column_handling[{name!r}]", name) for name in spec.column_handling or ()]
    if spec.partition_column is not None:
        wanted.append(("input_spec.partition_column", spec.partition_column))
    for where, name in wanted:
        if Identifier.column(name, field=where).value.upper() not in present:
            raise JobInputError(f"{where}: the input has no column {name!r}; it has {some(columns)}.")


def _check_one_spelling(columns: Iterable[FileColumn]) -> None:
    """A query reads ``ID`` as NULL from files that call it ``id``: two columns, each half empty."""
    seen: dict[str, FileColumn] = {}
    for column in columns:
        known = seen.setdefault(column.name.upper(), column)
        if known is not column:
            raise JobInputError(
                f"X: the files spell a column's name in more than one way: {known.name} ({known.file}) and "
                f"{column.name} ({column.file}), which Snowflake takes for two columns. Write the files with one "
                f'name, or a query of your own as X that says which is read (SELECT $1:"{known.name}" … FROM @…).'
            )


def _check_whole_numbers(
    hook: SnowflakeBatchHook,
    source: StageParquet,
    file_format: QualifiedName,
    preparation: Sequence[str],
    columns: Sequence[FileColumn],
) -> None:
    """Whole numbers that other files have as floating-point ones are read as such, and must not change by that.

    Where there are none, no row is looked at.
    """
    mixed = [column for column in columns if column.whole and '"' not in column.name]
    if source.select is not None and source.filter is None:
        read = {one.name.value.upper() for one in source.select}
        mixed = [column for column in mixed if column.name.upper() in read]
    if not mixed:
        return

    def count(cursor: SnowflakeCursor) -> list[int]:
        for sql in preparation:
            cursor.execute(sql)
        assert source.pattern is not None
        cursor.execute(row_statements.count_rounded(source.location, source.pattern, file_format, mixed))
        return [int(number) for number in cursor.fetchall()[0]]

    for column, number in zip(mixed, _ask(lambda: hook.on_session(count), str(source)), strict=True):
        if number:
            raise JobInputError(
                f"X: column {column.name} holds whole numbers in some files, as {column.whole}, and floating-point "
                f"numbers in others, and {number} of the whole ones, above 2⁵³, are no floating-point number. Write "
                "the files with one type, or read some of them only."
            )


def _check_columns_differ(columns: Sequence[str]) -> None:
    """A query may have several columns of one name, a job's input may not."""
    twice = {column for column in columns if columns.count(column) > 1}
    if twice:
        raise JobInputError(
            f"X: the query has more than one column called {some(twice)}. Leave all but one out, or rename them "
            "(SELECT … AS another_name)."
        )


def _ask(question: Callable[[], _T], source: str) -> _T:
    try:
        return question()
    except InvalidJobError as error:
        raise JobInputError(str(error)) from None
    except Exception as error:
        if is_transient(error):
            raise
        raise JobInputError(f"X: Snowflake cannot read the input {source}: {error_text(error)}") from error


def _matching(pattern: str | None) -> str:
    return f" that match the pattern {pattern!r}" if pattern is not None else ""
