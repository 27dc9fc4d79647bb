"""CREATE TABLE … USING TEMPLATE: columns from what INFER_SCHEMA found in staged files.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-table
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import compilation_error
from airflow_provider_snowflake_batch.local.quoting import quoted


def template_of(tree: Expr) -> exp.Query | None:
    """The query of a USING TEMPLATE clause."""
    found = tree.find(exp.UsingTemplateProperty) if isinstance(tree, exp.Create) else None
    if found is None:
        return None
    query = found.this.unnest() if isinstance(found.this, exp.Subquery) else found.this
    return query if isinstance(query, exp.Query) else None


def fill_template(tree: exp.Create, run: Callable[[exp.Query], Any]) -> None:
    """Give a CREATE TABLE the columns that its template's query returns instead of the clause.

    :param run: runs the query; the value of its one cell.
    :raises SnowflakeError: 1003 when that is no array of objects with COLUMN_NAME and TYPE.
    """
    query = template_of(tree)
    assert query is not None
    value = run(query)
    columns = json.loads(value) if isinstance(value, str) else value
    if not isinstance(columns, list) or not columns or not all(isinstance(one, dict) for one in columns):
        raise compilation_error("USING TEMPLATE needs an array of at least one object with COLUMN_NAME and TYPE.")
    definitions = []
    for column in sorted(columns, key=lambda one: one.get("ORDER_ID") or 0):
        if not column.get("COLUMN_NAME") or not column.get("TYPE"):
            raise compilation_error("USING TEMPLATE: COLUMN_NAME or TYPE is missing in an object of the array.")
        name = quoted(str(column["COLUMN_NAME"]))
        definitions.append(f"{name} {column['TYPE']}{'' if column.get('NULLABLE', True) else ' NOT NULL'}")
    made = sqlglot.parse_one(f"CREATE TABLE X ({', '.join(definitions)})", read="snowflake")
    schema = made.this
    assert isinstance(schema, exp.Schema)
    table = tree.this
    tree.set("this", exp.Schema(this=table, expressions=[definition.copy() for definition in schema.expressions]))
    properties = tree.args["properties"]
    left = [one for one in properties.expressions if not isinstance(one, exp.UsingTemplateProperty)]
    tree.set("properties", exp.Properties(expressions=left) if left else None)
