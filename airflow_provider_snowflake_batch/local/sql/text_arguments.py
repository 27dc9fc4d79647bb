"""Arguments that Snowflake casts to text by itself, where the engine takes text only, or would write another one.

Source: https://docs.snowflake.com/en/sql-reference/data-type-conversion (values are coerced to VARCHAR).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import Expr, exp

_OF_TEXT = (
    exp.Ascii, exp.Base64Encode, exp.Hex, exp.Initcap, exp.Left, exp.Length, exp.Lower, exp.MD5, exp.Pad,
    exp.RegexpCount, exp.RegexpExtract, exp.RegexpExtractAll, exp.RegexpInstr, exp.RegexpReplace, exp.Repeat,
    exp.Replace, exp.Reverse, exp.Right, exp.SHA, exp.SHA2, exp.Split, exp.SplitPart, exp.Strtok, exp.Stuff,
    exp.Substring, exp.Translate, exp.Unicode, exp.Upper,
)  # fmt: skip
_OF_TWO_TEXTS = (
    exp.Contains, exp.EndsWith, exp.ILike, exp.JarowinklerSimilarity, exp.Levenshtein, exp.Like, exp.RegexpLike,
    exp.StartsWith, exp.StrPosition,
)  # fmt: skip
# What writes the text of a value itself, but in the session's zone.
_WRITERS = (exp.Array, exp.ArrayAgg, exp.Concat, exp.ConcatWs, exp.DPipe, exp.ObjectAgg, exp.PropertyEQ, exp.ToVariant)
_COMPARING = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)
_NO_TEXT = ("NUMBER", "FLOAT", "BOOLEAN", "DATE", "TIME")

Kind = Callable[[Expr], str | None]


def cast_arguments(node: Expr, kind: Kind) -> Iterator[exp.Cast]:
    """Cast those arguments of an expression that are to be text, or a moment; gives the casts.

    :param kind: gives the type of an expression, as far as it is known.
    """
    if isinstance(node, _COMPARING):
        if any((kind(value) or "").startswith(("TIMESTAMP_TZ", "TIMESTAMP_LTZ")) for value in node.iter_expressions()):
            for literal in list(node.iter_expressions()):
                if isinstance(literal, exp.Literal) and literal.is_string:
                    yield _cast(literal, "TIMESTAMPTZ")
        return
    for value, kinds in _texts(node):
        if (kind(value) or "").startswith(kinds):
            yield _cast(value, "TEXT")


def _texts(node: Expr) -> list[tuple[Expr, tuple[str, ...]]]:
    """The arguments that are to be text, each with the types of which it is cast."""
    if isinstance(node, _OF_TEXT):
        return [(node.this, _NO_TEXT)]
    if isinstance(node, _OF_TWO_TEXTS):
        return [(one, _NO_TEXT) for key in ("this", "expression", "substr") if (one := node.args.get(key)) is not None]
    if isinstance(node, exp.GroupConcat):
        value = node.this
        while isinstance(value, (exp.Order, exp.Distinct)):
            value = value.expressions[0] if isinstance(value, exp.Distinct) else value.this
        # What is ordered by is what is distinct: its order is not that of its text.
        in_order = isinstance(node.this, exp.Order) and isinstance(node.this.this, exp.Distinct)
        return [(value, ("TIMESTAMP", "BINARY") if in_order else (*_NO_TEXT, "BINARY"))]
    is_variant = isinstance(node, exp.Cast) and node.args["to"].this == exp.DataType.Type.VARIANT
    if (is_variant or isinstance(node, _WRITERS)) and not isinstance(node.parent, exp.Typeof):
        return [(one, ("TIMESTAMP_TZ",)) for one in node.iter_expressions()]
    return []


def _cast(value: Expr, to: str) -> exp.Cast:
    cast = exp.Cast(this=value.copy(), to=exp.DataType.build(to))
    value.replace(cast)
    return cast
