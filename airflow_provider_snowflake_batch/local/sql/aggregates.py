"""Aggregate functions: what Snowflake's give of no values and in which order, where the engine has another answer."""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.expressions import call, function_name, string
from airflow_provider_snowflake_batch.local.sql.macros import NO_TEXT, TEXTS
from airflow_provider_snowflake_batch.local.sql.server_functions import ROW_NUMBERS


def aggregate(node: Expr) -> Expr:
    """``ARRAY_AGG`` and ``LISTAGG``, and what stands around them. Nothing is between texts without a separator."""
    if isinstance(node, exp.Window) and node.args.get("order") is not None and _orders_by_sequence(node):
        # SEQ8() numbers the rows as they come, which is also their order without any.
        node.set("order", None)
    if isinstance(node, exp.GroupConcat) and node.args.get("separator") is None:
        # Nothing; the engine would put a comma between.
        node.set("separator", string(""))
    return _of_nothing(node)


def median(node: exp.Median) -> Expr:
    # The engine knows one of text, too.
    node.set("this", call(NO_TEXT, node.this, string("MEDIAN")))
    return node


def of_greatest(node: exp.ArgMax | exp.ArgMin) -> Expr | None:
    """``MAX_BY`` and ``MIN_BY``: the value of one row, also NULL, where the engine takes the next row."""
    name = "arg_max_null" if isinstance(node, exp.ArgMax) else "arg_min_null"
    return None if node.args.get("count") is not None else call(name, node.this, node.expression)


def _of_nothing(node: Expr) -> Expr:
    """ARRAY_AGG and LISTAGG of no values, which are an empty array and an empty text, where DuckDB has NULL."""
    if isinstance(node, exp.WithinGroup) and isinstance(node.this, exp.ArrayAgg):
        # The engine's own translation of it would keep NULLs.
        ordered = exp.Order(this=node.this.this.copy(), expressions=[one.copy() for one in node.expression.expressions])
        collected = exp.ArrayAgg(this=ordered, nulls_excluded=True)
        if isinstance(node.parent, (exp.Window, exp.Filter)) and node.arg_key == "this":
            return collected
        return exp.Coalesce(this=collected, expressions=[exp.ParseJSON(this=string("[]"))])
    if isinstance(node.parent, (exp.WithinGroup, exp.Window, exp.Filter)) and node.arg_key == "this":
        return node
    inner = node
    while isinstance(inner, (exp.WithinGroup, exp.Window, exp.Filter)):
        inner = inner.this
    if isinstance(inner, exp.ArrayAgg):
        empty: Expr = exp.ParseJSON(this=string("[]"))
    elif isinstance(inner, exp.GroupConcat) and _is_distinct_in_order(inner) and inner is node:
        # The engine orders the text, which is another order than that of numbers and dates.
        listed = call(TEXTS, call("list", inner.this.copy()))
        separator = inner.args.get("separator") or string("")
        joined = call("array_to_string", listed, separator.copy())
        return exp.Coalesce(this=joined, expressions=[string("")])
    elif isinstance(inner, exp.GroupConcat):
        empty = string("")
    else:
        return node
    return exp.Coalesce(this=node.copy(), expressions=[empty])


def _is_distinct_in_order(node: exp.GroupConcat) -> bool:
    return isinstance(node.this, exp.Order) and isinstance(node.this.this, exp.Distinct)


def _orders_by_sequence(window: exp.Window) -> bool:
    return any(function_name(node) in ROW_NUMBERS for node in window.args["order"].find_all(exp.Func))
