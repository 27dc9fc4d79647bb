"""COPY INTO <location>: a table or a query as files of a stage.

Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-location
"""

from __future__ import annotations

import datetime
import functools
import gzip
import io
import itertools
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.local.clauses import properties
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor, quoted
from airflow_provider_snowflake_batch.local.sql.arrow import converted, file_schema
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.stages.csv_files import enclosing, escapes, nulls
from airflow_provider_snowflake_batch.local.stages.files import StageFile, remove_files, stage_files
from airflow_provider_snowflake_batch.local.stages.formats import NO_CHARACTER, FileFormat
from airflow_provider_snowflake_batch.local.stages.stages import Stages, split_location
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement, columns_of

_OPTIONS = (
    "FILE_FORMAT", "HEADER", "OVERWRITE", "SINGLE", "MAX_FILE_SIZE", "INCLUDE_QUERY_ID", "DETAILED_OUTPUT",
)  # fmt: skip
_MAX_FILE_SIZE = 16 * 1024 * 1024
_COPY = 0x3600
_PARTITION = "_partition"
_NULL_PARTITION = "_NULL_"
_EXTENSIONS = {"AUTO": ".gz", "GZIP": ".gz", "ZSTD": ".zst", "NONE": ""}


@dataclass(slots=True)
class Unloaded:
    """One file written: its name as LIST shows it, bytes and rows."""

    name: str
    size: int
    rows: int
    raw_size: int


def unload(statement: Statement, engine: Engine, stages: Stages, scratch: Path, cursor: Cursor) -> Result:
    """Write the rows; a file ends at MAX_FILE_SIZE bytes (16 MiB unless given), before compression for text."""
    location = cursor.stage()
    cursor.expect("FROM")
    query = cursor.parenthesised() if cursor.looking_at("(") else f"SELECT * FROM {_table(cursor)}"
    partition = None
    if cursor.accept("PARTITION", "BY"):
        partition = f"({cursor.text_until(_begins_option, 'an expression')})"
    if cursor.looking_at("VALIDATION_MODE"):
        raise not_supported("VALIDATION_MODE in COPY INTO a location")
    options = properties(cursor, _OPTIONS)
    session = statement.session
    stage, _ = stages.resolve(session, location)
    found = stages.formats.resolve(session, options.get("FILE_FORMAT", stage.options.get("FILE_FORMAT")))
    single = options.get("SINGLE", False) is True
    replaced: list[StageFile] = []
    if partition is not None:
        _check_partitioned(options)
    elif existing := stage_files(stages, session, location):
        if options.get("OVERWRITE", False) is not True:
            raise SnowflakeError(
                f"SQL compilation error:\nFiles already existing at the unload destination: {location}. "
                "Use overwrite option to force unloading.",
                errno=1030,
                sqlstate="22000",
            )
        replaced = existing
    _, path = split_location(location)
    # Files of a partitioned unload go beside what is there, so their names must be new.
    with_id = partition is not None or options.get("INCLUDE_QUERY_ID") is True
    name = _namer(path, found, single, statement.query_id if with_id else None)
    limit = int(options.get("MAX_FILE_SIZE", _MAX_FILE_SIZE)) if not single else None
    header = options.get("HEADER", False) is True
    if partition is not None:
        query = f'SELECT *, TO_VARCHAR({partition}) AS "{_PARTITION}" FROM ({query}) ORDER BY "{_PARTITION}"'
    with (
        _beside(scratch, stage.folder, replaced) as (folder, files),
        engine.stream(session, query) as (columns, batches),
    ):
        _check_moments(columns, found)
        schema = file_schema(columns, batches.schema)
        tables = converted(batches, schema)
        written = schema if partition is None else schema.remove(len(schema) - 1)
        begin = (_parquet if found.type == "PARQUET" else _text)(written, found, header)
        write = functools.partial(
            _files, begin=begin, root=folder, limit=limit, without_rows=header and found.type == "CSV"
        )
        if partition is None:
            files += write(_sliced(tables, limit, found), name=name)
        else:
            for value, part in _partitions(tables):
                below = _namer(_within(path, value), found, single, statement.query_id)
                files += write(_sliced(part, limit, found), name=below)
    prefix = "" if stage.short_name.startswith(("~", "%")) else f"{stage.short_name.lower()}/"
    if options.get("DETAILED_OUTPUT") is True:
        columns_out = columns_of("FILE_NAME, FILE_SIZE:NUMBER, ROW_COUNT:NUMBER")
        return Result(columns_out, [(prefix + f.name, f.size, f.rows) for f in files], statement_type=_COPY)
    totals = (sum(f.rows for f in files), sum(f.raw_size for f in files), sum(f.size for f in files))
    columns = columns_of("rows_unloaded:NUMBER, input_bytes:NUMBER, output_bytes:NUMBER")
    return Result(columns, [totals], statement_type=_COPY)


