"""VARIANT values in comparisons, sorting and text functions: they count as what they hold, as with Snowflake.

DuckDB would compare the JSON text, quotes included, and round 1.4 to compare it with 1. Works on statements that are
already in the engine's SQL: where a value may be JSON there is one branch for JSON and one for everything else, and
DuckDB, which knows the type when it binds the statement, drops one of them. Source:
https://docs.snowflake.com/en/sql-reference/data-type-conversion (VARIANT is coerced to the other operand's type).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.expressions import call, either, function_name, string
from airflow_provider_snowflake_batch.local.sql.macros import CANONICAL, NO_VARIANT, to_json
from airflow_provider_snowflake_batch.local.sql.texts import (
    OF_TEXT,
    OF_TWO_TEXTS,
    READING_TEXT,
    as_text,
    is_of_type,
    json_text,
    plain_text,
)

_Type = exp.DataType.Type
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.EqualNull)
_READ_AS_TEXT = (
    *OF_TEXT,
    *OF_TWO_TEXTS,
    *READING_TEXT,
    exp.BitLength,
    exp.GroupConcat,
    exp.RegexpFullMatch,
    exp.StrtokToArray,
    exp.Trim,
)
_CHOOSING = (exp.Case, exp.Coalesce, exp.DecodeCase, exp.If, exp.Nvl2)
_OF_TEXT_BY_NAME = {"LTRIM", "RTRIM", "SHA256", "TRIM"}
_JSON_FUNCTIONS = {"JSON", "TO_JSON", "JSON_EXTRACT", "JSON_ARRAY", "JSON_OBJECT", "JSON_GROUP_OBJECT"}
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


@dataclass(frozen=True, slots=True)
class _Known:
    """Names of columns that may be JSON, and of those that are JSON for certain."""

    names: set[str]
    certain: AbstractSet[str]


def compare_variants(tree: Expr, json_columns: AbstractSet[str], only_json: AbstractSet[str]) -> Expr:
    """The tree with what may be a VARIANT compared, sorted and read as text by its value.

    :param json_columns: names of columns of the statement's tables that hold JSON.
    :param only_json: those of them that hold it in each of these tables.
    """
    known = _Known(set(json_columns), _certain(tree, only_json))
    _add_aliases(tree, known)
    if not known.names and not tree.find(exp.JSONExtract, exp.ParseJSON, exp.JSON) and not _finds_json_cast(tree):
        return tree
    for node in reversed(list(tree.walk())):
        for values in _of_one_type(node):
            _make_alike(values, known)
        if isinstance(node, (*_COMPARISONS, exp.Nullif)) and not _is_assignment(node):
            _replace_comparison(node, known)
        elif isinstance(node, exp.Between) and _may_be_json(node.this, known):
            lower = _compared(exp.GTE, node.this, node.args["low"], known)
            upper = _compared(exp.LTE, node.this, node.args["high"], known)
            node.replace(exp.paren(exp.And(this=lower, expression=upper)))
        elif isinstance(node, exp.In):
            _read_subquery_as_text(node.args.get("query"), known)
            if _may_be_json(node.this, known):
                _replace_in(node, known)
        elif isinstance(node, (exp.Case, exp.DecodeCase)):
            _compare_cases(node, known)
        elif isinstance(node, _READ_AS_TEXT) or (
            isinstance(node, exp.Anonymous) and str(node.this).upper() in _OF_TEXT_BY_NAME
        ):
            _read_as_text(node, known)
        elif isinstance(node, (exp.Max, exp.Min)) and _may_be_json(node.this, known):
            _replace_extreme(node)
        elif isinstance(node, (exp.Order, exp.Greatest, exp.Least)):
            _order(node, known)
    return tree


def _add_aliases(tree: Expr, known: _Known) -> None:
    """Take in the names that the statement itself gives to what may be JSON."""
    if tree.find(exp.Lateral, exp.Unnest) or "_FS_FLATTEN" in tree.sql(dialect="duckdb").upper():
        known.names.update(("VALUE", "THIS"))
    aliases = list(tree.find_all(exp.Alias))
    for _ in range(3):
        before = len(known.names)
        known.names.update(alias.alias for alias in aliases if _may_be_json(alias.this, known))
        if len(known.names) == before:
            break


def _may_be_json(node: Expr, known: _Known) -> bool:
    if isinstance(node, (exp.Cast, exp.TryCast)):
        return isinstance(node.args["to"], exp.DataType) and node.args["to"].this == _Type.JSON
    if isinstance(node, (exp.JSONExtract, exp.ParseJSON, exp.JSON)):
        return True
    if isinstance(node, exp.Column):
        return node.name in known.names
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper() in _JSON_FUNCTIONS
    if isinstance(node, (exp.Paren, exp.Alias)):
        return _may_be_json(node.this, known)
    if isinstance(node, _CHOOSING):
        return any(_may_be_json(one, known) for one in _alternatives(node))
    if isinstance(node, (exp.AnyValue, exp.First, exp.Last, exp.FirstValue, exp.LastValue, exp.Lag, exp.Lead)):
        return _may_be_json(node.this, known)
    if isinstance(node, (exp.Window, exp.Max, exp.Min)):
        return _may_be_json(node.this, known)
    return False


def _is_json(node: Expr, known: _Known) -> bool:
    """Whether a value is JSON for certain: no branch for anything else, which DuckDB might still evaluate."""
    if isinstance(node, (exp.Cast, exp.TryCast)):
        return isinstance(node.args["to"], exp.DataType) and node.args["to"].this == _Type.JSON
    if isinstance(node, exp.Column):
        return node.name in known.certain
    if isinstance(node, exp.Paren):
        return _is_json(node.this, known)
    return isinstance(node, (exp.JSONExtract, exp.ParseJSON, exp.JSON))


def _finds_json_cast(tree: Expr) -> bool:
    return any(cast.args["to"].this == _Type.JSON for cast in tree.find_all(exp.Cast, exp.TryCast))


def _is_assignment(node: Expr) -> bool:
    """Whether it is the ``a = 1`` of an UPDATE's SET."""
    return isinstance(node.parent, exp.Update) and node.arg_key == "expressions"


