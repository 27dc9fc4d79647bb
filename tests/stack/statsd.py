"""A StatsD server that keeps what it is sent."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self


class StatsD:
    """Listens on a free UDP port of this machine while it is open.

    :ivar port: that port.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def settings(self) -> dict[str, str]:
        """What tells an Airflow to send its metrics here."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
        }

    def received(self) -> list[str]:
        """All lines so far, for example ``airflow.snowflake_batch.rows:10|c``."""
        return list(self._lines)

    def _read(self) -> None:
        while data := self._socket.recv(65_536):
            self._lines += data.decode().splitlines()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # An empty datagram ends the thread.
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()
