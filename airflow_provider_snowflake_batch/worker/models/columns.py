"""Which input column is meant by a name.

A name is matched exactly, then without regard to case, because Snowflake upper-cases unquoted names. Two columns that
differ only in case and match equally are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.signature import Signature


def match_column(wanted: str, columns: Sequence[str], what: str) -> str:
    """The input column for a name: exact, else without regard to case (quotes around an identifier do not count).

    :raises Refused: there is none, or more than one.
    """
    if wanted in columns:
        if list(columns).count(wanted) > 1:
            raise Refused(f"{what} {wanted!r} is there more than once among the input columns: {', '.join(columns)}")
        return wanted
    plain = wanted[1:-1].replace('""', '"') if wanted.startswith('"') and wanted.endswith('"') else wanted
    if plain in columns:
        return plain
    matching = [column for column in columns if column.upper() == plain.upper()]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise Refused(f"{what} {wanted!r} matches more than one input column: {', '.join(matching)}")
    raise Refused(f"{what} {wanted!r} is not among the input columns: {', '.join(columns)}")


def match_columns(wanted: Sequence[str], columns: Sequence[str], what: str) -> list[str]:
    """The input columns for several names, in their order.

    :raises Refused: as for one name; or names that differ in case only would be the same column.
    """
    found = [match_column(name, columns, what) for name in wanted]
    whose: dict[str, str] = {}
    for name, column in zip(wanted, found, strict=True):
        if whose.setdefault(column, name) != name:
            raise Refused(f"{what} {whose[column]!r} and {what} {name!r} would both be the input column {column!r}")
    return found


def holds_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text, JSON included."""
    if isinstance(kind, pa.BaseExtensionType):
        return holds_text(kind.storage_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)  # type: ignore[no-any-return]


def handled_columns(job: Job, columns: Sequence[str]) -> dict[str, FileEncoding]:
    """The input columns whose files are loaded, by their own spelling.

    :raises Refused: ``column_handling`` names a column that the input lacks.
    """
    return {
        match_column(name, columns, "column_handling column"): encoding
        for name, encoding in job.input.column_handling.items()
    }


def passed_columns(job: Job, columns: Sequence[str]) -> list[str]:
    """The input columns that are written beside the predictions, in the input's order.

    :raises Refused: ``output.columns`` names a column that the input lacks.
    """
    if job.output.columns is None:
        return list(columns)
    chosen = {match_column(name, columns, "output column") for name in job.output.columns}
    return [name for name in columns if name in chosen]


def check_columns(job: Job, schema: pa.Schema, signature: Signature | None) -> None:
    """Refuse an input that the model cannot be called with, before the model is loaded.

    :raises Refused: a column is missing, is ambiguous, or holds no text where it should hold paths.
    """
    for column in handled_columns(job, schema.names):
        kind = schema.field(column).type
        if not holds_text(kind) and not pa.types.is_null(kind):
            raise Refused(f"column_handling column {column!r} holds {kind}, not full stage paths")
    passed_columns(job, schema.names)
    if job.input.partition_column is not None:
        match_column(job.input.partition_column, schema.names, "partition column")
    match_columns([one.name for one in signature.inputs] if signature else [], schema.names, "model input")
