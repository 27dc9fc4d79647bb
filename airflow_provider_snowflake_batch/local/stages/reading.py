"""``SELECT … FROM @stage``: files of a stage as a relation of the SQL engine.

``$1:"C"`` of a Parquet file becomes its column C, ``$3`` of a CSV file its third field, ``$1`` of a JSON or Parquet
file the whole row. Source: https://docs.snowflake.com/en/user-guide/querying-stage
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import compilation_error, not_supported
from airflow_provider_snowflake_batch.local.sql.expressions import function_name
from airflow_provider_snowflake_batch.local.stages.file_relations import (
    FILE_METADATA,
    ROW,
    SCAN_TIME,
    ReadOptions,
    Source,
    source_of,
    with_metadata,
)
from airflow_provider_snowflake_batch.local.stages.files import stage_files
from airflow_provider_snowflake_batch.local.stages.formats import RAW

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.stages.stages import Stages
    from airflow_provider_snowflake_batch.local.statements import Statement

_Type = exp.DataType.Type
_ZONED = {_Type.TIMESTAMPTZ, _Type.TIMESTAMPLTZ}
_MOMENTS = {*_ZONED, _Type.TIMESTAMP, _Type.TIMESTAMPNTZ, _Type.DATETIME, _Type.DATE, _Type.TIME}
_LAST_SECOND = 253_402_300_799
"""Of the year 9999, the last that timestamps have."""
NOT_RECOGNIZED = "is not recognized as seconds since 1970"


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
            asked = [int(one.name) for one in select.find_all(exp.Parameter) if one.name.isdigit()]
            given = replace(options or ReadOptions(), width=max([1, *asked]))
            source = self._source(table, statement, given, _metadata_of(select))
            alias = table.alias or "_files"
            _resolve_columns(select, source, alias)
            subquery: Expr = exp.maybe_parse(f"SELECT * FROM ({source.sql})", dialect="duckdb")
            assert isinstance(subquery, exp.Select)
            for column in list(subquery.find_all(exp.Column)):
                if column.name.startswith(RAW):
                    column.replace(exp.Var(this=column.name.removeprefix(RAW)))
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
        return with_metadata(source, files, metadata)


def _metadata_of(select: exp.Select) -> list[str]:
    """The metadata columns of files that a SELECT names."""
    asked = {column.name.upper() for column in select.find_all(exp.Column)}
    return [name for name in (*FILE_METADATA, SCAN_TIME) if name in asked]


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
            this=_column(ROW, alias), expression=node.expression.copy(), variant_extract=True, requires_json=True
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
        name = f"column{number - 1}"
        return _column(name, alias) if name in source.columns else exp.Null()
    if number != 1:
        return exp.Null()
    if source.kind == "JSON":
        return _column(ROW, alias)
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
