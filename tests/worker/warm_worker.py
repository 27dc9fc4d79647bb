"""Workers that begin with their libraries loaded: they are forked from a process that has loaded them.

The two processes of a worker load pandas and Arrow for a second of processor time, most of what a small job takes. A
forked one is a process as any other: with its own streams, signals and exit code, and with a model process of its own.
What a worker loads, when, and with which variables, is seen with one that is started.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

_PACKAGE = "airflow_provider_snowflake_batch.worker"
# Variables that the worker's own code reads when it begins. Others may be read when Python or a library is loaded.
_READ_LATE = ("SNOWFLAKE_JOB_INDEX", "SNOWFLAKE_JOBS_COUNT", "PYTEST_CURRENT_TEST", "PYTHONUNBUFFERED")
# No request is so long. One comes in one piece.
_REQUEST_BYTES = 200_000


class WarmWorkers:
    """The process that workers are forked from. It ends with this one."""

    def __init__(self) -> None:
        self._variables, self._folder = _read_early(os.environ), Path.cwd()
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            # The threads that NumPy's library would start are not in a forked process.
            self._mother = subprocess.Popen(
                [sys.executable, "-m", __name__, str(other.fileno())],
                env={**os.environ, "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"},
                pass_fds=[other.fileno()],
            )

    def close(self) -> None:
        self._socket.close()
        self._mother.wait()

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], timeout: float
    ) -> tuple[int, str, str] | None:
        """Run a worker to its end.

        :return: its exit code and what it has printed; None if it would not be the same as one that is started.
        """
        if _read_early(environment) != self._variables or Path.cwd() != self._folder:
            return None
        # Standard output, standard error, and what the process that waits for it says.
        pipes = [os.pipe() for _ in range(3)]
        try:
            request = json.dumps([list(arguments), dict(environment)]).encode()
            socket.send_fds(self._socket, [request], [writing for _, writing in pipes])
        finally:
            for _, writing in pipes:
                os.close(writing)
        output, errors, said = _read_all([reading for reading, _ in pipes], timeout)
        return int(said.split()[-1]), output.decode(), errors.decode()


def _read_early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in _READ_LATE}


def _read_all(descriptors: Sequence[int], timeout: float) -> list[bytes]:
    """What comes out of pipes until nobody writes any more; the last one begins with the number of a process.

    :raises TimeoutError: that process is killed.
    """
    found = dict.fromkeys(descriptors, b"")
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for one in descriptors:
            selector.register(one, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if not ready:
                os.kill(int(found[descriptors[-1]].split()[0]), signal.SIGKILL)
                raise TimeoutError(f"the worker has not ended in {timeout} seconds: {found}")
            for key, _ in ready:
                data = os.read(key.fd, 65_536)
                found[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return list(found.values())


class _ForkedModelProcess:
    """A worker's first model process, forked from the worker: as much of a ``Popen`` as `Launcher` and others use.

    It is started before the worker has begun with anything. Later ones are not forked: by then, the worker has threads,
    and one of them may hold a lock.
    """

    _made = False

    def __new__(cls, command: Sequence[str], **options: Any) -> Any:
        if cls._made:
            return subprocess.Popen(command, **options)
        cls._made = True
        return super().__new__(cls)

    def __init__(self, command: Sequence[str], *, stdin: int, stdout: int, stderr: int, env: Mapping[str, str]) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _become(command[2], command[3:], env, {1: stdout, 2: stderr})

    def poll(self) -> int | None:
        return self._ended(os.WNOHANG)

    def wait(self) -> int:
        status = self._ended(0)
        assert status is not None
        return status

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _ended(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _become(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], streams: Mapping[int, int]
) -> NoReturn:
    """Go on as ``python -m`` with a module does."""
    # What the process before had opened is closed by its number; objects of it must not close a later file.
    gc.freeze()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in streams.items():
        os.dup2(stream, number)
    for opened in list(Path("/dev/fd").iterdir()):
        if int(opened.name) > 2:
            with contextlib.suppress(OSError):
                os.close(int(opened.name))
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit()


def _serve(server: socket.socket) -> None:
    """Fork a worker for each request, and a process that waits for it."""
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        request, descriptors, _, _ = socket.recv_fds(server, _REQUEST_BYTES, 3)
        if not request:
            return
        if not os.fork():
            server.detach()
            _wait(json.loads(request), descriptors)
        for one in descriptors:
            os.close(one)


def _wait(request: tuple[Sequence[str], Mapping[str, str]], descriptors: Sequence[int]) -> NoReturn:
    output, errors, said = descriptors
    worker = os.fork()
    if not worker:
        _become(_PACKAGE, *request, {1: output, 2: errors})
    os.close(output)
    os.close(errors)
    os.write(said, b"%d " % worker)
    _, status = os.waitpid(worker, 0)
    os.write(said, b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _load() -> None:
    """Load what a worker loads, and have it fork its model process."""
    from airflow_provider_snowflake_batch.worker import models, run  # noqa: F401
    from airflow_provider_snowflake_batch.worker.executors import launcher, replicas  # noqa: F401
    from airflow_provider_snowflake_batch.worker.output import verify  # noqa: F401
    from airflow_provider_snowflake_batch.worker.scoring import assembly  # noqa: F401

    launcher.subprocess = SimpleNamespace(Popen=_ForkedModelProcess, DEVNULL=subprocess.DEVNULL)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))
