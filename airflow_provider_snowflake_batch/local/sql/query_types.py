"""What is known of a query's columns from tables, casts and literals: the types that were declared, and NOT NULL.

DuckDB has one JSON type for VARIANT, OBJECT and ARRAY, one type for both time-zone-aware timestamps, and text without
length; what a table or a cast declared tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.declarations import declared_type
from airflow_provider_snowflake_batch.local.sql.expressions import function_name
from airflow_provider_snowflake_batch.local.sql.macros import (
    AS_OBJECT,
    BINARY,
    OBJECT_OF_ARRAYS,
    OBJECT_ONLY,
    OBJECT_WITH,
    SHORT_BINARY,
)
from airflow_provider_snowflake_batch.local.sql.server_functions import ROW_NUMBERS
from airflow_provider_snowflake_batch.local.sql.translate import stored_name
from airflow_provider_snowflake_batch.local.statements import Column

Lookup = Callable[[exp.Table], Mapping[str, str]]
Sources = Mapping[str, Mapping[str, str]]
"""The declared types of the columns of each relation in a FROM."""
KindOf = Callable[[Expr, Sources], str | None]
CHANGES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
_DECLARED = re.compile(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?(?:@(.+))?")
_NUMBER = re.compile(r"NUMBER\((\d+),(\d+)\)")
_BUILDERS: list[tuple[type[Expr], str]] = [
    (exp.Array, "ARRAY"),
    (exp.ArrayAgg, "ARRAY"),
    (exp.ArrayConstructCompact, "ARRAY"),
    (exp.Split, "ARRAY"),
    (exp.Struct, "OBJECT"),
    (exp.JSONObject, "OBJECT"),
    (exp.JSONObjectAgg, "OBJECT"),
    (exp.ObjectAgg, "OBJECT"),
    (exp.StarMap, "OBJECT"),
]


def declared_outputs(query: Expr, lookup: Lookup, kind_of: KindOf) -> dict[str, str]:
    """Declared types by output column name; columns of unknown origin are not among them.

    :param lookup: the declared types of a table's columns.
    :param kind_of: the type of an expression.
    """
    # What is said to be a text, and not how long it may be, is declared as the engine's type is.
    return {name: kind for name, kind in _outputs(query, lookup, {}, kind_of).items() if kind != "VARCHAR"}


def cte_outputs(query: Expr, lookup: Lookup, kind_of: KindOf) -> Sources:
    """The types of the columns of the common table expressions that a query sees."""
    found: dict[str, Mapping[str, str]] = {}
    around = [query]
    while around[-1].parent is not None:
        around.append(around[-1].parent)
    for node in reversed(around):
        found |= _with_ctes(node, lookup, found, kind_of)
    return found


def _with_ctes(query: Expr, lookup: Lookup, ctes: Sources, kind_of: KindOf) -> Sources:
    with_ = query.args.get("with_")
    known = dict(ctes)
    for cte in with_.expressions if isinstance(with_, exp.With) else ():
        outputs = _outputs(cte.this, lookup, known, kind_of)
        known[stored_name(cte.args["alias"].this)] = _renamed(outputs, cte.args["alias"], cte.this)
    return known


def _outputs(query: Expr, lookup: Lookup, ctes: Sources, kind_of: KindOf) -> dict[str, str]:
    ctes = _with_ctes(query, lookup, ctes, kind_of)
    if isinstance(query, (exp.SetOperation, exp.Subquery)):
        return _outputs(query.this, lookup, ctes, kind_of)
    if not isinstance(query, exp.Select):
        return {}
    sources = sources_of(query, lookup, ctes, kind_of)
    found: dict[str, str] = {}
    for projection in query.expressions:
        if isinstance(projection, exp.Star):
            for columns in sources.values():
                found |= {name: kind for name, kind in columns.items() if name not in found}
            continue
        if isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star):
            found |= sources.get(stored_name(projection.args["table"]), {})
            continue
        kind = kind_of(projection.unalias(), sources)
        if kind is not None:
            output = projection.args["alias"] if isinstance(projection, exp.Alias) else projection.this
            if isinstance(output, exp.Identifier):
                found[stored_name(output)] = kind
    return found


def sources_of(query: Expr, lookup: Lookup, ctes: Sources, kind_of: KindOf) -> dict[str, Mapping[str, str]]:
    """The types of the columns of each relation that a SELECT or a change reads, by its name there."""
    relations = _relations(query)
    sources: dict[str, Mapping[str, str]] = {}
    for number, relation in enumerate(relations):
        if isinstance(relation, exp.Table) and isinstance(relation.this, exp.Identifier):
            name = stored_name(relation.this)
            columns = ctes[name] if name in ctes and not relation.db else lookup(relation)
        elif isinstance(relation, exp.Subquery):
            name, columns = str(number), _outputs(relation.this, lookup, ctes, kind_of)
            columns = _renamed(columns, relation.args.get("alias"), relation.this)
        elif isinstance(relation, exp.Values):
            name, columns = str(number), _of_values(relation, kind_of)
        else:
            continue
        alias = relation.args.get("alias")
        sources[stored_name(alias.this) if isinstance(alias, exp.TableAlias) and alias.this else name] = columns
    return sources


def _relations(query: Expr) -> list[Expr]:
    from_ = query.args.get("from_")
    read = [from_.this] if isinstance(from_, exp.From) else []
    if isinstance(query, (exp.Update, exp.Delete, exp.Merge)):
        using = query.args.get("using") or []
        read = [query.this, *read, *(using if isinstance(using, list) else [using])]
        read = [relation for relation in read if isinstance(relation, Expr)]
    # What a SELECT joins stands beside its FROM, what a change joins with what it is joined to.
    holders = [query] if isinstance(query, exp.Select) else read
    return read + [join.this for holder in holders for join in holder.args.get("joins") or []]


def is_assignment(node: Expr) -> bool:
    """Whether it is ``column = value`` of a SET, which compares nothing."""
    return isinstance(node, exp.EQ) and isinstance(node.parent, exp.Update) and node.arg_key == "expressions"


def declared_kind(node: Expr, sources: Sources) -> str | None:
    """The declared type of a column, a cast or what builds a semi-structured value."""
    if isinstance(node, (exp.Cast, exp.TryCast)):
        return declared_type(node.args["to"])
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
        name = stored_name(node.this)
        if table := node.args.get("table"):
            return sources.get(stored_name(table), {}).get(name)
        return next((columns[name] for columns in sources.values() if name in columns), None)
    if isinstance(node, exp.Parameter):
        # $1 of VALUES.
        return next((kind for columns in sources.values() if (kind := columns.get(f"COLUMN{node.name}"))), None)
    if isinstance(node, exp.Anonymous) and node.this in (AS_OBJECT, OBJECT_OF_ARRAYS, OBJECT_ONLY, OBJECT_WITH):
        return "OBJECT"
    return next((kind for builder, kind in _BUILDERS if isinstance(node, builder)), None)


def _renamed(columns: Mapping[str, str], alias: Expr | None, query: Expr) -> Mapping[str, str]:
    """The columns by the names that ``AS t (a, b)`` gives them."""
    given = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    select = query.unnest() if isinstance(query, exp.Subquery) else query
    if not given:
        return columns
    if not isinstance(select, exp.Select) or any(one.is_star for one in select.expressions):
        return {}
    names = [one.alias_or_name for one in select.expressions]
    return {
        stored_name(new): columns[old if old in columns else old.upper()]
        for new, old in zip(given, names, strict=False)
        if old in columns or old.upper() in columns
    }


def _of_values(values: exp.Values, kind_of: KindOf) -> dict[str, str]:
    """The types of the columns of VALUES, as its first row has them."""
    rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in values.expressions]
    alias = values.args.get("alias")
    given = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    names = [stored_name(one) for one in given] if given else [f"COLUMN{n}" for n in range(1, len(rows[0]) + 1)]
    kinds = [
        common_kind(kind_of(row[number], {}) for row in rows if not isinstance(row[number], exp.Null))
        for number in range(len(rows[0]))
    ]
    return {name: kind for name, kind in zip(names, kinds, strict=False) if kind}


def number_kind(kind: str | None) -> tuple[int, int] | None:
    """The precision and scale of a NUMBER; None for any other type."""
    match = _NUMBER.fullmatch(kind or "")
    return None if match is None else (int(match[1]), int(match[2]))


def common_kind(kinds: Iterable[str | None]) -> str | None:
    """The type of what may be a value of any of these types, as far as it is known: of NUMBERs, one for all digits."""
    found = set(kinds)
    if len(found) == 1:
        return found.pop()
    numbers = [number for kind in found if (number := number_kind(kind)) is not None]
    if not numbers or len(numbers) < len(found):
        return None
    scale = max(scale for _, scale in numbers)
    whole = max(precision - scale for precision, scale in numbers)
    return f"NUMBER({min(whole + scale, 38)},{scale})"


def as_declared(column: Column, declared: str | None) -> Column:
    """The result column with what its declaration adds to the engine's type, if the two agree."""
    match = _DECLARED.fullmatch(declared or "")
    if match is None:
        return column
    name, first, second, zone = match.groups()
    if column.type == "FIXED" and name == "NUMBER" and int(second or 0) == column.scale:
        return replace(column, precision=int(first))
    if (column.type, name) in (("TEXT", "VARCHAR"), ("BINARY", "BINARY")) and first:
        return replace(column, length=int(first))
    if column.type == "TIMESTAMP_LTZ" and name in ("TIMESTAMP_TZ", "TIMESTAMP_LTZ"):
        return replace(column, type=name, zone=zone)
    if column.type == "VARIANT" and name in ("OBJECT", "ARRAY"):
        return replace(column, type=name)
    return column


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
    if isinstance(node, exp.Anonymous) and node.this in (BINARY, SHORT_BINARY):
        # What a cast to BINARY was made.
        return _is_required(node.expressions[0], sources)
    if isinstance(node, _AS_ITS_VALUES):
        values = [one for one in node.iter_expressions() if not isinstance(one, (exp.DataType, exp.Var))]
        return all(_is_required(one, sources) for one in values)
    return isinstance(node, _ALWAYS)
