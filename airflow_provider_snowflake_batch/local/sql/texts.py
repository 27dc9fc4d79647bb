"""Values as text, as Snowflake writes them, and arguments that it casts to text by itself.

DuckDB knows the type of each value when it binds a statement in its own SQL, and drops the branches that do not apply.
Sources: https://docs.snowflake.com/en/sql-reference/functions/to_char, https://docs.snowflake.com/en/sql-reference/data-type-conversion
and https://docs.snowflake.com/en/sql-reference/date-time-input-output (the default output formats).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.sql.expressions import call, number, string
from airflow_provider_snowflake_batch.local.sql.macros import NUMERAL, SHORT_TEXT, TEXT, TEXT_OF, WITHOUT_CAST, is_short
from airflow_provider_snowflake_batch.local.sql.types import TEXT_LENGTH

_Type = exp.DataType.Type
TEXT_TYPES = {_Type.TEXT, _Type.VARCHAR, _Type.CHAR, _Type.NVARCHAR, _Type.NCHAR}
_PLAIN = "plain_text"


def write_texts(tree: Expr) -> Expr:
    """The tree with each cast to text, and each operand of ``||``, written as Snowflake does."""
    # Inner ones first: what stands around a value repeats it.
    for node in reversed(list(tree.find_all(exp.Cast, exp.TryCast, exp.DPipe, exp.Concat, exp.ConcatWs))):
        if isinstance(node, (exp.Cast, exp.TryCast)):
            _write_cast(node)
        elif isinstance(node, exp.DPipe):
            for key in ("this", "expression"):
                node.set(key, as_text(node.args[key]))
        else:
            node.set("expressions", [as_text(one) for one in node.expressions])
    return tree


def hold_together(cast: exp.Cast | exp.TryCast) -> Expr | None:
    """A cast of FLATTEN's VALUE to text as one that the engine's own translation leaves alone: it drops the length."""
    if cast.this.name.upper() != "VALUE":
        return None
    cast.set("this", exp.paren(cast.this.copy()))
    return cast


def as_text(value: Expr) -> Expr:
    """The value as text: VARIANT without quotes, a FLOAT without ``.0``, BINARY in hexadecimal digits."""
    return value if _is_text(value) else call(TEXT if is_short(value) else TEXT_OF, value.copy())


def json_text(value: Expr) -> Expr:
    """The text of a value that is JSON: a string without its quotes, anything else as JSON, NULL for null."""
    return call("json_extract_string", plain_text(value), string("$"))


def is_of_type(value: Expr, *types: str) -> Expr:
    """Whether DuckDB's type of a value is one of these: a constant once the statement is bound."""
    return exp.In(this=call("typeof", value.copy()), expressions=[string(name) for name in types])


def _write_cast(cast: exp.Cast | exp.TryCast) -> None:
    kind = cast.args["to"]
    if not isinstance(kind, exp.DataType) or kind.this not in TEXT_TYPES or cast.meta.get(_PLAIN):
        return
    extracted = cast.this.unnest()
    if isinstance(extracted, exp.JSONExtractScalar):
        # The engine's own text of an object has its keys in another order, and that of a number 1.0 for 1.
        element = exp.JSONExtract(this=extracted.this.copy(), expression=extracted.expression.copy())
        cast.set("this", exp.paren(element))
    length, text = _length(kind), as_text(cast.this)
    tried = exp.Boolean(this=isinstance(cast, exp.TryCast))
    cast.set("this", text if length is None else call(SHORT_TEXT, text, number(length), tried))


def _length(kind: exp.DataType) -> int | None:
    """The declared length; CHAR alone is one character."""
    given = kind.expressions
    if given:
        length = int(given[0].name or given[0].this.name)
        return length if length < TEXT_LENGTH else None
    return 1 if kind.this in (_Type.CHAR, _Type.NCHAR) else None


def _is_text(value: Expr) -> bool:
    """Whether a value is text for certain, so that there is nothing to write."""
    if isinstance(value, exp.Paren):
        return _is_text(value.this)
    if isinstance(value, (exp.Cast, exp.TryCast)):
        kind = value.args["to"]
        return isinstance(kind, exp.DataType) and kind.this in TEXT_TYPES
    if isinstance(value, exp.Literal):
        return bool(value.is_string)
    if isinstance(value, exp.Anonymous):
        return str(value.this) in (TEXT, TEXT_OF)
    return isinstance(value, (exp.Null, exp.DPipe, exp.Concat, exp.ConcatWs, exp.Upper, exp.Lower, exp.Substring))


def plain_text(value: Expr) -> Expr:
    """The value as DuckDB itself writes it."""
    cast = exp.Cast(this=value.copy(), to=exp.DataType(this=_Type.VARCHAR))
    cast.meta[_PLAIN] = True
    return cast


