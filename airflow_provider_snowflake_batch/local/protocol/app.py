"""The HTTP endpoints that Snowflake's drivers call.

Source: ``snowflake/connector/network.py``, ``auth/_auth.py`` and ``connection.py`` of the Python connector.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pyarrow as pa
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_snowflake_batch.local.bodies import (
    LOGIN_BYTES,
    SESSION_BYTES,
    BodyRefused,
    discard_body,
    read_object,
)
from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.parsing import without_secrets
from airflow_provider_snowflake_batch.local.protocol import login
from airflow_provider_snowflake_batch.local.protocol.chunks import INLINE_ROWS, LARGE, Chunks
from airflow_provider_snowflake_batch.local.protocol.login import Logins
from airflow_provider_snowflake_batch.local.protocol.queries import Queries, Query
from airflow_provider_snowflake_batch.local.protocol.results import arrow_rowset, json_rowset, rowtype, statistics
from airflow_provider_snowflake_batch.local.sessions import MASTER_VALIDITY, SESSION_VALIDITY, Session
from airflow_provider_snowflake_batch.local.shortages import OUT_OF_RESOURCES
from airflow_provider_snowflake_batch.local.sql import binds
from airflow_provider_snowflake_batch.local.sql.engine_errors import snowflake_error

log = logging.getLogger(__name__)

IN_PROGRESS = "333333"
IN_PROGRESS_ASYNC = "333334"
FIRST_WAIT = 1.0
"""Seconds after which a query still running is answered with 333333 and asked for again."""
NEXT_WAIT = 15.0
"""Seconds that each further request waits."""


class _Gone(Exception):
    """The session of a request has ended."""


class Endpoints:
    """The endpoints of one server.

    :param routes: those of other rooms: of the stages' files, say.
    """

    def __init__(self, logins: Logins, queries: Queries, routes: Sequence[Route]) -> None:
        self._logins = logins
        self._sessions = logins.sessions
        self._queries = queries
        self._chunks = Chunks(queries)
        self.app = Starlette(
            routes=[
                Route("/session/v1/login-request", _answered(self.login), methods=["POST"]),
                Route("/session/token-request", _answered(self.renew), methods=["POST"]),
                Route("/session/heartbeat", _answered(self.heartbeat), methods=["POST"]),
                Route("/session", _answered(self.delete_session), methods=["POST"]),
                Route("/queries/v1/query-request", _answered(self.query), methods=["POST"]),
                Route("/queries/v1/abort-request", _answered(self.abort), methods=["POST"]),
                Route("/queries/{query_id}/result", _answered(self.result), methods=["GET"]),
                Route("/queries/{query_id}/abort-request", _answered(self.abort_by_id), methods=["POST"]),
                # Connector 5.x writes two slashes.
                Route("/monitoring/queries/{query_id}", _answered(self.monitoring), methods=["GET"]),
                Route("/monitoring/queries//{query_id}", _answered(self.monitoring), methods=["GET"]),
                Route("/telemetry/send", _answered(self.telemetry), methods=["POST"]),
                Route("/telemetry/send/sessionless", _answered(self.telemetry), methods=["POST"]),
                *self._chunks.routes,
                *routes,
            ]
        )

    # Sessions

    async def login(self, request: Request) -> Response:
        client = request.headers.get("User-Agent", "")
        body = await read_object(request, LOGIN_BYTES)
        return _json(await login.login(self._logins, dict(request.query_params), body, client, _base_url(request)))

    async def renew(self, request: Request) -> Response:
        session = self._sessions.renew(_token(request))
        if session is None:
            return _failure("390114", "Authentication token has expired.  The user must authenticate again.")
        return _success(
            {
                "sessionToken": session.token,
                "validityInSecondsST": SESSION_VALIDITY,
                "masterToken": session.master_token,
                "validityInSecondsMT": MASTER_VALIDITY,
                "masterValidityInSeconds": MASTER_VALIDITY,
                "sessionId": session.id,
            }
        )

    async def heartbeat(self, request: Request) -> Response:
        self._session(request)
        return _success(None)

    async def delete_session(self, request: Request) -> Response:
        session = self._sessions.find(_token(request))
        if session is not None and request.query_params.get("delete") == "true":
            await self._in_thread(self._sessions.close, session)
        return _success(None)

    # Queries

    async def query(self, request: Request) -> Response:
        session = self._session(request)
        body = await read_object(request, SESSION_BYTES)
        if body.get("bindStage"):
            refused = not_supported("A stage for bind variables")
            return _failure(f"{refused.errno:06d}", refused.message, refused.sqlstate)
        query = self._queries.submit(
            session,
            str(body.get("sqlText") or ""),
            request_id=request.query_params.get("requestId"),
            bindings=body.get("bindings"),
            describe_only=bool(body.get("describeOnly")),
            parameters=body.get("parameters"),
        )
        if body.get("asyncExec"):
            return _in_progress(query, IN_PROGRESS_ASYNC)
        if not await self._queries.wait(query, FIRST_WAIT):
            return _in_progress(query, IN_PROGRESS)
        return await self._finished(query, request)

    async def result(self, request: Request) -> Response:
        self._session(request)
        query = self._queries.find(request.path_params["query_id"])
        if query is None:
            return _failure("000709", f"Statement {request.path_params['query_id']} not found", "02000")
        if query.future is not None and not await self._queries.wait(query, NEXT_WAIT):
            return _in_progress(query, IN_PROGRESS)
        return await self._finished(query, request)

    async def abort(self, request: Request) -> Response:
        session = self._session(request)
        body = await read_object(request, SESSION_BYTES)
        query = self._queries.find_request(session, str(body.get("requestId")))
        if query is not None:
            await self._in_thread(self._queries.cancel, query)
        return _success(None)

    async def abort_by_id(self, request: Request) -> Response:
        self._session(request)
        query = self._queries.find(request.path_params["query_id"])
        if query is not None:
            await self._in_thread(self._queries.cancel, query)
        return _success(None)

    async def monitoring(self, request: Request) -> Response:
        self._session(request)
        query = self._queries.find(request.path_params["query_id"])
        if query is None:
            return _success({"queries": []})
        entry: dict[str, Any] = {
            "id": query.id,
            "status": query.status,
            "state": query.status,
            "sqlText": without_secrets(query.text),
            "sessionId": query.session.id,
            "startTime": int(query.submitted * 1000),
            "endTime": int((query.finished or 0) * 1000),
        }
        if query.finished is not None and query.error is not None:
            entry |= {"errorCode": f"{query.error.errno:06d}", "errorMessage": query.error.message}
        return _success({"queries": [entry]})

    async def telemetry(self, request: Request) -> Response:
        await discard_body(request)
        return _success("Log Received")

    # Answers

    async def _finished(self, query: Query, request: Request) -> Response:
        if query.error is not None:
            return _failure(
                f"{query.error.errno:06d}",
                query.error.message,
                query.error.sqlstate,
                query_id=query.id,
            )
        if query.result is None:
            return _failure("000710", f"Result for query {query.id} has expired", "02000", query_id=query.id)
        rows = 0 if query.result.table is None else query.result.table.num_rows
        query.answered = True
        try:
            if max(rows, len(query.result.rows)) > 200:
                encoded: Response = await self._in_thread(self._encoded, query, _base_url(request))
                return encoded
            return self._encoded(query, _base_url(request))
        except (pa.ArrowException, TypeError, ValueError, ArithmeticError) as error:
            # The engine has types that Snowflake has not; a driver would repeat an HTTP error for long.
            refused = not_supported(f"A value of this query ({error})")
            return _failure(f"{refused.errno:06d}", refused.message, refused.sqlstate, query_id=query.id)

    def _encoded(self, query: Query, base_url: str) -> Response:
        result, session = query.result, query.session
        assert result is not None
        data: dict[str, Any] = {
            "parameters": login.result_parameters(session),
            "queryId": query.id,
            "statementTypeId": result.statement_type,
            "finalDatabaseName": session.database,
            "finalSchemaName": session.schema,
            "finalWarehouseName": session.warehouse,
            "finalRoleName": session.role,
            "databaseProvider": None,
            "version": 1,
        }
        if query.children:
            data |= {
                "resultIds": ",".join(child.id for child in query.children),
                "resultTypes": ",".join(
                    str(child.result.statement_type if child.result else 0) for child in query.children
                ),
            }
        if result.transfer is not None:
            return _success(data | result.transfer)
        if _is_dml(result.statement_type):
            data["stats"] = statistics(result)
        data["rowtype"] = rowtype(result.columns)
        data["numberOfBinds"] = 0
        if query.describe_only:
            # The 5.x drivers ask before they send a list of values for each variable; the 4.x line just does.
            data["arrayBindSupported"] = binds.takes_batches(query.text)
        wants_json = str(session.parameters.get("PYTHON_CONNECTOR_QUERY_RESULT_FORMAT", "ARROW")).upper() == "JSON"
        if result.table is not None and not wants_json and not _is_dml(result.statement_type):
            data |= self._arrow(query, base_url)
        else:
            rowset = json_rowset(result)
            is_query = result.statement_type == 0x1000 and not wants_json
            data |= (
                {"queryResultFormat": "arrow", "rowsetBase64": ""}
                if is_query and not rowset
                else {"queryResultFormat": "json", "rowset": rowset}
            )
            data |= {"total": len(rowset), "returned": len(rowset)}
        return _success(data)

    def _arrow(self, query: Query, base_url: str) -> dict[str, Any]:
        result = query.result
        assert result is not None
        assert result.table is not None
        rows = result.table.num_rows
        data: dict[str, Any] = {"queryResultFormat": "arrow", "total": rows, "returned": rows}
        if rows < LARGE:
            return data | {"rowsetBase64": arrow_rowset(result)}
        chunks = self._chunks.describe(query, base_url)
        return data | chunks | {"rowsetBase64": arrow_rowset(result, INLINE_ROWS)}

    def _session(self, request: Request) -> Session:
        """:raises _Gone: when there is none that the request's token is of."""
        session = self._sessions.find(_token(request))
        if session is None:
            raise _Gone
        return session

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        from starlette.concurrency import run_in_threadpool

        return await run_in_threadpool(function, *arguments)


