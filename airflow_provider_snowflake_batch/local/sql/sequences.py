"""``name.NEXTVAL``: the next number of a sequence, in queries, in VALUES and as a column's default; and ``SEQ1()``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import Expr, exp

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session

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
    names = [part for part in column.parts[:-1] if isinstance(part, exp.Identifier)]
    parts = [part.name if part.quoted else part.name.upper() for part in names]
    sequence = ".".join(f'"{part}"' for part in session.qualify(tuple(parts)))
    call: Expr = exp.Anonymous(this="nextval", expressions=[exp.Literal.string(sequence)])
    is_projection = isinstance(column.parent, exp.Select) and column.arg_key == "expressions"
    return exp.alias_(call, "NEXTVAL", quoted=True) if is_projection else call
