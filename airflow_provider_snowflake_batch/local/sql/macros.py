"""Macros of the engine that this server adds: what depends on the type that only the engine knows when it binds.

They live in the engine's memory and are made at each start, so that views of any age use those of this version.
"""

from __future__ import annotations

import duckdb
from sqlglot import Expr, exp

_PREFIX = "memory.main._local_"
TO_JSON = f"{_PREFIX}to_json"
_OBJECT_OF_ROW = f"{_PREFIX}object_of_row"

# A NUMBER in a VARIANT is what its digits say: 2 and not 2.0 for a NUMBER(10,0), 1.5 for a NUMBER(10,2). DuckDB's own
# to_json takes some of them through DOUBLE. Lists of them are one text, whose NULLs are JSON's.
_MACROS = rf"""
CREATE OR REPLACE MACRO {TO_JSON}(v) AS CASE
    WHEN regexp_matches(typeof(v), '^DECIMAL\(\d+,\d+\)(\[\d*\])*$') THEN CAST(regexp_replace(regexp_replace(
        lower(replace(CAST(v AS VARCHAR), ', ', ',')),
        '(\.\d*?)0+([,\]]|$)', '\1\2', 'g'), '\.([,\]]|$)', '\1', 'g') AS JSON)
    ELSE to_json(v) END;
CREATE OR REPLACE MACRO {_OBJECT_OF_ROW}(row_value) AS (
    SELECT coalesce(json_group_object(key, value::JSON), '{{}}'::JSON)
    FROM (
        UNPIVOT (SELECT {TO_JSON}(COLUMNS(*)) FROM (SELECT unnest(row_value))) ON COLUMNS(*)::VARCHAR
        INTO NAME key VALUE value
    )
);
"""
_REPLACED = {"TO_JSON": TO_JSON, "_FS_OBJECT_CONSTRUCT_STAR": _OBJECT_OF_ROW}


def define(duck: duckdb.DuckDBPyConnection) -> None:
    """Make the macros."""
    duck.execute(_MACROS)


def write_json(tree: Expr) -> Expr:
    """The tree, which is in the engine's SQL, with numbers written into VARIANT, ARRAY and OBJECT as Snowflake does."""
    for call in list(tree.find_all(exp.Anonymous)):
        name = str(call.this).upper()
        if name == "JSON_ARRAY":
            call.set("expressions", [to_json(value) for value in call.expressions])
        elif name == "MAP" and len(call.expressions) == 2:
            # OBJECT_AGG: a list of keys and one of values.
            for listed in call.expressions[1].find_all(exp.Anonymous):
                if str(listed.this).upper() == "LIST":
                    listed.set("expressions", [to_json(value) for value in listed.expressions])
                    break
        elif name in _REPLACED:
            call.set("this", _REPLACED[name])
    return tree


def to_json(value: Expr) -> Expr:
    """The value as JSON, which it may be already."""
    return exp.Anonymous(this=TO_JSON, expressions=[value.copy()])