def _replace_comparison(node: Expr, known: _Known) -> None:
    if isinstance(node.expression, (exp.All, exp.Any)):
        _read_subquery_as_text(node.expression.this, known)
        if _may_be_json(node.this, known):
            node.set("this", as_text(node.this))
    elif _may_be_json(node.this, known) or _may_be_json(node.expression, known):
        if isinstance(node, exp.Nullif):
            is_equal = _compared(exp.EQ, node.this, node.expression, known)
            node.replace(exp.paren(either(is_equal, exp.Null(), node.this.copy())))
        else:
            operator = exp.NullSafeEQ if isinstance(node, exp.EqualNull) else type(node)
            node.replace(_compared(operator, node.this, node.expression, known))


def _compared(operator: type[Expr], left: Expr, right: Expr, known: _Known) -> Expr:
    """The comparison of two values, of which each may be JSON."""
    plain = operator(this=left.copy(), expression=right.copy())
    if isinstance(left, exp.Null) or isinstance(right, exp.Null):
        return plain
    left_json, right_json = _may_be_json(left, known), _may_be_json(right, known)
    ifs = []
    if left_json and right_json:
        both = exp.And(this=is_of_type(left, "JSON"), expression=is_of_type(right, "JSON"))
        ifs.append(exp.If(this=both, true=_both(operator, left, right)))
        if _is_json(left, known) and _is_json(right, known):
            return exp.paren(_both(operator, left, right))
    if left_json:
        one = _one(operator, left, right, False)
        if _is_json(left, known) and not ifs:
            return exp.paren(one)
        ifs.append(exp.If(this=is_of_type(left, "JSON"), true=one))
    if right_json:
        one = _one(operator, right, left, True)
        if _is_json(right, known) and not ifs:
            return exp.paren(one)
        ifs.append(exp.If(this=is_of_type(right, "JSON"), true=one))
    return exp.paren(exp.Case(ifs=ifs, default=plain)) if ifs else plain


def _pair(operator: type[Expr], json: Expr, other: Expr, swapped: bool) -> Expr:
    first, second = (other, json) if swapped else (json, other)
    return operator(this=first.copy(), expression=second.copy())


def _one(operator: type[Expr], json: Expr, other: Expr, swapped: bool) -> Expr:
    """JSON compared with something else, as a value of the other's type."""
    text = json_text(json)
    inner = other.this if isinstance(other, (exp.Neg, exp.Paren)) else other
    if isinstance(inner, exp.Literal) and inner.is_string:
        return _pair(operator, text, other, swapped)
    if isinstance(inner, exp.Literal):
        return _as_number(operator, json, other, swapped)
    if isinstance(inner, exp.Boolean):
        return _pair(operator, exp.cast(text, "BOOLEAN"), other, swapped)
    plain = plain_text(other)
    ifs = [exp.If(this=is_of_type(other, "VARCHAR"), true=_pair(operator, text, plain, swapped))]
    moments = (
        ("DATE", "DATE"), ("TIME", "TIME"), ("TIMESTAMP", "TIMESTAMP"), ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"),
        ("BOOLEAN", "BOOLEAN"),
    )  # fmt: skip
    for name, kind in moments:
        compared = _pair(operator, exp.cast(text.copy(), kind), exp.cast(plain.copy(), kind), swapped)
        ifs.append(exp.If(this=is_of_type(other, name), true=compared))
    whole = exp.cast(plain.copy(), _Type.INT128)
    ifs.append(exp.If(this=is_of_type(other, *_INTEGERS), true=_as_number(operator, json, whole, swapped)))
    return exp.Case(ifs=ifs, default=_as_number(operator, json, exp.cast(plain.copy(), _Type.DOUBLE), swapped))


