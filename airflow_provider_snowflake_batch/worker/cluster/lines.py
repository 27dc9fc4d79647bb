"""Lines between replica 0 and each other one, open as long as both are there.

On a line, replica 0 tells where the Ray cluster is and, in the end, how the batch ended. If a line breaks or is silent,
each end knows at once that the other one is gone, for which Ray needs a minute. Messages are JSON. First both ends
prove that they know the note's secret (``multiprocessing.connection``, HMAC).
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
# Errors of a line that is broken, or on which somebody else has called.
BROKEN = (OSError, EOFError, ValueError)


class Line:
    """One end of a line.

    :param connected: a socket; the line takes it over. :param key: what the other end has to know as well.
    :param silence: seconds without a word after which the other end counts as gone.
    :param calls: this end has called the other one.
    :raises OSError: the other end is gone, or silent.
    :raises ValueError: the other end does not know the key.
    """

    def __init__(self, connected: socket.socket, key: bytes, silence: float, *, calls: bool) -> None:
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
            for step in (answer_challenge, deliver_challenge) if calls else (deliver_challenge, answer_challenge):
                step(self._connection, key)
        except BaseException as error:
            self.close()
            # AuthenticationError is no OSError.
            raise error if isinstance(error, BROKEN) else ValueError(str(error)) from None

    def send(self, **message: Any) -> None:
        """Say something. :raises OSError: the other end is gone."""
        with self._sending:
            self._connection.send_bytes(json.dumps(message).encode())

    def receive(self) -> Mapping[str, Any]:
        """The next word of the other end.

        :raises OSError: it is gone, or silent. :raises EOFError: it has ended.
        """
        found = json.loads(self._connection.recv_bytes(1 << 20))
        return found if isinstance(found, dict) else {}

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._connection.close()

    def hang_up(self) -> None:
        """Hang up, also while another thread listens."""
        with contextlib.suppress(OSError):
            found = socket.fromfd(self._connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
            with found:
                found.shutdown(socket.SHUT_RDWR)


def call(address: str, port: int, key: bytes, silence: float) -> Line:
    """Call replica 0.

    :raises OSError: nobody answers there. :raises ValueError: somebody else does.
    """
    connected = socket.create_connection((address, port), timeout=min(_CONNECT_SECONDS, silence))
    return Line(connected, key, silence, calls=True)


def keep_alive(line: Line, stopped: threading.Event, lost: Callable[[], None] = lambda: None) -> threading.Thread:
    """Give signs of life on a line until that is stopped, or the line breaks.

    :param lost: called if it breaks.
    """

    def run() -> None:
        while not stopped.wait(SIGN_SECONDS):
            try:
                line.send()
            except BROKEN:
                lost()
                return

    thread = threading.Thread(target=run, name="signs", daemon=True)
    thread.start()
    return thread
