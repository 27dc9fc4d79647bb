"""``SELECT … FROM @stage``: files of a stage as a relation of the SQL engine.

``$1:"C"`` of a Parquet file becomes its column C, ``$3`` of a CSV file its third field, ``$1`` of a JSON or Parquet
file the whole row. Source: https://docs.snowflake.com/en/user-guide/querying-stage
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import compilation_error, not_supported
from airflow_provider_snowflake_batch.local.sql.guard import function_name
from airflow_provider_snowflake_batch.local.sql.partial_loads import REJECT_SCANS, REJECTS
from airflow_provider_snowflake_batch.local.stages.files import StageFile, stage_files
from airflow_provider_snowflake_batch.local.stages.formats import FileFormat
from airflow_provider_snowflake_batch.local.stages.parquet_files import ParquetReading, readable
from airflow_provider_snowflake_batch.local.stages.parquet_files import columns as parquet_columns

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.stages.stages import Stages
    from airflow_provider_snowflake_batch.local.statements import Statement

_ROW = "_row"
_NAME, _NUMBER = "METADATA$FILENAME", "METADATA$FILE_ROW_NUMBER"
_FILE_METADATA = {
    "METADATA$FILE_LAST_MODIFIED": lambda file: f"TIMESTAMP {_text(file.modified.strftime('%Y-%m-%d %H:%M:%S'))}",
    "METADATA$FILE_CONTENT_KEY": lambda file: _text(file.md5),
}
"""What of a file itself a query can ask for, as a literal."""
_RAW = "engine's own SQL: "
"""How a name begins that stands for SQL which no translation may touch."""
_SCAN_TIME = "METADATA$START_SCAN_TIME"
_Type = exp.DataType.Type
_ZONED = {_Type.TIMESTAMPTZ, _Type.TIMESTAMPLTZ}
_MOMENTS = {*_ZONED, _Type.TIMESTAMP, _Type.TIMESTAMPNTZ, _Type.DATETIME, _Type.DATE, _Type.TIME}
_LAST_SECOND = 253_402_300_799
"""Of the year 9999, the last that timestamps have."""
NOT_RECOGNIZED = "is not recognized as seconds since 1970"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a COPY statement says about the files that its query reads, and that the query itself does not.

    :param files: only these paths below the location.
    :param matched: the columns of Parquet files are matched by name.
    :param keeps_rejects: leave out lines of CSV files without a row's shape, and note them, instead of failing.
    """

    format: FileFormat | None = None
    pattern: str | None = None
    files: Sequence[StageFile] | None = None
    keeps_rejects: bool = False
    matched: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one location as a relation.

    :param sql: a subquery in DuckDB's SQL.
    :param columns: the names of a Parquet file's columns with their types; empty for other files.
    """

    sql: str
    kind: str
    columns: Mapping[str, pa.DataType] = field(default_factory=dict)


def is_stage(table: Expr) -> bool:
    return isinstance(table, exp.Table) and location_of(table) is not None


def location_of(table: exp.Table) -> str | None:
    """The location of a FROM that names a stage, with its ``@``."""
    this = table.this
    if isinstance(this, (exp.Var, exp.Literal)) and str(this.this).startswith("@"):
        return str(this.this)
    return None


class StageReads:
    """Stages in a FROM.

    :param scratch: a folder for files that cannot be read as they are.
    """

    def __init__(self, stages: Stages, scratch: Path) -> None:
        self._stages = stages
        self._scratch = scratch

    def rewrite(self, tree: Expr, statement: Statement, options: ReadOptions | None = None) -> bool:
        """Replace each stage in a FROM by a subquery over its files; whether there was one.

        :raises SnowflakeError: for a stage, file format or file that is not there, or an expression over the files that
            is not supported.
        """
        tables = [table for table in tree.find_all(exp.Table) if location_of(table) is not None]
        for table in tables:
            select = table.find_ancestor(exp.Select)
            if select is None:
                raise not_supported("A stage outside of a SELECT")
            source = self._source(table, statement, options or ReadOptions(), _metadata_of(select))
            alias = table.alias or "_files"
            _resolve_columns(select, source, alias)
            subquery: Expr = exp.maybe_parse(f"SELECT * FROM ({_widened(source, select, alias)})", dialect="duckdb")
            assert isinstance(subquery, exp.Select)
            for column in list(subquery.find_all(exp.Column)):
                if column.name.startswith(_RAW):
                    column.replace(exp.Var(this=column.name.removeprefix(_RAW)))
            table.replace(subquery.subquery(exp.to_identifier(alias, quoted=True)))
        return bool(tables)

    def _source(self, table: exp.Table, statement: Statement, options: ReadOptions, metadata: Sequence[str]) -> Source:
        location = location_of(table)
        assert location is not None
        formats = self._stages.formats
        given, pattern = table.args.get("format"), table.args.get("pattern")
        stage, _ = self._stages.resolve(statement.session, location)
        if given is not None:
            found = formats.get(statement.session, given.name)
        elif options.format is not None:
            found = options.format
        else:
            found = formats.resolve(statement.session, stage.options.get("FILE_FORMAT"))
        files = options.files
        if files is None:
            text = pattern.name if pattern is not None else options.pattern
            files = stage_files(self._stages, statement.session, location, text, anchored=True)
        source = source_of(files, found, self._scratch, options)
        return _with_metadata(source, files, metadata)


def _widened(source: Source, select: exp.Select, alias: str) -> str:
    """The source with a NULL for each field that a SELECT names and no row of a CSV file has."""
    if source.kind != "CSV":
        return source.sql
    asked = [
        re.fullmatch(r"column(\d+)", column.name) for column in select.find_all(exp.Column) if column.table == alias
    ]
    width = max((int(match[1]) + 1 for match in asked if match), default=0)
    nulls = ", ".join(f'NULL::VARCHAR AS "column{number}"' for number in range(width))
    return f"SELECT {nulls} WHERE FALSE UNION ALL BY NAME {source.sql}" if nulls else source.sql


def _metadata_of(select: exp.Select) -> list[str]:
    """The metadata columns of files that a SELECT names."""
    asked = {column.name.upper() for column in select.find_all(exp.Column)}
    return [name for name in (*_FILE_METADATA, _SCAN_TIME) if name in asked]


def _with_metadata(source: Source, files: Sequence[StageFile], metadata: Sequence[str]) -> Source:
    if not metadata:
        return source
    listed = []
    for name in metadata:
        if name == _SCAN_TIME:
            value = "CURRENT_TIMESTAMP"
        elif source.kind == "EMPTY":
            value = "NULL"
        else:
            cases = " ".join(f"WHEN {_text(file.path)} THEN {_FILE_METADATA[name](file)}" for file in files)
            value = f'CASE "{_NAME}" {cases} END'
        listed.append(f'{value} AS "{name}"')
    return Source(f"SELECT *, {', '.join(listed)} FROM ({source.sql})", source.kind, source.columns)


def source_of(files: Sequence[StageFile], found: FileFormat, scratch: Path, options: ReadOptions) -> Source:
    """The relation over files of one format.

    :param scratch: a folder for files that cannot be read as they are.
    """
    if not files:
        # Snowflake reads no file as no row; without a file there is nothing to take the columns from.
        empty = f'SELECT NULL::JSON AS "{_ROW}", NULL::VARCHAR AS "{_NAME}", NULL::BIGINT AS "{_NUMBER}" WHERE FALSE'
        return Source(empty, "EMPTY")
    paths = "[" + ", ".join(_text(str(file.local)) for file in files) + "]"
    root = str(files[0].local)[: -len(files[0].path)]
    name = f"substr(filename, {len(root) + 1})"
    if found.type == "PARQUET":
        return _parquet(files, ParquetReading.of(found, matched=options.matched), scratch)
    if found.type == "JSON":
        return _json(found, paths, name)
    return _csv(found, paths, name, options.keeps_rejects)


def _parquet(files: Sequence[StageFile], reading: ParquetReading, scratch: Path) -> Source:
    """Files whose columns are to be read alike are one scan."""
    types: dict[str, pa.DataType] = {}
    scans: dict[str, list[tuple[Path, StageFile]]] = {}
    for file in files:
        local = readable(file.local, reading, file.md5, scratch) if reading.replaces else file.local
        found = parquet_columns(local, reading)
        _refuse_ambiguous([column.name for column in found], file)
        for column in found:
            types[column.name] = _wider(types.get(column.name), column.type)
        replaced = [
            f"{_quoted(_RAW + column.sql)} AS {_quoted(column.name)}" for column in found if not column.is_read_as_it_is
        ]
        scans.setdefault(f" REPLACE ({', '.join(replaced)})" if replaced else "", []).append((local, file))
    sql = " UNION ALL BY NAME ".join(_scan(replace, some) for replace, some in scans.items())
    return Source(sql, "PARQUET", types)


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
    sql = (
        f'SELECT json AS "{_ROW}", {name} AS "{_NAME}", '
        f'row_number() OVER (PARTITION BY filename) AS "{_NUMBER}" '
        f"FROM read_json_objects({paths}, filename = true, format = '{shape}', compression = '{compression}', "
        "maximum_object_size = 134217728)"
    )
    return Source(sql, "JSON")


def _csv(found: FileFormat, paths: str, name: str, keeps_rejects: bool) -> Source:
    delimiter = found.text("FIELD_DELIMITER", ",")
    enclosed = found.text("FIELD_OPTIONALLY_ENCLOSED_BY", "NONE")
    quote = "" if enclosed.upper() == "NONE" else enclosed
    escape = found.text("ESCAPE", "NONE")
    nulls = found.options.get("NULL_IF", ["\\N"])
    nulls = [str(one) for one in (nulls if isinstance(nulls, list) else [nulls])]
    if found.flag("EMPTY_FIELD_AS_NULL", True):
        nulls.append("")
    parameters = [
        "filename = true",
        "header = false",
        "all_varchar = true",
        "auto_detect = true",
        f"skip = {int(found.options.get('SKIP_HEADER', 0)) or (1 if found.flag('PARSE_HEADER') else 0)}",
        f"delim = {_text(delimiter)}",
        f"quote = {_text(quote)}",
        f"escape = {_text('' if escape.upper() == 'NONE' else escape) if quote == '' else _text(quote)}",
        "nullstr = [" + ", ".join(_text(one) for one in nulls) + "]",
        f"null_padding = {str(not found.flag('ERROR_ON_COLUMN_COUNT_MISMATCH', True)).lower()}",
        f"compression = '{_compression(found)}'",
        "sample_size = 1",
    ]
    if keeps_rejects:
        parameters += ["store_rejects = true", f"rejects_table = '{REJECTS}'", f"rejects_scan = '{REJECT_SCANS}'"]
    sql = (
        f'SELECT * EXCLUDE (filename), {name} AS "{_NAME}", '
        f'row_number() OVER (PARTITION BY filename) AS "{_NUMBER}" '
        f"FROM read_csv({paths}, {', '.join(parameters)})"
    )
    return Source(sql, "CSV")


def _compression(found: FileFormat) -> str:
    given = found.text("COMPRESSION", "AUTO").lower()
    return {"auto": "auto_detect", "none": "none", "gzip": "gzip", "zstd": "zstd"}[given]


def _resolve_columns(select: exp.Select, source: Source, alias: str) -> None:
    """Turn ``$n``, ``$1:path`` and ``METADATA$…`` of one SELECT into columns of the files' relation."""
    for node in list(select.find_all(exp.JSONExtract)):
        root = node.this.this if isinstance(node.this, exp.Column) else node.this
        if isinstance(root, exp.Parameter) and root.name == "1" and node.find_ancestor(exp.Select) is select:
            node.replace(_path(node, source, alias))
    for call in list(select.find_all(exp.Func)):
        if function_name(call) == "GET_IGNORE_CASE" and call.find_ancestor(exp.Select) is select:
            call.replace(_ignoring_case(call, source, alias))
    for parameter in list(select.find_all(exp.Parameter)):
        if parameter.find_ancestor(exp.Select) is not select:
            continue
        holder = parameter.parent if isinstance(parameter.parent, exp.Column) else parameter
        holder.replace(_field(int(parameter.name), source, alias))
    for star in list(select.expressions):
        if isinstance(star, exp.Star):
            raise compilation_error("SELECT with no columns")


