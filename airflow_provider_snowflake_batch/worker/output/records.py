"""The Arrow schema in the record of a finished task."""

from __future__ import annotations

import pyarrow as pa

from airflow_provider_snowflake_batch.contract import task_record
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord

# Raised by Arrow or for the hexadecimal digits, if somebody else has written the text.
_BROKEN = (ValueError, TypeError, pa.ArrowException)


def encode_schema(schema: pa.Schema) -> str:
    """An Arrow schema as text."""
    return bytes(schema.serialize()).hex()


def arrow_schema(record: TaskRecord) -> pa.Schema | None:
    """The schema of the task's part; None if no row came out of it."""
    if record.schema is None:
        return None
    return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(record.schema)))


def parse_record(text: str) -> TaskRecord | None:
    """A record, or None if that is none: one that was cut off in writing, or written by somebody else."""
    record = task_record.parse_record(text)
    try:
        if record is not None:
            arrow_schema(record)
    except _BROKEN:
        return None
    return record
