"""Snowflake's types of expressions, where the engine's own would give another value: averages, quotients, dates, zones.

DuckDB divides decimals as DOUBLE, makes timestamps of dates, and keeps no offset of a TIMESTAMP_TZ. What is known of a
type from the tables, casts and literals of a statement is written into it as a cast. Sources:
https://docs.snowflake.com/en/sql-reference/operators-arithmetic (scale and precision),
https://docs.snowflake.com/en/sql-reference/functions/avg and
https://docs.snowflake.com/en/sql-reference/data-types-datetime (TIMESTAMP_TZ).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.sql.declarations import declared_type
from airflow_provider_snowflake_batch.local.sql.expressions import call, number, string
from airflow_provider_snowflake_batch.local.sql.macros import AS_ARRAY, AS_OBJECT, SKEW, quotient
from airflow_provider_snowflake_batch.local.sql.math_functions import decimal_places, round_number, with_places
from airflow_provider_snowflake_batch.local.sql.offsets import (
    SESSION,
    at_zone,
    keep_offset,
    keeps_moments,
    written_elsewhere,
    zone_of,
)
from airflow_provider_snowflake_batch.local.sql.query_types import (
    CHANGES,
    Lookup,
    common_kind,
    cte_outputs,
    declared_kind,
    is_assignment,
    number_kind,
    sources_of,
)
from airflow_provider_snowflake_batch.local.sql.texts import cast_arguments, compare_as_numbers, read_numbers
from airflow_provider_snowflake_batch.local.sql.variant_types import (
    ask_variant,
    note_held,
    unheld,
    variant_kind,
)

Kind = Callable[[Expr], str | None]
_KEEPING = (
    exp.Paren, exp.Neg, exp.Abs, exp.Max, exp.Min, exp.AnyValue, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue,
    exp.Window, exp.Filter, exp.IgnoreNulls, exp.Order, exp.Alias, exp.Nullif,
)  # fmt: skip
_MADE_OF_PARTS: dict[type[Expr], str] = {
    exp.TimestampTzFromParts: "TIMESTAMP_TZ(9)",
    exp.TimestampLtzFromParts: "TIMESTAMP_LTZ(9)",
}
_MOMENTS: tuple[type[Expr], ...] = (exp.StrToTime, exp.UnixToTime, *_MADE_OF_PARTS)
_READERS = {"TO_TIMESTAMP_LTZ": exp.DataType.Type.TIMESTAMPLTZ, "TO_TIMESTAMP_TZ": exp.DataType.Type.TIMESTAMPTZ}
_FIXED: dict[type[Expr], str] = {
    exp.Boolean: "BOOLEAN",
    exp.CurrentDate: "DATE",
    exp.ToBinary: "BINARY",
    exp.ToDouble: "FLOAT",
    exp.TsOrDsToDate: "DATE",
    exp.TsOrDsToTime: "TIME(9)",
    exp.Count: "NUMBER(18,0)",
    exp.RowNumber: "NUMBER(18,0)",
}
_WHOLE: tuple[type[Expr], ...] = (
    exp.ApproxDistinct, exp.ArraySize, exp.CountIf, exp.DateDiff, exp.Day, exp.DayOfMonth, exp.DayOfWeek,
    exp.DayOfWeekIso, exp.DayOfYear, exp.DenseRank, exp.Extract, exp.Hour, exp.Length, exp.Levenshtein, exp.Minute,
    exp.Month, exp.Ntile, exp.Quarter, exp.Rank, exp.RegexpCount, exp.Second, exp.StrPosition, exp.TimestampDiff,
    exp.Week, exp.WeekOfYear, exp.WidthBucket, exp.Year, exp.YearOfWeek, exp.YearOfWeekIso,
)  # fmt: skip
_FIXED |= dict.fromkeys(_WHOLE, "NUMBER(38,0)")
_TEXT: tuple[type[Expr], ...] = (
    exp.Concat, exp.DPipe, exp.GroupConcat, exp.Left, exp.Lower, exp.RegexpReplace, exp.Replace, exp.Right,
    exp.SplitPart, exp.Substring, exp.ToChar, exp.Trim, exp.Upper,
)  # fmt: skip
_FIXED |= dict.fromkeys(_TEXT, "VARCHAR")
# Digits behind the point of what is made of whole NUMBERs.
_PLACES: dict[type[Expr], int] = {exp.Variance: 6, exp.VariancePop: 6, exp.Kurtosis: 12}
# What is the root of one of these, its digits cut as theirs are.
_ROOTS: dict[type[Expr], type[Expr]] = {
    exp.Stddev: exp.Variance,
    exp.StddevSamp: exp.Variance,
    exp.StddevPop: exp.VariancePop,
}
_ROUNDING = (exp.Ceil, exp.Floor, exp.Round, exp.Trunc)
_TRIED = {f"TRY_{name}": kind for name, kind in _READERS.items()} | dict.fromkeys(
    ("TRY_TO_TIMESTAMP", "TRY_TO_TIMESTAMP_NTZ"), exp.DataType.Type.TIMESTAMPNTZ
)
_SHAPES = {exp.DataType.Type.ARRAY: AS_ARRAY, exp.DataType.Type.OBJECT: AS_OBJECT}
_ORDERING = (exp.ArrayMax, exp.ArrayMin, exp.SortArray)
_SEVERAL_TYPES = "several types"
_CONDITIONS = (exp.Connector, exp.Not, exp.Predicate)
_SHIFTS = (exp.AddMonths, exp.DateAdd, exp.TimestampTrunc, exp.DateTrunc)
_TIME_UNITS = {"HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND"}


def write_types(tree: Expr, lookup: Lookup) -> Expr:
    """The tree, as parsed from Snowflake's SQL, with what depends on a known type written out.

    :param lookup: the declared types of a table's columns.
    :raises SnowflakeError: for the date or time of day of a TIMESTAMP_TZ whose offset is not known.
    """
    for node in list(tree.find_all(exp.Anonymous)):
        if str(node.this).upper() == "RATIO_TO_REPORT" and isinstance(node.parent, exp.Window) and node.expressions:
            total = node.parent.copy()
            total.set("this", exp.Sum(this=node.expressions[0].copy()))
            share = exp.Nullif(this=total, expression=number(0))
            node.parent.replace(exp.paren(exp.Div(this=exp.paren(node.expressions[0].copy()), expression=share)))
    # Inner ones first: what is cast is known to what stands around it.
    for select in reversed(list(tree.find_all(exp.Select))):
        _write_own(select, _kinds(select, lookup))
    if isinstance(tree, CHANGES):
        _write_own(tree, _kinds(tree, lookup))
    for operation in list(tree.find_all(exp.SetOperation)):
        _write_columns(_branches(operation), operation.key.upper(), lookup)
    return tree


def _write_columns(branches: list[exp.Select], words: str, lookup: Lookup) -> None:
    """Give a column of a UNION and the like, which is text in some of its queries and something else in others, the
    other type, as Snowflake does; the engine would make text of all.

    :raises SnowflakeError: "not supported" for such a column, but for a NULL that is cast to text, and for literals
        beside a DATE.
    """
    for column in zip(*(_kinds_of_columns(branch, lookup) for branch in branches), strict=False):
        kinds = {kind for _, kind in column if kind}
        if "VARCHAR" not in kinds or "VARIANT" in kinds or len(kinds) == 1:
            continue
        for value, kind in column:
            if kind != "VARCHAR":
                continue
            if isinstance(value, exp.Cast) and isinstance(value.this, exp.Null):
                value.replace(exp.Null())
            elif isinstance(value, exp.Literal) and kinds == {"DATE", "VARCHAR"}:
                value.replace(exp.cast(value.copy(), exp.DataType.Type.DATE))
            else:
                named = " and ".join(sorted(kinds, key="VARCHAR".__ne__))
                raise not_supported(f"A column of {named} in a {words} (a cast says which type is meant)")


def _kinds_of_columns(select: exp.Select, lookup: Lookup) -> list[tuple[Expr, str]]:
    """The values of a SELECT's columns, each with the name of its type."""
    kind = _kinds(select, lookup)
    return [(value, (kind(value) or "").partition("(")[0]) for value in (one.unalias() for one in select.expressions)]


