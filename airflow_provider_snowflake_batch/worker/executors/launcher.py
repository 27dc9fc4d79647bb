"""Starting model processes, and the socket on which they call back.

Imports nothing heavy: the first process is started before the coordinator loads its own libraries.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.worker.processes import interpreter
from airflow_provider_snowflake_batch.worker.temporary import JobFolder

_MODULE = "airflow_provider_snowflake_batch.worker.executors.model_process"
# Unix socket paths are limited to about 107 bytes.
_LONGEST_FOLDER = 90


class Launcher:
    """Starts model processes, numbered in order of their start.

    :param streams: what they have as standard output and standard error; None for this process's own.
    :param reap: called now and then with the processes that are waited for: lets go of others that have ended.
    """

    def __init__(
        self,
        streams: tuple[int, int] | None = None,
        reap: Callable[[Collection[int]], None] = lambda _: None,
    ) -> None:
        self._streams = streams
        self.reap = reap
        # Only this user can open the folder, so only this user's processes can call.
        self._folder = JobFolder()
        if len(str(self._folder.path)) > _LONGEST_FOLDER:
            self._folder.remove()
            self._folder = JobFolder(Path("/tmp"))
        self._address = self._folder.path / "socket"
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(str(self._address))
        self.server.listen(64)
        self._numbers = 0
        self._early: tuple[int, subprocess.Popen[bytes]] | None = None

    def number(self) -> int:
        """The next worker's number."""
        self._numbers += 1
        return self._numbers - 1

    def start_early(self, devices: str | None, threads: int | None = None) -> None:
        """Start a process that the next `start` returns.

        :param devices: as for `start`.
        :param threads: that numeric libraries may start in it, if that is known: then it loads some meanwhile.
        """
        self._early = self._start(devices, threads)

    def start(self, devices: str | None) -> tuple[int, subprocess.Popen[bytes]]:
        """Start a process.

        :param devices: the GPUs that it is to see, as ``CUDA_VISIBLE_DEVICES``; None for all.
        :return: its number and the process.
        """
        if self._early is not None:
            early, self._early = self._early, None
            return early
        return self._start(devices, None)

    def _start(self, devices: str | None, threads: int | None) -> tuple[int, subprocess.Popen[bytes]]:
        number = self.number()
        arguments = [sys.executable, "-m", _MODULE, str(self._address), str(number), str(os.getpid())]
        arguments += [] if threads is None else [str(threads)]
        environment = interpreter.environment()
        if devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = devices
        stdout, stderr = self._streams or (None, None)
        return number, subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=environment
        )

    def accept(self) -> Connection[Any, Any]:
        """Take the call of a process that waits on `server`."""
        client, _ = self.server.accept()
        return Connection(client.detach())

    def close(self) -> None:
        """End an early process nobody asked for, and take no more calls."""
        if self._early is not None:
            self._early[1].kill()
            self._early[1].wait()
            self._early = None
        self.server.close()
        self._folder.remove()
