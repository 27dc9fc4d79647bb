"""Large results: the first rows in the answer, the rest in chunks that the client downloads.

Snowflake's drivers fetch chunks in parallel from the addresses in the answer. A chunk is encoded when it is asked for.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_snowflake_batch.local.protocol.results import arrow_stream, with_plain_integers

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.protocol.queries import Queries, Query

INLINE_ROWS = 20_000
"""Rows of a large result that are in the answer itself."""
CHUNK_ROWS = 200_000
LARGE = 100_000
"""Rows from which on a result is delivered in chunks."""
_HEADER = "X-Snowflake-Local-Chunk"


class Chunks:
    """The end point for the chunks of all results."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._token = secrets.token_urlsafe(24)
        self.routes = [Route("/result-chunks/{query_id}/{start:int}", self.download, methods=["GET"])]

    def describe(self, query: Query, base_url: str) -> dict[str, Any]:
        """What the answer says of a large result's chunks.

        :param base_url: how the client reaches this server.
        """
        result = query.result
        assert result is not None
        assert result.table is not None
        # Chunks must agree in their types, which depend on the values.
        result.table = with_plain_integers(result)
        rows = result.table.num_rows
        starts = range(INLINE_ROWS, rows, CHUNK_ROWS)
        per_row = max(1, result.table.nbytes // rows)
        query.unfetched = set(starts)
        return {
            "chunkHeaders": {_HEADER: self._token},
            "chunks": [
                {
                    "url": f"{base_url}/result-chunks/{query.id}/{start}",
                    "rowCount": min(CHUNK_ROWS, rows - start),
                    "uncompressedSize": per_row * min(CHUNK_ROWS, rows - start),
                    "compressedSize": per_row * min(CHUNK_ROWS, rows - start),
                }
                for start in starts
            ],
        }

    async def download(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(_HEADER, "").encode(), self._token.encode()):
            return Response(status_code=403)
        query = self._queries.find(request.path_params["query_id"])
        if query is None or query.result is None or query.result.table is None:
            return Response(status_code=404)
        start = request.path_params["start"]
        body = await run_in_threadpool(arrow_stream, query.result, start, CHUNK_ROWS)
        query.unfetched.discard(start)
        return Response(body, media_type="application/octet-stream")
