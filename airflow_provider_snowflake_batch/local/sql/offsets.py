"""The date and time of day of a TIMESTAMP_TZ, which are those of its own offset.

The engine keeps the moment only. Where the offset is known from the statement itself, a literal's or that of
CONVERT_TIMEZONE, what is asked of the value is asked of the clock there; otherwise it is refused, since the value in
UTC or in the session's zone would be another one. Source:
https://docs.snowflake.com/en/sql-reference/data-types-datetime (TIMESTAMP_TZ).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.sql.expressions import call, string
from airflow_provider_snowflake_batch.local.sql.macros import OFFSET_HOUR, OFFSET_MINUTE, OFFSET_TEXT

_Type = exp.DataType.Type
_OF_CLOCK = (
    exp.Hour, exp.Minute, exp.Day, exp.DayOfMonth, exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfYear, exp.Week,
    exp.WeekOfYear, exp.Month, exp.Quarter, exp.Year, exp.YearOfWeek, exp.YearOfWeekIso, exp.Dayname, exp.Monthname,
    exp.LastDay, exp.NextDay, exp.TsOrDsToDate, exp.TsOrDsToTime, exp.ToChar,
)  # fmt: skip
_TRUNCATIONS = (exp.TimestampTrunc, exp.DateTrunc)
_COMPARING = (exp.DateDiff, exp.TimestampDiff, exp.MonthsBetween)
_CALENDAR = {"MONTH", "QUARTER", "YEAR"}
_OFFSET_PARTS = {"TIMEZONE_HOUR": OFFSET_HOUR, "TIMEZONE_MINUTE": OFFSET_MINUTE}
_ZONE = "zone"
SESSION = "SESSION"
"""What stands for the session's own zone, whichever it is."""
_EXACT = {"MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND"}
"""What begins at the same moments everywhere, offsets being whole minutes."""
_CLOCK_TYPES = {
    _Type.DATE, _Type.TIME, _Type.TIMESTAMP, _Type.TIMESTAMPNTZ, _Type.DATETIME, _Type.VARCHAR, _Type.TEXT, _Type.CHAR,
}  # fmt: skip


def keep_offset(node: Expr, kind: Callable[[Expr], str | None]) -> None:
    """Ask what one expression asks of a TIMESTAMP_TZ of the clock at its offset.

    :param kind: gives the type of an expression.
    :raises SnowflakeError: 2 where the offset is not known.
    """
    if isinstance(node, exp.ConvertTimezone) and node.args.get("source_tz") is None:
        if not _is_asked_of_clock(node):
            moment = exp.cast(node.args["timestamp"].copy(), _Type.TIMESTAMPTZ)
            node.replace(at_zone(moment, _known_zone(node.args["target_tz"])))
        return
    if isinstance(node, exp.TimestampTzFromParts) and isinstance(node.args.get("zone"), Expr):
        _known_zone(node.args["zone"])
    if _is_slice(node) and (kind(node.this) or "").startswith("TIMESTAMP_TZ"):
        raise _refused(node)
    if isinstance(node, _COMPARING):
        _compare_clocks(node, kind)
        return
    if isinstance(node, exp.DateAdd) and (not _is_calendar(node) or _is_asked_of_clock(node)):
        return
    key = _asked_of(node)
    value = node.args.get(key) if key else None
    if not isinstance(value, Expr) or not (kind(value) or "").startswith("TIMESTAMP_TZ"):
        return
    found = _clock(value) or _clock_of_kind(value, kind)
    if found is None:
        raise _refused(node)
    clock, zone = found
    if isinstance(node, exp.Extract) and _part(node) in _OFFSET_PARTS:
        node.replace(call(_OFFSET_PARTS[_part(node)], _minutes(value, clock)))
        return
    if _is_text(node):
        text = exp.DPipe(this=exp.cast(clock, _Type.VARCHAR), expression=string(" "))
        offset = call(OFFSET_TEXT, _minutes(value, clock))
        node.replace(exp.paren(exp.DPipe(this=text, expression=offset)))
        return
    node.set(str(key), clock)
    if isinstance(node, (*_TRUNCATIONS, exp.DateAdd, exp.AddMonths)):
        node.replace(_at(node.copy(), zone))


