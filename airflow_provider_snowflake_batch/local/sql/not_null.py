"""Which columns of a query can hold no NULL, as a result's metadata says.

A column counts as one that can unless a literal, a ``NOT NULL`` of its table or what is made of such says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.guard import function_name
from airflow_provider_snowflake_batch.local.sql.query_types import Sources, declared_kind, declared_outputs
from airflow_provider_snowflake_batch.local.sql.sequences import ROW_NUMBERS

_REQUIRED = "NOT NULL"
_ALWAYS = (
    exp.Array, exp.Boolean, exp.Count, exp.CurrentDate, exp.CurrentTimestamp, exp.DenseRank, exp.Is, exp.Literal,
    exp.Rand, exp.Rank, exp.RowNumber,
)  # fmt: skip
_AS_ITS_VALUES = (
    exp.Abs, exp.Add, exp.And, exp.Between, exp.Cast, exp.Concat, exp.DPipe, exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE,
    exp.Length, exp.Like, exp.Lower, exp.Mod, exp.Mul, exp.NEQ, exp.Neg, exp.Not, exp.Or, exp.Paren, exp.Round,
    exp.Sub, exp.Trim, exp.Upper,
)  # fmt: skip


def required_outputs(query: Expr, lookup: Callable[[exp.Table], Collection[str]]) -> set[str]:
    """The names of a query's columns that can hold no NULL for certain.

    :param lookup: the names of a table's columns that are NOT NULL.
    """
    adds_nulls = any(join.side for join in query.find_all(exp.Join))
    if adds_nulls or query.find(exp.SetOperation, exp.Rollup, exp.Cube, exp.GroupingSets, exp.Pivot):
        return set()
    return set(declared_outputs(query, lambda table: dict.fromkeys(lookup(table), _REQUIRED), _kind))


def _kind(node: Expr, sources: Sources) -> str | None:
    return _REQUIRED if _is_required(node, sources) else None


def _is_required(node: Expr, sources: Sources) -> bool:
    if isinstance(node, exp.Column):
        return declared_kind(node, sources) == _REQUIRED
    if isinstance(node, exp.Window):
        return isinstance(node.this, _ALWAYS)
    if isinstance(node, exp.Coalesce):
        return any(_is_required(one, sources) for one in (node.this, *node.expressions))
    if isinstance(node, exp.Case):
        default = node.args.get("default")
        branches = [branch.args["true"] for branch in node.args["ifs"]]
        return default is not None and all(_is_required(one, sources) for one in (*branches, default))
    if isinstance(node, exp.If):
        return all(
            one is not None and _is_required(one, sources) for one in (node.args["true"], node.args.get("false"))
        )
    if isinstance(node, exp.Func) and function_name(node) in ROW_NUMBERS:
        return True
    if isinstance(node, _AS_ITS_VALUES):
        values = [one for one in node.iter_expressions() if not isinstance(one, (exp.DataType, exp.Var))]
        return all(_is_required(one, sources) for one in values)
    return isinstance(node, _ALWAYS)
