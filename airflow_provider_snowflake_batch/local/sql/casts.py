"""Casts to whole numbers round halves away from zero, as with Snowflake; DuckDB rounds those of a DOUBLE to even.
Text that is ``on`` or ``off`` is a BOOLEAN.

Works on statements that are already in the engine's SQL. Source:
https://docs.snowflake.com/en/sql-reference/functions/cast
"""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.macros import CUT_TIME, CUT_TIMESTAMP, WHOLE_MICROSECONDS
from airflow_provider_snowflake_batch.local.sql.texts import is_of_type, plain_text

_Type = exp.DataType.Type
_MOMENTS = {_Type.TIMESTAMPTZ, _Type.TIMESTAMPLTZ}
_INTEGERS = {_Type.TINYINT, _Type.SMALLINT, _Type.INT, _Type.BIGINT, _Type.INT128}


def round_casts(tree: Expr) -> Expr:
    """The tree with each cast to a whole number rounding as Snowflake does."""
    for cast in [*tree.find_all(exp.Cast, exp.TryCast)]:
        kind = cast.args["to"]
        if isinstance(kind, exp.DataType) and kind.this == _Type.BOOLEAN:
            _read_on_and_off(cast)
        if isinstance(kind, exp.DataType) and kind.this in _MOMENTS and isinstance(cast.this, exp.Column):
            cast.replace(moment(cast.this, type(cast)))
        if isinstance(kind, exp.DataType) and kind.this == _Type.TIME and isinstance(cast.this, exp.Column):
            cast.set("this", exp.Anonymous(this=WHOLE_MICROSECONDS, expressions=[cast.this]))
        if not isinstance(kind, exp.DataType) or kind.this not in _INTEGERS or _is_whole(cast.this):
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
        cast.replace(exp.paren(exp.Case(ifs=[exp.If(this=is_float, true=whole)], default=cast.copy())))
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


def _read_on_and_off(cast: Expr) -> None:
    value = cast.this
    if isinstance(value, (exp.Boolean, exp.Null, exp.Predicate)) or (
        isinstance(value, exp.Literal) and not value.is_string
    ):
        return
    text = exp.Lower(this=plain_text(value))
    ifs = [
        exp.If(this=exp.EQ(this=text.copy(), expression=exp.Literal.string(word)), true=exp.Literal.string(meaning))
        for word, meaning in (("on", "true"), ("off", "false"))
    ]
    read = type(cast)(this=exp.Case(ifs=ifs, default=plain_text(value)), to=cast.args["to"].copy())
    is_text = is_of_type(value, "VARCHAR")
    cast.replace(exp.paren(exp.Case(ifs=[exp.If(this=is_text, true=read)], default=cast.copy())))


def _is_whole(value: Expr) -> bool:
    """Whether there is nothing to round, for certain."""
    if isinstance(value, exp.Literal):
        return value.is_string or not any(sign in value.this for sign in ".eE")
    return isinstance(value, (exp.Null, exp.Boolean, exp.Count, exp.Window, exp.Cast, exp.TryCast)) and not (
        isinstance(value, (exp.Cast, exp.TryCast)) and value.args["to"].this in (_Type.DOUBLE, _Type.FLOAT)
    )