def _path(node: exp.JSONExtract, source: Source, alias: str) -> Expr:
    """``$1:"C"`` or ``$1:C.d``: a file's column, and what is inside of it."""
    if source.kind == "JSON":
        return exp.JSONExtract(
            this=_column(_ROW, alias), expression=node.expression.copy(), variant_extract=True, requires_json=True
        )
    if source.kind == "EMPTY":
        return exp.Null()
    keys = [part for part in node.expression.expressions if isinstance(part, (exp.JSONPathKey, exp.JSONPathSubscript))]
    first = keys[0] if keys else None
    if source.kind != "PARQUET" or not isinstance(first, exp.JSONPathKey):
        raise not_supported(f"The expression {node.sql(dialect='snowflake')} over {source.kind} files")
    if str(first.this) not in source.columns:
        return exp.Null()
    if len(keys) == 1:
        return _value(str(first.this), source, alias, node.parent)
    column = _column(str(first.this), alias)
    inner = exp.JSONPath(expressions=[exp.JSONPathRoot(), *(key.copy() for key in keys[1:])])
    return exp.JSONExtract(
        this=_as_variant(column, source.columns[str(first.this)]),
        expression=inner,
        variant_extract=True,
        requires_json=True,
    )


def _ignoring_case(call: exp.Func, source: Source, alias: str) -> Expr:
    """``GET_IGNORE_CASE($1, 'c')``, as INFER_SCHEMA writes it for Parquet files."""
    root, name = call.args.values() if not isinstance(call, exp.Anonymous) else call.expressions
    if source.kind == "EMPTY":
        return exp.Null()
    if source.kind != "PARQUET" or not isinstance(root, exp.Parameter) or root.name != "1":
        raise not_supported(f"The expression {call.sql(dialect='snowflake')} over {source.kind} files")
    column = next((one for one in source.columns if one.upper() == str(name.this).upper()), None)
    if column is None:
        return exp.Null()
    return _value(column, source, alias, call.parent)


