"""Loading a finished job's Parquet files into a table, all or nothing."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.exceptions import SnowflakeBatchError
from airflow_provider_snowflake_batch.hooks.results import data_files
from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.errors import does_not_exist
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.job import MANIFEST_FILE, SUCCESS_FILE

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook


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
    """``COPY INTO`` a table what a job has written, in one transaction.

    A table that does not exist is created with the files' columns, their names in upper case. Columns are matched by
    name, whatever their case. Loading the same output again changes nothing: Snowflake remembers for 64 days which
    files a table has (https://docs.snowflake.com/en/sql-reference/sql/copy-into-table).

    :param directory: the job's output directory, fully qualified.
    :param table: fully qualified.
    :raises SnowflakeBatchError: if ``_SUCCESS`` is missing, or if the rows loaded are not as many as the manifest says;
        the table then has the rows it had before (none, if it was created for them).
    """
    if not hook.is_complete(directory):
        raise SnowflakeBatchError(f"{directory} has no {SUCCESS_FILE}: its files are not complete. Nothing was loaded.")
    expected = _rows_in_manifest(hook, directory)
    files = data_files(hook.list_files(directory), directory)
    if files:
        _create_table(hook, directory, files[0], table)

    def load(cursor: SnowflakeCursor) -> LoadResult:
        cursor.execute("BEGIN")
        try:
            if mode is LoadMode.OVERWRITE:
                cursor.execute(statements.delete_rows(table))
            rows = loaded = 0
            for first in range(0, len(files), most := statements.MOST_COPIED_FILES):
                some = files[first : first + most]
                sql = statements.copy_into_table(table, directory, some, force=mode is LoadMode.OVERWRITE)
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


def _rows_in_manifest(hook: SnowflakeBatchHook, directory: StagePath) -> int | None:
    try:
        return int(json.loads(hook.read_file(directory.child(MANIFEST_FILE)))["rows"])
    except FileNotFoundError:
        return None


def _create_table(hook: SnowflakeBatchHook, directory: StagePath, file: str, table: QualifiedName) -> None:
    try:
        hook.rows(statements.describe_table(table))
    except Exception as error:
        if not does_not_exist(error):
            raise
    else:
        return
    name = QualifiedName(f"PARQUET_{uuid.uuid4().hex.upper()}", table.schema, table.database)

    def infer(cursor: SnowflakeCursor) -> list[dict[str, Any]]:
        cursor.execute(statements.create_parquet_format(name))
        cursor.execute(statements.infer_schema(directory, [file], name))
        names = [column.name.lower() for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    columns = [(Identifier(str(row["column_name"]).upper()), str(row["type"])) for row in hook.on_session(infer)]
    hook.rows(statements.create_table(table, columns))
    hook.log.info("Created table %s with %d columns", table, len(columns))


def _copy(cursor: SnowflakeCursor, sql: str) -> list[int]:
    """The rows of each file that was loaded."""
    cursor.execute(sql)
    names = [column.name.lower() for column in cursor.description]
    # With nothing to load, Snowflake answers one column, status, instead of a row for each file.
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [int(row["rows_loaded"]) for row in rows if row.get("status") == "LOADED"]
