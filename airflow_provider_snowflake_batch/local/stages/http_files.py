"""Files of a stage over HTTP: for clients that do not copy files themselves, and by URL.

Python connector 5.x refuses ``LOCAL_FS``, but for ``GCS`` with an end point of its own it sends plain
``PUT | HEAD | GET {endPoint}/{bucket}/{path}`` with a bearer token. The URLs are those of GET_PRESIGNED_URL, and the
file URLs of directory tables, which need a session's token.
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
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.shortages import shortage
from airflow_provider_snowflake_batch.local.stages.stages import inside

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Sessions
    from airflow_provider_snowflake_batch.local.stages.stages import Stages

BUCKET = "stage-files"
GRANT_VALIDITY = 3600
"""Seconds within which a transfer must begin each of its files."""
PRESIGNED = "presigned"
_DIGEST = "x-goog-meta-sfc-digest"


@dataclass(frozen=True, slots=True)
class Grant:
    """What one PUT or GET statement, or one call of GET_PRESIGNED_URL, may reach.

    :param folder: nothing outside of it.
    :param writes: whether files may be written, or read.
    """

    folder: Path
    writes: bool
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    expires: float = field(default_factory=lambda: time.monotonic() + GRANT_VALIDITY)


class HttpFiles:
    """The end point for stage files.

    :param sessions: who may fetch a file by its stage's name.
    :param scratch: a folder for files that are not yet whole.
    """

    def __init__(self, sessions: Sessions, stages: Stages, scratch: Path) -> None:
        self._sessions = sessions
        self._stages = stages
        self._scratch = scratch
        self.port = 0
        """Where the server listens, once it does."""
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()
        self.routes = [
            Route(f"/{BUCKET}/{{grant}}/{{path:path}}", self.handle, methods=["PUT", "HEAD", "GET"]),
            Route(f"/{PRESIGNED}/{{grant}}/{{path:path}}", self.presigned, methods=["GET"]),
            Route("/api/files/{database}/{schema}/{stage}/{path:path}", self.file, methods=["GET"]),
        ]

    def stage_info(self, folder: Path, *, writes: bool, base_url: str) -> dict[str, Any]:
        """The ``stageInfo`` of a PUT or GET answer, with a token for this folder only.

        :param base_url: how the client reaches this server.
        """
        grant = Grant(folder, writes)
        name = self._grant(grant)
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

    def presign(self, folder: Path, seconds: int) -> tuple[str, str]:
        """How the URLs of a folder's files begin for so many seconds, and the key that each is signed with.

        A URL goes on with the path, percent-encoded, and ``?signature=<SHA-256 of key, path and key>``.
        """
        grant = Grant(folder, writes=False, expires=time.monotonic() + seconds)
        return f"http://127.0.0.1:{self.port}/{PRESIGNED}/{self._grant(grant)}/", grant.token

    def _grant(self, grant: Grant) -> str:
        name = secrets.token_urlsafe(12)
        with self._lock:
            now = time.monotonic()
            self._grants = {key: one for key, one in self._grants.items() if one.expires > now}
            self._grants[name] = grant
        return name

    async def presigned(self, request: Request) -> Response:
        grant, path = self._grants.get(request.path_params["grant"]), request.path_params["path"]
        if grant is None or grant.expires < time.monotonic():
            return Response("The URL is unknown or has expired.", status_code=403)
        wanted = hashlib.sha256(f"{grant.token}{path}{grant.token}".encode()).hexdigest()
        if not hmac.compare_digest(request.query_params.get("signature", "").encode(), wanted.encode()):
            return Response("The signature does not match.", status_code=403)
        return _served(grant.folder, path)

    async def file(self, request: Request) -> Response:
        """A file by its stage's name, for who is logged in."""
        given = request.headers.get("Authorization", "").removeprefix('Snowflake Token="').rstrip('"')
        if self._sessions.find(given) is None:
            return Response(status_code=401)
        names = (request.path_params[part] for part in ("database", "schema", "stage"))
        stage = await run_in_threadpool(self._stages.find, *names)
        return Response(status_code=404) if stage is None else _served(stage.folder, request.path_params["path"])

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
        except OSError as error:
            lack = shortage(error)
            if lack is None:
                raise
            # A status that clients do not take for a passing one, to repeat the upload for minutes.
            return Response(lack.message, status_code=507)
        finally:
            partial.unlink(missing_ok=True)
        return Response()


def _served(folder: Path, path: str) -> Response:
    try:
        local = inside(folder, path)
    except SnowflakeError:
        return Response(status_code=403)
    if not local.is_file():
        return Response(status_code=404)
    return FileResponse(local, media_type="application/octet-stream", filename=local.name)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()
