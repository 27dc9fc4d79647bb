"""Which code answers which statement.

Every room that answers statements registers small functions with :func:`statement`; a statement that none of them
claims goes to the SQL engine. A handler sees the text with its bind variables already written in as literals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.local.parsing import Cursor

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.server import LocalSnowflake
    from airflow_provider_snowflake_batch.local.sessions import Session


@dataclass(frozen=True, slots=True)
class Column:
    """A result column with Snowflake's wire type: TEXT, FIXED, REAL, BOOLEAN, VARIANT, DATE, TIMESTAMP_LTZ …"""

    name: str
    type: str = "TEXT"
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    nullable: bool = True


@dataclass(slots=True)
class Result:
    """What a handler answers: columns and rows of plain Python values (datetimes aware, VARIANT as JSON text)."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]] = ()

    @classmethod
    def message(cls, text: str) -> Result:
        """The one-cell answer ``status`` of DDL and the like."""
        return cls([Column("status")], [(text,)])


@dataclass(slots=True)
class Statement:
    """One statement of one session.

    :param text: the statement, bind variables written in as literals, ``IDENTIFIER('x')`` as the name.
    :param session: whose it is: current database, schema, role, warehouse, parameters.
    :param server: the rooms: ``engine``, ``stages``, ``spcs``, ``registry``, ``state``.
    :param query_id: the statement's query id.
    """

    text: str
    session: Session
    server: LocalSnowflake
    query_id: str
    extra: dict[str, Any] = field(default_factory=dict)

    def cursor(self) -> Cursor:
        return Cursor(self.text)


Handler = Callable[[Statement, Cursor], Result]
_HANDLERS: list[tuple[tuple[tuple[str, ...], ...], Handler]] = []


def statement(*beginnings: str) -> Callable[[Handler], Handler]:
    """Register a function for statements that begin with one of these keyword sequences.

    The function gets the statement and a cursor placed after the keywords. The longest beginning wins.

    >>> @statement("SHOW COMPUTE POOLS")
    ... def show_pools(statement, cursor): ...
    """
    words = tuple(tuple(beginning.upper().split()) for beginning in beginnings)

    def register(handler: Handler) -> Handler:
        _HANDLERS.append((words, handler))
        return handler

    return register


def find_handler(text: str) -> tuple[Handler, Cursor] | None:
    """The handler for a statement with its cursor, or None if the SQL engine is to run it."""
    cursor = Cursor(text)
    best: tuple[int, Handler] | None = None
    for beginnings, handler in _HANDLERS:
        for words in beginnings:
            if cursor.looking_at(*words) and (best is None or len(words) > best[0]):
                best = (len(words), handler)
    if best is None:
        return None
    cursor.at = best[0]
    return best[1], cursor
