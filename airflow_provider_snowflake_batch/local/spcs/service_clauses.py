"""Pieces that the statements on services have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.statements import Statement

MAXIMUM_REPLICAS = 100


def service_name(cursor: Cursor) -> tuple[str, ...]:
    """A service's name, qualified or not. Quoted names are not allowed for services, nor for what they are in.

    https://docs.snowflake.com/en/sql-reference/sql/execute-job-service
    """
    start = cursor.at
    parts = cursor.name()
    for token in cursor.tokens[start : cursor.at]:
        if token.kind == "quoted" and not re.fullmatch(r"[A-Z_][A-Z0-9_$]*", token.value):
            raise compilation_error(f"Quoted names are not supported for services: {token.text}.")
    return parts


def full_name(statement: Statement, parts: tuple[str, ...]) -> str:
    return ".".join(statement.session.qualify(parts))


def pool_name(cursor: Cursor) -> str:
    parts = cursor.name()
    if len(parts) != 1:
        raise compilation_error(f"Invalid compute pool name '{'.'.join(parts)}': compute pools have no schema.")
    return parts[0]


def each_clause(cursor: Cursor) -> Iterator[str]:
    """The words that the clauses of a statement begin with, up to its end. Who takes a word reads the clause's rest.

    :raises SnowflakeError: if one comes twice.
    """
    given: set[str] = set()
    while not cursor.done:
        clause = cursor.next().value
        if clause in given:
            raise compilation_error(f"Duplicate property '{clause}'.")
        given.add(clause)
        yield clause


def replicas(cursor: Cursor) -> int:
    number = cursor.integer()
    if not 1 <= number <= MAXIMUM_REPLICAS:
        raise SnowflakeError(
            f"Invalid value {number} for property 'REPLICAS', expected 1 to {MAXIMUM_REPLICAS}.",
            errno=1008,
            sqlstate="22023",
        )
    return number
