"""A few rows of a job's results, read by a warehouse from one of the files."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.hooks.file_columns import inferred_columns
from airflow_provider_snowflake_batch.hooks.masking import masked
from airflow_provider_snowflake_batch.jobs import row_statements
from airflow_provider_snowflake_batch.jobs.example_rows import (
    LONGEST_EXAMPLE,
    example_columns,
    told_example_rows,
)
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import StagePath

# Nobody waits for them: a warehouse that is busy or slow is left alone.
# https://docs.snowflake.com/en/sql-reference/parameters
_LIMITS = {"STATEMENT_TIMEOUT_IN_SECONDS": 60, "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": 60}
_REPEATED_SECONDS = 10.0


def read_example_rows(hook: SnowflakeBatchHook, directory: StagePath, file: str, count: int) -> dict[str, Any]:
    """Some rows of one Parquet file: texts that the warehouse has cut, without what Airflow masks in logs.

    Neither the file nor a whole value is fetched, however long it is.

    :param directory: a job's output.
    :param file: the name of one of its files.
    :param count: most rows.
    :returns: as :func:`~airflow_provider_snowflake_batch.jobs.example_rows.told_example_rows` tells them.
    :raises Exception: whatever Snowflake says: the session may have no warehouse, or the role too few privileges.
    """
    qualified = hook.qualify_location(directory).directory()
    database, schema = hook.namespace
    stage = qualified.stage
    # Named anew each time, since two sessions of one schema must not share a format.
    file_format = QualifiedName(
        f"PARQUET_{uuid.uuid4().hex.upper()}", schema or stage.schema, database if schema else stage.database
    )

    def read(cursor: SnowflakeCursor) -> dict[str, Any]:
        limits: dict[str, Any] = {"_statement_params": _LIMITS}
        cursor.execute(row_statements.create_parquet_format(file_format))
        columns = inferred_columns(cursor, qualified, [file], file_format, **limits)
        # A query cannot name one with a double quote in it, nor one without a name.
        chosen = example_columns([one for one in columns if one.name and '"' not in one.name])
        left_out = len(columns) - len(chosen)
        if not chosen:
            return told_example_rows([], [], columns_left_out=left_out)
        described = [(one.name, one.kind) for one in chosen]
        # One character more than is kept tells that there is more.
        sql = row_statements.select_example_rows(
            qualified.child(file), file_format, described, count=count, longest=LONGEST_EXAMPLE + 1
        )
        cursor.execute(sql, **limits)
        rows = [[None if value is None else masked(str(value)) for value in row] for row in cursor.fetchall()]
        return told_example_rows([masked(name) for name, _ in described], rows, columns_left_out=left_out)

    with hook.repeating_for(_REPEATED_SECONDS):
        return hook.on_session(read)
