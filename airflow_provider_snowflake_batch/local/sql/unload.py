"""Query results as Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.local.sql.arrow import arrow_type
from airflow_provider_snowflake_batch.local.statements import Column


def file_schema(columns: Sequence[Column], schema: pa.Schema) -> pa.Schema:
    """The schema of the files: Snowflake's column names, whole numbers as int64 where the engine's type allows."""
    fields = []
    for column, field in zip(columns, schema, strict=True):
        kind = field.type
        if column.type == "FIXED":
            kind = field.type if pa.types.is_decimal(field.type) else pa.int64()
        elif column.type in ("TEXT", "VARIANT", "OBJECT", "ARRAY"):
            kind = pa.string()
        elif column.type == "REAL":
            kind = arrow_type(column)
        fields.append(pa.field(column.name, kind))
    return pa.schema(fields)


def converted(batches: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    for batch in batches:
        arrays = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
        yield pa.Table.from_arrays(arrays, schema=schema)


def write_parquet(
    columns: Sequence[Column], batches: pa.RecordBatchReader, folder: Path, max_rows_per_file: int
) -> int:
    """Write the rows as ``part-00000.parquet`` … and return how many there were."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = file_schema(columns, batches.schema)
    total = 0
    for number, chunk in enumerate(_files(converted(batches, schema), max_rows_per_file)):
        with pq.ParquetWriter(folder / f"part-{number:05d}.parquet", schema) as writer:
            for table in chunk:
                writer.write_table(table)
                total += table.num_rows
    if total == 0:
        pq.write_table(schema.empty_table(), folder / "part-00000.parquet")
    return total


def _files(tables: Iterable[pa.Table], max_rows: int) -> Iterator[Iterator[pa.Table]]:
    """Group tables into files of at most ``max_rows`` rows, without holding more than one table."""
    remaining = iter(tables)
    pending = next(remaining, None)

    def one_file() -> Iterator[pa.Table]:
        nonlocal pending
        room = max_rows
        while pending is not None and room > 0:
            head, tail = pending.slice(0, room), pending.slice(room)
            room -= head.num_rows
            pending = tail if tail.num_rows else next(remaining, None)
            yield head

    while pending is not None:
        yield one_file()
