"""The control endpoint: who has the server's secret lists, sets and clears faults.

``GET /local/faults`` lists them, ``POST`` sets the one in the body, ``DELETE`` clears all, or ``DELETE
/local/faults/{id}`` one; each with ``Authorization: Bearer <secret>`` and answered in JSON.
"""

from __future__ import annotations

import hmac

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_snowflake_batch.local.bodies import BodyRefused, read_object
from airflow_provider_snowflake_batch.local.faults.faults import Faults

PATH = "/local/faults"
BODY_BYTES = 64 * 1024


class FaultControl:
    """The endpoint of one server.

    :param secret: who has it may set faults.
    """

    def __init__(self, faults: Faults, secret: str) -> None:
        self._faults = faults
        self._secret = secret
        self.routes = [
            Route(PATH, self.handle, methods=["GET", "POST", "DELETE"]),
            Route(f"{PATH}/{{id:int}}", self.handle, methods=["DELETE"]),
        ]

    async def handle(self, request: Request) -> Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._secret.encode()):
            return _refusal(401, "The server's secret is required: Authorization: Bearer <secret>.")
        faults = self._faults
        if request.method == "POST":
            try:
                body = await read_object(request, BODY_BYTES)
                return JSONResponse((await run_in_threadpool(faults.add, body)).described(), 201)
            except BodyRefused as refused:
                return _refusal(refused.status, refused.message)
            except ValueError as error:
                return _refusal(400, str(error))
        if request.method == "DELETE":
            fault_id = request.path_params.get("id")
            cleared = await run_in_threadpool(faults.clear, fault_id)
            if fault_id is not None and not cleared:
                return _refusal(404, f"There is no fault {fault_id}.")
            return JSONResponse([fault.described() for fault in cleared])
        return JSONResponse([fault.described() for fault in faults.all()])


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
