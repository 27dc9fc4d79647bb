"""Values as text, as Snowflake writes them, and text cast to a length that it does not fit.

Works on statements that are already in the engine's SQL. DuckDB knows the type of each value when it binds the
statement, and drops the branches that do not apply. Sources:
https://docs.snowflake.com/en/sql-reference/functions/to_char and
https://docs.snowflake.com/en/sql-reference/date-time-input-output (the default output formats).
"""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.macros import TEXT, TOO_LONG
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


def as_text(value: Expr) -> Expr:
    """The value as text: VARIANT without quotes, a FLOAT without ``.0``, BINARY in hexadecimal digits."""
    return value if _is_text(value) else _call(TEXT, value)


def json_text(value: Expr) -> Expr:
    """The text of a value that is JSON: a string without its quotes, anything else as JSON, NULL for null."""
    return _call("json_extract_string", plain_text(value), exp.Literal.string("$"))


def is_of_type(value: Expr, *types: str) -> Expr:
    """Whether DuckDB's type of a value is one of these: a constant once the statement is bound."""
    return exp.In(
        this=exp.Anonymous(this="typeof", expressions=[value.copy()]),
        expressions=[exp.Literal.string(name) for name in types],
    )


def _write_cast(cast: exp.Cast | exp.TryCast) -> None:
    kind = cast.args["to"]
    if not isinstance(kind, exp.DataType) or kind.this not in TEXT_TYPES or cast.meta.get(_PLAIN):
        return
    length = _length(kind)
    text = as_text(cast.this)
    if length is None:
        cast.set("this", text)
        return
    is_longer = exp.GT(this=_call("length", text), expression=exp.Literal.number(length))
    if isinstance(cast, exp.TryCast):
        failure: Expr = exp.Null()
    else:
        message: Expr = exp.Literal.string("String '")
        for part in (text, exp.Literal.string(f"' {TOO_LONG}")):
            message = exp.DPipe(this=message, expression=part.copy())
        # A cast that fails with the words in it: error() is not allowed where the errors of a load are counted.
        failure = plain_text(exp.cast(exp.paren(message), _Type.INT))
    cast.set("this", exp.Case(ifs=[exp.If(this=is_longer, true=failure)], default=text.copy()))


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
        return str(value.this) == TEXT
    return isinstance(value, (exp.Null, exp.DPipe, exp.Concat, exp.ConcatWs, exp.Upper, exp.Lower, exp.Substring))


def plain_text(value: Expr) -> Expr:
    """The value as DuckDB itself writes it."""
    cast = exp.Cast(this=value.copy(), to=exp.DataType(this=_Type.VARCHAR))
    cast.meta[_PLAIN] = True
    return cast


def _call(name: str, *arguments: Expr) -> Expr:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])
