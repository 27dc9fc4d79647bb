"""Functions over stages: INFER_SCHEMA, the directory table, and where a staged file can be fetched.

Sources: https://docs.snowflake.com/en/sql-reference/functions/infer_schema,
https://docs.snowflake.com/en/user-guide/data-load-dirtables-query,
https://docs.snowflake.com/en/sql-reference/functions/get_presigned_url, …/build_stage_file_url and …/get_relative_path.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import compilation_error, not_supported
from airflow_provider_snowflake_batch.local.functions import (
    Arguments,
    expression_function,
    scalar_function,
    table_function,
)
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.expressions import call, string
from airflow_provider_snowflake_batch.local.stages.files import StageFile, stage_files
from airflow_provider_snowflake_batch.local.stages.formats import FileFormats
from airflow_provider_snowflake_batch.local.stages.http_files import HttpFiles
from airflow_provider_snowflake_batch.local.stages.parquet_files import ParquetReading
from airflow_provider_snowflake_batch.local.stages.schema_inference import infer_columns
from airflow_provider_snowflake_batch.local.stages.stages import Stage, Stages, split_location
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of


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
        columns_of("COLUMN_NAME, TYPE, NULLABLE:BOOLEAN, EXPRESSION, FILENAMES, ORDER_ID:NUMBER"),
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
        columns_of("RELATIVE_PATH, SIZE:NUMBER, LAST_MODIFIED:TIMESTAMP_TZ(3), MD5, ETAG, FILE_URL"),
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


_WEEK = 604800
_HOUR = 3600


@expression_function("GET_PRESIGNED_URL")
def get_presigned_url(statement: Statement, arguments: list[Any], stages: Stages, http_files: HttpFiles) -> Expr:
    """``GET_PRESIGNED_URL(@stage, path [, seconds])``: a URL that needs no login, for one file, for an hour.

    Unlike an account's it ends with the server's run too.
    """
    if not 2 <= len(arguments) <= 3:
        raise compilation_error("GET_PRESIGNED_URL takes a stage, a path and a number of seconds.")
    stage = _stage(statement, stages, arguments[0])
    seconds = _seconds(arguments[2]) if len(arguments) == 3 else _HOUR
    prefix, key = http_files.presign(stage.folder, seconds)
    path = arguments[1]
    signed = exp.func("sha256", _joined(string(key), path, string(key)))
    url = _joined(string(prefix), _encoded(path), string("?signature="), signed)
    return url.copy()


@expression_function("BUILD_STAGE_FILE_URL")
def build_stage_file_url(statement: Statement, arguments: list[Any], stages: Stages, http_files: HttpFiles) -> Expr:
    """``BUILD_STAGE_FILE_URL(@stage, path)``: a URL that needs a session's token."""
    if len(arguments) != 2:
        raise compilation_error("BUILD_STAGE_FILE_URL takes a stage and a path.")
    prefix = file_url(statement, http_files, _stage(statement, stages, arguments[0]), "")
    return _joined(string(prefix), _encoded(arguments[1]))


@scalar_function("GET_RELATIVE_PATH")
def get_relative_path(statement: Statement, arguments: Arguments, stages: Stages) -> str:
    """The path of ``@stage/path`` within the stage."""
    stage, _ = stages.resolve(statement.session, _location(arguments.get(0)))
    other, _ = stages.resolve(statement.session, _location(arguments.get(1)))
    if stage != other:
        raise compilation_error(f"'{arguments.get(1)}' does not lie in the stage '{arguments.get(0)}'.")
    return split_location(_location(arguments.get(1)))[1]


def _refused(name: str) -> None:
    @scalar_function(name)
    def refuse(statement: Statement, arguments: Arguments) -> str:
        raise not_supported(f"The function {name}")


for _name in ("BUILD_SCOPED_FILE_URL", "GET_STAGE_LOCATION", "GET_ABSOLUTE_PATH", "TO_FILE"):
    _refused(_name)


def file_url(statement: Statement, http_files: HttpFiles, stage: Stage, path: str) -> str:
    """The URL of a staged file, as FILE_URL of a directory table shows it."""
    names = "/".join(quote(part, safe="") for part in (stage.database, stage.schema, stage.short_name))
    return f"http://127.0.0.1:{http_files.port}/api/files/{names}/{quote(path, safe='')}"


def _stage(statement: Statement, stages: Stages, argument: Expr) -> Stage:
    if not (isinstance(argument, exp.Literal) and argument.is_string):
        raise compilation_error("The first argument is a stage: @name.")
    stage: Stage = stages.resolve(statement.session, _location(argument.this))[0]
    return stage


def _location(value: Any) -> str:
    text = str(value)
    return text if text.startswith("@") else f"@{text}"


def _seconds(argument: Expr) -> int:
    if not isinstance(argument, exp.Literal) or argument.is_string or not argument.this.isdigit():
        raise compilation_error("The number of seconds is a constant.")
    seconds = int(argument.this)
    if not 1 <= seconds <= _WEEK:
        raise compilation_error(f"Invalid expiration time {seconds}: it must be between 1 and {_WEEK} seconds.")
    return seconds


def _joined(*parts: Expr) -> Expr:
    """All parts as one text; NULL if one of them is."""
    whole = parts[0].copy()
    for part in parts[1:]:
        whole = exp.DPipe(this=whole, expression=exp.paren(part.copy()))
    return exp.paren(whole)


def _encoded(path: Expr) -> Expr:
    return call("url_encode", path.copy())
