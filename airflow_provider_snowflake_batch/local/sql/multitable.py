"""``INSERT ALL`` and ``INSERT FIRST``: the rows of one query into several tables.

Source: https://docs.snowflake.com/en/sql-reference/sql/insert-multi-table
"""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.sql.types import declared
from airflow_provider_snowflake_batch.local.statements import Column, Result

STATEMENT_TYPE = 0x3500


def typed_rows(relation: str, columns: list[Column]) -> exp.Subquery:
    """The rows of the query, which is read once, with the types that its columns have."""
    names = [exp.column(exp.to_identifier(column.name, quoted=True)) for column in columns]
    casts = [
        exp.alias_(exp.cast(name, exp.DataType.build(declared(column), dialect="snowflake")), column.name, quoted=True)
        for name, column in zip(names, columns, strict=True)
    ]
    source: exp.Subquery = exp.select(*casts).from_(exp.maybe_parse(relation, dialect="snowflake")).subquery("_rows")
    return source


def inserts(tree: exp.MultitableInserts, rows: exp.Subquery) -> list[exp.Insert]:
    """The INSERTs of one table each.

    :raises SnowflakeError: "not supported" for DEFAULT among the values.
    """
    earlier: list[Expr] = []
    condition: Expr | None = None
    made = []
    for branch in tree.expressions:
        if branch.args.get("else_"):
            condition = exp.and_(*earlier) if earlier else None
        elif branch.expression is not None:
            matches = exp.Coalesce(this=exp.paren(branch.expression.copy()), expressions=[exp.false()])
            others = earlier if tree.args["kind"] == "FIRST" else []
            condition = exp.and_(*others, matches)
            earlier = [*earlier, exp.Not(this=matches.copy())]
        insert = branch.this
        values = insert.expression.expressions[0].expressions if insert.expression is not None else [exp.Star()]
        if any(isinstance(value, exp.Var) for value in values):
            raise not_supported("DEFAULT in an INSERT into several tables (a list of columns leaves others out)")
        query = exp.select(*(value.copy() for value in values)).from_(rows.copy())
        made.append(
            exp.Insert(this=insert.this.copy(), expression=query.where(condition.copy() if condition else None))
        )
    return made


def counted(tree: exp.MultitableInserts, counts: list[int] | None = None) -> Result:
    """What the statement answers: a column for each table.

    :param counts: the rows that each INSERT has inserted; None for a statement that is described.
    """
    found: dict[str, int] = {}
    for branch, count in zip(tree.expressions, counts or [0] * len(tree.expressions), strict=True):
        target = branch.this.this
        table = target.this if isinstance(target, exp.Schema) else target
        name = table.name if table.this.args.get("quoted") else table.name.upper()
        found[name] = found.get(name, 0) + count
    columns = [Column(f"number of rows inserted into {name}", "FIXED", 19, 0, nullable=False) for name in found]
    return Result(columns, [] if counts is None else [list(found.values())], statement_type=STATEMENT_TYPE)
