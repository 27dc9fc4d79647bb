"""Calls of what the server knows and the engine does not: its own functions, by their value, and ``name.NEXTVAL``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, Functions, unknown_function
from airflow_provider_snowflake_batch.local.sql.expressions import function_name, number, string
from airflow_provider_snowflake_batch.local.sql.translate import stored_name
from airflow_provider_snowflake_batch.local.statements import Statement

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session


def call_by_value(node: exp.Func, statement: Statement, functions: Functions) -> Expr:
    """A call of a function that the server answers itself, by its value; any other call as it is.

    :raises SnowflakeError: for a system function that there is not, or an argument that is no constant.
    """
    name = function_name(node)
    if isinstance(node, exp.Anonymous) and not isinstance(node.this, str):
        # A quoted name, which the engine's own translation does not expect.
        node.set("this", node.name)
    if name in functions.expression:
        made: Expr = functions.expression[name](statement, _arguments(node))
        return made
    function = functions.scalar.get(name)
    if function is not None:
        return _value(function(statement, Arguments([_constant(argument) for argument in _arguments(node)])))
    if name.startswith("SYSTEM$"):
        raise unknown_function(name)
    return node


def _arguments(node: exp.Func) -> list[Expr]:
    if isinstance(node, exp.Anonymous):
        return list(node.expressions)
    return [value for value in node.args.values() if isinstance(value, Expr)]


def _constant(node: Expr) -> Any:
    if isinstance(node, exp.Literal):
        if node.is_string:
            return node.this
        return float(node.this) if any(sign in node.this for sign in ".eE") else int(node.this)
    if isinstance(node, exp.RawString):
        return node.this
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Neg):
        return -_constant(node.this)
    if isinstance(node, (exp.Cast, exp.Paren)):
        return _constant(node.this)
    raise not_supported(f"The argument {node.sql(dialect='snowflake')} of a system function, not a constant,")


def _value(value: Any) -> Expr:
    if value is None:
        return exp.Null()
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, (int, float)):
        return number(value)
    return string(str(value))


ROW_NUMBERS = {"SEQ1", "SEQ2", "SEQ4", "SEQ8"}
"""Functions that number the rows of a query: https://docs.snowflake.com/en/sql-reference/functions/seq1"""


def is_next_value(node: Expr) -> bool:
    """Whether a node is ``name.NEXTVAL``."""
    return (
        isinstance(node, exp.Column)
        and bool(node.table)
        and isinstance(node.this, exp.Identifier)
        and node.name.upper() == "NEXTVAL"
    )


def next_value(column: exp.Column, session: Session) -> Expr:
    """The engine's function for ``name.NEXTVAL``."""
    parts = [stored_name(part) for part in column.parts[:-1] if isinstance(part, exp.Identifier)]
    sequence = ".".join(f'"{part}"' for part in session.qualify(tuple(parts)))
    call: Expr = exp.Anonymous(this="nextval", expressions=[string(sequence)])
    is_projection = isinstance(column.parent, exp.Select) and column.arg_key == "expressions"
    return exp.alias_(call, "NEXTVAL", quoted=True) if is_projection else call
