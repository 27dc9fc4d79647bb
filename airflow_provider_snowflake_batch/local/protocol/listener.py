"""HTTP and HTTPS on one port: the first byte that a client sends says which it speaks."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn

log = logging.getLogger(__name__)

_TLS_HANDSHAKE = b"\x16"
_FIRST_BYTE_SECONDS = 60
_HANDSHAKE_SECONDS = 30
HEAD_BYTES = 64 * 1024
"""Most bytes of a request's address and headers, and of what may follow its body: what h11, the other parser, takes."""


class HttpAndHttps(uvicorn.Server):
    """A web server for one listening socket.

    :param tls: for the clients that speak TLS.
    :param ready: called once it accepts connections.
    """

    def __init__(
        self, config: uvicorn.Config, listening: socket.socket, tls: ssl.SSLContext, ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        config.load()
        self._protocol_class = _with_limited_head(config.http_protocol_class)
        self._listening = listening
        self._tls = tls
        self._ready = ready
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self._listening.setblocking(False)
        self._listening.listen(self.config.backlog)
        self._begin(self._accept())
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().shutdown(sockets=[self._listening])

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listening)
            except OSError as error:
                # Out of file descriptors, most likely: those that end give some back.
                log.warning("A connection could not be accepted: %s", error)
                await asyncio.sleep(0.1)
                continue
            self._begin(self._connect(connection))

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        try:
            first = await asyncio.wait_for(_first_byte(connection), _FIRST_BYTE_SECONDS)
            if not first:
                connection.close()
            elif first == _TLS_HANDSHAKE:
                await loop.connect_accepted_socket(
                    self._protocol, connection, ssl=self._tls, ssl_handshake_timeout=_HANDSHAKE_SECONDS
                )
            else:
                await loop.connect_accepted_socket(self._protocol, connection)
        except (OSError, TimeoutError) as error:
            log.info("A connection ended before its first request: %s", error)
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self._protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _with_limited_head(protocol: Any) -> Any:
    """The protocol class of httptools, which keeps a request's head however long it is, with an end to that."""
    if not hasattr(protocol, "on_headers_complete"):
        return protocol

    class LimitedHead(protocol):  # type: ignore[misc]
        unseen = 0
        """Bytes that came since a head or a piece of a body was whole."""

        def data_received(self, data: bytes) -> None:
            self.unseen += len(data)
            super().data_received(data)
            if self.unseen > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The address and headers of a request have more than {HEAD_BYTES} bytes.")

        def on_headers_complete(self) -> None:
            self.unseen = 0
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self.unseen = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self.unseen = 0
            super().on_message_complete()

    return LimitedHead


async def _first_byte(connection: socket.socket) -> bytes:
    """The first byte that the client sends, left in place; empty when it hangs up instead."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection.fileno())
    return connection.recv(1, socket.MSG_PEEK)
