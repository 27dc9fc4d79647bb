"""Files of one format as a relation of the SQL engine: Parquet, JSON and CSV, with what is known of the files
themselves (``METADATA$…``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.macros import REPEATED, UNIQUE_JSON
from airflow_provider_snowflake_batch.local.stages.csv_files import (
    nulls,
    read_csv,
    readable_lines,
    refuse_escapes,
    width_of,
)
from airflow_provider_snowflake_batch.local.stages.files import StageFile
from airflow_provider_snowflake_batch.local.stages.formats import RAW, FileFormat
from airflow_provider_snowflake_batch.local.stages.parquet_files import ParquetColumn, ParquetReading, readable
from airflow_provider_snowflake_batch.local.stages.parquet_files import columns as parquet_columns
from airflow_provider_snowflake_batch.local.stages.schema_inference import check_exact, is_exact

ROW = "_row"
_NAME, _NUMBER = "METADATA$FILENAME", "METADATA$FILE_ROW_NUMBER"
FILE_METADATA = {
    "METADATA$FILE_LAST_MODIFIED": lambda file: f"TIMESTAMP {_text(file.modified.strftime('%Y-%m-%d %H:%M:%S'))}",
    "METADATA$FILE_CONTENT_KEY": lambda file: _text(file.md5),
}
"""What of a file itself a query can ask for, as a literal."""
SCAN_TIME = "METADATA$START_SCAN_TIME"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a COPY statement says about the files that its query reads, and that the query itself does not.

    :param files: only these paths below the location.
    :param matched: the columns of Parquet files are matched by name.
    :param keeps_rejects: leave out lines of CSV files without a row's shape, and note them, instead of failing.
    :param is_exact: lines of CSV files have as many fields as are asked for, unless their format says otherwise.
    :param width: the number of fields of CSV files that are asked for.
    """

    format: FileFormat | None = None
    pattern: str | None = None
    files: Sequence[StageFile] | None = None
    keeps_rejects: bool = False
    matched: bool = False
    is_exact: bool = False
    width: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one location as a relation.

    :param sql: a subquery in DuckDB's SQL.
    :param columns: the names of a Parquet or CSV file's columns with their types; empty for other files.
    """

    sql: str
    kind: str
    columns: Mapping[str, pa.DataType] = field(default_factory=dict)


def source_of(files: Sequence[StageFile], found: FileFormat, scratch: Path, options: ReadOptions) -> Source:
    """The relation over files of one format.

    :param scratch: a folder for files that cannot be read as they are.
    """
    if not files:
        # Snowflake reads no file as no row; without a file there is nothing to take the columns from.
        empty = f'SELECT NULL::JSON AS "{ROW}", NULL::VARCHAR AS "{_NAME}", NULL::BIGINT AS "{_NUMBER}" WHERE FALSE'
        return Source(empty, "EMPTY")
    paths = "[" + ", ".join(_text(str(file.local)) for file in files) + "]"
    root = str(files[0].local)[: -len(files[0].path)]
    name = f"substr(filename, {len(root) + 1})"
    if found.type == "PARQUET":
        return _parquet(files, ParquetReading.of(found, matched=options.matched), scratch)
    if found.type == "JSON":
        return _json(found, paths, name)
    return _csv(files, found, scratch, name, options)


def _parquet(files: Sequence[StageFile], reading: ParquetReading, scratch: Path) -> Source:
    """Files whose columns are to be read alike are one scan.

    :raises SnowflakeError: "not supported" for a number that the engine would round, since other files have
        floating-point numbers in its column. Snowflake reads each file's values as they are.
    """
    found: list[tuple[StageFile, Path, list[ParquetColumn]]] = []
    types: dict[str, pa.DataType] = {}
    exact: dict[str, list[StageFile]] = {}
    floating: set[str] = set()
    several: dict[str, set[pa.DataType]] = {}
    for file in files:
        local = readable(file.local, reading, file.md5, scratch) if reading.replaces else file.local
        columns = parquet_columns(local, reading)
        _refuse_ambiguous([column.name for column in columns], file)
        found.append((file, local, columns))
        for column in columns:
            types[column.name] = _wider(types.get(column.name), column.type)
            several.setdefault(column.name, set()).add(column.type)
            if is_exact(column.type):
                exact.setdefault(column.name, []).append(file)
            elif pa.types.is_floating(column.type):
                floating.add(column.name)
    for name in sorted(floating & exact.keys()):
        for file in exact[name]:
            check_exact(file, name, "Reading")
    # The engine has one type for a column of all files, to which it would convert what is nested as well.
    apart = {name for name, kinds in several.items() if len(kinds) > 1 and any(map(pa.types.is_nested, kinds))}
    types |= dict.fromkeys(apart, pa.string())
    scans: dict[tuple[str, tuple[str, ...]], list[tuple[Path, StageFile]]] = {}
    for file, local, columns in found:
        replaced = [
            f"{quoted(RAW + sql)} AS {quoted(column.name)}"
            for column in columns
            if (sql := _as_json(column) if column.name in apart else column.sql) != quoted(column.name)
        ]
        replace = f" REPLACE ({', '.join(replaced)})" if replaced else ""
        kinds = tuple(str(column.type) for column in columns if column.name in apart)
        scans.setdefault((replace, kinds), []).append((local, file))
    sql = " UNION ALL BY NAME ".join(_scan(replace, some) for (replace, _), some in scans.items())
    return Source(sql, "PARQUET", types)


def _as_json(column: ParquetColumn) -> str:
    return f"CASE WHEN {column.sql} IS NULL THEN NULL ELSE to_json({column.sql}) END"


def _refuse_ambiguous(names: Sequence[str], file: StageFile) -> None:
    """:raises SnowflakeError: "not supported" for names that differ in case only, which the engine takes for one."""
    seen: dict[str, str] = {}
    for name in names:
        if (known := seen.setdefault(name.upper(), name)) != name:
            raise not_supported(
                f"Reading the file '{file.path}', whose columns {known} and {name} differ in case only,"
            )


def _scan(replace: str, files: Sequence[tuple[Path, StageFile]]) -> str:
    names = " ".join(f"WHEN {_text(str(local))} THEN {_text(file.path)}" for local, file in files)
    return (
        f'SELECT * EXCLUDE (filename, file_row_number){replace}, CASE filename {names} END AS "{_NAME}", '
        f'file_row_number + 1 AS "{_NUMBER}" FROM read_parquet([{", ".join(_text(str(local)) for local, _ in files)}], '
        "filename = true, file_row_number = true, union_by_name = true, hive_partitioning = false)"
    )


def _wider(known: pa.DataType | None, found: pa.DataType) -> pa.DataType:
    return found if known is None or pa.types.is_null(known) else known


def _json(found: FileFormat, paths: str, name: str) -> Source:
    shape = "array" if found.flag("STRIP_OUTER_ARRAY") else "auto"
    compression = _compression(found)
    # ALLOW_DUPLICATE is FALSE.
    document = f"CAST({UNIQUE_JSON}(json, {_text(REPEATED)}) AS JSON)"
    sql = (
        f'SELECT {document} AS "{ROW}", {name} AS "{_NAME}", '
        f'row_number() OVER (PARTITION BY filename) AS "{_NUMBER}" '
        f"FROM read_json_objects({paths}, filename = true, format = '{shape}', compression = '{compression}', "
        "maximum_object_size = 134217728)"
    )
    return Source(sql, "JSON")


def _csv(files: Sequence[StageFile], found: FileFormat, scratch: Path, name: str, options: ReadOptions) -> Source:
    for file in files:
        # Of an escape, a line would seem to be wider.
        refuse_escapes(file.local, found)
    is_exact = options.is_exact and found.flag("ERROR_ON_COLUMN_COUNT_MISMATCH", True)
    paths = [file.local for file in files]
    # A query may ask for fields of any number.
    width = options.width if is_exact else width_of(paths, found)
    paths = [
        readable_lines(
            file.local,
            found,
            width,
            is_exact=is_exact,
            keeps_rejects=options.keeps_rejects,
            content=file.md5,
            scratch=scratch,
        )
        for file in files
    ]
    copied = [
        f"WHEN {_text(str(path))} THEN {_text(file.path)}"
        for file, path in zip(files, paths, strict=True)
        if path != file.local
    ]
    if copied:
        name = f"CASE filename {' '.join(copied)} ELSE {name} END"
    called = read_csv(
        paths,
        found,
        width,
        is_exact=is_exact,
        keeps_rejects=options.keeps_rejects,
        compression=_compression(found),
    )
    value = "COLUMNS('^column')"
    for null in nulls(found):
        value = f"nullif({value}, {_text(null)})"
    sql = f'SELECT {value}, {name} AS "{_NAME}", row_number() OVER (PARTITION BY filename) AS "{_NUMBER}" FROM {called}'
    return Source(sql, "CSV", {f"column{number}": pa.string() for number in range(width)})


def _compression(found: FileFormat) -> str:
    given = found.text("COMPRESSION", "AUTO").lower()
    return {"auto": "auto_detect", "none": "none", "gzip": "gzip", "zstd": "zstd"}[given]


def with_metadata(source: Source, files: Sequence[StageFile], metadata: Sequence[str]) -> Source:
    """The relation with these columns of :data:`FILE_METADATA` and :data:`SCAN_TIME` added."""
    if not metadata:
        return source
    listed = []
    for name in metadata:
        if name == SCAN_TIME:
            value = "CURRENT_TIMESTAMP"
        elif source.kind == "EMPTY":
            value = "NULL"
        else:
            cases = " ".join(f"WHEN {_text(file.path)} THEN {FILE_METADATA[name](file)}" for file in files)
            value = f'CASE "{_NAME}" {cases} END'
        listed.append(f'{value} AS "{name}"')
    return Source(f"SELECT *, {', '.join(listed)} FROM ({source.sql})", source.kind, source.columns)


def _text(value: str) -> str:
    return exp.Literal.string(value).sql(dialect="duckdb")
