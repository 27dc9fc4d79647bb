"""Snowflake's SQL API: one statement by one request, for those that have no driver.

https://docs.snowflake.com/en/developer-guide/sql-api/reference. Every result is one partition; bind variables and
several statements at once are refused.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_snowflake_batch.local.bodies import SESSION_BYTES, BodyRefused, read_object
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.protocol.login import Logins, enter_namespace
from airflow_provider_snowflake_batch.local.protocol.queries import Queries, Query
from airflow_provider_snowflake_batch.local.protocol.results import json_rowset, rowtype

PATH = "/api/v2/statements"
WAIT = 45.0
"""Seconds after which a statement that still runs is answered with 202, and asked for by its handle."""
_PREFIX = "Bearer "


class SqlApi:
    """The endpoints of one server.

    :param logins: who may send statements.
    """

    def __init__(self, logins: Logins, queries: Queries) -> None:
        self._logins, self._queries = logins, queries
        self.routes = [
            Route(PATH, self.submit, methods=["POST"]),
            Route(f"{PATH}/{{handle}}", self.result, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        if not await self._may_ask(request):
            return _no_token()
        try:
            body = await read_object(request, SESSION_BYTES)
        except BodyRefused as refused:
            return JSONResponse({"code": "390000", "message": refused.message}, refused.status)
        if body.get("bindings") or (body.get("parameters") or {}).get("MULTI_STATEMENT_COUNT", "1") not in ("1", 1):
            return _failed(not_supported("Bind variables and several statements in one request of the SQL API"))
        account = self._logins.account
        session = self._logins.sessions.create(account.user, str(body.get("role") or account.role))
        names = {"databaseName": "database", "schemaName": "schema", "warehouse": "warehouse"}
        namespace = {name: str(body[given]) for name, given in names.items() if body.get(given)}
        await run_in_threadpool(enter_namespace, self._logins, session, namespace)
        query = self._queries.submit(session, str(body.get("statement") or ""))
        return await self._answer(query)

    async def result(self, request: Request) -> Response:
        if not await self._may_ask(request):
            return _no_token()
        query = self._queries.find(request.path_params["handle"])
        if query is None:
            return JSONResponse({"code": "000709", "message": "Statement not found"}, 404)
        return await self._answer(query)

    async def _may_ask(self, request: Request) -> bool:
        given = request.headers.get("Authorization", "")
        return given.startswith(_PREFIX) and await self._logins.accepts(given.removeprefix(_PREFIX))

    async def _answer(self, query: Query) -> Response:
        known = {"statementHandle": query.id, "statementStatusUrl": f"{PATH}/{query.id}"}
        if not await self._queries.wait(query, WAIT):
            message = (
                "Asynchronous execution in progress. Use provided query id to perform query monitoring and management."
            )
            return JSONResponse({"code": "333334", "message": message, **known}, 202)
        # A session of one statement; its result stays.
        result, error = query.result, query.error
        await run_in_threadpool(self._logins.sessions.close, query.session)
        if error is not None or result is None:
            return _failed(error or SnowflakeError("Result has expired", errno=710, sqlstate="02000"), known)
        rows = await run_in_threadpool(json_rowset, result)
        described: dict[str, Any] = {
            "numRows": len(rows),
            "format": "jsonv2",
            "partitionInfo": [{"rowCount": len(rows)}],
            "rowType": rowtype(result.columns),
        }
        message = "Statement executed successfully."
        told = {"code": "090001", "sqlState": "00000", "message": message, "createdOn": int(time.time() * 1000)}
        return JSONResponse({"resultSetMetaData": described, "data": rows, **told, **known})


def _no_token() -> Response:
    return JSONResponse({"code": "390303", "message": "Invalid OAuth access token."}, 401)


def _failed(error: SnowflakeError, known: dict[str, Any] | None = None) -> Response:
    told = {"code": f"{error.errno:06d}", "message": error.message, "sqlState": error.sqlstate}
    return JSONResponse(told | (known or {}), 422)