def _is_slice(node: Expr) -> bool:
    """Whether it is ``TIME_SLICE``, or an interval of months is added."""
    interval = node.expression if isinstance(node, (exp.Add, exp.Sub)) else None
    return isinstance(node, exp.TimeSlice) or (isinstance(interval, exp.Interval) and _is_calendar(interval))


def _is_text(node: Expr) -> bool:
    """Whether it is the text of a value, its offset included."""
    if isinstance(node, exp.ToChar):
        return node.args.get("format") is None
    return isinstance(node, exp.Cast) and node.args["to"].this in (_Type.VARCHAR, _Type.TEXT)


def _minutes(moment: Expr, clock: Expr) -> Expr:
    """The offset of a clock that shows a moment."""
    moment = moment.copy().transform(_without_zone)
    in_utc = _shown(exp.cast(moment, _Type.TIMESTAMPTZ), string("UTC"))
    return call("date_diff", string("minute"), in_utc, clock.copy())


def _without_zone(node: Expr) -> Expr:
    is_moment = isinstance(node, exp.ConvertTimezone) and node.args.get("source_tz") is None
    return exp.cast(node.args["timestamp"].copy(), _Type.TIMESTAMPTZ) if is_moment else node


def _refused(node: Expr) -> SnowflakeError:
    text = node.sql(dialect="snowflake")[:80]
    return not_supported(
        f"The date or time of day of a TIMESTAMP_TZ, whose offset is not kept (in {text}; a cast to TIMESTAMP_LTZ "
        "or CONVERT_TIMEZONE says which zone is meant),"
    )


def keeps_moments(declared: str) -> bool:
    """Whether a column of this type keeps the moment of a TIMESTAMP_TZ, whatever its offset."""
    return declared.startswith(("TIMESTAMP_TZ", "TIMESTAMP_LTZ"))


def written_elsewhere(column: str) -> SnowflakeError:
    """What is said of a TIMESTAMP_TZ that is written to a column of dates, text and the like."""
    return not_supported(
        f"A TIMESTAMP_TZ written to a column of another type ({column}; a cast, of a TIMESTAMP_LTZ where the offset is "
        "not known, says what is meant)"
    )


def _compare_clocks(node: Expr, kind: Callable[[Expr], str | None]) -> None:
    """How many hours, days or months lie between two moments depends on where their hours and days begin."""
    if _unit(node) in _EXACT:
        return
    zones = set()
    for key in ("this", "expression"):
        value = node.args.get(key)
        if isinstance(value, Expr) and (kind(value) or "").startswith("TIMESTAMP_TZ"):
            found = _clock(value) or _clock_of_kind(value, kind)
            if found is None:
                raise _refused(node)
            node.set(key, found[0])
            zones.add(found[1].sql())
    if len(zones) > 1:
        raise _refused(node)


def _is_calendar(node: Expr) -> bool:
    return _unit(node) in _CALENDAR


def _unit(node: Expr) -> str:
    unit = node.args.get("unit")
    return unit.name.upper().removesuffix("S") if isinstance(unit, Expr) else "DAY"


def _part(node: exp.Extract) -> str:
    return str(node.this.name).upper()


def _asked_of(node: Expr) -> str | None:
    """The argument of an expression whose date or time of day it asks for."""
    if isinstance(node, exp.Extract):
        return None if _part(node).startswith(("EPOCH", "SECOND", "NANO")) else "expression"
    if isinstance(node, (*_OF_CLOCK, *_TRUNCATIONS, exp.DateAdd, exp.AddMonths)):
        return "this"
    if isinstance(node, (exp.Cast, exp.TryCast)) and node.args["to"].this in _CLOCK_TYPES:
        return "this"
    return None


def _is_asked_of_clock(node: Expr) -> bool:
    above = node.parent
    while isinstance(above, (exp.Paren, exp.DateAdd)):
        if isinstance(above, exp.DateAdd) and _is_calendar(above):
            return True
        node, above = above, above.parent
    if isinstance(above, _COMPARING):
        return _unit(above) not in _EXACT
    return above is not None and _asked_of(above) == node.arg_key