OF_TEXT = (
    exp.Ascii, exp.Base64DecodeBinary, exp.Base64DecodeString, exp.Base64Encode, exp.Hex, exp.HexDecodeString,
    exp.Initcap, exp.Left, exp.Length, exp.Lower, exp.MD5, exp.MD5Digest, exp.Pad, exp.RegexpCount, exp.RegexpExtract,
    exp.RegexpExtractAll, exp.RegexpInstr, exp.RegexpReplace, exp.Repeat, exp.Replace, exp.Reverse, exp.Right,
    exp.RtrimmedLength, exp.SHA, exp.SHA1Digest, exp.SHA2, exp.SHA2Digest, exp.Split, exp.SplitPart, exp.Strtok,
    exp.Stuff, exp.Substring, exp.ToBinary, exp.Translate, exp.Unhex, exp.Unicode, exp.Upper,
)  # fmt: skip
OF_TWO_TEXTS = (
    exp.Contains, exp.EndsWith, exp.ILike, exp.JarowinklerSimilarity, exp.Levenshtein, exp.Like, exp.RegexpLike,
    exp.StartsWith, exp.StrPosition,
)  # fmt: skip
READING_TEXT = (exp.CheckJson, exp.ParseJSON, exp.StrToTime, exp.TsOrDsToDate, exp.TsOrDsToTime)
"""Functions that read what text says: of a VARIANT the text that it holds."""
# What writes the text of a value itself, but in the session's zone.
_WRITERS = (exp.Array, exp.ArrayAgg, exp.Concat, exp.ConcatWs, exp.DPipe, exp.ObjectAgg, exp.PropertyEQ, exp.ToVariant)
_COMPARING = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)
_COMPARING_MORE = (*_COMPARING, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Nullif)
_NUMERAL = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
_OF_NUMBERS = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
_MOST_DIGITS = 38
_NO_TEXT = ("NUMBER", "FLOAT", "BOOLEAN", "DATE", "TIME", "VARIANT")

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
        is_variant = isinstance(value, (exp.JSONExtract, exp.ParseJSON)) and "VARIANT" in kinds
        if is_variant or (kind(value) or "").startswith(kinds):
            yield _cast(value, "TEXT")


def _texts(node: Expr) -> list[tuple[Expr, tuple[str, ...]]]:
    """The arguments that are to be text, each with the types of which it is cast."""
    if isinstance(node, OF_TEXT):
        return [(node.this, _NO_TEXT)]
    if isinstance(node, READING_TEXT):
        return [(node.this, ("VARIANT",))]
    if isinstance(node, OF_TWO_TEXTS):
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


def compare_as_numbers(node: Expr, kind: Kind) -> None:
    """Let the texts that an expression compares with numbers be numbers, too. No source says how many digits behind the
    point Snowflake keeps of a text: one with more than the numbers have is refused.
    """
    if isinstance(node, exp.Case) and node.this is not None:
        values = [node.this, *(one.this for one in node.args["ifs"])]
    elif isinstance(node, _COMPARING_MORE):
        values = [one for one in node.iter_expressions() if not isinstance(one, exp.Query)]
    else:
        return
    kinds = [kind(one) or "" for one in values]
    numbers = [one for one in kinds if one.startswith(("NUMBER", "FLOAT"))]
    if not numbers:
        return
    scale = _scale_of(numbers)
    for value, its_kind in zip(values, kinds, strict=True):
        if its_kind.startswith("VARCHAR"):
            if "FLOAT" in numbers:
                value.replace(exp.cast(value.copy(), exp.DataType.Type.DOUBLE))
            else:
                numeral = call(NUMERAL, value.copy(), number(scale))
                value.replace(exp.cast(numeral, exp.DataType.build(f"DECIMAL(38, {scale})")))


def read_numbers(node: Expr, kind: Kind, alternatives: Sequence[Expr]) -> None:
    """Let a literal that is text be the number that it says where it stands beside numbers: among values of which one
    is chosen, and in arithmetic. The engine would make the other's type of it, and round.

    :param alternatives: the values of which one is that of the expression.
    :raises SnowflakeError: "not supported" for a text with more digits behind its point than the numbers have, or with
        an exponent: no source says how many digits Snowflake keeps. For BINARY among texts, which would be its digits.
    """
    if isinstance(node, (exp.DPipe, exp.Concat)) and any(kind(one) == "BINARY" for one in node.iter_expressions()):
        raise not_supported("A concatenation of BINARY")
    if isinstance(node, _OF_NUMBERS):
        for text, other in ((node.this, node.expression), (node.expression, node.this)):
            of_other = kind(other) or ""
            is_needed = of_other.startswith(("NUMBER", "FLOAT")) or not isinstance(node, (exp.Add, exp.Sub))
            if not is_needed or not _reads_as_number(text):
                continue
            # The digits of a quotient are as many as those of what is divided.
            is_known = not of_other.startswith("VARCHAR") and not (isinstance(node, exp.Div) and text is node.this)
            if not is_known or (literal := _as_number(text, _scale_of([of_other]))) is None:
                raise not_supported(f"Arithmetic of text {WITHOUT_CAST}")
            text.replace(literal)
        return
    kinds = [kind(one) or "" for one in alternatives]
    if "FLOAT" in kinds or not any(one.startswith("NUMBER") for one in kinds):
        return
    for value in alternatives:
        if _reads_as_number(value):
            if (literal := _as_number(value, _scale_of(kinds))) is None:
                raise not_supported(f"A choice of text {WITHOUT_CAST} and numbers")
            value.replace(literal)


def _as_number(text: Expr, scale: int) -> Expr | None:
    """What a literal says as a number of no more digits behind its point; None where it says more."""
    said = text.name.strip()
    value = Decimal(said)
    places = min(scale, len(said.partition(".")[2]))
    if "e" in said.lower() or len(value.as_tuple().digits) > _MOST_DIGITS or value != round(value, places):
        return None
    literal = number(f"{abs(value):.{places}f}")
    return exp.paren(exp.Neg(this=literal)) if value < 0 else literal


def _scale_of(kinds: Sequence[str]) -> int:
    """The most digits that a NUMBER among these types has behind its point."""
    return max((int(one[7:-1].partition(",")[2]) for one in kinds if one.startswith("NUMBER")), default=0)


def _reads_as_number(node: Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_string and re.fullmatch(_NUMERAL, node.name) is not None
