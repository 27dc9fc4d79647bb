"""Short words for the expressions that the rooms of SQL write most."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import Dialect, Expr, exp
from sqlglot.errors import ErrorLevel

from airflow_provider_snowflake_batch.local.errors import not_supported

_KNOWN = re.compile(
    r"DuckDB does not support the \w+\(\) function|\w+ is not supported in DuckDB|EXTRACT from TIMESTAMPTZ .*"
    "|Unsupported property .*"
)
"""What needs no refusal here: functions that the engine itself says it has not, date parts whose zone is written out,
and properties of a table, which ``guard`` has looked at."""


def call(name: str, *arguments: Expr) -> exp.Anonymous:
    """A function of the engine, or one of its macros, by name."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def string(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def number(value: Any) -> Expr:
    return exp.Literal.number(value)


def either(condition: Expr, then: Expr, otherwise: Expr) -> exp.Case:
    """``CASE WHEN condition THEN then ELSE otherwise END``."""
    return exp.Case(ifs=[exp.If(this=condition, true=then)], default=otherwise)


def engine_sql(tree: Expr) -> str:
    """The text of a tree that is in the engine's own SQL.

    :raises SnowflakeError: "not supported" for options of a function that the engine lacks and would be left out.
    """
    generator = Dialect.get_or_raise("duckdb").generator(unsupported_level=ErrorLevel.IGNORE)
    text = generator.generate(tree)
    for message in generator.unsupported_messages:
        if not _KNOWN.fullmatch(message):
            raise not_supported(f"What the statement asks of the engine ({message})")
    return text


def function_name(node: exp.Func) -> str:
    """The function's name in upper case."""
    name: str = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
    return name.upper()