@contextmanager
def _beside(scratch: Path, stage: Path, replaced: Sequence[StageFile]) -> Iterator[tuple[Path, list[Unloaded]]]:
    """A folder beside the stage for the files, which are moved into the stage once all are whole.

    What they replace stays until then: a statement that fails, on a full disk say, leaves the stage as it was.
    """
    files: list[Unloaded] = []
    with tempfile.TemporaryDirectory(prefix="unload-", dir=scratch) as folder:
        yield Path(folder), files
        for file in files:
            os.replace(Path(folder, file.name), _open_path(stage, file.name))
    written = {file.name for file in files}
    remove_files([file for file in replaced if file.path not in written], stage)


def _begins_option(cursor: Cursor) -> bool:
    token = cursor.peek()
    return token is not None and token.value in (*_OPTIONS, "VALIDATION_MODE") and cursor.looking_at(token.value, "=")


def _check_partitioned(options: dict[str, Any]) -> None:
    for name, wrong in (("OVERWRITE", True), ("SINGLE", True), ("INCLUDE_QUERY_ID", False)):
        if options.get(name, not wrong) is wrong:
            raise compilation_error(f"{name} = {str(wrong).upper()} cannot be combined with PARTITION BY.")


def _check_moments(columns: Sequence[Column], found: FileFormat) -> None:
    kinds = {column.type for column in columns} & {"TIMESTAMP_TZ", "TIMESTAMP_LTZ"}
    if found.type == "PARQUET" and kinds:
        raise SnowflakeError(
            "Error encountered when unloading to PARQUET: TIMESTAMP_TZ and LTZ types are not supported for unloading "
            f"to Parquet. value get: {max(kinds)}",
            errno=2019,
            sqlstate="0A000",
        )
    if found.type == "CSV" and any(found.read_by(column.type).upper() != "AUTO" for column in columns):
        raise not_supported("Unloading dates or times with a format (TO_VARCHAR writes one)")
    if "TIMESTAMP_TZ" in kinds:
        raise not_supported(
            "A TIMESTAMP_TZ, whose offset is not kept, in COPY INTO a location (cast it to TIMESTAMP_LTZ)"
        )


def _within(path: str, partition: str | None) -> str:
    folder = path if not path or path.endswith("/") else f"{path}/"
    value = _NULL_PARTITION if partition is None else partition.strip("/")
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise SnowflakeError(f"Invalid partition value '{partition}'.", errno=100173, sqlstate="22000")
    return f"{folder}{value}/"


def _partitions(tables: Iterator[pa.Table]) -> Iterator[tuple[str | None, Iterator[pa.Table]]]:
    """The rows of each partition, of tables that are in order of their last column, which names it."""

    def runs() -> Iterator[tuple[str | None, pa.Table]]:
        for table in tables:
            if not table.num_rows:
                continue
            ends = pc.run_end_encode(table.column(table.num_columns - 1).combine_chunks())
            rest = table.remove_column(table.num_columns - 1)
            start = 0
            for value, end in zip(ends.values.to_pylist(), ends.run_ends.to_pylist(), strict=True):
                yield value, rest.slice(start, end - start)
                start = end

    for value, group in itertools.groupby(runs(), key=lambda run: run[0]):
        yield value, (table for _, table in group)


