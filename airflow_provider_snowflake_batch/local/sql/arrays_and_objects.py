"""Functions of ARRAY and OBJECT: they hold values of any type, and where one is a table's column it is JSON as a whole.

Source: https://docs.snowflake.com/en/sql-reference/functions-semistructured
"""

from __future__ import annotations

from sqlglot import Expr, exp
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.helper import seq_get

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.sql.expressions import call, either, function_name, number, string
from airflow_provider_snowflake_batch.local.sql.macros import (
    ARRAY_DISTINCT,
    ARRAY_INSERT,
    AS_ARRAY,
    AS_KEYS,
    AS_LIST,
    AS_OBJECT,
    OBJECT_OF_ARRAYS,
    OBJECT_ONLY,
    OBJECT_WITH,
    OF_ONE_TYPE,
    TYPE_OF,
    UNDEFINED,
    nested,
    to_json,
)

# The parser would drop the second argument.
Snowflake.Parser.FUNCTIONS["TRY_PARSE_JSON"] = lambda args: exp.ParseJSON(
    this=seq_get(args, 0), expression=seq_get(args, 1), safe=True
)
LIST_FUNCTIONS: dict[type[Expr], tuple[tuple[str, ...], tuple[str, ...]]] = {
    exp.ArrayAppend: (("this",), ("expression",)),
    exp.ArrayCompact: (("this",), ()),
    exp.ArrayConcat: (("this", "expressions"), ()),
    exp.ArrayContains: (("this",), ("expression",)),
    exp.ArrayDistinct: (("this",), ()),
    exp.ArrayExcept: (("this", "expression"), ()),
    exp.ArrayInsert: (("this",), ("expression",)),
    exp.ArrayIntersect: (("expressions",), ()),
    exp.ArrayOverlaps: (("this", "expression"), ()),
    exp.ArrayPosition: (("this",), ("expression",)),
    exp.ArrayPrepend: (("this",), ("expression",)),
    exp.ArrayRemove: (("this",), ("expression",)),
    exp.ArrayReverse: (("this",), ()),
    exp.ArraySlice: (("this",), ()),
}
"""Functions of arrays: the arguments that are arrays, and those that are elements of them."""


_ADDING = (exp.ArrayAppend, exp.ArrayInsert, exp.ArrayPrepend)


def leaves_out_null(array: exp.Array) -> bool:
    """Whether nothing comes of a NULL in an array but its place, so that it need not be told from JSON's null."""
    above = array.parent
    if isinstance(above, (exp.ArrayContains, exp.ArrayPosition)):
        # What is looked for is neither of them.
        given = above.expression
        while isinstance(given, (exp.Cast, exp.ToVariant)):
            given = given.this
        return isinstance(given, exp.Literal)
    is_joined = isinstance(above, exp.Anonymous) and function_name(above) == "ARRAYS_TO_OBJECT"
    kinds = (exp.ArrayCompact, exp.ArrayMax, exp.ArrayMin, exp.ArraySize, exp.ArrayToString)
    return is_joined or isinstance(above, kinds)


def present(element: Expr) -> Expr:
    """The value, which fails where it is NULL: JSON has no other null than its own.

    :raises SnowflakeError: "not supported" for one that is NULL as it is written.
    """
    if isinstance(element, exp.Null):
        raise not_supported(UNDEFINED)
    if isinstance(element, (exp.Array, exp.Boolean, exp.Literal, exp.Struct)):
        return element
    return exp.Coalesce(this=element, expressions=[call("error", string(UNDEFINED))])


def list_function(node: Expr) -> Expr:
    """Functions of arrays as those of DuckDB's lists of JSON: an ARRAY holds values of any type, and where it is a
    table's column it is JSON as a whole.
    """
    lists, elements = LIST_FUNCTIONS[type(node)]
    for key in lists:
        value = node.args.get(key)
        if isinstance(value, list):
            node.set(key, [call(AS_LIST, nested(one)) for one in value])
        elif isinstance(value, Expr):
            node.set(key, call(AS_LIST, nested(value)))
    for key in elements:
        if isinstance(value := node.args.get(key), Expr):
            element = to_json(value.this if isinstance(value, exp.ToVariant) else value)
            node.set(key, present(element) if isinstance(node, _ADDING) else element)
    if isinstance(node, exp.ArrayInsert):
        return call(ARRAY_INSERT, node.this, node.args["position"], node.expression)
    if isinstance(node, exp.ArrayDistinct):
        return call(ARRAY_DISTINCT, node.this)
    return node


