"""Digits of a second: Snowflake keeps up to nine, as many as a type says, and the engine six."""

from __future__ import annotations

import re

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import nanoseconds
from airflow_provider_snowflake_batch.local.sql.casts import cut
from airflow_provider_snowflake_batch.local.sql.macros import NANOSECONDS, TRY_TO_TIMESTAMP, WHOLE_MICROSECONDS

_TIMES = {
    exp.DataType.Type.TIME, exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ, exp.DataType.Type.DATETIME,
    exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.TIMESTAMPLTZ,
}  # fmt: skip
# The nine digits of a second in a format, as the parser writes them.
_NINE_DIGITS = "%f_nine"


def is_time_cast(node: exp.Cast | exp.TryCast) -> bool:
    return node.args["to"].this in _TIMES


def cut_digits(node: exp.Cast | exp.TryCast) -> Expr | None:
    """A cast to a time with fewer digits of a second than the engine keeps, and a TRY_CAST to a TIMESTAMP_NTZ, which
    the engine's own translation would let fail; None for any other.

    :raises SnowflakeError: "not supported" for a literal with more.
    """
    kind, value = node.args["to"], node.this
    if isinstance(value, exp.Literal) and value.is_string:
        _check_digits(value.this)
    digits = int(kind.expressions[0].name) if kind.expressions else 9
    is_time = kind.this == exp.DataType.Type.TIME
    is_tried = isinstance(node, exp.TryCast) and not is_time
    if kind.this in (exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.TIMESTAMPLTZ) or (digits >= 6 and not is_tried):
        return None
    kind.set("expressions", None)
    made = exp.Anonymous(this=TRY_TO_TIMESTAMP, expressions=[value]) if is_tried else node
    return made if digits >= 6 else cut(made, digits, is_time=is_time)


def _check_digits(text: str) -> None:
    """:raises SnowflakeError: "not supported" for a time with more digits of a second than the engine keeps."""
    if re.search(NANOSECONDS, text):
        raise nanoseconds(text)


def read_time(node: exp.StrToTime | exp.TsOrDsToTime) -> Expr | None:
    """Text with nine digits of a second, of which the engine keeps six. Its own element for nine is for the years 1677
    to 2262 only, and moments with it are rounded.
    """
    if isinstance(node.this, exp.Literal):
        _check_digits(node.this.this)
    given = node.args.get("format")
    if not isinstance(given, exp.Literal) or _NINE_DIGITS not in given.this:
        return None
    node.set("format", exp.Literal.string(given.this.replace(_NINE_DIGITS, "%f")))
    pieces = [exp.Literal.string(piece) for piece in (r"([.]\d{6})\d{1,3}", r"\1")]
    whole = exp.Anonymous(this=WHOLE_MICROSECONDS, expressions=[node.this])
    node.set("this", exp.Anonymous(this="regexp_replace", expressions=[whole, *pieces]))
    return node
