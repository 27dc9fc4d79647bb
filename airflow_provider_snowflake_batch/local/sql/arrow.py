"""Results as Arrow: as relations that one statement of the engine can read, and as Parquet files."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.translate import REGISTERED
from airflow_provider_snowflake_batch.local.statements import Column, Result


def table_of(result: Result) -> pa.Table:
    """The result's rows as Arrow; VARIANT, OBJECT and ARRAY as JSON text."""
    if result.table is not None:
        return result.table.rename_columns([column.name for column in result.columns])
    arrays = [
        pa.array([_value(row[index], column) for row in result.rows], type=arrow_type(column))
        for index, column in enumerate(result.columns)
    ]
    return pa.table(arrays, names=[column.name for column in result.columns])


def _value(value: Any, column: Column) -> Any:
    if value is not None and column.type == "TEXT" and not isinstance(value, str):
        return str(value)
    return value


def arrow_type(column: Column) -> pa.DataType:
    if column.type == "FIXED":
        return pa.decimal128(column.precision or 38, column.scale) if column.scale else pa.int64()
    if column.type == "REAL":
        return pa.float64()
    if column.type == "BOOLEAN":
        return pa.bool_()
    if column.type == "DATE":
        return pa.date32()
    if column.type == "TIME":
        return pa.time64("us")
    if column.type == "TIMESTAMP_NTZ":
        return pa.timestamp("us")
    if column.type.startswith("TIMESTAMP"):
        return pa.timestamp("us", tz="UTC")
    if column.type == "BINARY":
        return pa.binary()
    return pa.string()


class RegisteredRelations:
    """Relations of one connection, which are gone after the statement that reads them."""

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck
        self._registered = itertools.count()

    @contextmanager
    def rows(self, columns: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[str]]]:
        """A relation of these columns, for one statement: its name and theirs."""
        names = [f"B{number}" for number in range(1, len(columns) + 1)]
        source = f"{REGISTERED}{next(self._registered)}"
        self._duck.register(source, pa.table({n: pa.array(c) for n, c in zip(names, columns, strict=True)}))
        try:
            yield source, names
        finally:
            self._duck.unregister(source)

    @contextmanager
    def results(self) -> Iterator[Any]:
        """Results of table functions, readable for one statement."""
        names: list[str] = []

        def register(result: Result) -> str:
            name = f"{REGISTERED}{next(self._registered)}"
            table = table_of(result)
            self._duck.register(name, table)
            names.append(name)
            listed = ", ".join(
                f"PARSE_JSON({quoted(column.name)}) AS {quoted(column.name)}"
                if column.type in ("VARIANT", "OBJECT", "ARRAY")
                else quoted(column.name)
                for column in result.columns
            )
            return f"(SELECT {listed} FROM {quoted(name)})"

        try:
            yield register
        finally:
            for name in names:
                self._duck.unregister(name)


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
