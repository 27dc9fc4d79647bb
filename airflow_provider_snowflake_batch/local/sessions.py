"""Sessions: who is logged in, with which namespace, role, warehouse and parameters."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_snowflake_batch.local.errors import SnowflakeError

SESSION_VALIDITY = 3600
"""Seconds a session token is valid before the client renews it."""
_EARLIER_TOKENS = 16
MASTER_VALIDITY = 14400
"""Seconds without a request after which a session ends (Snowflake's four hours)."""


@dataclass(eq=False)
class Session:
    """One login.

    :param user: the login name as Snowflake stores it.
    :param database: the current database, upper-case unless it was created quoted, or None.
    :param parameters: session parameters set at login or by ``ALTER SESSION``, by upper-case name.
    """

    id: int
    user: str
    role: str
    database: str | None = None
    schema: str | None = None
    warehouse: str | None = None
    client: tuple[str, tuple[int, ...]] = ("", ())
    """The client's name and version, as it logged in."""
    base_url: str = ""
    """How the client reaches this server: scheme, host and port, for the addresses in answers."""
    parameters: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    """``SET name = …``: the literal as SQL text, by upper-case name."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    earlier_tokens: list[str] = field(default_factory=list)
    """Those of before the last renewals, still good: threads that share a session renew it side by side."""
    master_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    used: float = field(default_factory=time.monotonic)
    last_query_ids: list[str] = field(default_factory=list)
    closed: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while the SQL engine works for this session: its connection serves one statement at a time."""

    def qualify(self, parts: tuple[str, ...]) -> tuple[str, str, str]:
        """Database, schema and name of an object name of one to three parts.

        :raises SnowflakeError: 90105 or 90106 when a part is missing and the session has no current one.
        """
        if len(parts) == 3:
            return parts[0], parts[1], parts[2]
        if self.database is None:
            raise SnowflakeError(
                "Cannot perform this operation. This session does not have a current database. "
                "Call 'USE DATABASE', or use a qualified name.",
                errno=90105,
                sqlstate="22000",
            )
        if len(parts) == 2:
            return self.database, parts[0], parts[1]
        if self.schema is None:
            raise SnowflakeError(
                "Cannot perform this operation. This session does not have a current schema. "
                "Call 'USE SCHEMA', or use a qualified name.",
                errno=90106,
                sqlstate="22000",
            )
        return self.database, self.schema, parts[0]


class Sessions:
    """All sessions by token. ``on_close`` functions run when one ends, however it ends."""

    def __init__(self) -> None:
        self._by_token: dict[str, Session] = {}
        self._by_master: dict[str, Session] = {}
        self._ids = itertools.count(int(time.time() * 1000))
        self._lock = threading.Lock()
        self.on_close: list[Callable[[Session], None]] = []

    def create(self, user: str, role: str) -> Session:
        session = Session(next(self._ids), user, role)
        with self._lock:
            self._by_token[session.token] = session
            self._by_master[session.master_token] = session
        return session

    def find(self, token: str) -> Session | None:
        session = self._by_token.get(token)
        if session is not None:
            session.used = time.monotonic()
        return session

    def renew(self, master_token: str) -> Session | None:
        """Give the session of this master token a new session token; the master token stays."""
        with self._lock:
            session = self._by_master.get(master_token)
            if session is None:
                return None
            session.earlier_tokens.append(session.token)
            while len(session.earlier_tokens) > _EARLIER_TOKENS:
                self._by_token.pop(session.earlier_tokens.pop(0), None)
            session.token = secrets.token_urlsafe(32)
            session.used = time.monotonic()
            self._by_token[session.token] = session
            return session

    def expire(self, session: Session) -> None:
        """Accept the session's tokens no more; what it has begun goes on until :meth:`close`."""
        with self._lock:
            self._forget_tokens(session)

    def close(self, session: Session) -> None:
        with self._lock:
            if session.closed:
                return
            session.closed = True
            self._forget_tokens(session)
        for function in self.on_close:
            function(session)

    def all(self) -> list[Session]:
        return list(self._by_master.values())

    def _forget_tokens(self, session: Session) -> None:
        for token in (session.token, *session.earlier_tokens):
            self._by_token.pop(token, None)
        self._by_master.pop(session.master_token, None)

    def close_idle(self, seconds: float = MASTER_VALIDITY) -> None:
        now = time.monotonic()
        for session in self.all():
            if now - session.used > seconds:
                self.close(session)

    def close_all(self) -> None:
        for session in self.all():
            self.close(session)

    def __len__(self) -> int:
        return len(self._by_master)
