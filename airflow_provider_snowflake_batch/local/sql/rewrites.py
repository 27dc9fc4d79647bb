"""What becomes of each node of a statement's tree before the engine's own translation: values that only the server
knows, and the engine's words where it would take Snowflake's for something else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.functions import Functions
from airflow_provider_snowflake_batch.local.sql.aggregates import aggregate, median, of_greatest
from airflow_provider_snowflake_batch.local.sql.arrays_and_objects import (
    LIST_FUNCTIONS,
    array_extreme,
    array_size,
    compact_array,
    element,
    leaves_out_null,
    list_function,
    object_function,
    object_insert,
    object_keys,
    of_one_type,
    parse_json,
    present,
    to_array,
    type_of,
    with_step,
)
from airflow_provider_snowflake_batch.local.sql.casts import is_binary_cast, read_hexadecimal
from airflow_provider_snowflake_batch.local.sql.dates import (
    FROM_PARTS,
    NANOSECOND_NAMES,
    add_intervals,
    cut_digits,
    in_microseconds,
    is_time_cast,
    keep_fraction,
    nanosecond_of,
    read_date,
    read_time,
    write_formatted,
)
from airflow_provider_snowflake_batch.local.sql.expression_types import is_of_several_types
from airflow_provider_snowflake_batch.local.sql.expressions import call, either, function_name, number, string
from airflow_provider_snowflake_batch.local.sql.macros import (
    ARRAY_TO_STRING,
    BYTES,
    CHARACTER,
    DIVISION_BY_ZERO,
    FACTORIAL,
    FLATTEN_OPTIONS,
    MONTHS_BETWEEN,
    NUMBER_KEY,
    OTHER_KEY,
    PATH,
    SIGNED,
    SIZE,
    SPLIT_ROWS,
    TEXT,
    TO_JSON_TEXT,
    WIDTH_BUCKET,
    nested,
)
from airflow_provider_snowflake_batch.local.sql.math_functions import (
    CHECKED,
    DRAWS,
    as_float,
    check_domain,
    digest,
    draw,
    slope,
    top_k,
)
from airflow_provider_snowflake_batch.local.sql.select_clauses import (
    asof_join,
    count_rows,
    name_values,
    order_by_all,
    sample,
    take_rows_apart,
)
from airflow_provider_snowflake_batch.local.sql.server_functions import call_by_value, is_next_value, next_value
from airflow_provider_snowflake_batch.local.sql.texts import TEXT_TYPES, hold_together
from airflow_provider_snowflake_batch.local.sql.translate import stored_name
from airflow_provider_snowflake_batch.local.statements import Statement

_SEMI_STRUCTURED = {exp.DataType.Type.VARIANT, exp.DataType.Type.ARRAY, exp.DataType.Type.OBJECT}


@dataclass(frozen=True, slots=True)
class _Context:
    statement: Statement
    functions: Functions


def fill_in(statement: Statement, tree: Expr, functions: Functions) -> Expr:
    """The tree with scalar functions of the server by their values, ``$1`` of a VALUES by its column, and the rest of
    :data:`_RULES`.

    :param functions: those that the server answers itself.
    :raises SnowflakeError: for what only looks like something that the engine has.
    """
    context = _Context(statement, functions)
    # Inner ones first, so that what is filled in has been filled in itself.
    for node in reversed(list(tree.walk())):
        filled = _filled(node, context)
        if filled is not node:
            if node is tree:
                tree = filled
            else:
                node.replace(filled)
    return tree


def _filled(node: Expr, context: _Context) -> Expr:
    for rule in _rules_for(type(node)):
        filled = rule(node, context)
        if filled is not None:
            return filled
    return node


def _update(node: exp.Update, context: _Context) -> Expr:
    # DuckDB takes no table's name before a column that is SET.
    for assignment in node.expressions:
        if isinstance(assignment, exp.EQ) and isinstance(assignment.this, exp.Column):
            assignment.this.set("table", None)
    return node


def _sum(node: exp.Add | exp.Sub, context: _Context) -> Expr | None:
    return _product(node, context) if _is_whole(node) else None


def _product(node: exp.Mul | exp.Add | exp.Sub, context: _Context) -> Expr:
    if _is_whole(node.this) and _is_whole(node.expression):
        # DuckDB's whole numbers in SQL text have 32 bits.
        node.set("this", exp.cast(node.this, "BIGINT"))
    return node


def _quotient(node: exp.Div, context: _Context) -> Expr:
    """Let a division by zero fail, as with Snowflake; DuckDB would make it infinite."""
    divisor = node.expression
    if not _is_nonzero(divisor):
        failure = call("error", string(DIVISION_BY_ZERO))
        is_zero = exp.EQ(this=exp.paren(divisor.copy()), expression=number(0))
        case = either(is_zero, failure, divisor.copy())
        node.set("expression", exp.paren(case))
    return node


def _array(node: exp.Array, context: _Context) -> Expr | None:
    is_mixed = is_of_several_types(node) or len({_kind(element) for element in node.expressions}) > 1
    if not (has_null := leaves_out_null(node)):
        node.set("expressions", [present(one) for one in node.expressions])
    if is_mixed or isinstance(node.parent, exp.PropertyEQ):
        # An ARRAY holds values of any type; DuckDB's lists hold one, which JSON is.
        made = [call("to_json", one) for one in node.expressions]
        # The engine reads a list with a NULL of its own as text that is no JSON.
        null = exp.cast(string("null"), exp.DataType.Type.JSON)
        node.set(
            "expressions", [exp.Coalesce(this=one, expressions=[null.copy()]) if has_null else one for one in made]
        )
    return None


def _to_char(node: exp.ToChar, context: _Context) -> Expr:
    given = node.args.get("format")
    return exp.cast(node.this, "VARCHAR") if given is None else write_formatted(node.this, given)


def _trim(node: exp.Trim, context: _Context) -> Expr:
    # The engine's own translation would lose the characters and the side.
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
    characters = [] if node.expression is None else [node.expression]
    return call(name, exp.cast(node.this, "VARCHAR"), *characters)


def _regexp_replace(node: exp.RegexpReplace, context: _Context) -> Expr:
    # Snowpark says all of them; the engine's own translation takes none.
    for option, default in (("position", "1"), ("occurrence", "0"), ("modifiers", "c")):
        given = node.args.get(option)
        if isinstance(given, exp.Literal) and given.this == default:
            node.set(option, None)
    return node


def _regexp_parameters(node: exp.RegexpCount | exp.RegexpInstr, context: _Context) -> Expr:
    """Of ``c`` and ``i`` the last one counts; the engine knows the second only."""
    given = node.args.get("parameters")
    if isinstance(given, exp.Literal):
        is_case_kept = given.name.rfind("c") > given.name.rfind("i")
        others = given.name.replace("c", "").replace("i", "" if is_case_kept else "i")
        node.set("parameters", string(others) if others else None)
    return node


def _array_to_string(node: exp.ArrayToString, context: _Context) -> Expr:
    return call(ARRAY_TO_STRING, nested(node.this), node.expression)


def _flatten(node: exp.Explode, context: _Context) -> Expr | None:
    """Hand the options of FLATTEN on through the engine's own translation, which knows none."""
    take_rows_apart(node)
    given = {
        option.this.name.upper(): option.expression
        for option in (node.this, *node.expressions)
        if isinstance(option, exp.Kwarg)
    }
    if not given.keys() & {"OUTER", "MODE", "PATH"}:
        return None
    given.setdefault("INPUT", node.this)
    path, mode = given.get("PATH", string("")), given.get("MODE", string("BOTH"))
    options = [given["INPUT"], path, given.get("OUTER", exp.false()), string(mode.name.upper())]
    wrapped = call(FLATTEN_OPTIONS, *[one.copy() for one in options])
    node.set("this", exp.Kwarg(this=exp.var("input"), expression=wrapped))
    node.set("expressions", None)
    return node