def _is_dml(statement_type: int) -> bool:
    return 0x3000 <= statement_type <= 0x3500


def _token(request: Request) -> str:
    header = request.headers.get("Authorization", "")
    prefix = 'Snowflake Token="'
    return header[len(prefix) : -1] if header.startswith(prefix) else ""


def _base_url(request: Request) -> str:
    """How the client reached this server: scheme, host and port."""
    return str(request.base_url).rstrip("/")


def _answered(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """The handler with its exceptions answered in Snowflake's shape: a driver repeats an HTTP 500 for minutes."""

    @functools.wraps(handler)
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except _Gone:
            message = "Session no longer exists.  New login required to access the service."
            return _failure("390104", message, "08001")
        except BodyRefused as refused:
            return _failure("390000", refused.message, "22023", status=refused.status)
        except ClientDisconnect:
            # Nobody is there to be answered, and that is no fault of the server.
            return Response(status_code=400)
        except Exception as error:
            found = snowflake_error(error)
            if found.errno == 603 and found.sqlstate != OUT_OF_RESOURCES:
                log.exception("The request %s failed", request.url.path)
            return _failure(f"{found.errno:06d}", found.message, found.sqlstate)

    return answered


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False).encode(), status, media_type="application/json")


def _success(data: Any) -> Response:
    return _json({"data": data, "code": None, "message": None, "success": True})


def _failure(
    code: str, message: str, sqlstate: str | None = None, *, query_id: str | None = None, status: int = 200
) -> Response:
    data = {"errorCode": code, "sqlState": sqlstate, "queryId": query_id, "internalError": False}
    return _json({"data": data, "code": code, "message": message, "success": False, "headers": None}, status)


def _in_progress(query: Query, code: str) -> Response:
    message = {
        IN_PROGRESS: "Query execution in progress. To monitor its progress, please use the getResultUrl.",
        IN_PROGRESS_ASYNC: "Query execution in progress. Asynchronous execution has been initiated.",
    }[code]
    data = {
        "queryId": query.id,
        "getResultUrl": f"/queries/{query.id}/result",
        "queryAbortsAfterSecs": 300,
        "progressDesc": None,
    }
    return _json({"data": data, "code": code, "message": message, "success": True})
