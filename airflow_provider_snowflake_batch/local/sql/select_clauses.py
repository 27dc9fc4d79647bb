"""Clauses of a SELECT that the engine would take for something else."""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import not_supported


def order_by_all(order: exp.Order) -> Expr | None:
    """``ORDER BY ALL``: all columns, from left to right."""
    key = order.expressions[0] if len(order.expressions) == 1 else None
    column = key.this if isinstance(key, exp.Ordered) else None
    if key is None or not isinstance(column, exp.Column) or column.sql().upper() != "ALL":
        return None
    select = order.parent
    if not isinstance(select, exp.Select) or any(one.is_star for one in select.expressions):
        raise not_supported("ORDER BY ALL without the columns' names in the SELECT")
    keys = []
    for number in range(1, len(select.expressions) + 1):
        one = key.copy()
        one.set("this", exp.Literal.number(number))
        keys.append(one)
    order.set("expressions", keys)
    return order


def count_rows(node: exp.Count) -> Expr | None:
    """:raises SnowflakeError: "not supported" for ``COUNT(t.*)``, which counts rows without a NULL."""
    if isinstance(node.this, exp.Column) and isinstance(node.this.this, exp.Star):
        raise not_supported("COUNT(t.*), which counts the rows without any NULL (COUNT(*) counts all)")
    return None