def _branches(operation: exp.SetOperation) -> list[exp.Select]:
    """The SELECTs of a UNION and the like whose columns are known by their places."""
    found = []
    for side in (operation.this.unnest(), operation.expression.unnest()):
        if isinstance(side, exp.SetOperation):
            found += _branches(side)
        elif isinstance(side, exp.Select) and not any(one.is_star for one in side.expressions):
            found.append(side)
    return [] if operation.args.get("by_name") else found


def _write_own(query: Expr, kind: Kind) -> None:
    for node in reversed(list(_own_nodes(query))):
        if is_assignment(node):
            _refuse_other_clock(node.this, node.expression, kind)
            continue
        if isinstance(node, exp.Func) and (asked := ask_variant(node, kind)) is not None:
            node.replace(asked)
            continue
        if isinstance(node, exp.TryCast):
            _check_tried(node, kind)
        elif isinstance(node, exp.Array) and not isinstance(node.parent, _ORDERING):
            kinds = {(kind(element) or "").partition("(")[0] for element in node.expressions} - {""}
            node.meta[_SEVERAL_TYPES] = len(kinds) > 1
        _write_node(node, kind)


def _write_node(node: Expr, kind: Kind) -> None:
    note_held(node, kind)
    _shape(node, kind)
    for cast in list(cast_arguments(node, kind)):
        keep_offset(cast, kind)
    compare_as_numbers(node, kind)
    read_numbers(node, kind, _alternatives(node) or ())
    if (moment := _moment(node, kind)) is not None:
        node.replace(moment)
    elif isinstance(node, (exp.Avg, exp.Corr, exp.Skewness, *_PLACES, *_ROOTS)):
        _write_statistic(node, kind)
    elif isinstance(node, (exp.Div, exp.Mul)):
        _write_scaled(node, kind)
    elif isinstance(node, (exp.Ceil, exp.Floor)):
        if (scale := _scale(kind(node.this))) is not None and (rounded := round_number(node, scale)):
            node.replace(rounded)
    elif isinstance(node, (exp.Median, exp.PercentileCont)):
        _write_percentile(node, kind)
    elif isinstance(node, exp.Sum) and (kind(node.this) == "BOOLEAN" or isinstance(node.this.unnest(), _CONDITIONS)):
        raise not_supported("SUM of BOOLEAN (an account lacks it, too; COUNT_IF counts)")
    elif isinstance(node, exp.Insert) and isinstance(node.expression, exp.Tuple):
        # The INSERT of a MERGE may name no columns.
        named = node.this.expressions if isinstance(node.this, Expr) else []
        for column, value in zip(named, node.expression.expressions, strict=False):
            _refuse_other_clock(column, value, kind)
    elif isinstance(node, _SHIFTS) and _is_date_kept(node, kind):
        _refuse_fraction(node, kind)
        node.replace(exp.cast(node.copy(), exp.DataType.Type.DATE))
    else:
        _refuse_fraction(node, kind)
        keep_offset(node, kind)


