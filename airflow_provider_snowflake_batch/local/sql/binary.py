"""Text becomes BINARY as hexadecimal digits, which DuckDB would take for the bytes of the text itself."""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.macros import TOO_LONG
from airflow_provider_snowflake_batch.local.sql.types import BINARY_LENGTH

_BINARY = (exp.DataType.Type.BINARY, exp.DataType.Type.VARBINARY)


def is_binary_cast(node: Expr) -> bool:
    """Whether a node is ``… ::BINARY``, ``CAST(… AS BINARY)`` or ``TRY_CAST(… AS BINARY)``."""
    return isinstance(node, exp.Cast) and isinstance(node.to, exp.DataType) and node.to.this in _BINARY


def read_hexadecimal(cast: Expr) -> None:
    """Make a cast to BINARY read text as Snowflake does, and refuse what is too long; BINARY stays as it is."""
    kind = cast.args["to"]
    read = from_text(cast.this, safe=isinstance(cast, exp.TryCast))
    length = int(kind.expressions[0].name) if kind.expressions else BINARY_LENGTH
    cast.set("this", no_longer(read, length, exp.Null() if isinstance(cast, exp.TryCast) else None))


def no_longer(value: Expr, length: int, otherwise: Expr | None = None) -> Expr:
    """BINARY of at most so many bytes; what is longer becomes ``otherwise``, or an error."""
    if length >= BINARY_LENGTH:
        return value
    digits = exp.Anonymous(this="hex", expressions=[value.copy()])
    message = exp.Concat(
        expressions=[exp.Literal.string("String '"), digits, exp.Literal.string(f"' {TOO_LONG}")], safe=False
    )
    size = exp.Anonymous(this="octet_length", expressions=[value.copy()])
    is_longer = exp.GT(this=size, expression=exp.Literal.number(length))
    # A cast that fails with the words in it: error() is not allowed where the errors of a load are counted.
    number = exp.cast(exp.paren(message), exp.DataType.Type.INT)
    failing = exp.Anonymous(this="repeat", expressions=[exp.Literal.string(""), number])
    failure = otherwise or exp.Anonymous(this="encode", expressions=[failing])
    return exp.Case(ifs=[exp.If(this=is_longer, true=failure)], default=value)


def without_lengths(tree: Expr) -> Expr:
    """The tree in the engine's SQL, whose BLOB has no length."""
    for kind in tree.find_all(exp.DataType):
        if kind.this in _BINARY and kind.expressions:
            kind.set("expressions", None)
    return tree


def from_text(value: Expr, *, safe: bool = False) -> Expr:
    """A value as BINARY, which becomes of BINARY and of text with an even number of hexadecimal digits only.

    :param safe: NULL instead of an error for anything else.
    """
    kind = exp.Anonymous(this="typeof", expressions=[value.copy()])
    text = exp.cast(value.copy(), exp.DataType.Type.VARCHAR)
    is_text = exp.In(this=kind.copy(), expressions=[exp.Literal.string(one) for one in ("VARCHAR", "JSON", '"NULL"')])
    is_whole = exp.EQ(
        this=exp.Mod(this=exp.Length(this=text.copy()), expression=exp.Literal.number(2)),
        expression=exp.Literal.number(0),
    )
    case = exp.Case(
        ifs=[
            exp.If(
                this=exp.EQ(this=kind, expression=exp.Literal.string("BLOB")),
                true=exp.Anonymous(this="hex", expressions=[value.copy()]),
            ),
            # The engine would read one digit for a byte, and the digits of a number.
            exp.If(this=exp.and_(is_text, is_whole), true=text.copy()),
        ],
        default=exp.DPipe(this=exp.Literal.string("not hexadecimal: "), expression=text),
    )
    digits = exp.Anonymous(this="unhex", expressions=[case])
    return exp.Anonymous(this="try", expressions=[digits]) if safe else digits
