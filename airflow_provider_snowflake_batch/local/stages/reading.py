"""``SELECT … FROM @stage``: files of a stage as a relation of the SQL engine.

``$1:"C"`` of a Parquet file becomes its column C, ``$3`` of a CSV file its third field, ``$1`` of a JSON or Parquet
file the whole row. Source: https://docs.snowflake.com/en/user-guide/querying-stage
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error, not_supported
from airflow_provider_snowflake_batch.local.stages.files import StageFile, stage_files
from airflow_provider_snowflake_batch.local.stages.formats import FileFormat

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.statements import Statement

_ROW = "_row"
_NAME, _NUMBER = "METADATA$FILENAME", "METADATA$FILE_ROW_NUMBER"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a COPY statement says about the files that its query reads, and that the query itself does not.

    :param files: only these paths below the location.
    """

    format: FileFormat | None = None
    pattern: str | None = None
    files: Sequence[StageFile] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one location as a relation.

    :param sql: a subquery in DuckDB's SQL.
    :param columns: the names of its columns by position (CSV) or of a Parquet file; empty when rows are JSON.
    """

    sql: str
    kind: str
    columns: tuple[str, ...]


def is_stage(table: Expr) -> bool:
    return isinstance(table, exp.Table) and location_of(table) is not None


def location_of(table: exp.Table) -> str | None:
    """The location of a FROM that names a stage, with its ``@``."""
    this = table.this
    if isinstance(this, (exp.Var, exp.Literal)) and str(this.this).startswith("@"):
        return str(this.this)
    return None


def rewrite_stage_reads(tree: Expr, statement: Statement, options: ReadOptions | None = None) -> bool:
    """Replace each stage in a FROM by a subquery over its files; whether there was one.

    :raises SnowflakeError: for a stage, file format or file that is not there, or an expression over the files that
        is not supported.
    """
    tables = [table for table in tree.find_all(exp.Table) if location_of(table) is not None]
    for table in tables:
        select = table.find_ancestor(exp.Select)
        if select is None:
            raise not_supported("A stage outside of a SELECT")
        source = _source(table, statement, options or ReadOptions())
        alias = table.alias or "_files"
        _resolve_columns(select, source, alias)
        subquery: Expr = exp.maybe_parse(f"SELECT * FROM ({source.sql})", dialect="duckdb")
        assert isinstance(subquery, exp.Select)
        table.replace(subquery.subquery(exp.to_identifier(alias, quoted=True)))
    return bool(tables)


def _source(table: exp.Table, statement: Statement, options: ReadOptions) -> Source:
    location = location_of(table)
    assert location is not None
    formats = statement.server.stages.formats
    given, pattern = table.args.get("format"), table.args.get("pattern")
    stage, _ = statement.server.stages.resolve(statement.session, location)
    if given is not None:
        found = formats.get(statement.session, given.name)
    elif options.format is not None:
        found = options.format
    else:
        found = formats.resolve(statement.session, stage.options.get("FILE_FORMAT"))
    files = options.files
    if files is None:
        text = pattern.name if pattern is not None else options.pattern
        files = stage_files(statement.server, statement.session, location, text, anchored=True)
    return source_of(files, found)


def source_of(files: Sequence[StageFile], found: FileFormat) -> Source:
    """The relation over files of one format."""
    if not files:
        # Snowflake reads no file as no row; without a file there is nothing to take the columns from.
        return Source(f"SELECT NULL::JSON AS {_ROW} WHERE FALSE", "EMPTY", ())
    paths = "[" + ", ".join(_text(str(file.local)) for file in files) + "]"
    root = str(files[0].local)[: -len(files[0].path)]
    name = f"substr(filename, {len(root) + 1})"
    if found.type == "PARQUET":
        return _parquet(files, paths, name)
    if found.type == "JSON":
        return _json(found, paths, name)
    return _csv(found, paths, name)


def _parquet(files: Sequence[StageFile], paths: str, name: str) -> Source:
    names: dict[str, None] = {}
    for file in files:
        names |= dict.fromkeys(parquet_columns(file.local))
    sql = (
        f'SELECT * EXCLUDE (filename, file_row_number), {name} AS "{_NAME}", file_row_number AS "{_NUMBER}" '
        f"FROM read_parquet({paths}, filename = true, file_row_number = true, union_by_name = true, "
        "hive_partitioning = false)"
    )
    return Source(sql, "PARQUET", tuple(names))


def parquet_columns(path: Path) -> list[str]:
    """The column names of a Parquet file.

    :raises SnowflakeError: 100186 when it is none.
    """
    try:
        return list(pq.read_schema(path).names)
    except (OSError, ValueError) as error:
        raise SnowflakeError(
            f"Error parsing the parquet file: {path.name}: {error}", errno=100186, sqlstate="22000"
        ) from None


def _json(found: FileFormat, paths: str, name: str) -> Source:
    shape = "array" if found.flag("STRIP_OUTER_ARRAY") else "auto"
    compression = _compression(found)
    sql = (
        f'SELECT json AS {_ROW}, {name} AS "{_NAME}", row_number() OVER () AS "{_NUMBER}" '
        f"FROM read_json_objects({paths}, filename = true, format = '{shape}', compression = '{compression}', "
        "maximum_object_size = 134217728)"
    )
    return Source(sql, "JSON", ())


def _csv(found: FileFormat, paths: str, name: str) -> Source:
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
    sql = (
        f'SELECT * EXCLUDE (filename), {name} AS "{_NAME}", row_number() OVER () AS "{_NUMBER}" '
        f"FROM read_csv({paths}, {', '.join(parameters)})"
    )
    return Source(sql, "CSV", ())


def _compression(found: FileFormat) -> str:
    given = found.text("COMPRESSION", "AUTO").lower()
    return {"auto": "auto_detect", "none": "none", "gzip": "gzip", "zstd": "zstd"}[given]


def _resolve_columns(select: exp.Select, source: Source, alias: str) -> None:
    """Turn ``$n``, ``$1:path`` and ``METADATA$…`` of one SELECT into columns of the files' relation."""
    for node in list(select.find_all(exp.JSONExtract)):
        root = node.this.this if isinstance(node.this, exp.Column) else node.this
        if isinstance(root, exp.Parameter) and root.name == "1" and node.find_ancestor(exp.Select) is select:
            node.replace(_path(node, source, alias))
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
    column = _column(str(first.this), alias)
    if len(keys) == 1:
        return column if isinstance(node.parent, (exp.Cast, exp.TryCast)) else _as_variant(column)
    inner = exp.JSONPath(expressions=[exp.JSONPathRoot(), *(key.copy() for key in keys[1:])])
    return exp.JSONExtract(this=_as_variant(column), expression=inner, variant_extract=True, requires_json=True)


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
            exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=_column(name, alias))
            for name in source.columns
        ],
    )
    return _as_variant(row)


def _column(name: str, alias: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(alias, quoted=True))


def _as_variant(value: Expr) -> Expr:
    return exp.Anonymous(this="to_json", expressions=[value])


def _text(value: str) -> str:
    return exp.Literal.string(value).sql(dialect="duckdb")
