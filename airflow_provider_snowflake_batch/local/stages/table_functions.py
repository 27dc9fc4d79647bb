"""Table functions over stages: INFER_SCHEMA and the directory table.

Source: https://docs.snowflake.com/en/sql-reference/functions/infer_schema and
https://docs.snowflake.com/en/user-guide/data-load-dirtables-query
"""

from __future__ import annotations

from airflow_provider_snowflake_batch.local.errors import compilation_error, not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, table_function
from airflow_provider_snowflake_batch.local.quoting import quoted
from airflow_provider_snowflake_batch.local.stages.files import StageFile, stage_files
from airflow_provider_snowflake_batch.local.stages.formats import FileFormats
from airflow_provider_snowflake_batch.local.stages.http_files import HttpFiles
from airflow_provider_snowflake_batch.local.stages.parquet_files import ParquetReading
from airflow_provider_snowflake_batch.local.stages.schema_inference import infer_columns
from airflow_provider_snowflake_batch.local.stages.stages import Stages
from airflow_provider_snowflake_batch.local.stages.urls import file_url
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement


@table_function("INFER_SCHEMA")
def infer_schema(statement: Statement, arguments: Arguments, formats: FileFormats, stages: Stages) -> Result:
    location = arguments.get(0, "LOCATION")
    if not location:
        raise compilation_error("INFER_SCHEMA needs a LOCATION.")
    found = formats.get(statement.session, str(arguments.get(1, "FILE_FORMAT") or ""))
    if found.type != "PARQUET":
        raise not_supported(f"INFER_SCHEMA of {found.type} files")
    # How many records to look at: a Parquet file tells its types without any.
    arguments.get(5, "MAX_RECORDS_PER_FILE")
    ignore_case = arguments.get(3, "IGNORE_CASE") is True
    files = _chosen(stage_files(stages, statement.session, str(location)), arguments)
    rows = [
        (name, kind := column.kind or "TEXT", column.nullable, f"{_read(name, ignore_case)}::{kind}",
         ", ".join(file.name for file in column.files), column.order)
        for name, column in infer_columns(files, ParquetReading.of(found), ignore_case=ignore_case).items()
    ]  # fmt: skip
    return Result(
        [
            Column("COLUMN_NAME"),
            Column("TYPE"),
            Column("NULLABLE", "BOOLEAN"),
            Column("EXPRESSION"),
            Column("FILENAMES"),
            Column("ORDER_ID", "FIXED", precision=38, scale=0),
        ],
        rows,
        statement_type=0x1000,
    )


@table_function("DIRECTORY")
def directory(statement: Statement, arguments: Arguments, stages: Stages, http_files: HttpFiles) -> Result:
    """``DIRECTORY(@stage)``: the files of a stage with its directory table enabled; of any other stage, none.

    It is never behind, since it reads the stage itself.
    """
    location = str(arguments.get(0))
    stage, _ = stages.resolve(statement.session, location)
    enabled = isinstance(given := stage.options.get("DIRECTORY"), dict) and given.get("ENABLE") is True
    files = stage_files(stages, statement.session, location) if enabled else []
    return Result(
        [
            Column("RELATIVE_PATH"),
            Column("SIZE", "FIXED", precision=38, scale=0),
            Column("LAST_MODIFIED", "TIMESTAMP_TZ", precision=0, scale=3),
            Column("MD5"),
            Column("ETAG"),
            Column("FILE_URL"),
        ],
        [
            (file.path, file.size, file.modified, file.md5, file.md5, file_url(statement, http_files, stage, file.path))
            for file in files
        ],
        statement_type=0x1000,
    )


def _chosen(files: list[StageFile], arguments: Arguments) -> list[StageFile]:
    """The files that FILES and MAX_FILE_COUNT name, without the empty ones, which have no schema."""
    named = arguments.get(2, "FILES")
    if named is not None:
        wanted = {str(name) for name in (named if isinstance(named, list) else [named])}
        files = [file for file in files if file.relative in wanted or file.path in wanted]
    limit = arguments.get(4, "MAX_FILE_COUNT")
    return [file for file in files if file.size][: None if limit is None else int(limit)]


def _read(name: str, ignore_case: bool) -> str:
    return f"GET_IGNORE_CASE ($1, '{name}')" if ignore_case else f"$1:{_spelled(name)}"


def _spelled(name: str) -> str:
    return name if name.isidentifier() and name.upper() == name else quoted(name)
