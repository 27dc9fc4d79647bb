"""Channels between replica 0 and each other one, open as long as both are there.

On a channel, replica 0 tells where the Ray cluster is and, in the end, how the batch ended. If a channel breaks or is
silent, each end knows at once that the other one is gone, for which Ray needs a minute. Messages are JSON. First both
ends prove that they know the announcement's secret (``multiprocessing.connection``, HMAC).
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Any

_CONNECT_SECONDS = 5.0
SIGN_SECONDS = 2.0
# Errors of a channel that is broken, or whose other end is somebody else.
BROKEN = (OSError, EOFError, ValueError)


class Channel:
    """One end of a channel.

    :param connected: a socket; the channel takes it over. :param key: what the other end has to know as well.
    :param silence: seconds without a message after which the other end counts as gone.
    :param connects: this end has connected to the other one.
    :raises OSError: the other end is gone, or silent.
    :raises ValueError: the other end does not know the key.
    """

    def __init__(self, connected: socket.socket, key: bytes, silence: float, *, connects: bool) -> None:
        self.peer = str(connected.getpeername()[0])
        # A limit of the socket, since blocking calls of Connection have none.
        limit = struct.pack("ll", int(silence), int(silence % 1 * 1e6))
        for one in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connected.setsockopt(socket.SOL_SOCKET, one, limit)
        connected.setblocking(True)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._connection: Connection[Any, Any] = Connection(connected.detach())
        self._sending = threading.Lock()
        try:
            for step in (answer_challenge, deliver_challenge) if connects else (deliver_challenge, answer_challenge):
                step(self._connection, key)
        except BaseException as error:
            self.close()
            # AuthenticationError is no OSError.
            raise error if isinstance(error, BROKEN) else ValueError(str(error)) from None

    def send(self, **message: Any) -> None:
        """Send a message. :raises OSError: the other end is gone."""
        with self._sending:
            self._connection.send_bytes(json.dumps(message).encode())

    def receive(self) -> Mapping[str, Any]:
        """The next message of the other end.

        :raises OSError: it is gone, or silent. :raises EOFError: it has ended.
        """
        found = json.loads(self._connection.recv_bytes(1 << 20))
        return found if isinstance(found, dict) else {}

    def close(self) -> None:
        """Close this end."""
        with contextlib.suppress(OSError):
            self._connection.close()

    def shut_down(self) -> None:
        """End the channel, also while another thread receives."""
        with contextlib.suppress(OSError):
            found = socket.fromfd(self._connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
            with found:
                found.shutdown(socket.SHUT_RDWR)


def connect(address: str, port: int, key: bytes, silence: float) -> Channel:
    """Connect to replica 0.

    :raises OSError: nobody answers there. :raises ValueError: somebody else does.
    """
    connected = socket.create_connection((address, port), timeout=min(_CONNECT_SECONDS, silence))
    return Channel(connected, key, silence, connects=True)


def keep_alive(channel: Channel, stopped: threading.Event, lost: Callable[[], None] = lambda: None) -> threading.Thread:
    """Give signs of life on a channel until that is stopped, or the channel breaks.

    :param lost: called if it breaks.
    """

    def run() -> None:
        while not stopped.wait(SIGN_SECONDS):
            try:
                channel.send()
            except BROKEN:
                lost()
                return

    thread = threading.Thread(target=run, name="signs", daemon=True)
    thread.start()
    return thread
