"""COPY INTO: a table from files, or files from a table."""

from __future__ import annotations

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.stages.loading import load
from airflow_provider_snowflake_batch.local.stages.unloading import unload
from airflow_provider_snowflake_batch.local.statements import Result, Statement, statement


@statement("COPY INTO")
def copy_into(statement: Statement, cursor: Cursor) -> Result:
    target = cursor.peek()
    if target is not None and target.kind in ("stage", "string"):
        return unload(statement, cursor)
    return load(statement, cursor)


@statement("COPY FILES INTO")
def copy_files(statement: Statement, cursor: Cursor) -> Result:
    raise not_supported("COPY FILES")
