"""Casts as Snowflake does them: halves of whole numbers, text, hexadecimal digits as BINARY.

Source: https://docs.snowflake.com/en/sql-reference/functions/cast
"""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.macros import (
    BOOLEAN_TEXT,
    CUT_TIME,
    CUT_TIMESTAMP,
    DATE_TEXT,
    NUMBER_TEXT,
    TOO_LONG,
    WHOLE_MICROSECONDS,
)
from airflow_provider_snowflake_batch.local.sql.texts import TEXT_TYPES, is_of_type, plain_text
from airflow_provider_snowflake_batch.local.sql.types import BINARY_LENGTH

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


_BINARY = (exp.DataType.Type.BINARY, exp.DataType.Type.VARBINARY)


def is_binary_cast(node: Expr) -> bool:
    """Whether a node is ``… ::BINARY``, ``CAST(… AS BINARY)`` or ``TRY_CAST(… AS BINARY)``."""
    return isinstance(node, exp.Cast) and isinstance(node.to, exp.DataType) and node.to.this in _BINARY


def read_hexadecimal(cast: Expr) -> None:
    """Make a cast to BINARY read text as Snowflake does, and refuse what is too long; BINARY stays as it is."""
    kind = cast.args["to"]
    read = from_text(cast.this, safe=isinstance(cast, exp.TryCast))
    length = int(kind.expressions[0].name) if kind.expressions else BINARY_LENGTH
    cast.set("this", no_longer(read, length, exp.Null() if isinstance(cast, exp.TryCast) else None))


def no_longer(value: Expr, length: int, otherwise: Expr | None = None) -> Expr:
    """BINARY of at most so many bytes; what is longer becomes ``otherwise``, or an error."""
    if length >= BINARY_LENGTH:
        return value
    digits = exp.Anonymous(this="hex", expressions=[value.copy()])
    message = exp.Concat(
        expressions=[exp.Literal.string("String '"), digits, exp.Literal.string(f"' {TOO_LONG}")], safe=False
    )
    size = exp.Anonymous(this="octet_length", expressions=[value.copy()])
    is_longer = exp.GT(this=size, expression=exp.Literal.number(length))
    # A cast that fails with the words in it: error() is not allowed where the errors of a load are counted.
    number = exp.cast(exp.paren(message), exp.DataType.Type.INT)
    failing = exp.Anonymous(this="repeat", expressions=[exp.Literal.string(""), number])
    failure = otherwise or exp.Anonymous(this="encode", expressions=[failing])
    return exp.Case(ifs=[exp.If(this=is_longer, true=failure)], default=value)


def without_lengths(tree: Expr) -> Expr:
    """The tree in the engine's SQL, whose BLOB has no length."""
    for kind in tree.find_all(exp.DataType):
        if kind.this in _BINARY and kind.expressions:
            kind.set("expressions", None)
    return tree


def from_text(value: Expr, *, safe: bool = False) -> Expr:
    """A value as BINARY, which becomes of BINARY and of text with an even number of hexadecimal digits only.

    :param safe: NULL instead of an error for anything else.
    """
    kind = exp.Anonymous(this="typeof", expressions=[value.copy()])
    text = exp.cast(value.copy(), exp.DataType.Type.VARCHAR)
    is_text = exp.In(this=kind.copy(), expressions=[exp.Literal.string(one) for one in ("VARCHAR", "JSON", '"NULL"')])
    is_whole = exp.EQ(
        this=exp.Mod(this=exp.Length(this=text.copy()), expression=exp.Literal.number(2)),
        expression=exp.Literal.number(0),
    )
    case = exp.Case(
        ifs=[
            exp.If(
                this=exp.EQ(this=kind, expression=exp.Literal.string("BLOB")),
                true=exp.Anonymous(this="hex", expressions=[value.copy()]),
            ),
            # The engine would read one digit for a byte, and the digits of a number.
            exp.If(this=exp.and_(is_text, is_whole), true=text.copy()),
        ],
        default=exp.DPipe(this=exp.Literal.string("not hexadecimal: "), expression=text),
    )
    digits = exp.Anonymous(this="unhex", expressions=[case])
    return exp.Anonymous(this="try", expressions=[digits]) if safe else digits