def _split_to_table(node: exp.Lateral | exp.TableFromRows, context: _Context) -> Expr | None:
    """``SPLIT_TO_TABLE`` and ``STRTOK_SPLIT_TO_TABLE``: a row for each part of a text."""
    called = node.this
    if isinstance(called, exp.SplitToTable):
        parts: Expr = exp.Split(this=called.this.copy(), expression=called.expression.copy())
    elif isinstance(called, exp.Anonymous) and function_name(called) == "STRTOK_SPLIT_TO_TABLE":
        given = [one.copy() for one in called.expressions]
        parts = exp.StrtokToArray.from_arg_list(given)
    else:
        return None
    take_rows_apart(node)
    return exp.Table(this=call(SPLIT_ROWS, parts), alias=node.args.get("alias"))


def _hash(node: exp.Anonymous, context: _Context) -> Expr | None:
    if str(node.this).upper() != "HASH" or any(one.is_star for one in node.expressions):
        return None
    keys = [call(key, one.copy()) for one in node.expressions for key in (NUMBER_KEY, OTHER_KEY)]
    return call(SIGNED, call("hash", *keys))


def _size(node: exp.Repeat | exp.Space | exp.Pad, context: _Context) -> Expr:
    key = {exp.Repeat: "times", exp.Pad: "expression"}.get(type(node), "this")
    text = string(" ") if isinstance(node, exp.Space) else exp.cast(node.this.copy(), "VARCHAR")
    each = exp.Length(this=text.copy()) if isinstance(node, exp.Repeat) else number(1)
    node.set(key, call(SIZE, text, node.args[key], each))
    return node


