"""Faults that befall requests, as a layer around the HTTP endpoints."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_snowflake_batch.local.bodies import (
    SESSION_BYTES,
    BodyRefused,
    discard_body,
    read_raw,
    unpacked,
)
from airflow_provider_snowflake_batch.local.faults.control import PATH as CONTROL_PATH
from airflow_provider_snowflake_batch.local.faults.faults import Fault, Faults

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session, Sessions

_QUERY_ID = re.compile(r"^/(?:monitoring/queries/{1,2}|queries/|result-chunks/)([0-9a-f-]{36})")
_TOKEN = re.compile(r'^Snowflake Token="(.*)"$')
_EXPIRY = {
    390104: "Session no longer exists.  New login required to access the service.",
    390111: "Session no longer exists. New login required to access the service.",
    390112: "Your session has expired. Please login again.",
    390114: "Authentication token has expired.  The user must authenticate again.",
}


class KnownQuery(Protocol):
    """A statement that a client has sent."""

    @property
    def text(self) -> str:
        """As it was sent."""


class KnownQueries(Protocol):
    """The statements that clients have sent."""

    def find(self, query_id: str) -> KnownQuery | None:
        """The statement of this id."""

    def running(self, session: Session) -> Sequence[KnownQuery]:
        """Those of a session that have not ended."""


class RequestFaults:
    """Passes requests on to the endpoints, except those that a fault strikes.

    :param app: the endpoints.
    :param queries: which statement a request asks about, and which of a session still run.
    """

    def __init__(self, app: ASGIApp, faults: Faults, sessions: Sessions, queries: KnownQueries) -> None:
        self._app = app
        self._faults = faults
        self._sessions = sessions
        self._queries = queries
        self._actions: dict[str, Callable[[Fault, Scope, Receive, Send], Awaitable[None]]] = {
            "http-error": self._http_error,
            "drop": self._drop,
            "drop-answer": self._drop_answer,
            "delay": self._delay,
            "expire": self._expire,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        faults = self._faults
        if not faults.any or scope["type"] != "http" or scope["path"].startswith(CONTROL_PATH):
            await self._app(scope, receive, send)
            return
        statement = None
        if faults.needs_statements():
            statement, receive = await self._statement(scope, receive)
        token = _token(scope)
        lives = self._sessions.find(token) is not None
        fault = faults.for_request(scope["path"], statement, token if lives else None)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._actions[fault.kind.name](fault, scope, receive, send)

    async def _statement(self, scope: Scope, receive: Receive) -> tuple[str | None, Receive]:
        """The text of the statement that a request sends or asks about; and the request, to be read again."""
        about = _QUERY_ID.match(scope["path"])
        if about is not None:
            query = self._queries.find(about[1])
            return (query.text if query is not None else None), receive
        if scope["path"] != "/queries/v1/query-request" or self._sessions.find(_token(scope)) is None:
            # Nothing is kept of who has not logged in.
            return None, receive
        request = Request(scope, receive)
        try:
            body = await read_raw(request, SESSION_BYTES)
        except BodyRefused:
            # The endpoint says what is wrong with it, here and below.
            return None, receive
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            plain = unpacked(body, request.headers.get("Content-Encoding", ""), SESSION_BYTES)
            return str(json.loads(plain).get("sqlText") or ""), again
        except (BodyRefused, ValueError, RecursionError, AttributeError):
            return None, again

    async def _http_error(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        # The connection is kept, as behind a proxy, so what the client sends must have been read.
        await discard_body(Request(scope, receive))
        await PlainTextResponse("A fault on demand.", int(fault.parameters["status"]))(scope, receive, send)

    async def _drop(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        await _hang_up(receive, send)

    async def _drop_answer(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        async def discard(message: Message) -> None:
            pass

        await self._app(scope, receive, discard)
        await _hang_up(receive, send)

    async def _delay(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        async def late(message: Message) -> None:
            if message["type"] == "http.response.start":
                until = time.monotonic() + fault.parameters["seconds"]
                # Faults are cleared in threads of their own, which have no event to set.
                while (left := until - time.monotonic()) > 0 and not fault.cleared:  # noqa: ASYNC110
                    await asyncio.sleep(min(left, 0.1))
            await send(message)

        await self._app(scope, receive, late)

    async def _expire(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        await discard_body(Request(scope, receive))
        code = int(fault.parameters["code"])
        token = _token(scope)
        session = self._sessions.find(token)
        if session is not None:
            if code == 390112:
                fault.expired.add(token)
            else:
                self._sessions.expire(session)
                threading.Thread(target=self._close, args=(session,), name="expired-session", daemon=True).start()
        content: dict[str, Any] = {
            "data": {"errorCode": str(code), "sqlState": "08001", "internalError": False},
            "code": str(code),
            "message": _EXPIRY[code],
            "success": False,
            "headers": None,
        }
        await Response(json.dumps(content), media_type="application/json")(scope, receive, send)

    def _close(self, session: Session) -> None:
        # Unlike a logout, the end of a session leaves the statements alone that it has begun.
        while self._queries.running(session):
            time.sleep(0.1)
        self._sessions.close(session)


def _token(scope: Scope) -> str:
    match = _TOKEN.match(Request(scope).headers.get("Authorization", ""))
    return match[1] if match is not None else ""


async def _hang_up(receive: Receive, send: Send) -> None:
    """Close the connection without an answer, for which ASGI has no word."""
    transport = send.__self__.transport  # type: ignore[attr-defined]
    transport.abort()
    # The web server would answer in place of an application that says nothing to a client who is there.
    while (await receive())["type"] != "http.disconnect":
        pass