def _as_number(operator: type[Expr], json: Expr, other: Expr, swapped: bool) -> Expr:
    """Whole numbers are compared exactly, all others as FLOAT."""
    text = json_text(json)
    return either(
        _is_json_kind(json, "BIGINT", "UBIGINT"),
        _pair(operator, exp.cast(text, _Type.INT128), other, swapped),
        _pair(operator, exp.cast(text.copy(), _Type.DOUBLE), other, swapped),
    )


def _both(operator: type[Expr], left: Expr, right: Expr) -> Expr:
    """JSON compared with JSON: numbers by value, anything else by its text."""
    numbers = ("BIGINT", "UBIGINT", "DOUBLE")
    are_numbers = exp.And(this=_is_json_kind(left, *numbers), expression=_is_json_kind(right, *numbers))
    as_numbers = operator(
        this=exp.cast(json_text(left), _Type.DOUBLE), expression=exp.cast(json_text(right), _Type.DOUBLE)
    )
    ifs = [exp.If(this=are_numbers, true=as_numbers)]
    if operator in (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ):
        # The keys of an object have no order.
        are_nested = exp.And(
            this=_is_json_kind(left, "OBJECT", "ARRAY"), expression=_is_json_kind(right, "OBJECT", "ARRAY")
        )
        sides = [call(CANONICAL, plain_text(side)) for side in (left, right)]
        ifs.append(exp.If(this=are_nested, true=operator(this=sides[0], expression=sides[1])))
    return exp.Case(ifs=ifs, default=operator(this=json_text(left), expression=json_text(right)))


def _is_json_kind(value: Expr, *kinds: str) -> Expr:
    kind = call("json_type", plain_text(value))
    return exp.In(this=kind, expressions=[string(name) for name in kinds])


def _compare_cases(node: exp.Case | exp.DecodeCase, known: _Known) -> None:
    """``CASE v WHEN …``, and ``DECODE``, which takes two NULLs for equal."""
    if isinstance(node, exp.Case) and node.this is not None and _may_be_json(node.this, known):
        for one in node.args["ifs"]:
            one.set("this", _compared(exp.EQ, node.this, one.this, known))
        node.set("this", None)
    elif isinstance(node, exp.DecodeCase) and any(_may_be_json(one, known) for one in node.expressions[:2]):
        value, *given = node.expressions
        ifs = [
            exp.If(this=_compared(exp.NullSafeEQ, value, one, known), true=result)
            for one, result in zip(given[::2], given[1::2], strict=False)
        ]
        node.replace(exp.paren(exp.Case(ifs=ifs, default=given[-1] if len(given) % 2 else None)))


def _replace_in(node: exp.In, known: _Known) -> None:
    plain = node.copy()
    if node.expressions:
        any_of: Expr = _compared(exp.EQ, node.this, node.expressions[0], known)
        for one in node.expressions[1:]:
            any_of = exp.Or(this=any_of, expression=_compared(exp.EQ, node.this, one, known))
        as_json: Expr = exp.paren(any_of)
    else:
        as_json = node.copy()
        as_json.set("this", json_text(node.this))
    if _is_json(node.this, known):
        node.replace(as_json)
        return
    case = either(is_of_type(node.this, "JSON"), as_json, plain)
    node.replace(exp.paren(case))


def _read_subquery_as_text(query: Expr | None, known: _Known) -> None:
    """The one column of a subquery whose values something is compared with."""
    select = query.unnest() if isinstance(query, exp.Subquery) else query
    if isinstance(select, exp.Select) and _may_be_json(select.expressions[0], known):
        select.set("expressions", [as_text(select.expressions[0].unalias()), *select.expressions[1:]])


def _read_as_text(node: Expr, known: _Known) -> None:
    if isinstance(node, exp.ParseJSON) and not isinstance(node.this, exp.Column):
        # The engine's own translation makes a VARIANT so, too, of what is JSON already.
        return
    if isinstance(node, exp.GroupConcat):
        value = node.this
        while isinstance(value, (exp.Order, exp.Distinct)):
            value = value.expressions[0] if isinstance(value, exp.Distinct) else value.this
        if _may_be_json(value, known):
            value.replace(as_text(value))
        return
    for key, value in list(node.args.items()):
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(one, Expr) and _may_be_json(one, known):
                if isinstance(value, list):
                    value[number] = as_text(one)
                    node.set(key, value)
                else:
                    node.set(key, as_text(one))