def _value(name: str, source: Source, alias: str, parent: Expr | None) -> Expr:
    """A column of a Parquet file, as what its cast takes or as a VARIANT."""
    column, kind = _column(name, alias), source.columns[name]
    if not isinstance(parent, (exp.Cast, exp.TryCast)):
        return _as_variant(column, kind)
    if pa.types.is_integer(kind) and isinstance(parent.to, exp.DataType) and parent.to.this in _MOMENTS:
        return _moment(column, is_zoned=parent.to.this in _ZONED)
    return column


def _moment(seconds: Expr, *, is_zoned: bool) -> Expr:
    """A whole number as a timestamp: it counts seconds since 1970, whatever the file's writer meant."""
    number = exp.cast(seconds, exp.DataType.Type.INT128)
    last = exp.Literal.number(_LAST_SECOND)
    beyond = exp.GT(this=exp.Abs(this=number.copy()), expression=last)
    text = exp.DPipe(
        this=exp.DPipe(this=exp.Literal.string("Timestamp '"), expression=exp.cast(seconds.copy(), "VARCHAR")),
        expression=exp.Literal.string(f"' {NOT_RECOGNIZED}"),
    )
    micros = exp.Mul(this=exp.cast(seconds.copy(), exp.DataType.Type.BIGINT), expression=exp.Literal.number(1_000_000))
    moment: Expr = exp.Anonymous(this="make_timestamp", expressions=[micros])
    if is_zoned:
        moment = exp.Anonymous(this="timezone", expressions=[exp.Literal.string("UTC"), moment])
    return exp.Case(ifs=[exp.If(this=beyond, true=exp.Anonymous(this="error", expressions=[text]))], default=moment)


def _field(number: int, source: Source, alias: str) -> Expr:
    if source.kind == "EMPTY":
        return exp.Null()
    if source.kind == "CSV":
        return _column(f"column{number - 1}", alias)
    if number != 1:
        return exp.Null()
    if source.kind == "JSON":
        return _column(_ROW, alias)
    row = exp.Anonymous(
        this="struct_pack",
        expressions=[
            exp.PropertyEQ(
                this=exp.to_identifier(name, quoted=True),
                expression=_readable(_column(name, alias), source.columns[name]),
            )
            for name in source.columns
        ],
    )
    return _as_variant(row)


def _column(name: str, alias: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(alias, quoted=True))


def _as_variant(value: Expr, kind: pa.DataType | None = None) -> Expr:
    return exp.Anonymous(this="to_json", expressions=[_readable(value, kind)])


def _readable(value: Expr, kind: pa.DataType | None) -> Expr:
    """BINARY inside of a VARIANT, as text: hexadecimal digits."""
    if kind is not None and _is_bytes(kind):
        return exp.Anonymous(this="hex", expressions=[value])
    return value


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return exp.Literal.string(value).sql(dialect="duckdb")
