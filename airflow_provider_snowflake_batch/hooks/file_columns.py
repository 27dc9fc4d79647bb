"""The columns of Parquet files on a stage, with types that hold the values of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.jobs import row_statements
from airflow_provider_snowflake_batch.jobs.column_types import FileColumn, merge_columns
from airflow_provider_snowflake_batch.jobs.errors import (
    InvalidJobError,
    is_interrupted,
    is_transient,
    lacks_privilege,
)

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath


def columns_of_files(
    hook: SnowflakeBatchHook,
    location: StagePath,
    files: Sequence[str],
    file_format: QualifiedName,
    *,
    field: str,
    preparation: Sequence[str] = (),
    key: Callable[[str], str] = lambda name: name,
) -> list[FileColumn]:
    """The columns of all the files, none left out: a type guessed from some would change the values of others.

    :param files: names relative to the location.
    :param file_format: a named format of type PARQUET.
    :param field: what an error is about.
    :param preparation: statements to run first in the session.
    :param key: names with the same key are one column.
    :raises InvalidJobError: if the types of a column do not go together.
    """
    most = row_statements.MOST_INFERRED_FILES

    def infer(cursor: SnowflakeCursor) -> list[FileColumn]:
        for sql in preparation:
            cursor.execute(sql)
        found = []
        for first in range(0, len(files), most):
            found += together(cursor, files[first : first + most])
        return found

    def together(cursor: SnowflakeCursor, some: Sequence[str]) -> list[FileColumn]:
        try:
            cursor.execute(row_statements.infer_schema(location, some, file_format))
            names = [column.name.lower() for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except Exception as error:
            if len(some) > 1 and not (is_transient(error) or is_interrupted(error) or lacks_privilege(error)):
                # Types that do not go together are found in the halves, with the names of their files. If the halves
                # find none, this error is raised.
                half = len(some) // 2
                merge_columns(together(cursor, some[:half]) + together(cursor, some[half:]), field=field, key=key)
            raise
        rows.sort(key=lambda row: int(row["order_id"]))
        _refuse_ambiguous(rows, field, key)
        columns = []
        for row in rows:
            file = str(row.get("filenames") or some[0]).partition(", ")[0]
            columns.append(FileColumn(str(row["column_name"]), str(row["type"]), file))
        return columns

    return merge_columns(hook.on_session(infer), field=field, key=key)


def _refuse_ambiguous(rows: Sequence[dict[str, Any]], field: str, key: Callable[[str], str]) -> None:
    """:raises InvalidJobError: if one file has two columns that count as one."""
    seen: dict[str, tuple[str, set[str]]] = {}
    for row in rows:
        name = str(row["column_name"])
        files = set(str(row.get("filenames") or "").split(", "))
        known, others = seen.setdefault(key(name), (name, files))
        if known != name and (both := files & others):
            raise InvalidJobError(field, f"{min(both)} has the columns {known} and {name}, which count as one here.")
        if known != name:
            others |= files