def _make_alike(values: Sequence[Expr], known: _Known) -> None:
    """Make VARIANT of every value where one is: the engine would read text beside JSON as JSON."""
    if any(_is_json(value, known) for value in values):
        for value in values:
            if not isinstance(value, exp.Null) and not _may_be_json(value, known):
                value.replace(to_json(value))


def _of_one_type(node: Expr) -> Iterator[Sequence[Expr]]:
    """The values of an expression, or of each column of a UNION and its kin, that take one type."""
    if isinstance(node, _CHOOSING) and not isinstance(node.parent, exp.Case):
        yield _alternatives(node)
    elif isinstance(node, (exp.Lag, exp.Lead)) and node.args.get("default") is not None:
        yield [node.this, node.args["default"]]
    elif isinstance(node, exp.SetOperation) and not isinstance(node.parent, exp.SetOperation):
        for column in zip(*(select.expressions for select in _selects(node)), strict=False):
            yield [projection.unalias() for projection in column]


def _alternatives(node: Expr) -> Sequence[Expr]:
    """The values of which one is that of an expression."""
    if isinstance(node, exp.Coalesce):
        return [node.this, *node.expressions]
    if isinstance(node, exp.DecodeCase):
        # What is compared, pairs of a value and a result, perhaps a default.
        given = node.expressions
        return [*given[2::2], *(given[-1:] if len(given) % 2 == 0 else [])]
    branches = node.args["ifs"] if isinstance(node, exp.Case) else [node]
    others = [node.args[key] for key in ("default", "false") if node.args.get(key) is not None]
    return [*(branch.args["true"] for branch in branches), *others]


def _selects(query: Expr) -> list[exp.Select]:
    """Those of a UNION and its kin whose columns have places: none where one of them has a star."""
    if isinstance(query, exp.SetOperation):
        both = [_selects(query.this), _selects(query.expression)]
        return [one for side in both for one in side] if all(both) else []
    select = query.unnest() if isinstance(query, exp.Subquery) else query
    if not isinstance(select, exp.Select) or any(one.is_star for one in select.expressions):
        return []
    return [select]


def _certain(tree: Expr, only_json: AbstractSet[str]) -> AbstractSet[str]:
    """Of the names of columns that hold JSON in every table, those that the statement gives to nothing else."""
    given = {alias.alias for alias in tree.find_all(exp.Alias)}
    for alias in tree.find_all(exp.TableAlias):
        given |= {column.name for column in alias.args.get("columns") or []}
    return only_json - given


def _replace_extreme(node: exp.Max | exp.Min) -> None:
    """MAX and MIN of VARIANT by value; over a window it stays as it is, which DuckDB sorts as text."""
    if isinstance(node.parent, (exp.Window, exp.Filter)):
        return
    name = "arg_max" if isinstance(node, exp.Max) else "arg_min"
    text = plain_text(node.this)
    key = call("row", exp.TryCast(this=text, to=exp.DataType(this=_Type.DOUBLE)), text.copy())
    by_value = call(name, node.this.copy(), key)
    node.replace(exp.paren(either(is_of_type(node.copy(), "JSON"), by_value, node.copy())))


def _order(node: exp.Order | exp.Greatest | exp.Least, known: _Known) -> None:
    if isinstance(node, exp.Order):
        _sort(node, known)
        return
    for value in [node.this, *node.expressions]:
        # The engine would put them in the order of their text, quotes included.
        if _may_be_json(value, known):
            value.replace(call(NO_VARIANT, value.copy(), string(function_name(node))))


def _sort(order: exp.Order, known: _Known) -> None:
    keys: list[Expr] = []
    for key in order.expressions:
        value = key.this
        if isinstance(value, exp.Literal) and not value.is_string:
            value = _projected(order, int(value.this))
        if value is not None and _may_be_json(value, known):
            number = exp.TryCast(this=plain_text(value), to=exp.DataType(this=_Type.DOUBLE))
            first = key.copy()
            first.set("this", exp.Case(ifs=[exp.If(this=is_of_type(value, "JSON"), true=number)]))
            keys.append(first)
        keys.append(key)
    order.set("expressions", keys)


def _projected(order: exp.Order, number: int) -> Expr | None:
    """What ``ORDER BY 2`` means."""
    select = order.parent
    projections = select.expressions if isinstance(select, exp.Select) else []
    if not 0 < number <= len(projections) or any(one.is_star for one in projections[:number]):
        return None
    projection = projections[number - 1]
    return exp.column(projection.args["alias"].copy()) if isinstance(projection, exp.Alias) else projection
