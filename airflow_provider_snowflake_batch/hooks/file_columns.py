"""The columns of Parquet files on a stage, with types that hold the values of all of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.jobs import row_statements
from airflow_provider_snowflake_batch.jobs.column_types import FileColumn, merge_columns
from airflow_provider_snowflake_batch.jobs.errors import (
    InvalidJobError,
    is_interrupted,
    is_transient,
    lacks_privilege,
    some,
)

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath

log = logging.getLogger(__name__)


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
    # How many files have each column.
    having: Counter[str] = Counter()

    def infer(cursor: SnowflakeCursor) -> list[FileColumn]:
        for sql in preparation:
            cursor.execute(sql)
        having.clear()
        found = []
        for first in range(0, len(files), most):
            found += together(cursor, files[first : first + most])
        return found

    def together(cursor: SnowflakeCursor, some: Sequence[str]) -> list[FileColumn]:
        try:
            rows = _inferred(cursor, location, some, file_format)
        except Exception as error:
            if len(some) > 1 and not (is_transient(error) or is_interrupted(error) or lacks_privilege(error)):
                # Types that do not go together are found in the halves, with the names of their files. If the halves
                # find none, this error is raised.
                half = len(some) // 2
                merge_columns(together(cursor, some[:half]) + together(cursor, some[half:]), field=field, key=key)
            raise
        _refuse_ambiguous(rows, field, key)
        for row in rows:
            having[key(str(row["column_name"]))] += _number_of_files(row)
        # Where no column is told to be in all of these files, their names are told in another way, or not at all.
        if len(some) not in map(_number_of_files, rows):
            having.update({key(str(row["column_name"])): len(files) for row in rows})
        return _file_columns(rows, some[0])

    found = merge_columns(hook.on_session(infer), field=field, key=key)
    _tell_of_missing(location, found, {name: len(files) - count for name, count in having.items()}, key)
    return found


def _number_of_files(row: Mapping[str, Any]) -> int:
    """How many files have a column, as ``INFER_SCHEMA`` tells it. How it separates their names is not documented."""
    told = str(row.get("filenames") or "")
    return len(told.split(", ")) if told else 0


def _tell_of_missing(
    location: StagePath,
    columns: Sequence[FileColumn],
    missing: Mapping[str, int],
    key: Callable[[str], str],
) -> None:
    """:param missing: how many files lack each column, by its key."""
    lacking = [f"{one.name} (in {missing[key(one.name)]})" for one in columns if missing[key(one.name)] > 0]
    if lacking:
        what = "lack a column, which is NULL where it is read of their rows"
        log.warning("Some files under %s %s: %s", location, what, some(lacking))


def inferred_columns(
    cursor: SnowflakeCursor, location: StagePath, files: Sequence[str], file_format: QualifiedName, **options: Any
) -> list[FileColumn]:
    """The columns of a few files as INFER_SCHEMA tells them, in the files' order; types are not merged.

    :param files: names relative to the location.
    :param options: of the cursor's ``execute``.
    """
    return _file_columns(_inferred(cursor, location, files, file_format, **options), files[0])


def _inferred(
    cursor: SnowflakeCursor, location: StagePath, files: Sequence[str], file_format: QualifiedName, **options: Any
) -> list[dict[str, Any]]:
    cursor.execute(row_statements.infer_schema(location, files, file_format), **options)
    names = [column.name.lower() for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return sorted(rows, key=lambda row: int(row["order_id"]))


def _file_columns(rows: Sequence[dict[str, Any]], first: str) -> list[FileColumn]:
    """:param first: the file of a column of which it is not told."""
    return [
        FileColumn(str(row["column_name"]), str(row["type"]), str(row.get("filenames") or first).partition(", ")[0])
        for row in rows
    ]


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
