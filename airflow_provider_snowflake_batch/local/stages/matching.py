"""MATCH_BY_COLUMN_NAME: which column of a Parquet file goes into which column of a table.

Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table#copy-options-copyoptions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.quoting import quoted
from airflow_provider_snowflake_batch.local.stages.files import StageFile
from airflow_provider_snowflake_batch.local.stages.formats import FileFormat, malformed
from airflow_provider_snowflake_batch.local.stages.parquet_files import ParquetReading, columns, first_with_empty_text

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sql.catalog import TableColumn


def by_name(file: StageFile, found: FileFormat, how: str, table: Sequence[TableColumn]) -> dict[str, str]:
    """The table's columns and what of the file goes into each, as SQL: NULL for those that the file has not.

    :param how: CASE_SENSITIVE or CASE_INSENSITIVE.
    :raises SnowflakeError: "not supported" for other than Parquet files, and for names that differ in case only.
    """
    return {
        column.name: f"$1:{quoted(source)}" if source is not None else "NULL"
        for column, source in _matches(file, found, how, table)
        # What a table counts itself is left to it.
        if source is not None or not column.is_identity
    }


def check_values(file: StageFile, found: FileFormat, how: str, table: Sequence[TableColumn]) -> None:
    """:raises SnowflakeError: 100069 for an empty text in a column that is matched, which Snowflake does not take."""
    names = [source for _, source in _matches(file, found, how, table) if source is not None]
    empty = first_with_empty_text(file.local, names, ParquetReading.of(found, matched=True))
    if empty is not None:
        raise malformed(
            f"Empty column value in column {empty}, which MATCH_BY_COLUMN_NAME does not take. Select the columns "
            f'instead, as in COPY INTO … FROM (SELECT $1:"{empty}" …).'
        )


def _matches(
    file: StageFile, found: FileFormat, how: str, table: Sequence[TableColumn]
) -> list[tuple[TableColumn, str | None]]:
    """Each column of the table with that of the file that goes into it."""
    if found.type != "PARQUET":
        raise not_supported(f"MATCH_BY_COLUMN_NAME of {found.type} files")
    sensitive = how == "CASE_SENSITIVE"
    inside: dict[str, str] = {}
    for column in columns(file.local, ParquetReading.of(found)):
        key = column.name if sensitive else column.name.upper()
        if key in inside:
            names = f"{inside[key]} and {column.name}"
            raise not_supported(f"MATCH_BY_COLUMN_NAME = {how} of the file '{file.path}', which has {names},")
        inside[key] = column.name
    return [(one, inside.get(one.name if sensitive else one.name.upper())) for one in table]
