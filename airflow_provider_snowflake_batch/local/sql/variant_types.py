"""What a VARIANT holds: ``TYPEOF``, ``IS_<type>`` and ``AS_<type>``.

The engine's JSON has no dates, times, bytes or FLOAT. What a statement itself makes a VARIANT of is known from there,
through its subqueries too; of a stored text that looks like one of these nobody knows, so that it is refused. Sources:
https://docs.snowflake.com/en/sql-reference/functions/is and https://docs.snowflake.com/en/sql-reference/functions/as
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.expressions import call, function_name, string
from airflow_provider_snowflake_batch.local.sql.macros import HELD_TYPE, TYPE_OF

Kind = Callable[[Expr], str | None]
_HELD, _MADE_OF = "held", "made_of"
_DATE, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d.*"
_TIMESTAMP = rf"{_DATE} {_TIME}"
_LOOKS = {
    "BINARY": "([0-9A-F]{2})*",
    "DATE": _DATE,
    "TIME": _TIME,
    "TIMESTAMP_LTZ": _TIMESTAMP,
    "TIMESTAMP_NTZ": _TIMESTAMP,
    "TIMESTAMP_TZ": _TIMESTAMP,
}
"""How the text of what JSON does not have looks in it."""
_NUMBERS = ("INTEGER", "DECIMAL", "DOUBLE")
_FITTING: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("ARRAY", "BOOLEAN", "INTEGER", "OBJECT", *_LOOKS)},
    "CHAR": ("VARCHAR",),
    "VARCHAR": ("VARCHAR",),
    "DATE_VALUE": ("DATE",),
    "DECIMAL": _NUMBERS[:2],
    "NUMBER": _NUMBERS[:2],
    "DOUBLE": _NUMBERS,
    "REAL": _NUMBERS,
}
"""What TYPEOF says of the values of which a function knows, by the type in its name."""
_MADE = {"CHAR": "VARCHAR", "INTEGER": "DECIMAL(38, 0)", "REAL": "DOUBLE"}


def variant_kind(
    node: Expr, sources: Mapping[str, Mapping[str, str]], kind_of: Callable[..., str | None]
) -> str | None:
    """The type of what makes a VARIANT, with the type that it is made of where that is known: ``VARIANT(DATE)``."""
    if not _makes_variant(node):
        return None
    held = node.meta.get(_HELD) or kind_of(node.this, sources)
    return "VARIANT" if held is None else held if held.startswith("VARIANT") else f"VARIANT({held})"


def note_held(node: Expr, kind: Kind) -> None:
    """Let what makes a VARIANT keep the type that it is made of: the value may be written as text before it is one."""
    if _makes_variant(node):
        node.meta[_HELD], node.meta[_MADE_OF] = kind(node.this), node.this.copy()


def unheld(kind: str) -> str:
    """The type as it is declared."""
    return "VARIANT" if kind.startswith("VARIANT") else kind


def ask_variant(node: exp.Func, kind: Kind) -> Expr | None:
    """``IS_<type>``, ``AS_<type>`` and what is known of ``TYPEOF``; None for any other function."""
    if isinstance(node, exp.Typeof):
        return _held_type(node.this, kind)
    name = function_name(node)
    verb, _, asked = name.partition("_")
    # AS_INTEGER rounds what has a fraction.
    fitting = _FITTING.get("DECIMAL" if name == "AS_INTEGER" else asked)
    if fitting is None or verb not in ("IS", "AS"):
        return None
    value, *sizes = node.expressions if isinstance(node, exp.Anonymous) else [node.this]
    inner = value.this if isinstance(value, exp.ToVariant) else value
    held = _held_type(value, kind) or (
        call(HELD_TYPE, inner.copy(), string(name), string(_LOOKS[fitting[0]]))
        if fitting[0] in _LOOKS
        else call(TYPE_OF, inner.copy())
    )
    is_fitting = exp.In(this=exp.paren(held), expressions=[string(one) for one in fitting])
    if verb == "IS":
        return exp.paren(is_fitting)
    made = exp.DataType.build(_MADE.get(asked, asked), dialect="snowflake")
    if fitting == _NUMBERS[:2]:
        digits = [size.name for size in sizes] or ["38"]
        made = exp.DataType.build(f"DECIMAL({', '.join(digits)})", dialect="snowflake")
    if isinstance(held, exp.If) and held.args["false"].name in fitting and _makes_variant(value):
        return exp.cast(value.meta[_MADE_OF].copy(), made)
    return exp.Case(ifs=[exp.If(this=is_fitting, true=exp.cast(value.copy(), made))])


def _held_type(value: Expr, kind: Kind) -> Expr | None:
    """What ``TYPEOF`` says of a value that is known to be made of what JSON does not have; None of any other."""
    held = (kind(value) or "").removeprefix("VARIANT(").partition("(")[0].rstrip(")")
    name = {"FLOAT": "DOUBLE"}.get(held, held)
    if name != "DOUBLE" and name not in _LOOKS:
        return None
    return exp.If(this=exp.Is(this=value.copy(), expression=exp.Null()), true=exp.Null(), false=string(name))


def _makes_variant(node: Expr) -> bool:
    return isinstance(node, exp.ToVariant) or (
        isinstance(node, exp.Cast) and node.args["to"].this == exp.DataType.Type.VARIANT
    )
