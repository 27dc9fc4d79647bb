"""One INSERT of many rows: of bind variables, or of literals."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.sql.binds import python_value

_NUMBER = re.compile(r"-?\d+( \d+)?")
_MANY = 50
"""Rows from which on a VALUES of literals becomes a relation."""


def read_from(tree: exp.Insert, source: str, names: Sequence[str]) -> None:
    """Make an INSERT of one row of placeholders one of all rows of a relation."""
    body = tree.expression
    if isinstance(body, exp.Values):
        if len(body.expressions) != 1:
            raise not_supported("A batch of bind variables for more than one row of VALUES")
        row = body.expressions[0]
        body = exp.Select(expressions=list(row.expressions) if isinstance(row, exp.Tuple) else [row])
    if not isinstance(body, exp.Select) or body.args.get("from_") is not None:
        raise not_supported("A batch of bind variables for this INSERT")
    placeholders = list(body.find_all(exp.Placeholder, bfs=False))
    if len(placeholders) != len(names):
        raise SnowflakeError(
            f"SQL compilation error:\n{len(placeholders)} bind variables are used, {len(names)} are set.",
            errno=2049,
            sqlstate="42601",
        )
    for placeholder, name in zip(placeholders, names, strict=True):
        placeholder.replace(
            exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier("_b", quoted=True))
        )
    _select_from(tree, body, source)


def with_moments(
    tree: exp.Insert, columns: Sequence[Sequence[Any]], kinds: Callable[[exp.Table, Sequence[Expr]], list[str]]
) -> Sequence[Sequence[Any]]:
    """The columns of a batch, with dates and times where the client sent their numbers as text.

    The driver does so when a column has a NULL: then it does not name the type.

    :param kinds: gives the types of a table's columns.
    """
    suspects = [number for number, column in enumerate(columns) if _are_numbers_as_text(column)]
    body = tree.expression
    if not suspects or not isinstance(body, exp.Values):
        return columns
    target = tree.this
    table, names = (target.this, target.expressions) if isinstance(target, exp.Schema) else (target, [])
    row = body.expressions[0]
    cells = list(row.expressions) if isinstance(row, exp.Tuple) else [row]
    placeholders = list(body.find_all(exp.Placeholder, bfs=False))
    by_cell = dict(zip(map(id, cells), kinds(table, names), strict=False))
    converted = list(columns)
    for number in suspects:
        kind = by_cell.get(id(placeholders[number])) if number < len(placeholders) else None
        if kind is not None and kind.startswith(("DATE", "TIME")):
            converted[number] = [python_value({"type": kind, "value": value}) for value in columns[number]]
    return converted


def _are_numbers_as_text(column: Sequence[Any]) -> bool:
    values = [value for value in column if value is not None]
    return len(values) < len(column) and all(isinstance(value, str) and _NUMBER.fullmatch(value) for value in values)


def _select_from(tree: exp.Insert, body: exp.Select, source: str) -> None:
    table = exp.Table(
        this=exp.to_identifier(source, quoted=True), alias=exp.TableAlias(this=exp.to_identifier("_b", quoted=True))
    )
    body.set("from_", exp.From(this=table))
    tree.set("expression", body)


def literal_columns(tree: Expr) -> list[list[Any]] | None:
    """The columns of an INSERT of many rows of literals, or None for any other statement.

    A tree with a node for each value is slow to translate; a relation of values is not.
    """
    if not isinstance(tree, exp.Insert) or not isinstance(tree.expression, exp.Values):
        return None
    rows = tree.expression.expressions
    if len(rows) < _MANY or not isinstance(rows[0], exp.Tuple):
        return None
    width = len(rows[0].expressions)
    columns: list[list[Any]] = [[] for _ in range(width)]
    for row in rows:
        if not isinstance(row, exp.Tuple) or len(row.expressions) != width:
            return None
        for column, node in zip(columns, row.expressions, strict=True):
            try:
                column.append(_constant(node))
            except ValueError:
                return None
    kinds = [{type(value) for value in column if value is not None} for column in columns]
    return columns if all(len(kind) <= 1 for kind in kinds) else None


def _constant(node: Expr) -> Any:
    if isinstance(node, exp.Literal):
        return node.this if node.is_string else Decimal(node.this)
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return -Decimal(node.this.this)
    raise ValueError(node)


def insert_from(tree: exp.Insert, source: str, names: Sequence[str]) -> None:
    """Make an INSERT of VALUES one of all rows of a relation."""
    body = exp.Select(expressions=[exp.column(exp.to_identifier(name, quoted=True)) for name in names])
    _select_from(tree, body, source)