def _clock(value: Expr) -> tuple[Expr, Expr] | None:
    """What a clock at the value's offset shows, as a TIMESTAMP_NTZ, and that offset or zone, if it is known."""
    if isinstance(value, exp.Paren):
        return _clock(value.this)
    if isinstance(value, exp.ConvertTimezone):
        zone = value.args["target_tz"]
        return _shown(exp.cast(value.args["timestamp"].copy(), _Type.TIMESTAMPTZ), zone), zone
    if isinstance(value, exp.DateAdd) and (found := _clock(value.this)) is not None:
        shifted = value.copy()
        shifted.set("this", found[0])
        return shifted, found[1]
    if isinstance(value, exp.Cast) and isinstance(value.this, exp.Literal) and value.this.is_string:
        return _literal_clock(value.this.this)
    return None


def zone_of(node: Expr) -> str | None:
    """The zone, or the offset in minutes, of a TIMESTAMP_TZ that an expression makes: :data:`SESSION` for the session's
    own, None where it is not known.
    """
    if (zone := node.meta.get(_ZONE)) is not None:
        return str(zone)
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
        return _zone_name(found[1]) if (found := _literal_clock(node.this.this)) is not None else SESSION
    return None


def _zone_name(zone: Expr) -> str | None:
    if isinstance(zone, exp.Interval):
        return str(zone.this.this)
    if isinstance(zone, exp.Anonymous):
        return SESSION
    return str(zone.this) if isinstance(zone, exp.Literal) else None


def _known_zone(zone: Expr) -> str:
    """:raises SnowflakeError: 2 for a zone that differs from row to row."""
    if (name := _zone_name(zone)) is None:
        raise not_supported(f"A TIMESTAMP_TZ in a zone that is no literal ({zone.sql(dialect='snowflake')[:80]})")
    return name


def at_zone(moment: Expr, zone: str) -> Expr:
    """The expression, which says from now on in which zone its values are."""
    moment.meta[_ZONE] = zone
    return moment


def _zoned(moment: Expr, zone: Expr) -> Expr:
    name = _zone_name(zone)
    return moment if name is None else at_zone(moment, name)


def _clock_of_kind(value: Expr, kind: Callable[[Expr], str | None]) -> tuple[Expr, Expr] | None:
    """The same for a value whose type says its zone."""
    zone = (kind(value) or "").partition("@")[2]
    if not zone:
        return None
    moment = exp.cast(value.copy(), _Type.TIMESTAMPTZ)
    if zone == SESSION:
        shown = exp.cast(moment, _Type.TIMESTAMPNTZ)
        return shown, call("current_setting", string("TimeZone"))
    if zone.lstrip("-").isdigit():
        offset = exp.Interval(this=string(zone), unit=exp.var("MINUTE"))
        return exp.paren(exp.Add(this=_shown(moment, string("UTC")), expression=offset)), offset.copy()
    return _shown(moment, string(zone)), string(zone)


def _literal_clock(text: str) -> tuple[Expr, Expr] | None:
    try:
        moment = datetime.datetime.fromisoformat(text.strip().replace(" +", "+").replace(" -", "-"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    shown = exp.cast(string(moment.replace(tzinfo=None).isoformat(" ")), _Type.TIMESTAMPNTZ)
    minutes = round((moment.utcoffset() or datetime.timedelta()).total_seconds() / 60)
    return shown, exp.Interval(this=string(str(minutes)), unit=exp.var("MINUTE"))


def _shown(moment: Expr, zone: Expr) -> Expr:
    return call("timezone", zone.copy(), moment)


def _at(clock: Expr, zone: Expr) -> Expr:
    """The moment at which a clock shows this."""
    if isinstance(zone, exp.Interval):
        in_utc = exp.Sub(this=exp.paren(clock), expression=zone.copy())
        moment = call("timezone", string("UTC"), in_utc)
    else:
        moment = call("timezone", zone.copy(), clock)
    return _zoned(exp.cast(moment, _Type.TIMESTAMPTZ), zone)
