"""RANDOM and what is drawn with it.

DuckDB's RANDOM is a fraction, and its seed is the session's. Here each call is 64 bits of its own; with a seed it is a
function of the seed and the row's number, so that the same query gives the same values. Sources:
https://docs.snowflake.com/en/sql-reference/functions/random and
https://docs.snowflake.com/en/sql-reference/functions/uniform
"""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.sql.macros import RANDOM, RANDOM_OF, UNIFORM, UNIFORM_WHOLE

DRAWS = (exp.Rand, exp.Uniform, exp.Normal, exp.Randstr, exp.Zipf)


def draw(node: exp.Func) -> Expr:
    """A call of one of :data:`DRAWS` in the engine's SQL; what it draws with is in it already.

    :raises SnowflakeError: 2 for draws, and places of a seed, that the engine lacks.
    """
    if isinstance(node, exp.Rand):
        if node.this is None:
            return exp.Anonymous(this=RANDOM, expressions=[])
        if not _may_number_rows(node):
            raise not_supported("RANDOM with a seed outside of a SELECT's columns and its ORDER BY")
        row = exp.Window(this=exp.RowNumber())
        return exp.Anonymous(this=RANDOM_OF, expressions=[node.this.copy(), row])
    if isinstance(node, exp.Uniform):
        low, high, drawn = node.this, node.expression, node.args.get("gen")
        if not isinstance(drawn, Expr):
            raise not_supported("UNIFORM without a generator")
        whole = _is_whole(low) and _is_whole(high)
        arguments = [low.copy(), high.copy(), drawn.copy()]
        return exp.Anonymous(this=UNIFORM_WHOLE if whole else UNIFORM, expressions=arguments)
    if isinstance(node, exp.Normal) and any(_is_call(call, RANDOM) for call in node.find_all(exp.Anonymous)):
        return node
    raise not_supported(f"{node.sql_name()} of this generator")


def _may_number_rows(node: Expr) -> bool:
    """Whether a window function may stand in its place."""
    above = node.parent
    while above is not None and not isinstance(above, exp.Query):
        if isinstance(above, (exp.Where, exp.Having, exp.Group, exp.Join, exp.Window, exp.AggFunc, exp.Lateral)):
            return False
        above = above.parent
    return isinstance(above, exp.Select)


def _is_whole(value: Expr) -> bool:
    if isinstance(value, (exp.Neg, exp.Paren)):
        return _is_whole(value.this)
    if isinstance(value, exp.Cast):
        return value.args["to"].this in exp.DataType.INTEGER_TYPES
    return isinstance(value, exp.Literal) and not value.is_string and value.this.isdigit()


def _is_call(call: exp.Anonymous, name: str) -> bool:
    return str(call.this) == name
