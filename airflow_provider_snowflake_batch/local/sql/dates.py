"""Dates and times: arithmetic on a DATE that stays one, formats as ``strftime`` knows them, digits of a second.

Sources: https://docs.snowflake.com/en/sql-reference/functions/dateadd, https://docs.snowflake.com/en/sql-reference/functions/date_trunc
and https://docs.snowflake.com/en/sql-reference/date-time-input-output.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from sqlglot import Expr, exp
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.optimizer.simplify import simplify

from airflow_provider_snowflake_batch.local.errors import nanoseconds, not_supported
from airflow_provider_snowflake_batch.local.sql.casts import cut
from airflow_provider_snowflake_batch.local.sql.expressions import call, number, string
from airflow_provider_snowflake_batch.local.sql.macros import CLOCK, NANOSECONDS, TRY_TO_TIMESTAMP, WHOLE_MICROSECONDS

_Type = exp.DataType.Type
_WHOLE_DAYS = {"DAY", "DAYS", "WEEK", "WEEKS", "MONTH", "MONTHS", "QUARTER", "QUARTERS", "YEAR", "YEARS"}
_SHIFTS = (exp.DateAdd, exp.DateSub, exp.TsOrDsAdd, exp.TimestampTrunc, exp.DateTrunc)


def keep_dates(tree: Expr, date_columns: AbstractSet[str]) -> Expr:
    """The tree with what Snowflake says is a DATE cast to one.

    :param date_columns: names of columns that are DATE in every table of the statement that has them.
    """
    if not date_columns and not tree.find(exp.Cast, exp.TryCast, exp.CurrentDate):
        return tree
    known = set(date_columns) | {
        alias.alias for alias in tree.find_all(exp.Alias) if _is_date(alias.this, date_columns)
    }
    # Inner ones first: what is cast is a DATE for what stands around it.
    for node in reversed(list(tree.find_all(*_SHIFTS, exp.Add, exp.Sub))):
        if _shifts_date(node, known) and not _is_date(node.parent, known):
            node.replace(exp.cast(node.copy(), _Type.DATE))
        elif isinstance(node, exp.Add) and _is_date(node.this, known) and _is_number(node.expression):
            # DuckDB adds an INTEGER to a DATE, but no BIGINT.
            node.set("expression", exp.cast(node.expression.copy(), _Type.INT))
    return tree


def read_date(node: exp.TsOrDsToDate) -> Expr | None:
    """``TO_DATE`` without a format, of Snowflake's SQL, as the cast that it is."""
    if node.args.get("format") is not None:
        return None
    return (exp.TryCast if node.args.get("safe") else exp.Cast)(this=node.this, to=exp.DataType.build("DATE"))


FROM_PARTS: tuple[type[Expr], ...] = (
    exp.TimeFromParts, exp.TimestampFromParts, exp.TimestampLtzFromParts, exp.TimestampTzFromParts,
)  # fmt: skip


def keep_fraction(node: Expr) -> Expr | None:
    """A time that is made of parts, its nanoseconds among them.

    :raises SnowflakeError: "not supported" for more digits of a second than the engine keeps.
    """
    given = node.args.get("nano")
    if isinstance(given, exp.Literal) and not given.name.endswith("000") and int(given.name):
        raise nanoseconds(node.sql(dialect="snowflake"))
    if not isinstance(node, (exp.TimestampTzFromParts, exp.TimestampLtzFromParts)):
        return None
    if given is not None:
        # The engine's function for a moment takes none: they become a part of the seconds.
        microseconds = exp.IntDiv(this=exp.paren(given), expression=number(1000))
        fraction = exp.Div(this=exp.paren(microseconds), expression=number("1000000.0"))
        node.set("sec", exp.paren(exp.Add(this=exp.paren(node.args["sec"]), expression=fraction)))
        node.set("nano", None)
    is_zoned = isinstance(node, exp.TimestampLtzFromParts) or node.args.get("zone") is not None
    # Without a zone the engine's moment has none.
    return node if is_zoned else exp.cast(node.copy(), exp.DataType.Type.TIMESTAMPTZ)


