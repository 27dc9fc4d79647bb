"""COPY INTO: a table from files, or files from a table."""

from __future__ import annotations

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.stages.loading import Rooms, load
from airflow_provider_snowflake_batch.local.stages.reading import StageReads
from airflow_provider_snowflake_batch.local.stages.stages import Stages
from airflow_provider_snowflake_batch.local.stages.unloading import unload
from airflow_provider_snowflake_batch.local.state import StateDirectory
from airflow_provider_snowflake_batch.local.statements import Result, Statement, statement


@statement("COPY INTO")
def copy_into(
    statement: Statement, cursor: Cursor, engine: Engine, stages: Stages, reads: StageReads, state: StateDirectory
) -> Result:
    target = cursor.peek()
    if target is not None and target.kind in ("stage", "string"):
        return unload(statement, engine, stages, state.scratch, cursor)
    return load(statement, Rooms(engine, stages, reads), cursor)


@statement("COPY FILES INTO")
def copy_files(statement: Statement, cursor: Cursor) -> Result:
    raise not_supported("COPY FILES")
