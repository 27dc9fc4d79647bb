"""The local Snowflake under the host name of an account, as far as name resolution goes.

What a session's host decides can be tested only so: the driver, HTTP and the server are the real ones.
"""

from __future__ import annotations

import socket
from typing import Any

HOST = "myorg-my-account.snowflakecomputing.com"
_resolve = socket.getaddrinfo


def _getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    return _resolve("127.0.0.1" if host in (HOST, HOST.encode()) else host, *arguments, **options)


def install() -> None:
    """Resolve :data:`HOST` to this machine, in this process."""
    socket.getaddrinfo = _getaddrinfo


def uninstall() -> None:
    socket.getaddrinfo = _resolve