def add_intervals(node: exp.Add | exp.Sub | exp.WindowSpec) -> Expr | None:
    """``d + INTERVAL '1 year, 2 months'``, of Snowflake's SQL, as one sum after the other, also in a window's frame."""
    if isinstance(node, exp.WindowSpec):
        for bound in ("start", "end"):
            if first_and_others := _intervals(node.args.get(bound)):
                first, *others = first_and_others
                node.set(bound, exp.paren(_shifted(exp.Add, first, others)))
        return None
    intervals = _intervals(node.expression)
    return exp.paren(_shifted(type(node), node.this.copy(), intervals)) if intervals else None


def _intervals(interval: Any) -> list[Expr]:
    """The parts of an interval of several."""
    if not isinstance(interval, exp.Interval) or "," not in interval.name:
        return []
    texts = [string(part.strip()).sql() for part in interval.name.split(",")]
    return [exp.maybe_parse(f"INTERVAL {text}", dialect="snowflake") for text in texts]


def _shifted(operator: type[Expr], made: Expr, intervals: list[Expr]) -> Expr:
    for interval in intervals:
        made = operator(this=made, expression=interval)
    return made


def _is_number(node: Expr) -> bool:
    return not isinstance(node, (exp.Interval, exp.Literal))


def _shifts_date(node: Expr, known: AbstractSet[str]) -> bool:
    if isinstance(node, (exp.Add, exp.Sub)):
        interval = node.expression
        return isinstance(interval, exp.Interval) and _unit(interval) in _WHOLE_DAYS and _is_date(node.this, known)
    return isinstance(node, _SHIFTS) and _unit(node) in _WHOLE_DAYS and _is_date(node.this, known)


def _unit(node: Expr) -> str:
    unit = node.args.get("unit")
    return str(unit.name).upper() if isinstance(unit, Expr) else ""


def _is_date(node: Expr | None, known: AbstractSet[str]) -> bool:
    if isinstance(node, (exp.Cast, exp.TryCast)):
        return isinstance(node.args["to"], exp.DataType) and node.args["to"].this == _Type.DATE
    if isinstance(node, exp.Paren):
        return _is_date(node.this, known)
    if isinstance(node, exp.Column):
        return node.name in known
    return isinstance(node, exp.CurrentDate)


# For a value whose type it can tell, the parser would read the format itself, and elements in lower case wrongly.
for _name in ("TO_CHAR", "TO_VARCHAR"):
    Snowflake.Parser.FUNCTIONS[_name] = exp.ToChar.from_arg_list


def _without_auto(build: Callable[..., Expr]) -> Callable[..., Expr]:
    """A reader of dates and times of which the format AUTO is the one that it has without a format."""

    def built(args: list[Expr], *others: Any, **options: Any) -> Expr:
        given = args[1] if len(args) == 2 else None
        is_auto = isinstance(given, exp.Literal) and given.is_string and given.name.upper() == "AUTO"
        return build(args[:1] if is_auto else args, *others, **options)

    return built


for _name in Snowflake.Parser.FUNCTIONS:
    if re.fullmatch("(TRY_)?TO_(DATE|TIME|TIMESTAMP(_NTZ|_LTZ|_TZ)?)", _name):
        Snowflake.Parser.FUNCTIONS[_name] = _without_auto(Snowflake.Parser.FUNCTIONS[_name])

_ELEMENTS = {
    "YYYY": "%Y", "YY": "%y", "MMMM": "%B", "MON": "%b", "MM": "%m", "DD": "%d", "DY": "%a", "HH24": "%H",
    "HH12": "%I", "HH": "%H", "AM": "%p", "PM": "%p", "MI": "%M", "SS": "%S", "FF": "%n", "FF3": "%g", "FF6": "%f",
    "FF9": "%n",
}  # fmt: skip
# Longest first. A quoted text stands for itself, and so does what is no letter; T, Z and UTC are common unquoted.
_TOKEN = re.compile(
    '"(?P<quoted>[^"]*)"|(?P<element>' + "|".join(sorted(_ELEMENTS, key=len, reverse=True)) + r")|(?P<other>UTC|.)",
    re.IGNORECASE | re.DOTALL,
)


