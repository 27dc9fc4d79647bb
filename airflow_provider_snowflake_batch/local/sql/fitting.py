"""What is written to text columns: as Snowflake writes values as text, and no longer than declared.

Works on statements that are already in the engine's SQL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.texts import TOO_LONG, as_text
from airflow_provider_snowflake_batch.local.sql.types import TEXT_LENGTH

_TEXT = re.compile(r"VARCHAR\((\d+)\)")


def limits(declared: Mapping[str, str]) -> dict[str, int]:
    """The columns whose text may have only so many characters."""
    return {name: length for name, length in text_columns(declared).items() if length < TEXT_LENGTH}


def text_columns(declared: Mapping[str, str]) -> dict[str, int]:
    """The columns of text with their lengths, the longest possible among them."""
    return {name: int(match[1]) for name, kind in declared.items() if (match := _TEXT.fullmatch(kind))}


def fit_writes(tree: Expr, lengths: Mapping[str, int], columns: Sequence[str], *, cut: bool = False) -> None:
    """Check, or cut, what an INSERT, UPDATE or MERGE writes to text columns.

    :param lengths: the columns to care for, with their lengths.
    :param columns: all columns of the table, in order.
    """
    if isinstance(tree, exp.Insert):
        _fit_insert(tree, lengths, columns, cut)
    elif isinstance(tree, exp.Update):
        _fit_assignments(tree.expressions, lengths, cut)
    elif isinstance(tree, exp.Merge):
        for when in tree.args["whens"].expressions:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                _fit_assignments(then.expressions, lengths, cut)
            elif isinstance(then, exp.Insert) and isinstance(then.expression, exp.Tuple):
                named = then.this.expressions if isinstance(then.this, exp.Tuple) else []
                names = [one.name for one in named] or list(columns)
                values = then.expression.expressions
                then.expression.set(
                    "expressions",
                    [_fitted(v, lengths[n], cut) if n in lengths else v for n, v in zip(names, values, strict=False)],
                )


def _fit_assignments(assignments: Sequence[Expr], lengths: Mapping[str, int], cut: bool) -> None:
    for assignment in assignments:
        if isinstance(assignment, exp.EQ) and assignment.this.name in lengths:
            assignment.set("expression", _fitted(assignment.expression, lengths[assignment.this.name], cut))


def _fit_insert(tree: exp.Insert, lengths: Mapping[str, int], columns: Sequence[str], cut: bool) -> None:
    schema, source = tree.this, tree.expression
    names = [one.name for one in schema.expressions] if isinstance(schema, exp.Schema) else list(columns)
    if not set(names) & set(lengths) or not isinstance(source, (exp.Values, exp.Query)):
        return
    if isinstance(source, exp.Values):
        if any(isinstance(node, exp.Var) for node in source.find_all(exp.Var)):
            # DEFAULT stands in a VALUES of an INSERT only.
            for row in source.expressions:
                fitted = [
                    _fitted(value, lengths[name], cut) if name in lengths and not isinstance(value, exp.Var) else value
                    for name, value in zip(names, row.expressions, strict=False)
                ]
                row.set("expressions", fitted)
            return
        names = names[: len(source.expressions[0].expressions)]
    elif isinstance(source, exp.Select) and not any(one.is_star for one in source.expressions):
        names = names[: len(source.expressions)]
    inner = [exp.to_identifier(f"_c{number}", quoted=True) for number in range(len(names))]
    alias = exp.TableAlias(this=exp.to_identifier("_written", quoted=True), columns=inner)
    if isinstance(source, exp.Values):
        relation: Expr = source.copy()
        relation.set("alias", alias)
    else:
        relation = exp.Subquery(this=source.unnest().copy(), alias=alias)
    projections: list[Expr] = []
    for name, identifier in zip(names, inner, strict=True):
        column = exp.column(identifier.copy())
        projections.append(_fitted(column, lengths[name], cut) if name in lengths else column)
    tree.set("expression", exp.Select(expressions=projections, from_=exp.From(this=relation)))


def _fitted(value: Expr, length: int, cut: bool) -> Expr:
    text = as_text(value)
    if length >= TEXT_LENGTH:
        return text
    if cut:
        return exp.Anonymous(this="left", expressions=[text, exp.Literal.number(length)])
    is_longer = exp.GT(
        this=exp.Anonymous(this="length", expressions=[text.copy()]), expression=exp.Literal.number(length)
    )
    message = exp.Literal.string("String '")
    for part in (text.copy(), exp.Literal.string(f"' {TOO_LONG}")):
        message = exp.DPipe(this=message, expression=part)  # type: ignore[assignment]
    failure = exp.Anonymous(this="error", expressions=[message])
    return exp.Case(ifs=[exp.If(this=is_longer, true=failure)], default=text)
