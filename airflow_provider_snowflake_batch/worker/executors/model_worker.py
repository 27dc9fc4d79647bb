"""One model process, as the pool that started it sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from airflow_provider_snowflake_batch.worker.input.plan import Task


@dataclass
class Worker:
    """One model process as the coordinator sees it.

    :param popen: None for a process that was forked from another model process, its mother.
    :param exit_status: exit code, or minus the signal; None while it runs.
    :param devices: the GPUs that it sees; None for all.
    :param spare: it has not been told to load the model: whether it is needed is not known before one has loaded.
    :param bystander: it ended with its mother, not by what it did.
    """

    number: int
    pid: int | None = None
    popen: subprocess.Popen[bytes] | None = None
    connection: Connection[Any, Any] | None = None
    exit_status: int | None = None
    devices: str | None = None
    working: bool = False
    mother: bool = False
    spare: bool = False
    bystander: bool = False
    assigned: deque[Task] = field(default_factory=deque)

    @property
    def loading(self) -> bool:
        """Whether it is loading the model, or about to."""
        return self.popen is not None and not self.mother and not self.working and not self.spare

    def tell(self, message: Any) -> None:
        """Send an order. If the process is dying, the order is lost, which is noticed when its end is."""
        if self.connection is not None:
            with contextlib.suppress(OSError):
                self.connection.send(message)

    def kill(self) -> None:
        """End it now; one that this process has started is gone when this returns."""
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait()
        elif self.pid is not None and self.exit_status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def describe_exit(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"
