"""Bodies of requests: read, unpacked and parsed within limits.

Nobody has shown a secret before the login, so nothing large is kept or unpacked until then; and what a session may send
ends somewhere too. Both hold for the bytes that come and for what they unpack to, while they come.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import Any

from starlette.requests import Request

LOGIN_BYTES = 256 * 1024
"""Most bytes of a login. A driver sends a few KiB; a token is the largest part."""
SESSION_BYTES = 512 * 1024 * 1024
"""Most bytes of a request in a session, with its batches of bind variables."""
_PIECE_BYTES = 1024 * 1024


class BodyRefused(Exception):
    """A body that is not read to its end.

    :param status: the HTTP status that says why: 400, 413 or 415.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


async def read_raw(request: Request, limit: int) -> bytes:
    """The body as it comes.

    :param limit: bytes that it may have.
    :raises BodyRefused: beyond the limit, as soon as that is known.
    """
    announced = request.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    """A body without its content encoding.

    :param limit: bytes that it may have then; no more than that is unpacked.
    :raises BodyRefused: beyond the limit, and for an encoding that is not gzip or is broken.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity") or not raw:
        return raw
    if encoding != "gzip":
        raise BodyRefused(415, f"The content encoding {encoding[:50]} is not supported.")
    pieces: list[bytes] = []
    left = limit + 1
    try:
        # One byte more than is allowed shows that there is more.
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            while left and (piece := file.read(min(_PIECE_BYTES, left))):
                pieces.append(piece)
                left -= len(piece)
    except EOFError:
        raise BodyRefused(400, "The body ends in the midst of its gzip stream.") from None
    except (OSError, zlib.error) as error:
        raise BodyRefused(400, f"The body is not in the gzip format: {error}.") from None
    if not left:
        raise _too_large(limit)
    return b"".join(pieces)


async def read_object(request: Request, limit: int) -> dict[str, Any]:
    """The body as a JSON object; an empty one for no body.

    :param limit: bytes that it may have, as it comes and unpacked.
    :raises BodyRefused: as :func:`read_raw` and :func:`unpacked`, and when it is something else.
    """
    body = unpacked(await read_raw(request, limit), request.headers.get("Content-Encoding", ""), limit)
    if not body:
        return {}
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BodyRefused(400, f"The body is not valid JSON: {str(error)[:200]}.") from None
    if not isinstance(decoded, dict):
        raise BodyRefused(400, "The body is no JSON object.")
    return decoded


async def discard_body(request: Request) -> None:
    """Read a body to its end and keep nothing of it."""
    async for _ in request.stream():
        pass


def _too_large(limit: int) -> BodyRefused:
    return BodyRefused(413, f"The body has more than {limit} bytes.")
