"""Which code answers which statement.

Every room that answers statements registers small functions with :func:`statement`; a statement that none of them
claims goes to the SQL engine. A handler sees the text with its bind variables already written in as literals.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.local.errors import statement_cancelled
from airflow_provider_snowflake_batch.local.parsing import Cursor

if TYPE_CHECKING:
    import pyarrow as pa

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
    """What a handler answers: columns and rows of plain Python values (datetimes aware, VARIANT as JSON text).

    :param table: the rows as Arrow instead of ``rows``, in the types that the SQL engine gave; :meth:`fetch` reads
        either.
    :param statement_type: Snowflake's statement type id; what is not in 0x3000–0x3500 is a result set for clients.
    :param transfer: the answer to PUT and GET: what the client needs to move the files itself.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]] = ()
    table: pa.Table | None = None
    statement_type: int = 0x4000
    transfer: dict[str, Any] | None = None

    @classmethod
    def message(cls, text: str) -> Result:
        """The one-cell answer ``status`` of DDL and the like."""
        return cls([Column("status")], [(text,)], statement_type=0x6000)

    def fetch(self) -> Sequence[Sequence[Any]]:
        """The rows as Python values, whichever way the result holds them."""
        if self.table is None:
            return self.rows
        return list(zip(*(column.to_pylist() for column in self.table.columns), strict=True))


@dataclass(slots=True)
class Statement:
    """One statement of one session.

    :param text: the statement, bind variables written in as literals, ``IDENTIFIER('x')`` as the name.
    :param session: whose it is: current database, schema, role, warehouse, parameters.
    :param server: the rooms: ``engine``, ``stages``, ``spcs``, ``registry``, ``state``.
    :param query_id: the statement's query id.
    :param cancelled: set when the client aborts the statement; a handler that waits, waits on it.
    """

    text: str
    session: Session
    server: LocalSnowflake
    query_id: str
    cancelled: threading.Event = field(default_factory=threading.Event)
    extra: dict[str, Any] = field(default_factory=dict)

    def cursor(self) -> Cursor:
        return Cursor(self.text)

    def check_cancelled(self) -> None:
        """:raises SnowflakeError: 604 once the client has aborted the statement."""
        if self.cancelled.is_set():
            raise statement_cancelled()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the client aborts the statement (then as :meth:`check_cancelled`)."""
        if self.cancelled.wait(seconds):
            raise statement_cancelled()


CURRENT: ContextVar[Statement | None] = ContextVar("CURRENT", default=None)
"""The client's statement that this thread answers: what a handler asks of the engine is cancelled with it."""

Handler = Callable[[Statement, Cursor], Result]
_HANDLERS: dict[str, list[tuple[tuple[str, ...], Handler]]] = {}


def statement(*beginnings: str) -> Callable[[Handler], Handler]:
    """Register a function for statements that begin with one of these keyword sequences.

    The function gets the statement and a cursor placed after the keywords. The longest beginning wins.

    >>> @statement("SHOW COMPUTE POOLS")
    ... def show_pools(statement, cursor): ...
    """

    def register(handler: Handler) -> Handler:
        for beginning in beginnings:
            words = tuple(beginning.upper().split())
            _HANDLERS.setdefault(words[0], []).append((words, handler))
        return handler

    return register


def find_handler(text: str) -> tuple[Handler, Cursor] | None:
    """The handler for a statement with its cursor, or None if the SQL engine is to run it."""
    cursor = Cursor(text)
    first = cursor.peek()
    best: tuple[int, Handler] | None = None
    for words, handler in _HANDLERS.get(first.value, ()) if first is not None else ():
        if cursor.looking_at(*words) and (best is None or len(words) > best[0]):
            best = (len(words), handler)
    if best is None:
        return None
    cursor.at = best[0]
    return best[1], cursor
