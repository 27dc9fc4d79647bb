"""Files of a stage over HTTP, in the manner of Google Cloud Storage: for clients that do not copy files themselves.

Python connector 5.x refuses ``LOCAL_FS``, but for ``GCS`` with an end point of its own it sends plain
``PUT | HEAD | GET {endPoint}/{bucket}/{path}`` with a bearer token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.stages.store import inside

BUCKET = "stage-files"
GRANT_VALIDITY = 3600
"""Seconds within which a transfer must begin each of its files."""
_DIGEST = "x-goog-meta-sfc-digest"


@dataclass(frozen=True, slots=True)
class Grant:
    """What one PUT or GET statement may reach.

    :param folder: nothing outside of it.
    :param writes: whether files may be written, or read.
    """

    folder: Path
    writes: bool
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    expires: float = field(default_factory=lambda: time.monotonic() + GRANT_VALIDITY)


class HttpFiles:
    """The end point for stage files.

    :param scratch: a folder on the stages' file system for files that are not yet whole.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()
        self.routes = [Route(f"/{BUCKET}/{{grant}}/{{path:path}}", self.handle, methods=["PUT", "HEAD", "GET"])]

    def stage_info(self, folder: Path, *, writes: bool, base_url: str) -> dict[str, Any]:
        """The ``stageInfo`` of a PUT or GET answer, with a token for this folder only.

        :param base_url: how the client reaches this server.
        """
        grant = Grant(folder, writes)
        name = secrets.token_urlsafe(12)
        with self._lock:
            now = time.monotonic()
            self._grants = {key: one for key, one in self._grants.items() if one.expires > now}
            self._grants[name] = grant
        return {
            "locationType": "GCS",
            "location": f"{BUCKET}/{name}/",
            "path": f"{name}/",
            "region": "local",
            "storageAccount": None,
            "isClientSideEncrypted": False,
            "creds": {"GCS_ACCESS_TOKEN": grant.token},
            "presignedUrl": None,
            "endPoint": base_url,
            "useRegionalUrl": False,
            "useVirtualUrl": False,
        }

    async def handle(self, request: Request) -> Response:
        grant = self._grants.get(request.path_params["grant"])
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if grant is None or not hmac.compare_digest(given.encode(), grant.token.encode()):
            return Response(status_code=401)
        try:
            path = inside(grant.folder, request.path_params["path"])
        except SnowflakeError:
            return Response(status_code=403)
        if request.method == "PUT":
            return await self._write(request, path) if grant.writes else Response(status_code=403)
        if not path.is_file():
            return Response(status_code=404)
        headers = {_DIGEST: await run_in_threadpool(_digest, path)}
        if request.method == "HEAD":
            return Response(headers={**headers, "Content-Length": str(path.stat().st_size)})
        return FileResponse(path, headers=headers, media_type="application/octet-stream")

    async def _write(self, request: Request, path: Path) -> Response:
        """Receive a file beside the stage and move it in when it is whole."""
        partial = self._scratch / f"upload-{secrets.token_hex(8)}"
        try:
            with partial.open("wb") as file:
                async for chunk in request.stream():
                    await run_in_threadpool(file.write, chunk)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return Response()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()
