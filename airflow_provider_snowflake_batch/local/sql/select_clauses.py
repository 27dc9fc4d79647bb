"""Clauses of a SELECT that the engine would take for something else, or cannot follow before a query was asked.

Source: https://docs.snowflake.com/en/sql-reference/constructs/pivot
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.sql.declarations import declared_type
from airflow_provider_snowflake_batch.local.sql.expressions import call, number
from airflow_provider_snowflake_batch.local.sql.translate import stored_name

_ONE = "_local_one_row"
"""A row that is there for the engine, and its column: a name that no user has."""


def order_by_all(order: exp.Order) -> Expr | None:
    """``ORDER BY ALL``: all columns, from left to right."""
    key = order.expressions[0] if len(order.expressions) == 1 else None
    column = key.this if isinstance(key, exp.Ordered) else None
    if key is None or not isinstance(column, exp.Column) or column.sql().upper() != "ALL":
        return None
    select = order.parent
    if not isinstance(select, exp.Select) or any(one.is_star for one in select.expressions):
        raise not_supported("ORDER BY ALL without the columns' names in the SELECT")
    keys = []
    for place in range(1, len(select.expressions) + 1):
        one = key.copy()
        one.set("this", number(place))
        keys.append(one)
    order.set("expressions", keys)
    return order


def count_rows(node: exp.Count) -> Expr | None:
    """``COUNT(a, b)``, which counts the rows without a NULL in any of them.

    :raises SnowflakeError: "not supported" for ``COUNT(t.*)``, which does so with all columns.
    """
    if isinstance(node.this, exp.Column) and isinstance(node.this.this, exp.Star):
        raise not_supported("COUNT(t.*), which counts the rows without any NULL (COUNT(*) counts all)")
    if not node.expressions:
        return None
    has_all = [exp.Is(this=one.copy(), expression=exp.Null()).not_() for one in (node.this, *node.expressions)]
    return exp.CountIf(this=exp.and_(*has_all))


def take_rows_apart(node: Expr) -> None:
    """Keep the elements of ``FLATTEN`` and its kin in their order.

    :raises SnowflakeError: "not supported" where something hangs on their ``SEQ``, which rows with equal values share.
    """
    _keep_elements_in_order(node.root())
    if node.find(exp.Column) is None:
        # What is taken apart is one value.
        return
    relation = node if node.args.get("alias") or node.parent is None else node.parent
    own = node.find_ancestor(exp.Select)
    common = {table.alias.upper() for table in node.root().find_all(exp.CTE)}
    readers = _readers(own)
    for column in node.root().find_all(exp.Column):
        select = column.find_ancestor(exp.Select)
        if stored_name(column.this) != "SEQ" or select is None:
            continue
        if select is own:
            is_of_another = bool(column.table) and column.table.upper() != relation.alias.upper()
        elif any(select is reader for reader in readers) or _reads(select, common):
            is_of_another = bool(column.table) and _is_of_a_table(column.table, select, common)
        else:
            is_of_another = True
        if is_of_another:
            continue
        projection = column.parent if isinstance(column.parent, exp.Alias) else column
        is_shown = projection.parent is select and projection.arg_key == "expressions"
        keeps_name = projection is column or select.parent is None or projection.alias.upper() == "SEQ"
        if not (is_shown and keeps_name) or any(select.args.get(clause) for clause in ("group", "distinct")):
            raise not_supported("SEQ of FLATTEN or SPLIT_TO_TABLE, but to be shown,")


def _readers(select: Expr | None) -> list[Expr]:
    """The queries that read what a query gives, and those that read theirs. ``IN`` and ``EXISTS`` hand nothing on."""
    found: list[Expr] = []
    is_read = False
    while select is not None and (select := select.parent) is not None:
        is_read = is_read or isinstance(select, (exp.From, exp.Join, exp.Lateral, exp.With))
        if isinstance(select, exp.Select):
            if not is_read:
                break
            found.append(select)
            is_read = False
    return found


def _reads(select: exp.Select, common: set[str]) -> bool:
    return any(table.name.upper() in common for table in select.find_all(exp.Table))


def _is_of_a_table(name: str, select: exp.Select, common: set[str]) -> bool:
    """Whether a relation of a query is a table, whose columns are its own. :param common: names that WITH gives."""
    found = [table for table in select.find_all(exp.Table) if table.alias_or_name.upper() == name.upper()]
    return bool(found) and all(isinstance(one.this, exp.Identifier) and one.name.upper() not in common for one in found)


def _keep_elements_in_order(query: Expr) -> None:
    """Let each SELECT of no table, and each VALUES that is read, have one row of a FROM: the engine joins the elements
    of ``FLATTEN`` of the only row, which no table holds, from the last to the first.
    """
    for select in list(query.find_all(exp.Select)):
        from_ = select.args.get("from_")
        if from_ is None:
            select.set("from_", exp.From(this=_one_row()))
        elif isinstance(from_.this, exp.Values) and not _has_one_row(select) and not from_.this.args.get("pivots"):
            _read_with_one_row(from_.this)


def _read_with_one_row(values: exp.Values) -> None:
    """Read a VALUES with one row beside it, whose column nobody sees: ``*`` is of VALUES alone."""
    alias = values.args.get("alias")
    name = exp.TableAlias(this=alias.this.copy()) if isinstance(alias, exp.TableAlias) and alias.this else None
    around = exp.Subquery(alias=name)
    values.replace(around)
    given = exp.Star(except_=[exp.to_identifier(_ONE, quoted=True)])
    join = exp.Join(this=_one_row(), kind="CROSS")
    around.set("this", exp.Select(expressions=[given], from_=exp.From(this=values), joins=[join]))


def _one_row() -> exp.Table:
    names = [exp.to_identifier(_ONE, quoted=True)]
    return exp.Table(this=call("range", number(1)), alias=exp.TableAlias(this=names[0].copy(), columns=names))


def _has_one_row(select: exp.Select) -> bool:
    return any(join.this.alias == _ONE for join in select.args.get("joins") or [])


def asof_join(node: exp.Join) -> Expr | None:
    """A row without a match stays, as in a left join."""
    condition = node.args.get("match_condition")
    if condition is None:
        return None
    if node.args.get("using"):
        raise not_supported("ASOF JOIN with USING (ON does the same)")
    on = node.args.get("on")
    node.set("match_condition", None)
    node.set("side", "LEFT")
    node.set("on", condition if on is None else exp.And(this=exp.paren(on), expression=exp.paren(condition)))
    return node


def sample(node: exp.TableSample) -> Expr:
    method = {"ROW": "BERNOULLI", "BLOCK": "SYSTEM"}.get(node.text("method").upper())
    if node.args.get("size") is not None:
        # So many rows are drawn in one way only.
        node.set("method", exp.var("RESERVOIR"))
    elif method is not None:
        node.set("method", exp.var(method))
    return node


def open_pivots(tree: Expr) -> list[exp.Pivot]:
    """The pivots of a statement whose values it does not list, inner ones first."""
    found = [pivot for pivot in tree.find_all(exp.Pivot) if _values_of(pivot) is not None]
    return found[::-1]


def fill_pivots(
    tree: Expr, pivots: Sequence[exp.Pivot], rows_of: Callable[[exp.Query], Sequence[Sequence[Any]]]
) -> None:
    """Write the values of pivots into a statement.

    :param rows_of: gives the rows of a query.
    :raises SnowflakeError: "not supported" for values that are neither text nor numbers.
    """
    for pivot in pivots:
        listed = _values_of(pivot)
        assert listed is not None
        query = _query_of(pivot, listed)
        with_ = tree.args.get("with_")
        if with_ is not None and query.args.get("with_") is None:
            query.set("with_", with_.copy())
        values = [_literal(row[0]) for row in rows_of(query) if row[0] is not None]
        if not values:
            raise not_supported("PIVOT over a column without values")
        listed.set("expressions", values)


def name_values(pivot: exp.Pivot) -> Expr | None:
    """Name the columns of a pivot after its values as Snowflake writes them."""
    for field in pivot.args.get("fields") or []:
        if isinstance(field, exp.In):
            field.set("expressions", [_named(one) for one in field.expressions])
    return None


def _named(value: Expr) -> Expr:
    if isinstance(value, exp.PivotAlias):
        return value
    name = stored_name(value) if isinstance(value, exp.Column) else value.sql(dialect="duckdb")
    if isinstance(value, exp.Cast):
        text, kind = value.this.sql(dialect="snowflake"), declared_type(value.args["to"])
        is_date = kind == "DATE" and isinstance(value.this, exp.Literal)
        name = f"TO_DATE({text})" if is_date else f"CAST({text} AS {kind})"
    return exp.PivotAlias(this=value.copy(), alias=exp.to_identifier(name, quoted=True))


def _values_of(pivot: exp.Pivot) -> exp.In | None:
    """The IN of a pivot that lists no values."""
    for field in pivot.args.get("fields") or []:
        if isinstance(field, exp.In) and any(isinstance(one, (exp.PivotAny, exp.Query)) for one in field.expressions):
            return field
    return None


def _query_of(pivot: exp.Pivot, listed: exp.In) -> exp.Query:
    """The query whose rows are a pivot's values."""
    given = listed.expressions[0]
    if isinstance(given, exp.Query):
        return given.copy()
    assert pivot.parent is not None
    relation = pivot.parent.copy()
    relation.set("pivots", None)
    order = given.this.expressions if given.this is not None else [exp.Ordered(this=listed.this.copy())]
    query = exp.select(listed.this.copy()).distinct().from_(relation)
    return query.order_by(*(one.copy() for one in order))


def _literal(value: Any) -> Expr:
    if isinstance(value, str):
        return exp.Literal.string(value)
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return exp.Literal.number(value)
    raise not_supported(f"PIVOT over values of the type {type(value).__name__} without a list of them")
