"""Arithmetic on a DATE that stays a DATE, as with Snowflake; DuckDB makes it a timestamp.

Works on statements that are already in the engine's SQL. Sources:
https://docs.snowflake.com/en/sql-reference/functions/dateadd and
https://docs.snowflake.com/en/sql-reference/functions/date_trunc.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlglot import Expr, exp

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


def add_intervals(node: exp.Add | exp.Sub) -> Expr | None:
    """``d + INTERVAL '1 year, 2 months'``, of Snowflake's SQL, as one sum after the other."""
    interval = node.expression
    if not isinstance(interval, exp.Interval) or not isinstance(interval.this, exp.Literal):
        return None
    if "," not in interval.this.name:
        return None
    made: Expr = node.this.copy()
    for part in interval.this.name.split(","):
        text = exp.Literal.string(part.strip()).sql()
        made = type(node)(this=made, expression=exp.maybe_parse(f"INTERVAL {text}", dialect="snowflake"))
    return exp.paren(made)


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
