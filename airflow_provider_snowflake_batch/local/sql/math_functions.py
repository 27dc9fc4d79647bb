"""Mathematics, statistics and random numbers, where the engine's own would give another value.

Sources: https://docs.snowflake.com/en/sql-reference/functions-numeric,
https://docs.snowflake.com/en/sql-reference/functions/median (three digits more than the values have),
https://docs.snowflake.com/en/sql-reference/functions/approx_percentile (a FLOAT) and
https://docs.snowflake.com/en/sql-reference/functions-data-generation.
"""

from __future__ import annotations

from sqlglot import Expr, exp
from sqlglot.dialects.snowflake import Snowflake

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.sql.expressions import call, either, number, string
from airflow_provider_snowflake_batch.local.sql.macros import (
    BYTES,
    RANDOM,
    RANDOM_OF,
    SHA2,
    TOP_K,
    UNIFORM,
    UNIFORM_WHOLE,
)

Snowflake.Parser.FUNCTIONS["HLL"] = exp.ApproxDistinct.from_arg_list
OUT_OF_DOMAIN = "Invalid floating point operation"
_MOST_DIGITS = 38
# Arguments, and which values of them have no result.
_OUTSIDE: dict[type[Expr], list[tuple[str, type[Expr], int]]] = {
    exp.Sqrt: [("this", exp.LT, 0)],
    exp.Ln: [("this", exp.LTE, 0)],
    exp.Log: [("expression", exp.LTE, 0), ("this", exp.LTE, 0), ("this", exp.EQ, 1)],
    exp.Acos: [("this", exp.GT, 1)],
    exp.Asin: [("this", exp.GT, 1)],
    exp.Acosh: [("this", exp.LT, 1)],
    exp.Atanh: [("this", exp.GTE, 1)],
}
_OF_SIZE = (exp.Acos, exp.Asin, exp.Atanh)
CHECKED = tuple(_OUTSIDE)


def check_domain(node: Expr) -> Expr:
    """The call, which fails for an argument that it has no result for."""
    if isinstance(node, exp.Log) and node.args.get("expression") is None:
        message = f"SQL compilation error:\nnot enough arguments for function [{node.sql()}], expected 2, got 1"
        raise SnowflakeError(message, errno=938, sqlstate="22023")
    for key, compares, bound in _OUTSIDE[type(node)]:
        value = node.args[key]
        size = exp.Abs(this=value.copy()) if isinstance(node, _OF_SIZE) else exp.paren(value.copy())
        failure = call("error", string(f"{OUT_OF_DOMAIN}: {node.key}"))
        is_outside = compares(this=size, expression=number(bound))
        node.set(key, exp.paren(either(is_outside, failure, value.copy())))
    return node


def as_float(node: exp.ApproxQuantile) -> Expr:
    """``APPROX_PERCENTILE`` of FLOAT, which the result is, whatever the values are."""
    node.set("this", exp.cast(node.this, exp.DataType.Type.DOUBLE))
    return node


def digest(node: exp.SHA2 | exp.SHA2Digest) -> Expr | None:
    """``SHA2`` of another length than 256 bits, which is the engine's only one."""
    length = node.args.get("length")
    if isinstance(length, exp.Literal) and length.name == "0":
        node.set("length", None)
    if not isinstance(length, exp.Literal) or length.name not in ("224", "384", "512"):
        return None
    digits = call(SHA2, call(BYTES, node.this), length)
    return digits if isinstance(node, exp.SHA2) else call("unhex", digits)


def slope(node: exp.RegrSlope | exp.Window) -> Expr | None:
    """``REGR_SLOPE`` of rows that all have one x, which is NULL; the engine says NaN."""
    function = node.this if isinstance(node, exp.Window) else node
    is_within = isinstance(node.parent, exp.Window) and node.arg_key == "this"
    if not isinstance(function, exp.RegrSlope) or is_within:
        return None
    spread: Expr = call("regr_sxx", function.this.copy(), function.expression.copy())
    if node is not function:
        window = node.copy()
        window.set("this", spread)
        spread = window
    return exp.paren(either(exp.EQ(this=spread, expression=number(0)), exp.Null(), node.copy()))


def top_k(node: exp.ApproxTopK) -> Expr:
    """``APPROX_TOP_K``: the most frequent values, each with its count."""
    number = node.args.get("expression") or exp.Literal.number(1)
    return call(TOP_K, node.this, number)


def round_number(node: exp.Ceil | exp.Floor, scale: int) -> Expr | None:
    """``CEIL`` and ``FLOOR`` of a NUMBER to so many decimal places as a NUMBER.

    :param scale: the digits of the value behind its point.
    """
    places = decimal_places(node)
    if places is None or node.args.get("decimals") is None:
        return None
    if places >= scale:
        return exp.paren(node.this.copy())
    # Multiplied both ways: the engine divides as FLOAT.
    up, down = _power_of_ten(places), _power_of_ten(-places)
    whole = type(node)(this=exp.Mul(this=exp.paren(node.this.copy()), expression=up))
    rounded = exp.Mul(this=exp.cast(whole, exp.DataType.build(f"DECIMAL({_MOST_DIGITS}, 0)")), expression=down)
    return exp.cast(exp.paren(rounded), exp.DataType.build(f"DECIMAL({_MOST_DIGITS}, {max(places, 0)})"))


def decimal_places(node: Expr) -> int | None:
    """The constant number of places that a rounding function keeps; None for one that is not constant."""
    given = node.args.get("decimals")
    if given is None:
        return 0
    sign, number = (-1, given.this) if isinstance(given, exp.Neg) else (1, given)
    is_whole = isinstance(number, exp.Literal) and not number.is_string and number.this.isdigit()
    return sign * int(number.this) if is_whole else None


def _power_of_ten(exponent: int) -> Expr:
    text = f"1{'0' * exponent}" if exponent >= 0 else f"0.{'0' * (-exponent - 1)}1"
    return exp.cast(string(text), exp.DataType.build(f"DECIMAL({len(text)}, {max(-exponent, 0)})"))


def with_places(value: Expr, precision: int, scale: int) -> Expr:
    """A value of ``MEDIAN`` or ``PERCENTILE_CONT`` with the digits that the result has."""
    kind = f"DECIMAL({min(precision + 3, _MOST_DIGITS)}, {min(scale + 3, _MOST_DIGITS - 1)})"
    return exp.cast(value.copy(), exp.DataType.build(kind))


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
