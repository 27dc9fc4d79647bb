"""Casts as Snowflake does them: halves of whole numbers, text, hexadecimal digits as BINARY.

Source: https://docs.snowflake.com/en/sql-reference/functions/cast
"""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.expressions import call, number, string
from airflow_provider_snowflake_batch.local.sql.macros import (
    BINARY,
    BOOLEAN_TEXT,
    CUT_TIME,
    CUT_TIMESTAMP,
    DATE_TEXT,
    MOMENT,
    NUMBER_TEXT,
    SHORT_BINARY,
    TRY_BINARY,
    TRY_MOMENT,
    WHOLE_MICROSECONDS,
)
from airflow_provider_snowflake_batch.local.sql.texts import TEXT_TYPES, is_of_type, plain_text
from airflow_provider_snowflake_batch.local.sql.types import BINARY_LENGTH

_Type = exp.DataType.Type
_MOMENTS = {_Type.TIMESTAMPTZ, _Type.TIMESTAMPLTZ}
_READ_BY = {_Type.BOOLEAN: BOOLEAN_TEXT, _Type.DATE: DATE_TEXT, _Type.DECIMAL: NUMBER_TEXT, _Type.DOUBLE: NUMBER_TEXT}
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
            cast.replace(moment(cast.this, tried=isinstance(cast, exp.TryCast)))
        if isinstance(kind, exp.DataType) and kind.this == _Type.TIME and isinstance(cast.this, exp.Column):
            cast.set("this", call(WHOLE_MICROSECONDS, cast.this))
        if not isinstance(kind, exp.DataType) or kind.this not in _INTEGERS or _is_whole(cast.this):
            _read_text(cast)
            continue
        value = cast.this
        # The engine knows the type when it binds the statement, and drops the branch that does not apply.
        is_float = exp.In(this=call("typeof", value.copy()), expressions=[string("DOUBLE"), string("FLOAT")])
        rounded = call("round", type(cast)(this=value.copy(), to=exp.DataType(this=_Type.DOUBLE)))
        whole = type(cast)(this=rounded, to=kind.copy())
        ifs = [exp.If(this=is_float, true=whole)]
        if (read := _of_text(cast)) is not None:
            ifs.append(exp.If(this=is_of_type(value, "VARCHAR"), true=read))
        cast.replace(exp.paren(exp.Case(ifs=ifs, default=cast.copy())))
    return tree


def moment(value: Expr, *, tried: bool = False) -> Expr:
    """A value cast to a time-zone-aware timestamp."""
    return call(TRY_MOMENT if tried else MOMENT, value.copy())


def cut(value: Expr, digits: int, *, is_time: bool) -> Expr:
    """A time of day or a TIMESTAMP_NTZ with so many digits of a second, up to five."""
    unit = number(10 ** (6 - digits))
    return call(CUT_TIME if is_time else CUT_TIMESTAMP, value.copy(), unit)


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
    return type(cast)(this=call(macro, plain_text(value)), to=kind.copy())


def _is_whole(value: Expr) -> bool:
    """Whether there is nothing to round, for certain."""
    if isinstance(value, exp.Literal):
        return value.is_string or not any(sign in value.this for sign in ".eE")
    return isinstance(value, (exp.Null, exp.Boolean, exp.Count, exp.Window, exp.Cast, exp.TryCast)) and not (
        isinstance(value, (exp.Cast, exp.TryCast)) and value.args["to"].this in (_Type.DOUBLE, _Type.FLOAT)
    )


_BINARY = (exp.DataType.Type.BINARY, exp.DataType.Type.VARBINARY)


def is_binary_cast(node: Expr) -> bool:
    """Whether a node is ``… ::BINARY``, ``CAST(… AS BINARY)`` or ``TRY_CAST(… AS BINARY)``."""
    return isinstance(node, exp.Cast) and isinstance(node.to, exp.DataType) and node.to.this in _BINARY


def read_hexadecimal(cast: Expr) -> None:
    """Make a cast to BINARY read text as Snowflake does, and refuse what is too long; BINARY stays as it is."""
    kind, tried = cast.args["to"], isinstance(cast, exp.TryCast)
    length = int(kind.expressions[0].name) if kind.expressions else BINARY_LENGTH
    cast.set("this", no_longer(call(TRY_BINARY if tried else BINARY, cast.this), length, tried=tried))


def no_longer(value: Expr, length: int, *, tried: bool = False) -> Expr:
    """BINARY of at most so many bytes; what is longer becomes an error, or NULL."""
    return value if length >= BINARY_LENGTH else call(SHORT_BINARY, value, number(length), exp.Boolean(this=tried))


def without_lengths(tree: Expr) -> Expr:
    """The tree in the engine's SQL, whose BLOB has no length."""
    for kind in tree.find_all(exp.DataType):
        if kind.this in _BINARY and kind.expressions:
            kind.set("expressions", None)
    return tree
