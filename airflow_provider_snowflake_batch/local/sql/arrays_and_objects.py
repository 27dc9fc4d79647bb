"""Functions of ARRAY and OBJECT: they hold values of any type, and where one is a table's column it is JSON as a whole.

Source: https://docs.snowflake.com/en/sql-reference/functions-semistructured
"""

from __future__ import annotations

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.macros import (
    ARRAY_INSERT,
    AS_KEYS,
    AS_LIST,
    OBJECT_ONLY,
    OBJECT_WITH,
    to_json,
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


def list_function(node: Expr) -> Expr:
    """Functions of arrays as those of DuckDB's lists of JSON: an ARRAY holds values of any type, and where it is a
    table's column it is JSON as a whole.
    """
    lists, elements = LIST_FUNCTIONS[type(node)]
    for key in lists:
        value = node.args.get(key)
        if isinstance(value, list):
            node.set(key, [exp.Anonymous(this=AS_LIST, expressions=[one]) for one in value])
        elif isinstance(value, Expr):
            node.set(key, exp.Anonymous(this=AS_LIST, expressions=[value]))
    for key in elements:
        if isinstance(value := node.args.get(key), Expr):
            node.set(key, to_json(value.this if isinstance(value, exp.ToVariant) else value))
    if isinstance(node, exp.ArrayInsert):
        return exp.Anonymous(this=ARRAY_INSERT, expressions=[node.this, node.args["position"], node.expression])
    return node


def parse_json(node: exp.ParseJSON) -> Expr | None:
    is_empty = isinstance(node.this, exp.Literal) and not node.this.name.strip()
    return exp.cast(exp.Null(), exp.DataType.Type.VARIANT) if is_empty else None


def object_keys(node: exp.JSONKeys) -> Expr:
    keys = exp.Anonymous(this="json_keys", expressions=[exp.Anonymous(this="to_json", expressions=[node.this])])
    return exp.Anonymous(this="list_sort", expressions=[keys])


def object_insert(node: exp.ObjectInsert) -> Expr:
    updates = node.args.get("update_flag") or exp.false()
    return exp.Anonymous(this=OBJECT_WITH, expressions=[node.this, node.args["key"], node.args["value"], updates])


def object_part(node: exp.Anonymous) -> Expr | None:
    """``OBJECT_PICK`` and ``OBJECT_DELETE``."""
    name = str(node.this).upper()
    if name not in ("OBJECT_PICK", "OBJECT_DELETE") or len(node.expressions) < 2:
        return None
    keys = node.expressions[1:]
    if name == "OBJECT_PICK" and len(keys) == 1 and not isinstance(keys[0], exp.Literal):
        listed = exp.Anonymous(this=AS_KEYS, expressions=keys)
    else:
        listed = exp.Anonymous(this="list_value", expressions=keys)
    is_picked = exp.Boolean(this=name == "OBJECT_PICK")
    return exp.Anonymous(this=OBJECT_ONLY, expressions=[node.expressions[0], listed, is_picked])