def write_formatted(value: Expr, given: Expr) -> Expr:
    """The value as text in a date or time format.

    :raises SnowflakeError: for number formats, for elements that DuckDB lacks and for a format that is no constant.
    """
    given = simplify(given.copy())  # dbt says 'yyyy-mm-dd HH24:MI'||'UTC'
    if not isinstance(given, exp.Literal) or not given.is_string:
        raise not_supported("A format of TO_CHAR that is no constant")
    format_ = string(to_strftime(given.this))
    return call("strftime", call(CLOCK, value.copy()), format_)


def to_strftime(text: str) -> str:
    """A Snowflake date or time format for ``strftime``.

    >>> to_strftime('YYYY-MM-DD"T"HH24:MI')
    '%Y-%m-%dT%H:%M'
    """
    pieces = []
    elements = 0
    for match in _TOKEN.finditer(text):
        if match["quoted"] is not None:
            pieces.append(match["quoted"].replace("%", "%%"))
        elif match["element"] is not None:
            elements += 1
            pieces.append(_ELEMENTS[match["element"].upper()])
        elif match["other"].isalnum() and match["other"] not in ("T", "Z", "UTC"):
            raise not_supported(f"The format '{text}'")
        else:
            pieces.append(match["other"].replace("%", "%%"))
    # The engine writes the digits of a second wrongly where it writes them more than once.
    if not elements or sum(piece in ("%n", "%g", "%f") for piece in pieces) > 1:
        raise not_supported(f"The format '{text}'")
    return "".join(pieces)


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
    made = call(TRY_TO_TIMESTAMP, value) if is_tried else node
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
    node.set("format", string(given.this.replace(_NINE_DIGITS, "%f")))
    pieces = [string(piece) for piece in (r"([.]\d{6})\d{1,3}", r"\1")]
    whole = call(WHOLE_MICROSECONDS, node.this)
    node.set("this", call("regexp_replace", whole, *pieces))
    return node


NANOSECOND_NAMES = {"NANOSECOND", "NS", "NSEC", "NANOSEC", "NSECOND", "NANOSECONDS", "NANOSECS", "NSECONDS"}
"""https://docs.snowflake.com/en/sql-reference/functions-date-time (supported date and time parts)"""


def nanosecond_of(value: Expr) -> Expr:
    """``DATE_PART(NANOSECOND, …)``: those of the second. The engine's own takes no TIME."""
    microseconds = exp.Mod(this=call("epoch_us", value.copy()), expression=number(1_000_000))
    # Before 1970 the remainder is below zero.
    positive = exp.Mod(
        this=exp.paren(exp.Add(this=microseconds, expression=number(1_000_000))), expression=number(1_000_000)
    )
    return exp.cast(exp.paren(exp.Mul(this=exp.paren(positive), expression=number(1000))), _Type.BIGINT)


def in_microseconds(node: exp.DateAdd | exp.DateDiff | exp.DateTrunc | exp.TimestampTrunc) -> Expr | None:
    """What counts in nanoseconds, counted in the microseconds that the engine keeps: its own knows less of them."""
    if _unit(node) != "NANOSECOND":
        return None
    node.set("unit", exp.var("MICROSECOND"))
    if isinstance(node, exp.DateAdd):
        # What is no number of microseconds has been refused.
        node.set("expression", exp.IntDiv(this=exp.paren(node.expression.copy()), expression=number(1000)))
        return node
    if not isinstance(node, exp.DateDiff):
        return node
    # Wide enough for any two dates.
    return exp.paren(exp.Mul(this=exp.cast(node.copy(), _Type.INT128), expression=number(1000)))