def _shape(node: Expr, kind: Kind) -> None:
    """Let a cast of a VARIANT to ARRAY make one of a single value, and one to OBJECT fail for anything else."""
    shape = _SHAPES.get(node.args["to"].this) if type(node) is exp.Cast else None
    if shape and (
        isinstance(node.this, (exp.JSONExtract, exp.ParseJSON)) or (kind(node.this) or "").startswith("VARIANT")
    ):
        node.set("this", call(shape, node.this))


def is_of_several_types(array: exp.Array) -> bool:
    """Whether the elements of an array are known to be of several types, of which the engine would make one."""
    return bool(array.meta.get(_SEVERAL_TYPES))


def _check_tried(node: exp.TryCast, kind: Kind) -> None:
    """:raises SnowflakeError: for ``TRY_CAST`` of anything but text."""
    given = "VARIANT" if isinstance(node.this, (exp.JSONExtract, exp.ParseJSON)) else kind(node.this)
    if node.args.get("requires_string") and given is not None and not given.startswith("VARCHAR"):
        types = f"{unheld(given).partition('@')[0]} and {declared_type(node.args['to'])}"
        message = f"SQL compilation error:\nFunction TRY_CAST cannot be used with arguments of types {types}"
        raise SnowflakeError(message, errno=1065, sqlstate="22023")


def _refuse_other_clock(column: Expr, value: Expr, kind: Kind) -> None:
    if (kind(value) or "").startswith("TIMESTAMP_TZ") and not keeps_moments(kind(column) or ""):
        raise written_elsewhere(column.name)


