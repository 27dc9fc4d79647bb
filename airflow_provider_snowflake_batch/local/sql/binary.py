"""Text becomes BINARY as hexadecimal digits, which DuckDB would take for the bytes of the text itself."""

from __future__ import annotations

from sqlglot import Expr, exp

_BINARY = (exp.DataType.Type.BINARY, exp.DataType.Type.VARBINARY)


def is_binary_cast(node: Expr) -> bool:
    """Whether a node is ``… ::BINARY``, ``CAST(… AS BINARY)`` or ``TRY_CAST(… AS BINARY)``."""
    return isinstance(node, exp.Cast) and isinstance(node.to, exp.DataType) and node.to.this in _BINARY


def read_hexadecimal(cast: Expr) -> None:
    """Make a cast to BINARY read text as Snowflake does; BINARY stays as it is."""
    value = cast.this
    is_binary = exp.EQ(
        this=exp.Anonymous(this="typeof", expressions=[value.copy()]), expression=exp.Literal.string("BLOB")
    )
    hexadecimal = exp.Anonymous(this="hex", expressions=[value.copy()])
    case = exp.Case(
        ifs=[exp.If(this=is_binary, true=hexadecimal)], default=exp.cast(value.copy(), exp.DataType.Type.VARCHAR)
    )
    digits = exp.Anonymous(this="unhex", expressions=[case])
    cast.set("this", exp.Anonymous(this="try", expressions=[digits]) if isinstance(cast, exp.TryCast) else digits)
