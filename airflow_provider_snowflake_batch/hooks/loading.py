"""Loading a finished job's Parquet files into a table, all or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.contract.manifest import ResultManifest, parse_result_manifest
from airflow_provider_snowflake_batch.contract.output_layout import MANIFEST, SUCCESS
from airflow_provider_snowflake_batch.exceptions import JobInputError, SnowflakeBatchError
from airflow_provider_snowflake_batch.hooks.file_columns import columns_of_files
from airflow_provider_snowflake_batch.hooks.results import data_files
from airflow_provider_snowflake_batch.jobs import row_statements
from airflow_provider_snowflake_batch.jobs.column_types import (
    FileColumn,
    LoadedColumn,
    match_columns,
    with_original_types,
)
from airflow_provider_snowflake_batch.jobs.errors import (
    InvalidJobError,
    does_not_exist,
    error_text,
    lacks_privilege,
    some,
)
from airflow_provider_snowflake_batch.jobs.identifiers import (
    MAX_IDENTIFIER_LENGTH,
    Identifier,
    QualifiedName,
    StagePath,
)
from airflow_provider_snowflake_batch.jobs.input_files import InputFiles, visible_parquet
from airflow_provider_snowflake_batch.jobs.text_forms import form_of, is_text

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.hooks.stage_files import StageFile


class LoadMode(str, Enum):
    """What happens to the rows that a table already has."""

    APPEND = "append"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """:param table: what was loaded. :param rows: rows loaded by this call. :param files: files loaded by this call."""

    table: str
    rows: int
    files: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_results(hook: SnowflakeBatchHook, directory: StagePath, table: QualifiedName, mode: LoadMode) -> LoadResult:
    """Copy what a job has written into a table (``COPY INTO``), in one transaction.

    A table that does not exist is created with the columns of all files, their names in upper case, and types that hold
    the values of every file. Columns are matched by name, whatever their case; what the table has no column for is left
    out, with a warning in the log. Loading the same output again changes nothing: Snowflake remembers for 64 days which
    files a table has (https://docs.snowflake.com/en/sql-reference/sql/copy-into-table).

    :param directory: the job's output directory, fully qualified.
    :param table: fully qualified.
    :raises JobInputError: if the directory holds files that are no results, or results that do not go into one table.
    :raises SnowflakeBatchError: if ``_SUCCESS`` is missing, or if the rows loaded are not as many as the manifest says;
        the table then has the rows it had before (none, if it was created for them).
    """
    if not hook.is_complete(directory):
        raise SnowflakeBatchError(
            f"{directory} has no {SUCCESS}: its files are not complete. Nothing was loaded. Its job is still at work, "
            "or has failed: let a BatchSuccessSensor wait for it, or score again."
        )
    manifest = _manifest(hook, directory)
    expected = None if manifest is None else manifest.rows
    listed = hook.list_files(directory)
    files = data_files(listed, directory)
    if manifest is not None and manifest.files is not None:
        missing = sorted(set(manifest.files) - set(files))
        if missing:
            raise SnowflakeBatchError(
                f"{directory} lacks {missing[0]}, which its manifest lists. Nothing was loaded. Put the file back, or "
                "score again."
            )
        # A late attempt may have left a file that is not part of the results.
        files = [name for name in files if name in set(manifest.files)]
    _refuse_others(listed, directory)
    if not files:
        if expected:
            raise SnowflakeBatchError(
                f"{directory} has {expected} rows by its manifest, and no files. Nothing was loaded. Put them back, or "
                "score again."
            )
        if _columns_of(hook, table) is None:
            lacks = "does not exist, or this role may not see it"
            hook.log.warning("%s has no files, and table %s %s: nothing was done", directory, table, lacks)
            return LoadResult(str(table), 0, 0)
    originals = {} if manifest is None else manifest.original_types
    columns = _prepare_table(hook, directory, files, table, originals) if files else None

    def load(cursor: SnowflakeCursor) -> LoadResult:
        again = mode is LoadMode.OVERWRITE
        cursor.execute("BEGIN")
        try:
            if again:
                cursor.execute(row_statements.delete_rows(table))
            rows = loaded = 0
            for first in range(0, len(files), most := row_statements.MOST_COPIED_FILES):
                some = files[first : first + most]
                sql = row_statements.copy_into_table(table, directory, some, force=again, columns=columns)
                counts = _copy(cursor, sql)
                rows, loaded = rows + sum(counts), loaded + len(counts)
            # No file at all means that this output was appended before.
            if expected is not None and loaded and rows != expected:
                raise SnowflakeBatchError(
                    f"{directory} has {expected} rows by its manifest, but {rows} were loaded into {table}. "
                    "The table was left as it was. Have its files been changed since the job ended?"
                )
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        return LoadResult(str(table), rows, loaded)

    return hook.on_session(load)


def _refuse_others(listed: Sequence[StageFile], directory: StagePath) -> None:
    """:raises JobInputError: if there are files that would be left out although they may hold results."""
    names = [(file.path.removeprefix(directory.path), file.size) for file in listed]
    found = InputFiles.of(names)
    others = found.unclear + [name for name in found.parquet if "/" in name]
    if others:
        raise JobInputError(
            f"stage_location: {directory} holds files that are not named as a job's results are (*.parquet in the "
            f"directory itself), so that it is not sure what they are: {some(others)}. Nothing was loaded. Rename them "
            "or move them away."
        )


def _manifest(hook: SnowflakeBatchHook, directory: StagePath) -> ResultManifest | None:
    try:
        return parse_result_manifest(hook.read_file(directory.child(MANIFEST)))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise JobInputError(
            f"stage_location: {MANIFEST} of {directory} cannot be read: {error}, so that nobody knows how many "
            "rows there should be. Nothing was loaded. Remove that file to load the results without it."
        ) from None


def _prepare_table(
    hook: SnowflakeBatchHook,
    directory: StagePath,
    files: Sequence[str],
    table: QualifiedName,
    originals: Mapping[str, str],
) -> list[LoadedColumn] | None:
    """What goes into which column of the table, which is created if it does not exist.

    :param originals: columns and the types that they had before their values became what is in the files.
    :returns: None if this role may not find that out, so that Snowflake has to match the columns itself.
    """
    existing = _columns_of(hook, table)
    file_format = QualifiedName(f"PARQUET_{uuid.uuid4().hex.upper()}", table.schema, table.database)
    preparation = [row_statements.create_parquet_format(file_format)]
    try:
        found = columns_of_files(
            hook, directory, files, file_format, field="stage_location", preparation=preparation, key=str.upper
        )
        _refuse_names(found, existing)
        found = with_original_types(found, originals)
        if existing is None:
            columns = [(Identifier(column.name.upper()), column.created_kind) for column in found]
            hook.rows(row_statements.create_table(table, columns))
            hook.log.info("Created table %s with %d columns", table, len(columns))
            existing = {name.value: kind for name, kind in columns}
        loaded, left_out = match_columns(found, existing)
        _refuse_changes(hook, directory, file_format, [column for column in loaded if column.may_change])
    except InvalidJobError as error:
        raise JobInputError(str(error)) from None
    except Exception as error:
        if existing is None or not lacks_privilege(error):
            raise
        _refuse_texts(existing, originals, error)
        hook.log.warning("Snowflake matches the columns by their names, since this role lacks: %s", error_text(error))
        return None
    if left_out:
        hook.log.warning("%s has no column for %s: left out", table, some(left_out))
    return loaded


def _refuse_names(columns: Sequence[FileColumn], existing: Mapping[str, str] | None) -> None:
    """:raises InvalidJobError: if a column that would be loaded has a name that no statement can load."""
    targets = None if existing is None else {name.upper() for name in existing}
    for name in (column.name for column in columns if targets is None or column.name.upper() in targets):
        if not name or '"' in name or len(name.upper()) > MAX_IDENTIFIER_LENGTH:
            wrong = (
                "is empty" if not name else "holds a double quote" if '"' in name else "has more than 255 characters"
            )
            raise InvalidJobError(
                "stage_location",
                f"the files have a column {name[:40]!r}, whose name {wrong}, so that it cannot be loaded. Nothing was "
                "loaded. Have the model return it by another name, or rename the input's column.",
            )


def _refuse_texts(existing: Mapping[str, str], originals: Mapping[str, str], lacking: Exception) -> None:
    """:raises JobInputError: if Snowflake, matching the columns by itself, would not turn texts into what they were."""
    texts = {name.upper(): kind for name, kind in originals.items() if form_of(kind) is not None}
    for column, kind in existing.items():
        if column.upper() in texts and not is_text(kind):
            raise JobInputError(
                f"table: the results hold column {column} as text, which was {texts[column.upper()]}, and to make it "
                f"that again, this role lacks: {error_text(lacking)}. Nothing was loaded. See CREATE FILE FORMAT on "
                "the table's schema."
            ) from lacking


def _refuse_changes(
    hook: SnowflakeBatchHook, directory: StagePath, file_format: QualifiedName, columns: Sequence[LoadedColumn]
) -> None:
    """:raises InvalidJobError: if a column of a table would round or cut a value."""
    if not columns:
        return

    def count(cursor: SnowflakeCursor) -> list[int]:
        cursor.execute(row_statements.create_parquet_format(file_format))
        cursor.execute(row_statements.count_changed(directory, visible_parquet(directory), file_format, columns))
        return [int(number) for number in cursor.fetchall()[0]]

    for column, number in zip(columns, hook.on_session(count), strict=True):
        if number and column.may_lack_zone:
            raise InvalidJobError(
                "table",
                f"its column {column.target} is {column.type}, and {number} text(s) of the results have no zone, so "
                "that they would become moments by the session's TIMEZONE"
                f"{'' if column.digits_kept is None else ', or more digits of a second'}. Nothing was loaded. Have the "
                "model return texts with an offset (…+01:00, …Z) or times with a zone.",
            )
        if number:
            raise InvalidJobError(
                "table",
                f"its column {column.target} is {column.type} and would change {number} value(s) of the results, which "
                f"are {column.kind}. Nothing was loaded. Give the column a type that holds them.",
            )


def _columns_of(hook: SnowflakeBatchHook, table: QualifiedName) -> dict[str, str] | None:
    """The columns of a table and their types, or None if there is no such table."""
    try:
        return {str(row["name"]): str(row["type"]) for row in hook.rows(row_statements.describe_table(table))}
    except Exception as error:
        if not does_not_exist(error):
            raise
        return None


def _copy(cursor: SnowflakeCursor, sql: str) -> list[int]:
    """The rows of each file that was loaded."""
    cursor.execute(sql)
    names = [column.name.lower() for column in cursor.description]
    # With nothing to load, Snowflake answers one column, status, instead of a row for each file.
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [int(row["rows_loaded"]) for row in rows if row.get("status") == "LOADED"]