def _refuse_fraction(node: Expr, kind: Kind) -> None:
    """:raises SnowflakeError: "not supported" for DATEADD of a part of a unit: no source says what it adds."""
    if not isinstance(node, exp.DateAdd) or isinstance(node.expression, exp.Interval):
        return
    number = kind(node.expression)
    if number == "FLOAT" or (_scale(number) or 0) > 0:
        text = node.sql(dialect="snowflake")[:80]
        raise not_supported(f"A number with decimal places in {text} (ROUND or TRUNC says what is meant)")


def _own_nodes(query: Expr) -> Iterator[Expr]:
    """The expressions of a SELECT or a change without those of the queries in it."""
    for node in query.walk(prune=lambda node: node is not query and isinstance(node, exp.Query)):
        if node is not query and not isinstance(node, exp.Query):
            yield node


def _kinds(query: Expr, lookup: Lookup) -> Kind:
    """Gives the type of an expression of a SELECT or a change, None where it is not known."""
    scopes = []
    scope: Expr | None = query
    while scope is not None:
        # A query in a query sees the columns of those around it too.
        scopes.append(sources_of(scope, lookup, cte_outputs(scope, lookup, kind_of), kind_of))
        scope = _around(scope)

    def kind(node: Expr) -> str | None:
        return next((found for sources in scopes if (found := kind_of(node, sources)) is not None), None)

    return kind


def _around(query: Expr) -> Expr | None:
    """The SELECT, or the change, that a query stands in; one that a change reads from does not see its table."""
    inner, around = query, query.parent
    while around is not None and not isinstance(around, (exp.Select, *CHANGES)):
        inner, around = around, around.parent
    return None if isinstance(around, CHANGES) and inner.arg_key in ("from_", "using") else around


def kind_of(node: Expr, sources: Mapping[str, Mapping[str, str]]) -> str | None:
    """The type of an expression, as far as it is known.

    :param sources: the types of the columns of each relation in the FROM.
    """
    if isinstance(node, exp.Literal):
        return "VARCHAR" if node.is_string else _literal(node.this)
    if isinstance(node, _KEEPING):
        return kind_of(node.this, sources)
    if isinstance(node, exp.Distinct):
        return kind_of(node.expressions[0], sources) if len(node.expressions) == 1 else None
    if isinstance(node, exp.Sum):
        scale = _scale(kind_of(node.this, sources))
        return None if scale is None else f"NUMBER(38,{scale})"
    if isinstance(node, (exp.Add, exp.Sub)) and isinstance(node.expression, exp.Interval):
        shifted = kind_of(node.this, sources)
        return shifted if (shifted or "").startswith("TIMESTAMP_") else None
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul, exp.Mod)):
        kinds = kind_of(node.this, sources), kind_of(node.expression, sources)
        left, right = _scale(kinds[0]), _scale(kinds[1])
        if left is None or right is None:
            return "NUMBER(38,0)" if isinstance(node, exp.Sub) and kinds == ("DATE", "DATE") else None
        scale = left + right if isinstance(node, exp.Mul) else max(left, right)
        # The engine keeps all digits of a product, Snowflake no more than 12 behind the point.
        return f"NUMBER(38,{scale})" if scale <= max(left, right, 12) else None
    if (values := _alternatives(node)) is not None:
        common = common_kind(kind_of(value, sources) for value in values if not isinstance(value, exp.Null))
        first = kind_of(node.this, sources) if common is None and isinstance(node, exp.Coalesce) else common
        return first if common or number_kind(first) is None else None
    if isinstance(node, _ROUNDING):
        scale, places = _scale(kind_of(node.this, sources)), decimal_places(node)
        return None if scale is None or places is None else f"NUMBER(38,{min(scale, max(places, 0))})"
    if isinstance(node, (exp.AddMonths, exp.DateAdd)):
        return kind_of(node.this, sources)
    if (made := variant_kind(node, sources, kind_of) or _moment_kind(node, sources)) is not None:
        return made
    if type(node) in _FIXED:
        return _FIXED[type(node)]
    return declared_kind(node, sources)


def _alternatives(node: Expr) -> list[Expr] | None:
    """The values of which one is that of an expression; None for an expression of another kind."""
    if isinstance(node, (exp.Coalesce, exp.Greatest, exp.Least)):
        return [node.this, *node.expressions]
    if isinstance(node, exp.DecodeCase):
        results = node.expressions[2::2]
        return results if len(node.expressions) % 2 else [*results, node.expressions[-1]]
    if not isinstance(node, (exp.If, exp.Case)):
        return None
    branches = node.args["ifs"] if isinstance(node, exp.Case) else [node]
    values = [branch.args["true"] for branch in branches]
    return values + [node.args[key] for key in ("false", "default") if node.args.get(key) is not None]


