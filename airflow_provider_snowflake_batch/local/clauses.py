"""Clauses that many statements share: ``LIKE … IN … STARTS WITH … LIMIT`` of SHOW, ``NAME = value`` properties."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from airflow_provider_snowflake_batch.local.errors import cannot_be_performed, not_supported
from airflow_provider_snowflake_batch.local.functions import read_constant
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sessions import Session
from airflow_provider_snowflake_batch.local.statements import Result

Row = TypeVar("Row")
Parts = TypeVar("Parts", bound=tuple[str, ...])


class Namespaces(Protocol):
    """The databases and schemas that there are."""

    def names(self) -> list[str]:
        """Of the databases."""

    def has_schema(self, database: str, schema: str) -> bool:
        """Whether there is such a schema."""


@dataclass(slots=True)
class ShowClauses:
    """What follows ``SHOW <objects>``.

    :param scope: ACCOUNT, DATABASE or SCHEMA, with the name in ``database`` and ``schema``.
    :param compute_pool: the name in ``IN COMPUTE POOL``, which leaves the scope at ACCOUNT; nobody has looked yet
        whether there is such a pool.
    """

    like: str | None = None
    scope: str = "ACCOUNT"
    database: str | None = None
    schema: str | None = None
    starts_with: str | None = None
    limit: int | None = None
    after: str | None = None
    compute_pool: str | None = None

    def matches(self, name: str, database: str | None = None, schema: str | None = None) -> bool:
        return (
            like(self.like, name)
            and (self.starts_with is None or name.startswith(self.starts_with))
            and (self.after is None or name > self.after)
            and (self.database is None or database is None or database == self.database)
            and (self.schema is None or schema is None or schema == self.schema)
        )

    def select(self, rows: Iterable[Row], name: Callable[[Row], tuple[str, ...]]) -> list[Row]:
        """The rows in the clauses' reach, in order of name, at most ``LIMIT`` of them.

        :param name: a row's name, or its name, database and schema.
        """
        chosen = sorted((row for row in rows if self.matches(*name(row))), key=lambda row: name(row)[::-1])
        return chosen if self.limit is None else chosen[: self.limit]


def show_clauses(
    cursor: Cursor, session: Session, databases: Namespaces, *, level: str = "SCHEMA", in_pool: bool = False
) -> ShowClauses:
    """Read the clauses to the end of the statement.

    :param databases: those that IN may name.
    :param level: where the objects live: SCHEMA, DATABASE or ACCOUNT. Without IN, they are sought in the session's
        current schema or database, as https://docs.snowflake.com/en/sql-reference/sql/show says.
    :param in_pool: whether they may be sought ``IN COMPUTE POOL``, too.
    :raises SnowflakeError: 2043 when IN names a database or schema that is not there.
    """
    clauses = ShowClauses()
    scoped = False
    if cursor.accept("HISTORY"):
        raise not_supported("SHOW … HISTORY, which lists what was dropped, too,")
    while not cursor.done:
        if cursor.accept("LIKE"):
            clauses.like = cursor.string()
        elif cursor.accept("IN") or cursor.accept("FROM"):
            _scope(cursor, session, clauses, level, in_pool)
            scoped = True
        elif cursor.accept("STARTS", "WITH"):
            clauses.starts_with = cursor.string()
        elif cursor.accept("LIMIT"):
            clauses.limit = cursor.integer()
            if cursor.accept("FROM"):
                clauses.after = cursor.string()
        else:
            raise cursor.unexpected("LIKE, IN, STARTS WITH or LIMIT")
    if scoped:
        _check_scope(databases, clauses)
    elif level != "ACCOUNT" and session.database is not None:
        clauses.database = session.database
        clauses.schema = session.schema if level == "SCHEMA" else None
        clauses.scope = "SCHEMA" if clauses.schema else "DATABASE"
    return clauses


def _scope(cursor: Cursor, session: Session, clauses: ShowClauses, level: str, in_pool: bool) -> None:
    if cursor.accept("ACCOUNT"):
        clauses.scope = "ACCOUNT"
        return
    if in_pool and cursor.accept("COMPUTE", "POOL"):
        clauses.compute_pool = cursor.name()[0]
        return
    if cursor.accept("DATABASE"):
        clauses.scope = "DATABASE"
        clauses.database = cursor.name()[0] if _names_follow(cursor) else session.database
        return
    if cursor.accept("SCHEMA"):
        if not _names_follow(cursor):
            clauses.database, clauses.schema = session.database, session.schema
            clauses.scope = "SCHEMA" if session.schema else "DATABASE"
            return
        parts = cursor.name()
    else:
        parts = cursor.name()
        if level == "DATABASE" or (len(parts) == 1 and level == "SCHEMA" and session.database is None):
            clauses.scope, clauses.database = "DATABASE", parts[0]
            return
    clauses.scope = "SCHEMA"
    clauses.database, clauses.schema = (parts[0], parts[1]) if len(parts) == 2 else (session.database, parts[0])


def _check_scope(databases: Namespaces, clauses: ShowClauses) -> None:
    if clauses.database is not None and clauses.database not in databases.names():
        raise cannot_be_performed()
    if clauses.database and clauses.schema and not databases.has_schema(clauses.database, clauses.schema):
        raise cannot_be_performed()


def _names_follow(cursor: Cursor) -> bool:
    token = cursor.peek()
    return token is not None and token.kind in ("word", "quoted") and token.value not in ("LIKE", "STARTS", "LIMIT")


def properties(cursor: Cursor, allowed: Iterable[str]) -> dict[str, Any]:
    """Read ``NAME = value …`` to the end of the statement, with or without ``WITH`` and commas.

    :param allowed: the names that can be honoured.
    :raises SnowflakeError: "not supported" for any other name.
    """
    names = set(allowed)
    found: dict[str, Any] = {}
    cursor.accept("WITH")
    while not cursor.done:
        token = cursor.next()
        if token.kind != "word" or not cursor.looking_at("="):
            cursor.at -= 1
            raise cursor.unexpected("a property")
        if token.value not in names:
            raise not_supported(f"The property {token.value}")
        cursor.expect("=")
        found[token.value] = property_value(cursor)
        cursor.accept(",")
    return found


def property_value(cursor: Cursor) -> Any:
    """A constant, a word, or a parenthesised list as a dict or list of them."""
    if cursor.looking_at("("):
        return _parenthesised(cursor)
    token = cursor.peek()
    if token is not None and token.kind in ("word", "quoted") and token.value not in ("TRUE", "FALSE", "NULL"):
        return ".".join(cursor.name()) if token.kind == "quoted" or _dotted(cursor) else cursor.next().value
    return read_constant(cursor)


def _dotted(cursor: Cursor) -> bool:
    following = cursor.peek(1)
    return following is not None and following.text == "."


def _parenthesised(cursor: Cursor) -> dict[str, Any] | list[Any]:
    cursor.expect("(")
    named: dict[str, Any] = {}
    listed: list[Any] = []
    while not cursor.accept(")"):
        following = cursor.peek(1)
        if following is not None and following.text == "=":
            name = cursor.next().value
            cursor.expect("=")
            named[name] = property_value(cursor)
        else:
            listed.append(property_value(cursor))
        cursor.accept(",")
    return named or listed


def like(pattern: str | None, name: str) -> bool:
    """Whether a name matches a SHOW … LIKE pattern, which ignores case; no pattern matches everything."""
    if pattern is None:
        return True
    expression = re.sub(r"\\(.)|(%)|(_)|(.)", _piece, pattern, flags=re.DOTALL)
    return re.fullmatch(expression, name, re.IGNORECASE | re.DOTALL) is not None


def _piece(match: re.Match[str]) -> str:
    escaped, percent, underscore, character = match.groups()
    if percent:
        return ".*"
    if underscore:
        return "."
    return re.escape(escaped or character)


def drop(
    cursor: Cursor,
    read: Callable[[tuple[str, ...]], Parts],
    is_there: Callable[[Parts], bool],
    remove: Callable[[Parts], object],
    *,
    cascades: bool = False,
) -> Result:
    """``DROP <kind> [IF EXISTS] <name>``, the cursor placed after the kind.

    :param read: makes of the name's parts what the next two take, whose last part is the object's own name.
    :param remove: drops the object, or says that there is none.
    :param cascades: whether CASCADE or RESTRICT may follow.
    """
    if_exists = cursor.accept("IF", "EXISTS")
    name = read(cursor.name())
    if cascades and not cursor.accept("CASCADE"):
        cursor.accept("RESTRICT")
    cursor.end()
    was_there = not if_exists or is_there(name)
    if was_there:
        remove(name)
    return Result.dropped(name[-1], was_there=was_there)
