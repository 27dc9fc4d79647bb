"""Batches of bind variables: one INSERT of many rows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported


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
    body.set(
        "from_",
        exp.From(
            this=exp.Table(
                this=exp.to_identifier(source, quoted=True),
                alias=exp.TableAlias(this=exp.to_identifier("_b", quoted=True)),
            )
        ),
    )
    tree.set("expression", body)