def _to_json(node: exp.JSONFormat, context: _Context) -> Expr:
    return call(TO_JSON_TEXT, node.this)


def _get(node: exp.GetExtract | exp.Bracket, context: _Context) -> Expr | None:
    key = node.expression if isinstance(node, exp.GetExtract) else node.expressions[0]
    if isinstance(key, exp.JSONExtract) and isinstance(key.this, exp.Literal):
        raise not_supported("A slice in brackets (ARRAY_SLICE gives one)")
    # The one of DuckDB's lists gives their own type, and counts from 1; this one gives VARIANT.
    path = _json_key(key) if isinstance(key, exp.Literal) else call(PATH, key)
    return call("json_extract", call("to_json", nested(node.this)), path)


def _cast(node: exp.Cast | exp.TryCast, context: _Context) -> Expr | None:
    if is_binary_cast(node):
        read_hexadecimal(node)
        return node
    if is_time_cast(node):
        return cut_digits(node)
    if node.args["to"].this in TEXT_TYPES and isinstance(node.this, exp.Column):
        return hold_together(node)
    return _as_semi_structured(node) if node.args["to"].this in _SEMI_STRUCTURED else None


def _extract(node: exp.Extract, context: _Context) -> Expr | None:
    if str(node.this.name).upper() in NANOSECOND_NAMES:
        return nanosecond_of(node.expression)
    if str(node.this.name).upper() not in ("EPOCH", "EPOCH_SECOND", "EPOCH_SECONDS"):
        return None
    # The engine's own has a fraction, which a cast would round.
    seconds = call("epoch", node.expression)
    return exp.cast(call("floor", seconds), "BIGINT")


def _to_base64(node: exp.Base64Encode, context: _Context) -> Expr:
    # Of BINARY and of text alike; the engine takes BINARY only.
    node.set("this", call(BYTES, node.this))
    return node


def _to_binary(node: exp.ToBinary, context: _Context) -> Expr | None:
    if node.args.get("format") is not None:
        return None
    node.set("format", string("HEX"))
    return node


def _dual(node: exp.Table) -> Expr | None:
    """``DUAL``, a table of one row that is in every schema."""
    if node.db or not isinstance(node.this, exp.Identifier) or stored_name(node.this) != "DUAL":
        return None
    if any(cte.alias.upper() == "DUAL" for cte in node.root().find_all(exp.CTE)):
        return None
    row = exp.select(exp.alias_(exp.Null(), "_dual", quoted=True))
    return exp.Subquery(this=row, alias=node.args.get("alias"))


def _column(node: exp.Column, context: _Context) -> Expr | None:
    return next_value(node, context.statement.session) if is_next_value(node) else None


def _values(node: exp.Values, context: _Context) -> Expr | None:
    """Name the columns of a VALUES that has a name and says none for them; those without a name the engine's own
    translation names.
    """
    alias = node.args.get("alias")
    if isinstance(alias, exp.TableAlias) and alias.this is not None and not alias.columns:
        first = node.expressions[0]
        width = len(first.expressions) if isinstance(first, exp.Tuple) else 1
        names = [exp.to_identifier(f"COLUMN{number}", quoted=True) for number in range(1, width + 1)]
        alias.set("columns", names)
    return None


