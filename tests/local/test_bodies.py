"""What a client may send before it has logged in, and that what is malformed gets an answer in Snowflake's shape.

Also tests ``local/protocol/app.py``, ``local/protocol/login.py``.
"""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import os
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import psutil
import pytest
import snowflake.connector
from starlette.requests import Request

from airflow_provider_snowflake_batch.local import bodies
from airflow_provider_snowflake_batch.local.server_process import LocalServer

LOGIN = "/session/v1/login-request?requestId=1"
MIB = 2**20


def ask(
    server: LocalServer, path: str, body: Any, headers: dict[str, str] | None = None, method: str = "POST"
) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        # The server may have answered without reading the rest.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body, headers or {}, encode_chunked=not isinstance(body, bytes))
        answer = connection.getresponse()
        return answer.status, answer.read()


def refused(server: LocalServer, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, str]:
    status, text = ask(server, path, body, headers)
    answer = json.loads(text)
    assert (answer["success"], answer["data"]["internalError"]) == (False, False)
    assert answer["code"]
    return status, answer["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe\x00", b"{}", b'{"data": null}', b'{"data": []}',
        b'{"data": {"LOGIN_NAME": 1}}', b'{"data": {"PASSWORD": ["x"]}}', b'{"data": {"PASSWORD": "\\ud800"}}',
        b'{"data": {"TOKEN": {}}}', b'{"data": {"AUTHENTICATOR": 5}}', b'{"data": {"SESSION_PARAMETERS": [1]}}',
        b'{"data": {"SESSION_PARAMETERS": {"TIMEZONE": {}}}}',
        b'{"data": {"SESSION_PARAMETERS": {"QUERY_TAG": "\\ud800"}}}',
        b'{"data": {"SESSION_PARAMETERS": {"\\ud800": 1}}}',
        b"[" * 100_000, b'{"data": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_a_malformed_login_is_told_so(local_server: LocalServer, body: bytes) -> None:
    status, message = refused(local_server, LOGIN, body)
    assert (status, bool(message)) == (400, True)


@pytest.mark.parametrize("version", ["9" * 5000, "4.\u00b2", "4..5", ""])
def test_a_client_may_call_itself_what_it_likes(local_server: LocalServer, version: str) -> None:
    body = json.dumps({"data": {"LOGIN_NAME": "X", "PASSWORD": local_server.airflow_connection["password"]}}).encode()
    status, answer = ask(local_server, LOGIN, body, {"User-Agent": f"Driver/{version} (Linux)"})
    assert (status, json.loads(answer)["success"]) == (200, True)


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", b"{}", 400),
        ("gzip", gzip.compress(b'{"data": {}}', mtime=0)[:-9], 400),
        ("br", b"{}", 415),
        ("gzip", gzip.compress(b"{" + b" " * 3 * MIB, mtime=0), 413),
        ("identity", b"{" + b" " * 3 * MIB, 413),
    ],
)
def test_a_login_with_another_encoding_or_length(
    local_server: LocalServer, encoding: str, body: bytes, status: int
) -> None:
    assert refused(local_server, LOGIN, body, {"Content-Encoding": encoding})[0] == status


def test_a_packed_login_within_the_limits(local_server: LocalServer) -> None:
    login = {"data": {"LOGIN_NAME": "LOCAL", "PASSWORD": local_server.airflow_connection["password"]}}
    status, text = ask(local_server, LOGIN, gzip.compress(json.dumps(login).encode()), {"Content-Encoding": "gzip"})
    assert (status, json.loads(text)["success"]) == (200, True)


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // MIB):
        yield b" " * MIB


@pytest.mark.parametrize(
    "path",
    [LOGIN, "/telemetry/send/sessionless", "/telemetry/send", "/queries/v1/query-request", "/session/token-request",
     "/queries/v1/abort-request", "/local/faults", "/session", "/nowhere"],
)  # fmt: skip
def test_nothing_large_is_kept_of_who_has_not_logged_in(local_server: LocalServer, path: str) -> None:
    assert local_server.process is not None
    process = psutil.Process(local_server.process.pid)
    ask(local_server, path, chunks(MIB), {"Transfer-Encoding": "chunked"})
    before = process.memory_info().rss
    status, _ = ask(local_server, path, chunks(48 * MIB), {"Transfer-Encoding": "chunked"})
    assert status < 500
    assert process.memory_info().rss - before < 24 * MIB


@pytest.mark.parametrize("where", ["header", "address", "trailer"])
def test_the_head_of_a_request_has_an_end(local_server: LocalServer, where: str) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", local_server.port, timeout=60)) as connection:
        connection.connect()
        long = "x" * MIB
        text = {
            "header": f"GET / HTTP/1.1\r\nHost: x\r\nX-Long: {long}",
            "address": f"GET /{long}",
            "trailer": f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Long: {long}",
        }[where]
        answer = b""
        try:
            connection.sock.sendall(text.encode())
            while piece := connection.sock.recv(65536):
                answer += piece
        except (BrokenPipeError, ConnectionResetError):
            pass
    # It hangs up, if it cannot even say why.
    assert not answer or b"HTTP/1.1 400" in answer or b"HTTP/1.1 404" in answer
    assert ask(local_server, "/nowhere", b"")[0] == 404


def test_a_session_may_send_more(local_server: LocalServer) -> None:
    with snowflake.connector.connect(**local_server.connection_kwargs) as connection:
        text = os.urandom(2 * MIB).hex()
        assert connection.cursor().execute("SELECT LENGTH(%s)", [text]).fetchone() == (len(text),)  # type: ignore[union-attr]


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("size", [999, 1000, 1001])
def test_a_limit_is_exact(encoding: str, size: int) -> None:
    raw = b"x" * size if not encoding else gzip.compress(b"x" * size, mtime=0)
    if size <= 1000:
        assert bodies.unpacked(raw, encoding, 1000) == b"x" * size
    elif encoding:
        with pytest.raises(bodies.BodyRefused, match="more than 1000 bytes") as caught:
            bodies.unpacked(raw, encoding, 1000)
        assert caught.value.status == 413


@pytest.mark.parametrize("cut", [0, 1, 500, 999])
def test_a_body_of_several_members_is_all_of_them(cut: int) -> None:
    whole = os.urandom(1000)
    raw = gzip.compress(whole[:cut], mtime=0) + gzip.compress(whole[cut:], mtime=0)
    assert bodies.unpacked(raw, "gzip", 1000) == whole
    with pytest.raises(bodies.BodyRefused, match="more than 999 bytes"):
        bodies.unpacked(raw, "gzip", 999)
    with pytest.raises(bodies.BodyRefused, match="not in the gzip format"):
        bodies.unpacked(raw + b"what follows", "gzip", 1000)
    with pytest.raises(bodies.BodyRefused, match="in the midst"):
        bodies.unpacked(raw[:-1], "gzip", 1000)


def test_a_body_without_a_length_is_read_up_to_the_limit() -> None:
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    with pytest.raises(bodies.BodyRefused, match="more than 1000 bytes"):
        asyncio.run(bodies.read_raw(Request({"type": "http", "headers": []}, receive), 1000))
    assert asked == 11
