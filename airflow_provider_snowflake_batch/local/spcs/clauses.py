"""Pieces that the statements on services have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.patterns import like
from airflow_provider_snowflake_batch.local.statements import Column, Statement

MAXIMUM_REPLICAS = 100

T = TypeVar("T")


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


def replicas(cursor: Cursor) -> int:
    number = cursor.integer()
    if not 1 <= number <= MAXIMUM_REPLICAS:
        raise SnowflakeError(
            f"Invalid value {number} for property 'REPLICAS', expected 1 to {MAXIMUM_REPLICAS}.",
            errno=1008,
            sqlstate="22023",
        )
    return number


@dataclass(slots=True)
class Filter:
    """LIKE, STARTS WITH and LIMIT … FROM of a SHOW statement."""

    pattern: str | None = None
    prefix: str | None = None
    limit: int | None = None
    after: str | None = None

    def accept(self, cursor: Cursor) -> bool:
        """Read one of the clauses, if the cursor stands at one."""
        if cursor.accept("LIKE"):
            self.pattern = cursor.string()
        elif cursor.accept("STARTS", "WITH"):
            self.prefix = cursor.string()
        elif cursor.accept("LIMIT"):
            self.limit = cursor.integer()
            if cursor.accept("FROM"):
                self.after = cursor.string()
        else:
            return False
        return True

    def apply(self, named: Iterable[tuple[str, T]]) -> list[T]:
        kept = [
            item
            for name, item in named
            if like(self.pattern, name)
            and (self.prefix is None or name.startswith(self.prefix))
            and (self.after is None or name > self.after)
        ]
        return kept[: self.limit] if self.limit is not None else kept


@dataclass(slots=True)
class Scope:
    """IN ACCOUNT | DATABASE | SCHEMA | COMPUTE POOL of a SHOW statement."""

    database: str | None = None
    schema: str | None = None
    pool: str | None = None

    @classmethod
    def current(cls, statement: Statement) -> Scope:
        """What SHOW lists without IN: the current schema, else database, else the account."""
        return cls(statement.session.database, statement.session.schema)

    @classmethod
    def read(cls, statement: Statement, cursor: Cursor) -> Scope:
        """Cursor placed after IN."""
        session = statement.session
        if cursor.accept("ACCOUNT"):
            return cls()
        if cursor.accept("COMPUTE", "POOL"):
            return cls(pool=pool_name(cursor))
        if cursor.accept("DATABASE"):
            return cls(database=cursor.name()[0] if _at_a_name(cursor) else session.database)
        named_schema = cursor.accept("SCHEMA")
        if named_schema and not _at_a_name(cursor):
            return cls.current(statement)
        parts = cursor.name()
        if len(parts) > 2:
            raise compilation_error(f"Invalid schema name '{'.'.join(parts)}'.")
        return cls(parts[0], parts[1]) if len(parts) == 2 else cls(session.database, parts[0])

    def includes(self, database: str, schema: str, pool: str | None = None) -> bool:
        return (
            self.database in (None, database)
            and self.schema in (None, schema)
            and (self.pool is None or self.pool == pool)
        )


def _at_a_name(cursor: Cursor) -> bool:
    token = cursor.peek()
    return token is not None and token.kind in ("word", "quoted") and token.value not in ("LIKE", "STARTS", "LIMIT")


def moment(seconds: float | None) -> datetime | None:
    """A time of the control database as a result value."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def text_columns(names: str) -> list[Column]:
    """Text columns of these names, given with blanks between."""
    return [Column(name) for name in names.split()]
