"""Faults on demand of a local Snowflake, for tests."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_snowflake_batch.local.server_process import LocalServer


class LocalFaults:
    """Sets faults over the control endpoint of a server that runs.

    :param server: the server.
    """

    def __init__(self, server: LocalServer) -> None:
        self._server = server

    def add(self, kind: str, **options: Any) -> int:
        """Set a fault; its id."""
        return int(self.ask("POST", body={"kind": kind, **options})["id"])

    def all(self) -> list[dict[str, Any]]:
        return list(self.ask("GET"))

    def fired(self, fault_id: int) -> int:
        """How often the fault struck."""
        return next(int(fault["fired"]) for fault in self.all() if fault["id"] == fault_id)

    def clear(self, fault_id: int | None = None) -> list[dict[str, Any]]:
        return list(self.ask("DELETE", "" if fault_id is None else f"/{fault_id}"))

    def ask(self, method: str, path: str = "", *, body: Any = None, secret: str | None = None) -> Any:
        """One request to the control endpoint; the secret is the server's unless another is given."""
        connection = self._server.airflow_connection
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._server.port}/local/faults{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {connection['password'] if secret is None else secret}"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@contextmanager
def faults_of(server: LocalServer) -> Iterator[LocalFaults]:
    """The faults of a server that other tests use too: none is left behind."""
    faults = LocalFaults(server)
    try:
        yield faults
    finally:
        faults.clear()