def _sliced(tables: Iterator[pa.Table], limit: int | None, found: FileFormat) -> Iterator[pa.Table]:
    """Tables small enough to end a file near its limit."""
    for table in tables:
        if not table.num_rows:
            continue
        size = table.nbytes if found.type == "PARQUET" else 8 * table.nbytes
        if limit is None or size <= limit or table.num_rows < 2:
            yield table
            continue
        rows = max(1, table.num_rows * limit // size)
        for start in range(0, table.num_rows, rows):
            yield table.slice(start, rows)


def _table(cursor: Cursor) -> str:
    return quoted(*cursor.name())


def _namer(path: str, found: FileFormat, single: bool, query_id: str | None) -> Callable[[int], str]:
    """File names as Snowflake gives them: ``data_0_0_0.snappy.parquet`` below a folder, else after the prefix."""
    folder, _, prefix = path.rpartition("/")
    folder = f"{folder}/" if folder else ""
    compression = found.text("COMPRESSION", "AUTO").upper()
    if found.type == "PARQUET":
        extension = "parquet" if compression == "NONE" else "snappy.parquet"
    else:
        extension = found.text("FILE_EXTENSION", found.type.lower())
        extension += _EXTENSIONS[compression]
    if single:
        return lambda number: folder + (prefix or "data")
    stem = f"{prefix or 'data'}_{query_id}" if query_id else prefix or "data"
    return lambda number: f"{folder}{stem}_0_0_{number}.{extension}"


# What writes rows into a file that is open, and what tells how long it is by now.
_OpenFile = tuple[Callable[[pa.Table], object], Callable[[], int]]


def _files(
    tables: Iterator[pa.Table],
    begin: Callable[[Path], AbstractContextManager[_OpenFile]],
    root: Path,
    name: Callable[[int], str],
    limit: int | None,
    *,
    without_rows: bool,
) -> Iterator[Unloaded]:
    """Write tables into files, each of which ends when it is longer than the limit.

    :param without_rows: whether there is a file where there are no rows.
    """
    pending = next(tables, None)
    number = 0
    while pending is not None or (number == 0 and without_rows):
        path = _open_path(root, name(number))
        rows = raw = 0
        with begin(path) as (write, length):
            while pending is not None:
                write(pending)
                rows, raw = rows + pending.num_rows, raw + pending.nbytes
                pending = next(tables, None)
                if limit is not None and length() >= limit:
                    break
        yield Unloaded(name(number), path.stat().st_size, rows, raw)
        number += 1


def _parquet(schema: pa.Schema, found: FileFormat, header: bool) -> Callable[[Path], AbstractContextManager[_OpenFile]]:
    given = found.text("COMPRESSION", "AUTO").upper()
    if given not in ("AUTO", "SNAPPY", "NONE"):
        raise not_supported(f"COMPRESSION = {given} of unloaded PARQUET files")
    compression = "none" if given == "NONE" else "snappy"
    named = schema if header else pa.schema([field.with_name(f"_COL_{n}") for n, field in enumerate(schema)])

    @contextmanager
    def begin(path: Path) -> Iterator[_OpenFile]:
        with pq.ParquetWriter(path, named, compression=compression) as writer:
            yield lambda table: writer.write_table(table.rename_columns(named.names)), lambda: path.stat().st_size

    return begin


def _text(schema: pa.Schema, found: FileFormat, header: bool) -> Callable[[Path], AbstractContextManager[_OpenFile]]:
    """CSV or newline-delimited JSON."""

    @contextmanager
    def begin(path: Path) -> Iterator[_OpenFile]:
        with _text_writer(path, found) as text:
            file = Counted(text)
            write = _csv_rows(file, schema, found, header) if found.type == "CSV" else _json_rows(file, schema)
            yield (
                lambda table: write(list(zip(*(column.to_pylist() for column in table.columns), strict=True))),
                lambda: file.written,
            )

    return begin


class Counted:
    """A text file that knows how many characters went into it, compressed or not."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.written = 0

    def write(self, text: str) -> int:
        self.written += len(text)
        return self._file.write(text)


def _text_writer(path: Path, found: FileFormat) -> TextIO:
    compression = found.text("COMPRESSION", "AUTO").upper()
    if compression in ("AUTO", "GZIP"):
        return io.TextIOWrapper(gzip.open(path, "wb"), encoding="utf-8", newline="")
    if compression == "ZSTD":
        return io.TextIOWrapper(pa.CompressedOutputStream(str(path), "zstd"), encoding="utf-8", newline="")
    return path.open("w", encoding="utf-8", newline="")


def _csv_rows(
    file: Counted, schema: pa.Schema, found: FileFormat, header: bool
) -> Callable[[Sequence[Sequence[Any]]], None]:
    """What writes rows, once it has written the names of the columns.

    Where there is something to enclose values in, all but numbers are enclosed in it, NULL and the names as well.
    Source: https://docs.snowflake.com/en/user-guide/data-unload-considerations (its examples)
    """
    quote, delimiter, null = enclosing(found), found.delimiter, next(iter(nulls(found)), "")
    if delimiter == NO_CHARACTER:
        raise not_supported("Unloading with FIELD_DELIMITER = NONE")
    within, outside = escapes(found)
    if quote and within:
        raise not_supported("Unloading with both ESCAPE and FIELD_OPTIONALLY_ENCLOSED_BY")
    special = re.compile(rf"[\\\r\n]|{re.escape(delimiter)}")

    def plain(value: Any) -> str:
        return special.sub(r"\\\g<0>", str(value)) if outside else str(value)

    def enclosed(value: Any) -> str:
        return f"{quote}{str(value).replace(quote, quote * 2)}{quote}"

    def write(rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            file.write(delimiter.join([written(one) for written, one in zip(writers, row, strict=True)]) + "\n")

    def writer(field: pa.Field) -> Callable[[Any], str]:
        plain_types = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
        is_plain = not quote or any(is_of(field.type) for is_of in plain_types)
        of_value, of_null = plain if is_plain else enclosed, null if is_plain or not null else enclosed(null)
        return lambda value: of_null if value is None else of_value(_csv_value(value))

    writers = [writer(field) for field in schema]
    if header:
        file.write(delimiter.join(map(enclosed if quote else plain, schema.names)) + "\n")
    return write


def _csv_value(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        # TIMESTAMP_OUTPUT_FORMAT: three digits of a second, and the offset without a colon.
        offset = f" {value:%z}" if value.tzinfo is not None else ""
        return f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}{offset}"
    if isinstance(value, float):
        return repr(value).removesuffix(".0").replace("nan", "NaN")
    return value.hex().upper() if isinstance(value, bytes) else value


def _json_rows(file: Counted, schema: pa.Schema) -> Callable[[Sequence[Sequence[Any]]], None]:
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