def _sequence(node: exp.SequenceProperties, context: _Context) -> Expr:
    # They are in order anyway.
    node.set("options", [one for one in node.args.get("options") or [] if one.name not in ("ORDER", "NOORDER")])
    return node


def _key(node: exp.PropertyEQ, context: _Context) -> Expr:
    if isinstance(node.this, exp.Identifier):
        # The key of {'a': 1} is text, not a name to be read in upper case.
        node.this.set("quoted", True)
    elif not isinstance(node.this, exp.Literal):
        # That of OBJECT_CONSTRUCT may be a VARIANT.
        node.set("this", call(TEXT, node.this))
    return node


def _object(node: exp.Struct, context: _Context) -> Expr | None:
    """:raises SnowflakeError: 100199 for a key that is written twice."""
    keys = Counter(one.this.name for one in node.expressions if isinstance(one.this, (exp.Literal, exp.Identifier)))
    if repeated := [key for key, times in keys.items() if times > 1]:
        raise SnowflakeError(f"Duplicate field key '{repeated[0]}'", errno=100199, sqlstate="22000")
    return None


def _field(node: exp.Parameter, context: _Context) -> Expr | None:
    if not isinstance(node.this, exp.Literal) or node.this.is_string:
        return None
    return exp.column(exp.to_identifier(f"COLUMN{node.this.name}", quoted=True))


_Rule = Callable[[Any, _Context], Expr | None]
_RULES: tuple[tuple[tuple[type, ...], _Rule], ...] = (
    ((exp.Update,), _update),
    ((exp.Mul,), _product),
    ((exp.Add, exp.Sub), _sum),
    ((exp.Div,), _quotient),
    ((exp.Array,), _array),
    ((exp.ToChar,), _to_char),
    ((exp.Trim,), _trim),
    ((exp.RegexpReplace,), _regexp_replace),
    ((exp.RegexpCount, exp.RegexpInstr), _regexp_parameters),
    ((exp.RegrSlope, exp.Window), lambda node, context: slope(node)),
    ((exp.ArrayAgg, exp.GroupConcat, exp.WithinGroup, exp.Window, exp.Filter), lambda node, context: aggregate(node)),
    ((exp.ArgMax, exp.ArgMin), lambda node, context: of_greatest(node)),
    (DRAWS, lambda node, context: draw(node)),
    ((exp.Struct,), _object),
    ((exp.GenerateSeries,), lambda node, context: with_step(node)),
    ((exp.ArrayToString,), _array_to_string),
    (tuple(LIST_FUNCTIONS), lambda node, context: list_function(node)),
    ((exp.ParseJSON,), lambda node, context: parse_json(node)),
    ((exp.JSONKeys,), lambda node, context: object_keys(node)),
    ((exp.ObjectInsert,), lambda node, context: object_insert(node)),
    ((exp.Anonymous,), lambda node, context: object_function(node)),
    ((exp.Anonymous,), _hash),
    ((exp.Explode,), _flatten),
    ((exp.Lateral, exp.TableFromRows), _split_to_table),
    ((exp.Join,), lambda node, context: asof_join(node)),
    ((exp.TableSample,), lambda node, context: sample(node)),
    ((exp.JSONFormat,), _to_json),
    ((exp.Repeat, exp.Space, exp.Pad), _size),
    ((exp.Typeof,), lambda node, context: type_of(node)),
    ((exp.ArraySize,), lambda node, context: array_size(node)),
    ((exp.ArrayConstructCompact,), lambda node, context: compact_array(node)),
    ((exp.ArrayMax, exp.ArrayMin), lambda node, context: array_extreme(node)),
    ((exp.SortArray,), lambda node, context: of_one_type(node)),
    ((exp.ToArray,), lambda node, context: to_array(node)),
    ((exp.JSONExtract, exp.GetExtract, exp.Bracket), lambda node, context: element(node)),
    ((exp.Add, exp.Sub, exp.WindowSpec), lambda node, context: add_intervals(node)),
    ((exp.Order,), lambda node, context: order_by_all(node)),
    ((exp.Count,), lambda node, context: count_rows(node)),
    ((exp.Pivot,), lambda node, context: name_values(node)),
    ((exp.SHA2, exp.SHA2Digest), lambda node, context: digest(node)),
    ((exp.Time,), lambda node, context: exp.cast(node.this, "TIME")),
    ((exp.ByteLength,), lambda node, context: call("strlen", exp.cast(node.this, "VARCHAR"))),
    (CHECKED, lambda node, context: check_domain(node)),
    ((exp.Chr,), lambda node, context: call(CHARACTER, node.expressions[0])),
    ((exp.Factorial,), lambda node, context: call(FACTORIAL, node.this)),
    (
        (exp.BitLength,),
        lambda node, context: exp.Mul(this=call("octet_length", call(BYTES, node.this)), expression=number(8)),
    ),
    (
        (exp.WidthBucket,),
        lambda node, context: call(
            WIDTH_BUCKET, *(node.args[key] for key in ("this", "min_value", "max_value", "num_buckets"))
        ),
    ),
    ((exp.MonthsBetween,), lambda node, context: call(MONTHS_BETWEEN, node.this, node.expression)),
    ((exp.Table,), lambda node, context: _dual(node)),
    ((exp.Median,), lambda node, context: median(node)),
    ((exp.ApproxQuantile,), lambda node, context: as_float(node)),
    ((exp.ApproxTopK,), lambda node, context: top_k(node)),
    ((exp.GetExtract, exp.Bracket), _get),
    ((exp.Cast, exp.TryCast), _cast),
    ((exp.Extract,), _extract),
    ((exp.DateAdd, exp.DateDiff, exp.DateTrunc, exp.TimestampTrunc), lambda node, context: in_microseconds(node)),
    ((exp.Base64Encode,), _to_base64),
    ((exp.ToBinary,), _to_binary),
    (FROM_PARTS, lambda node, context: keep_fraction(node)),
    ((exp.TsOrDsToDate,), lambda node, context: read_date(node)),
    ((exp.StrToTime, exp.TsOrDsToTime), lambda node, context: read_time(node)),
    ((exp.Func,), lambda node, context: call_by_value(node, context.statement, context.functions)),
    ((exp.Column,), _column),
    ((exp.SequenceProperties,), _sequence),
    ((exp.Values,), _values),
    ((exp.PropertyEQ,), _key),
    ((exp.Parameter,), _field),
)
"""By the class of a node. The first rule that makes something of it counts; one that gives None leaves it to the
next."""


