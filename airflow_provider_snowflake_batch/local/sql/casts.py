"""Casts to whole numbers round halves away from zero, as with Snowflake; DuckDB rounds those of a DOUBLE to even.
Text is read as Snowflake reads it: ``on`` is a BOOLEAN, ``12/17/1980`` a DATE, ``1_000`` no number.

Works on statements that are already in the engine's SQL. Source:
https://docs.snowflake.com/en/sql-reference/functions/cast
"""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.macros import (
    BOOLEAN_TEXT,
    CUT_TIME,
    CUT_TIMESTAMP,
    DATE_TEXT,
    NUMBER_TEXT,
    WHOLE_MICROSECONDS,
)
from airflow_provider_snowflake_batch.local.sql.texts import TEXT_TYPES, is_of_type, plain_text

_Type = exp.DataType.Type
_MOMENTS = {_Type.TIMESTAMPTZ, _Type.TIMESTAMPLTZ}
_READ_BY = {
    _Type.BOOLEAN: BOOLEAN_TEXT,
    _Type.DATE: DATE_TEXT,
    _Type.DECIMAL: NUMBER_TEXT,
    _Type.DOUBLE: NUMBER_TEXT,
}
_READ_BY |= dict.fromkeys((_Type.TINYINT, _Type.SMALLINT, _Type.INT, _Type.BIGINT, _Type.INT128), NUMBER_TEXT)
_NO_TEXT = (
    exp.Boolean, exp.Null, exp.Predicate, exp.Binary, exp.Neg, exp.Count, exp.Sum, exp.Avg, exp.Interval,
    exp.CurrentDate, exp.CurrentTimestamp, exp.DateAdd, exp.TimestampTrunc, exp.DateTrunc,
)  # fmt: skip
_INTEGERS = {_Type.TINYINT, _Type.SMALLINT, _Type.INT, _Type.BIGINT, _Type.INT128}


def round_casts(tree: Expr) -> Expr:
    """The tree with each cast to a whole number rounding as Snowflake does."""
    for cast in [*tree.find_all(exp.Cast, exp.TryCast)]:
        kind = cast.args["to"]
        if isinstance(kind, exp.DataType) and kind.this in _MOMENTS and isinstance(cast.this, exp.Column):
            cast.replace(moment(cast.this, type(cast)))
        if isinstance(kind, exp.DataType) and kind.this == _Type.TIME and isinstance(cast.this, exp.Column):
            cast.set("this", exp.Anonymous(this=WHOLE_MICROSECONDS, expressions=[cast.this]))
        if not isinstance(kind, exp.DataType) or kind.this not in _INTEGERS or _is_whole(cast.this):
            _read_text(cast)
            continue
        value = cast.this
        # The engine knows the type when it binds the statement, and drops the branch that does not apply.
        is_float = exp.In(
            this=exp.Anonymous(this="typeof", expressions=[value.copy()]),
            expressions=[exp.Literal.string("DOUBLE"), exp.Literal.string("FLOAT")],
        )
        rounded = exp.Anonymous(
            this="round", expressions=[type(cast)(this=value.copy(), to=exp.DataType(this=_Type.DOUBLE))]
        )
        whole = type(cast)(this=rounded, to=kind.copy())
        ifs = [exp.If(this=is_float, true=whole)]
        if (read := _of_text(cast)) is not None:
            ifs.append(exp.If(this=is_of_type(value, "VARCHAR"), true=read))
        cast.replace(exp.paren(exp.Case(ifs=ifs, default=cast.copy())))
    return tree


def moment(value: Expr, cast: type[exp.Cast | exp.TryCast] = exp.Cast) -> Expr:
    """A value cast to a time-zone-aware timestamp; text may have a blank before its offset, which the engine would take
    for the name of a zone.
    """
    whole = exp.Anonymous(this=WHOLE_MICROSECONDS, expressions=[plain_text(value)])
    text = exp.Anonymous(
        this="regexp_replace",
        expressions=[whole, exp.Literal.string(r"\s+([+-]\d\d:?(\d\d)?|Z)$"), exp.Literal.string(r"\1")],
    )
    kind = exp.DataType(this=_Type.TIMESTAMPTZ)
    ifs = [exp.If(this=is_of_type(value, "VARCHAR"), true=cast(this=text, to=kind))]
    return exp.paren(exp.Case(ifs=ifs, default=cast(this=value.copy(), to=kind.copy())))


def cut(value: Expr, digits: int, *, is_time: bool) -> Expr:
    """A time of day or a TIMESTAMP_NTZ with so many digits of a second, up to five."""
    unit = exp.Literal.number(10 ** (6 - digits))
    return exp.Anonymous(this=CUT_TIME if is_time else CUT_TIMESTAMP, expressions=[value.copy(), unit])


def _read_text(cast: exp.Cast | exp.TryCast) -> None:
    """Let a cast read its value, if that is text, as Snowflake does."""
    read = _of_text(cast)
    if read is None:
        return
    if isinstance(cast.this, exp.Literal):
        cast.replace(read)
    else:
        ifs = [exp.If(this=is_of_type(cast.this, "VARCHAR"), true=read)]
        cast.replace(exp.paren(exp.Case(ifs=ifs, default=cast.copy())))


def _of_text(cast: exp.Cast | exp.TryCast) -> exp.Cast | exp.TryCast | None:
    """The cast of a text; None where the value is none for certain, or nothing is to be read otherwise."""
    kind, value = cast.args["to"], cast.this
    macro = _READ_BY.get(kind.this) if isinstance(kind, exp.DataType) else None
    is_other = isinstance(value, _NO_TEXT) or (isinstance(value, exp.Literal) and not value.is_string)
    if isinstance(value, (exp.Cast, exp.TryCast)):
        inner = value.args["to"]
        is_other = isinstance(inner, exp.DataType) and inner.this not in TEXT_TYPES
    if macro is None or is_other:
        return None
    return type(cast)(this=exp.Anonymous(this=macro, expressions=[plain_text(value)]), to=kind.copy())


def _is_whole(value: Expr) -> bool:
    """Whether there is nothing to round, for certain."""
    if isinstance(value, exp.Literal):
        return value.is_string or not any(sign in value.this for sign in ".eE")
    return isinstance(value, (exp.Null, exp.Boolean, exp.Count, exp.Window, exp.Cast, exp.TryCast)) and not (
        isinstance(value, (exp.Cast, exp.TryCast)) and value.args["to"].this in (_Type.DOUBLE, _Type.FLOAT)
    )