def _moment_kind(node: Expr, sources: Mapping[str, Mapping[str, str]]) -> str | None:
    """The type of a time-zone-aware timestamp, with its zone where that is known."""
    if isinstance(node, exp.CurrentTimestamp):
        return "TIMESTAMP_LTZ(9)"
    if isinstance(node, exp.Cast) and node.args["to"].this == exp.DataType.Type.TIMESTAMPTZ:
        return _zoned_kind(node, kind_of(node.this, sources) or "")
    if isinstance(node, exp.ConvertTimezone) and node.args.get("source_tz") is None:
        kind, zone, has_offset = "TIMESTAMP_TZ(9)", node.args["target_tz"], True
    elif isinstance(node, _MOMENTS):
        made, zone, format_ = (node.args.get(key) for key in ("target_type", "zone", "format"))
        kind = _MADE_OF_PARTS[type(node)] if made is None else declared_type(made)
        has_offset = zone is not None or (isinstance(format_, Expr) and "%z" in format_.name)
    else:
        return None
    if isinstance(zone, exp.Literal):
        return f"{kind}@{zone.this}"
    return f"{kind}@{SESSION}" if kind.startswith("TIMESTAMP_TZ") and not has_offset else kind


def _zoned_kind(cast: exp.Cast, inner: str) -> str:
    """The type of a cast to TIMESTAMP_TZ; what has no offset gets that of the session's zone."""
    zone = zone_of(cast)
    if zone is None and inner.startswith("TIMESTAMP_TZ"):
        return inner
    if zone is None and inner.startswith(("TIMESTAMP_", "DATE")):
        zone = SESSION
    return f"TIMESTAMP_TZ(9)@{zone}" if zone else "TIMESTAMP_TZ(9)"


def _literal(text: str) -> str | None:
    if "e" in text.lower():
        return None
    scale = len(text.partition(".")[2])
    return f"NUMBER({max(len(text.replace('.', '')), 1)},{scale})"


def _scale(kind: str | None) -> int | None:
    """The scale of a NUMBER; None for any other type."""
    number = number_kind(kind)
    return None if number is None else number[1]


def _quotient_scale(scale: int) -> int:
    return max(scale, min(scale + 6, 12))


def _moment(node: Expr, kind: Kind) -> Expr | None:
    """``TO_TIMESTAMP_LTZ`` or ``TO_TIMESTAMP_TZ`` of text, a timestamp or seconds since 1970 as a cast."""
    if isinstance(node, exp.UnixToTime) and node.args.get("target_type") is not None:
        made, value, scale = node.args["target_type"].this, node.this, node.args.get("scale")
    elif isinstance(node, exp.Anonymous) and str(node.this).upper() in _TRIED and len(node.expressions) == 1:
        return exp.TryCast(this=node.expressions[0].copy(), to=exp.DataType(this=_TRIED[str(node.this).upper()]))
    elif isinstance(node, exp.Anonymous) and str(node.this).upper() in _READERS and node.expressions:
        made, value = _READERS[str(node.this).upper()], node.expressions[0]
        scale = node.expressions[1] if len(node.expressions) > 1 else None
    else:
        return None
    if made not in _READERS.values():
        return None
    if _scale(kind(value)) is None and not isinstance(node, exp.UnixToTime):
        return exp.cast(value.copy(), made)
    digits = int(scale.name) if isinstance(scale, Expr) else 0
    unit = number(f"1e{6 - digits}")
    microseconds = exp.cast(exp.Mul(this=exp.paren(value.copy()), expression=unit), exp.DataType.Type.BIGINT)
    in_utc = call("make_timestamp", microseconds)
    moment = call("timezone", string("UTC"), in_utc)
    return at_zone(exp.cast(moment, made), SESSION)


def _whole_call(aggregate: Expr) -> Expr:
    """The call with its OVER and the like."""
    whole = aggregate
    while isinstance(whole.parent, (exp.Window, exp.Filter, exp.WithinGroup)) and whole.arg_key == "this":
        whole = whole.parent
    return whole