_BY_CLASS: dict[type, tuple[_Rule, ...]] = {}
"""The rules for a class, once one of its nodes was met."""


def _rules_for(kind: type) -> tuple[_Rule, ...]:
    if kind not in _BY_CLASS:
        _BY_CLASS[kind] = tuple(rule for kinds, rule in _RULES if issubclass(kind, kinds))
    return _BY_CLASS[kind]


def _as_semi_structured(cast: exp.Cast | exp.TryCast) -> Expr:
    """A cast to VARIANT keeps what it is given: text is not parsed. An ARRAY or OBJECT is made of VARIANT only."""
    kind = cast.args["to"]
    if kind.this == exp.DataType.Type.VARIANT:
        return exp.ToVariant(this=cast.this)
    if isinstance(cast.this, exp.Literal):
        raise not_supported(f"A literal cast to {kind.sql(dialect='snowflake')}, which needs PARSE_JSON,")
    return cast


def _json_key(key: exp.Literal) -> Expr:
    """The key of an object, or the position in an array, as DuckDB takes it."""
    if key.is_string:
        return string('$."' + key.this.replace('"', '\\"') + '"')
    return key.copy()


def _kind(node: Expr) -> str:
    if isinstance(node, exp.Literal):
        return "string" if node.is_string else "number"
    return "number" if isinstance(node, exp.Neg) else type(node).__name__


def _is_whole(node: Expr) -> bool:
    if isinstance(node, (exp.Paren, exp.Neg)):
        return _is_whole(node.this)
    if isinstance(node, (exp.Add, exp.Mul, exp.Sub)):
        return _is_whole(node.this) and _is_whole(node.expression)
    return isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit()


def _is_nonzero(node: Expr) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and float(node.this) != 0
