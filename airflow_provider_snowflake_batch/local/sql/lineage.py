"""The declared types of a query's columns, where they come straight from a table or a cast.

DuckDB has one JSON type for VARIANT, OBJECT and ARRAY, one type for both time-zone-aware timestamps, and text without
length; what a table or a cast declared tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.declarations import declared_type
from airflow_provider_snowflake_batch.local.statements import Column

Lookup = Callable[[exp.Table], Mapping[str, str]]
_DECLARED = re.compile(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?")
_BUILDERS: list[tuple[type[Expr], str]] = [
    (exp.Array, "ARRAY"),
    (exp.ArrayAgg, "ARRAY"),
    (exp.Struct, "OBJECT"),
    (exp.JSONObject, "OBJECT"),
    (exp.JSONObjectAgg, "OBJECT"),
]


def declared_outputs(query: Expr, lookup: Lookup) -> dict[str, str]:
    """Declared types by output column name; columns of unknown origin are not among them.

    :param lookup: the declared types of a table's columns.
    """
    return _outputs(query, lookup, {})


def _outputs(query: Expr, lookup: Lookup, ctes: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    with_ = query.args.get("with_")
    if isinstance(with_, exp.With):
        known = dict(ctes)
        for cte in with_.expressions:
            known[_name(cte.args["alias"].this)] = _outputs(cte.this, lookup, known)
        ctes = known
    if isinstance(query, (exp.SetOperation, exp.Subquery)):
        return _outputs(query.this, lookup, ctes)
    if not isinstance(query, exp.Select):
        return {}
    sources = _sources(query, lookup, ctes)
    found: dict[str, str] = {}
    for projection in query.expressions:
        if isinstance(projection, exp.Star):
            for columns in sources.values():
                found |= {name: kind for name, kind in columns.items() if name not in found}
            continue
        if isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star):
            found |= sources.get(_name(projection.args["table"]), {})
            continue
        kind = _kind(projection.unalias(), sources)
        if kind is not None:
            output = projection.args["alias"] if isinstance(projection, exp.Alias) else projection.this
            if isinstance(output, exp.Identifier):
                found[_name(output)] = kind
    return found


def _sources(select: exp.Select, lookup: Lookup, ctes: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    from_ = select.args.get("from_")
    relations = [from_.this] if isinstance(from_, exp.From) else []
    relations += [join.this for join in select.args.get("joins") or []]
    sources: dict[str, Mapping[str, str]] = {}
    for number, relation in enumerate(relations):
        if isinstance(relation, exp.Table) and isinstance(relation.this, exp.Identifier):
            name = _name(relation.this)
            columns = ctes[name] if name in ctes and not relation.db else lookup(relation)
        elif isinstance(relation, exp.Subquery):
            name, columns = str(number), _outputs(relation.this, lookup, ctes)
        else:
            continue
        alias = relation.args.get("alias")
        sources[_name(alias.this) if isinstance(alias, exp.TableAlias) and alias.this else name] = columns
    return sources


def _kind(node: Expr, sources: Mapping[str, Mapping[str, str]]) -> str | None:
    if isinstance(node, (exp.Cast, exp.TryCast)):
        return declared_type(node.args["to"])
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
        name = _name(node.this)
        if table := node.args.get("table"):
            return sources.get(_name(table), {}).get(name)
        return next((columns[name] for columns in sources.values() if name in columns), None)
    if isinstance(node, exp.Coalesce):
        return _kind(node.this, sources)
    return next((kind for builder, kind in _BUILDERS if isinstance(node, builder)), None)


def _name(identifier: Expr) -> str:
    name: str = identifier.name
    return name if identifier.args.get("quoted") else name.upper()


def as_declared(column: Column, declared: str | None) -> Column:
    """The result column with what its declaration adds to the engine's type, if the two agree."""
    match = _DECLARED.fullmatch(declared or "")
    if match is None:
        return column
    name, first, second = match.groups()
    if column.type == "FIXED" and name == "NUMBER" and int(second or 0) == column.scale:
        return replace(column, precision=int(first))
    if (column.type, name) in (("TEXT", "VARCHAR"), ("BINARY", "BINARY")) and first:
        return replace(column, length=int(first))
    if column.type == "TIMESTAMP_LTZ" and name in ("TIMESTAMP_TZ", "TIMESTAMP_LTZ"):
        return replace(column, type=name)
    if column.type == "VARIANT" and name in ("OBJECT", "ARRAY"):
        return replace(column, type=name)
    return column