def with_step(node: exp.GenerateSeries) -> Expr | None:
    """``ARRAY_GENERATE_RANGE``, whose step may not be 0; the engine would give an empty array."""
    step = node.args.get("step")
    if step is None or not node.args.get("is_end_exclusive"):
        return None
    failure = call("error", string("The step of ARRAY_GENERATE_RANGE must not be 0"))
    node.set("step", either(exp.EQ(this=exp.paren(step.copy()), expression=number(0)), failure, step.copy()))
    return node


def compact_array(node: exp.ArrayConstructCompact) -> Expr:
    """``ARRAY_CONSTRUCT_COMPACT``: an array of values of any type, without those that are NULL."""
    node.set("expressions", [to_json(value) for value in node.expressions])
    return node


def array_size(node: exp.ArraySize) -> Expr:
    node.set("this", call("to_json", nested(node.this)))
    return node


def array_extreme(node: exp.ArrayMax | exp.ArrayMin) -> Expr | None:
    """``ARRAY_MAX`` and ``ARRAY_MIN``, which are a VARIANT."""
    if isinstance(node.parent, exp.ToVariant):
        return None
    return exp.ToVariant(this=of_one_type(node.copy()))


def of_one_type(node: Expr) -> Expr:
    """A function that puts elements in order: the engine would take those of several types for text."""
    node.set("this", call(OF_ONE_TYPE, node.this))
    return node


def to_array(node: exp.ToArray) -> Expr:
    """``TO_ARRAY``: an array of one value, unless it is an array already."""
    return call(AS_ARRAY, node.this)


def type_of(node: exp.Typeof) -> Expr:
    """``TYPEOF``: what a VARIANT holds, in Snowflake's words. What the statement itself makes one of has its own type;
    in JSON, dates are text and a FLOAT is a DECIMAL.
    """
    value = node.this
    while isinstance(value, (exp.ToVariant, exp.Paren)):
        value = value.this
    return exp.paren(call(TYPE_OF, value.copy()))


def element(node: exp.JSONExtract | exp.GetExtract | exp.Bracket) -> Expr | None:
    """An element before the first one, which is NULL; the engine would count from the end."""
    key = node.expression if not isinstance(node, exp.Bracket) else next(iter(node.expressions), None)
    path = key.expressions if isinstance(key, exp.JSONPath) else ()
    is_before = any(isinstance(part, exp.JSONPathSubscript) and _is_negative(part.this) for part in path)
    return exp.cast(exp.Null(), exp.DataType.Type.VARIANT) if is_before or isinstance(key, exp.Neg) else None


def _is_negative(subscript: object) -> bool:
    return isinstance(subscript, int) and subscript < 0


def parse_json(node: exp.ParseJSON) -> Expr | None:
    if isinstance(node.this, exp.Literal) and node.this.name.strip().upper() == "NULL":
        node.set("this", string("null"))
    is_empty = isinstance(node.this, exp.Literal) and not node.this.name.strip()
    return exp.cast(exp.Null(), exp.DataType.Type.VARIANT) if is_empty else None


def object_keys(node: exp.JSONKeys) -> Expr:
    keys = call("json_keys", call("to_json", nested(node.this)))
    return call("list_sort", keys)


def object_insert(node: exp.ObjectInsert) -> Expr:
    updates = node.args.get("update_flag") or exp.false()
    return call(OBJECT_WITH, nested(node.this), node.args["key"], node.args["value"], updates)


def object_function(node: exp.Anonymous) -> Expr | None:
    """``OBJECT_PICK``, ``OBJECT_DELETE``, ``ARRAYS_TO_OBJECT`` and ``TO_OBJECT``."""
    name = str(node.this).upper()
    if name == "TO_OBJECT" and len(node.expressions) == 1:
        return call(AS_OBJECT, nested(node.expressions[0]))
    if name == "ARRAYS_TO_OBJECT" and len(node.expressions) == 2:
        return call(OBJECT_OF_ARRAYS, *map(nested, node.expressions))
    if name not in ("OBJECT_PICK", "OBJECT_DELETE") or len(node.expressions) < 2:
        return None
    keys = node.expressions[1:]
    if name == "OBJECT_PICK" and len(keys) == 1 and not isinstance(keys[0], exp.Literal):
        listed = call(AS_KEYS, *keys)
    else:
        listed = call("list_value", *keys)
    is_picked = exp.Boolean(this=name == "OBJECT_PICK")
    return call(OBJECT_ONLY, nested(node.expressions[0]), listed, is_picked)
