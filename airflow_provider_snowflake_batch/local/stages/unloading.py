"""COPY INTO <location>: a table or a query as files of a stage.

Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-location
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.local.clauses import properties
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.unload import converted, file_schema
from airflow_provider_snowflake_batch.local.stages.files import remove_files, stage_files
from airflow_provider_snowflake_batch.local.stages.formats import FileFormat
from airflow_provider_snowflake_batch.local.stages.store import split_location
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement

_OPTIONS = (
    "FILE_FORMAT", "HEADER", "OVERWRITE", "SINGLE", "MAX_FILE_SIZE", "INCLUDE_QUERY_ID", "DETAILED_OUTPUT",
)  # fmt: skip
_MAX_FILE_SIZE = 16 * 1024 * 1024
_COPY = 0x3600


@dataclass(slots=True)
class Unloaded:
    """One file written: its name as LIST shows it, bytes and rows."""

    name: str
    size: int
    rows: int
    raw_size: int


def unload(statement: Statement, cursor: Cursor) -> Result:
    """Write the rows; a file ends at MAX_FILE_SIZE bytes (16 MiB unless given)."""
    location = cursor.stage()
    cursor.expect("FROM")
    query = cursor.parenthesised() if cursor.looking_at("(") else f"SELECT * FROM {_table(cursor)}"
    for words in (("PARTITION", "BY"), ("VALIDATION_MODE",)):
        if cursor.looking_at(*words):
            raise not_supported(f"{' '.join(words)} in COPY INTO a location")
    options = properties(cursor, _OPTIONS)
    server, session = statement.server, statement.session
    stage, _ = server.stages.resolve(session, location)
    found = server.stages.formats.resolve(session, options.get("FILE_FORMAT", stage.options.get("FILE_FORMAT")))
    single = options.get("SINGLE", False) is True
    existing = stage_files(server, session, location)
    if existing:
        if options.get("OVERWRITE", False) is not True:
            raise SnowflakeError(
                f"SQL compilation error:\nFiles already existing at the unload destination: {location}. "
                "Use overwrite option to force unloading.",
                errno=1030,
                sqlstate="22000",
            )
        remove_files(existing, stage.folder)
    _, path = split_location(location)
    name = _namer(path, found, single, statement.query_id if options.get("INCLUDE_QUERY_ID") is True else None)
    limit = int(options.get("MAX_FILE_SIZE", _MAX_FILE_SIZE)) if not single else None
    with server.engine.stream(session, query) as (columns, batches):
        schema = file_schema(columns, batches.schema)
        tables = converted(batches, schema)
        write = _parquet if found.type == "PARQUET" else _text_files
        files = list(write(schema, tables, found, options.get("HEADER", False) is True, stage.folder, name, limit))
    prefix = "" if stage.short_name.startswith(("~", "%")) else f"{stage.short_name.lower()}/"
    if options.get("DETAILED_OUTPUT") is True:
        columns_out = [Column("FILE_NAME"), _number("FILE_SIZE"), _number("ROW_COUNT")]
        return Result(columns_out, [(prefix + f.name, f.size, f.rows) for f in files], statement_type=_COPY)
    totals = (sum(f.rows for f in files), sum(f.raw_size for f in files), sum(f.size for f in files))
    return Result(
        [_number(n) for n in ("rows_unloaded", "input_bytes", "output_bytes")], [totals], statement_type=_COPY
    )


def _table(cursor: Cursor) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in cursor.name())


def _number(name: str) -> Column:
    return Column(name, "FIXED", precision=38, scale=0)


def _namer(path: str, found: FileFormat, single: bool, query_id: str | None) -> Callable[[int], str]:
    """File names as Snowflake gives them: ``data_0_0_0.snappy.parquet`` below a folder, else after the prefix."""
    folder, _, prefix = path.rpartition("/")
    folder = f"{folder}/" if folder else ""
    compression = found.text("COMPRESSION", "AUTO").upper()
    if found.type == "PARQUET":
        extension = "parquet" if compression == "NONE" else "snappy.parquet"
    else:
        extension = found.text("FILE_EXTENSION", found.type.lower())
        extension += ".gz" if compression in ("AUTO", "GZIP") else ""
    if single:
        return lambda number: folder + (prefix or "data")
    stem = f"{prefix or 'data'}_{query_id}" if query_id else prefix or "data"
    return lambda number: f"{folder}{stem}_0_0_{number}.{extension}"


def _parquet(
    schema: pa.Schema,
    tables: Iterator[pa.Table],
    found: FileFormat,
    header: bool,
    root: Path,
    name: Callable[[int], str],
    limit: int | None,
) -> Iterator[Unloaded]:
    given = found.text("COMPRESSION", "AUTO").upper()
    if given not in ("AUTO", "SNAPPY", "NONE"):
        raise not_supported(f"COMPRESSION = {given} of unloaded PARQUET files")
    compression = "none" if given == "NONE" else "snappy"
    named = schema if header else pa.schema([field.with_name(f"_COL_{n}") for n, field in enumerate(schema)])
    pending = next(tables, None)
    number = 0
    while pending is not None or number == 0:
        path = _open_path(root, name(number))
        rows = raw = 0
        with pq.ParquetWriter(path, named, compression=compression) as writer:
            while pending is not None:
                writer.write_table(pending.rename_columns(named.names))
                rows, raw = rows + pending.num_rows, raw + pending.nbytes
                pending = next(tables, None)
                if limit is not None and path.stat().st_size >= limit:
                    break
        if rows or number == 0:
            yield Unloaded(name(number), path.stat().st_size, rows, raw)
        number += 1


def _text_files(
    schema: pa.Schema,
    tables: Iterator[pa.Table],
    found: FileFormat,
    header: bool,
    root: Path,
    name: Callable[[int], str],
    limit: int | None,
) -> Iterator[Unloaded]:
    """CSV or newline-delimited JSON."""
    pending = next(tables, None)
    number = 0
    while pending is not None or (number == 0 and header and found.type == "CSV"):
        path = _open_path(root, name(number))
        rows = raw = 0
        with _text_writer(path, found) as file:
            write = _csv_rows(file, found) if found.type == "CSV" else _json_rows(file, schema)
            if header and found.type == "CSV":
                write([schema.names])
            while pending is not None:
                before = file.tell() if limit is not None else 0
                write(list(zip(*(column.to_pylist() for column in pending.columns), strict=True)))
                rows, raw = rows + pending.num_rows, raw + pending.nbytes
                pending = next(tables, None)
                if limit is not None and file.tell() - before + raw >= limit:
                    break
        yield Unloaded(name(number), path.stat().st_size, rows, raw)
        number += 1


def _text_writer(path: Path, found: FileFormat) -> TextIO:
    compression = found.text("COMPRESSION", "AUTO").upper()
    if compression in ("AUTO", "GZIP"):
        return io.TextIOWrapper(gzip.open(path, "wb"), encoding="utf-8", newline="")
    if compression == "NONE":
        return path.open("w", encoding="utf-8", newline="")
    raise not_supported(f"COMPRESSION = {compression} of unloaded {found.type} files")


def _csv_rows(file: TextIO, found: FileFormat) -> Callable[[Sequence[Sequence[Any]]], None]:
    enclosed = found.text("FIELD_OPTIONALLY_ENCLOSED_BY", "NONE")
    nulls = found.options.get("NULL_IF", ["\\N"])
    null = str((nulls if isinstance(nulls, list) else [nulls])[0]) if nulls else ""
    quoting: Literal[0, 3] = csv.QUOTE_NONE if enclosed.upper() == "NONE" else csv.QUOTE_MINIMAL
    writer = csv.writer(
        file,
        delimiter=found.text("FIELD_DELIMITER", ","),
        quotechar=None if quoting == csv.QUOTE_NONE else enclosed,
        quoting=quoting,
        escapechar="\\",
        doublequote=True,
        lineterminator="\n",
    )

    def write(rows: Sequence[Sequence[Any]]) -> None:
        writer.writerows([null if value is None else _csv_value(value) for value in row] for row in rows)

    return write


def _csv_value(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return value.hex().upper() if isinstance(value, bytes) else value


def _json_rows(file: TextIO, schema: pa.Schema) -> Callable[[Sequence[Sequence[Any]]], None]:
    if len(schema) != 1:
        raise SnowflakeError(
            "SQL compilation error:\nJSON file format can produce one and only one column of type variant, object, or "
            "array. Use CSV file format if you want to load more than one column.",
            errno=2019,
            sqlstate="0A000",
        )

    def write(rows: Sequence[Sequence[Any]]) -> None:
        for (value,) in rows:
            file.write(f"{'null' if value is None else value}\n")

    return write


def _open_path(root: Path, name: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