def _write_statistic(node: Expr, kind: Kind) -> None:
    """Those of NUMBER that are a NUMBER, or made of one, and those of which the engine has another value."""
    whole = _whole_call(node)
    if isinstance(node, exp.Skewness):
        whole.replace(call(SKEW, whole.copy(), _of_the_same(whole, node, exp.Count)))
        return
    if isinstance(node, exp.Corr):
        # The engine's own is NULL where a value is NaN.
        is_nan = call("isnan", _of_the_same(whole, node, exp.CovarSamp))
        nan = exp.If(this=is_nan, true=exp.cast(string("NaN"), exp.DataType.Type.DOUBLE))
        whole.replace(exp.Coalesce(this=whole.copy(), expressions=[nan]))
        return
    scale = _scale(kind(node.this))
    if isinstance(node, exp.Avg) and scale is not None:
        _write_average(node, scale)
    elif scale == 0:
        squared = _ROOTS.get(type(node))
        aggregate = node if squared is None else squared(this=node.this.copy())
        if aggregate is not node:
            node.replace(aggregate)
        whole = _whole_call(aggregate)
        rounded = exp.cast(whole.copy(), exp.DataType.build(f"DECIMAL(38, {_PLACES[type(aggregate)]})"))
        whole.replace(rounded if squared is None else exp.Sqrt(this=rounded))


def _write_average(average: exp.Avg, scale: int) -> None:
    """``AVG`` of NUMBER as the quotient of a sum and a count."""
    whole = _whole_call(average)
    total, count = (_of_the_same(whole, average, function) for function in (exp.Sum, exp.Count))
    if not _slides(whole):
        whole.replace(quotient(total, scale, count, 0, _quotient_scale(scale)))
        return
    # Three more digits than the values have, and what is behind them is cut off.
    kept = min(scale + 3, 37)
    exact = quotient(total, scale, count, 0, max(kept, 12))
    unit = exp.cast(string(f"0.{1:0{kept}d}"), exp.DataType.build(f"DECIMAL({kept}, {kept})"))
    rest = exp.Mod(this=exp.paren(exact), expression=unit)
    cut = exp.Sub(this=exp.paren(exact.copy()), expression=exp.paren(rest))
    whole.replace(exp.cast(cut, exp.DataType.build(f"DECIMAL(38, {kept})")))


def _of_the_same(whole: Expr, aggregate: Expr, function: type[Expr]) -> Expr:
    """Another aggregate of the same values, with the same OVER and the like."""
    made = function(**{key: value.copy() for key, value in aggregate.args.items() if isinstance(value, Expr)})
    if whole is aggregate:
        return made
    copied = whole.copy()
    inner = copied.find(type(aggregate))
    assert inner is not None
    inner.replace(made)
    return copied


def _slides(whole: Expr) -> bool:
    """Whether a call is over a frame of rows that begins and ends near each row."""
    frame = whole.args.get("spec") if isinstance(whole, exp.Window) else None
    return frame is not None and "UNBOUNDED" not in (frame.args.get("start"), frame.args.get("end"))


def _write_scaled(node: exp.Div | exp.Mul, kind: Kind) -> None:
    """A quotient of NUMBERs, or a product of which the engine would keep more digits than Snowflake."""
    left, right = _scale(kind(node.this)), _scale(kind(node.expression))
    if left is None or right is None:
        return
    if isinstance(node, exp.Div):
        node.replace(quotient(node.this, left, node.expression, right, _quotient_scale(left)))
    elif left + right > (scale := max(left, right, 12)):
        node.replace(exp.cast(exp.paren(node.copy()), exp.DataType.build(f"DECIMAL(38, {scale})")))


def _write_percentile(node: exp.Median | exp.PercentileCont, kind: Kind) -> None:
    within = node.parent
    value = node.this if isinstance(node, exp.Median) else None
    if isinstance(within, exp.WithinGroup):
        value = within.expression.expressions[0].this
    if isinstance(value, Expr) and (number := number_kind(kind(value))) is not None:
        value.replace(with_places(value, *number))


def _is_date_kept(node: Expr, kind: Kind) -> bool:
    unit = node.args.get("unit")
    name = unit.name.upper().rstrip("S") if isinstance(unit, Expr) else "DAY"
    return kind(node.this) == "DATE" and name not in _TIME_UNITS
