"""Which code answers which statement.

Every room that answers statements registers small functions with :func:`statement`; a statement that none of them
claims goes to the SQL engine. A function sees the text with its bind variables already written in as literals, and
gets the parts of the server that its signature names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.local.errors import statement_cancelled
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sessions import Session
from airflow_provider_snowflake_batch.local.snowflake_names import statement_words
from airflow_provider_snowflake_batch.local.wiring import Function, Parts, Registrations

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """A result column with Snowflake's wire type: TEXT, FIXED, REAL, BOOLEAN, VARIANT, DATE, TIMESTAMP_LTZ …"""

    name: str
    type: str = "TEXT"
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    nullable: bool = True
    zone: str | None = None
    """The zone, or the offset in minutes, of all values of a TIMESTAMP_TZ, if it is known; UTC if not."""


def columns_of(names: str) -> list[Column]:
    """Columns from their names, with commas between: of text, or of the type after a colon.

    >>> columns_of("name, rows:NUMBER, created_on:TIMESTAMP_LTZ(3)")[1]
    Column(name='rows', type='FIXED', precision=38, scale=0, length=None, nullable=True, zone=None)
    """
    found = []
    for listed in names.split(","):
        name, _, kind = listed.strip().partition(":")
        if kind == "NUMBER":
            found.append(Column(name, "FIXED", 38, 0))
        elif kind.startswith("TIMESTAMP"):
            found.append(Column(name, kind[:-3], 0, int(kind[-2])))
        else:
            found.append(Column(name, kind or "TEXT"))
    return found


@dataclass(slots=True)
class Result:
    """What a handler answers: columns and rows of plain Python values (datetimes aware, VARIANT as JSON text).

    :param table: the rows as Arrow instead of ``rows``, in the types that the SQL engine gave; :meth:`fetch` reads
        either.
    :param statement_type: Snowflake's statement type id; what is not in 0x3000–0x3500 is a result set for clients.
    :param transfer: the answer to PUT and GET: what the client needs to move the files itself.
    :ivar integers: of each column of whole numbers the type that clients get, once it is known.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]] = ()
    table: pa.Table | None = None
    statement_type: int = 0x4000
    transfer: dict[str, Any] | None = None
    integers: Sequence[pa.DataType | None] | None = None

    @classmethod
    def message(cls, text: str) -> Result:
        """The one-cell answer ``status`` of DDL and the like."""
        return cls([Column("status")], [(text,)], statement_type=0x6000)

    @classmethod
    def dropped(cls, name: str, *, was_there: bool) -> Result:
        """What DROP answers; with IF EXISTS, also where there was nothing to drop."""
        return cls.message(f"{name} successfully dropped." if was_there else nothing_dropped(name))

    def fetch(self) -> Sequence[Sequence[Any]]:
        """The rows as Python values, whichever way the result holds them."""
        if self.table is None:
            return self.rows
        return list(zip(*(column.to_pylist() for column in self.table.columns), strict=True))


def nothing_dropped(name: str) -> str:
    """https://docs.snowflake.com/en/sql-reference/sql/drop-table"""
    return f"Drop statement executed successfully ({name} already dropped)."


@dataclass(slots=True)
class Statement:
    """One statement of one session.

    :param text: the statement, bind variables written in as literals, ``IDENTIFIER('x')`` as the name.
    :param session: whose it is: current database, schema, role, warehouse, parameters.
    :param query_id: the statement's query id.
    :param cancelled: set when the client aborts the statement; a handler that waits, waits on it.
    """

    text: str
    session: Session
    query_id: str
    cancelled: threading.Event = field(default_factory=threading.Event)

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

Handler = Callable[..., Result]
"""Called with the statement and a cursor; further parameters are parts of the server."""
_REGISTERED: Registrations[Handler] = Registrations(called_with=2)


def statement(*beginnings: str) -> Callable[[Function], Function]:
    """Register a function for statements that begin with one of these keyword sequences.

    The function gets the statement, a cursor placed after the keywords, and the parts of the server that its further
    parameters name by their class. The longest beginning wins.

    >>> @statement("SHOW COMPUTE POOLS")
    ... def show_pools(statement: Statement, cursor: Cursor, pools: ComputePools) -> Result: ...
    """

    def register(handler: Function) -> Function:
        _REGISTERED.add(beginnings, handler)  # type: ignore[arg-type]
        return handler

    return register


class Statements:
    """The statements that are answered by functions; all others are the SQL engine's."""

    def __init__(self) -> None:
        self._by_first_word: dict[str, list[tuple[tuple[str, ...], Handler]]] = {}

    def wire(self, modules: Iterable[ModuleType], parts: Parts) -> None:
        """Take the functions of these modules, with the parts that they ask for.

        :raises TypeError: when a function asks for what is no part.
        """
        for beginning, handler in _REGISTERED.of(modules, parts).items():
            words = tuple(beginning.split())
            self._by_first_word.setdefault(words[0], []).append((words, handler))

    def find(self, text: str) -> tuple[Handler, Cursor] | None:
        """The function for a statement with its cursor, or None if the SQL engine is to run it."""
        cursor = Cursor(text)
        first = cursor.peek()
        best: tuple[int, Handler] | None = None
        for words, handler in self._by_first_word.get(first.value, ()) if first is not None else ():
            if cursor.looking_at(*words) and (best is None or len(words) > best[0]):
                best = (len(words), handler)
        if best is None:
            return None
        if "->>" in text:
            # One statement that reads another's result, which no handler does.
            return None
        known = statement_words(cursor.tokens) or ()
        following = cursor.peek(len(known))
        if len(known) > best[0] and following is not None and following.kind in ("word", "quoted"):
            # Snowflake has a statement of its own for this, DESCRIBE TASK t for example, which is not this handler's.
            return None
        cursor.at = best[0]
        return best[1], cursor


def moment(seconds: float | None) -> datetime | None:
    """A time of the control database as a result value."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
