"""Runs one container's command and outlives the server, so that its exit code is never lost.

Started as ``python supervisor.py LAUNCH.json`` in a session of its own. It needs the standard library only: it is
started by its path, without importing the package. What it does:

* the command runs in its own process group, its stdout and stderr go to the log file;
* SIGTERM is passed on to the group, which is killed after the grace period; SIGQUIT kills it at once (both are
  blocked by whoever starts this program, until the command runs);
* when the command ends, everything it left behind is killed, as a container's end would;
* the exit code is written to the exit file in one step, after the log is complete.

LAUNCH.json: ``argv``, ``env``, ``cwd``, ``log``, ``exit``, ``pid`` (paths), ``grace_seconds``, ``log_limit_bytes``.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
NOT_STARTED = 127
RESERVED_BYTES = 4096
"""Of the pid file and the exit file."""
BLOCKED_AT_START = (signal.SIGTERM, signal.SIGQUIT)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class LogFile:
    """The container's output, and beside it when each piece arrived.

    The index ``<log>.times`` has one line ``<offset> <seconds since the epoch>`` for each piece, which is how lines
    get the time they were written at without changing a byte of the log. A log that outgrows the limit is renamed to
    ``<log>.1`` and begun anew, so that a chatty job cannot fill the disk.
    """

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self.limit = limit
        self.lost = 0
        self._open()

    def _open(self) -> None:
        self.log: io.FileIO = open(self.path, "ab", buffering=0)  # noqa: SIM115
        self.times: io.FileIO = open(self.path + ".times", "ab", buffering=0)  # noqa: SIM115
        self.size = self.log.tell()

    def write(self, piece: bytes) -> None:
        """Append a piece. On a full disk it is left out, and the log says so once there is room again.

        The container must not stand still, or die, because its log cannot be kept.
        """
        try:
            if self.size + len(piece) > self.limit and self.size:
                self.close()
                os.replace(self.path, self.path + ".1")
                os.replace(self.path + ".times", self.path + ".1.times")
            if self.log.closed:
                self._open()
            if self.lost:
                self._append(b"\n[%d bytes of output are missing here: the disk was full]\n" % self.lost)
                self.lost = 0
            self._append(piece)
        except OSError:
            self.lost += len(piece)

    def _append(self, piece: bytes) -> None:
        sizes = self.times.tell(), self.size
        try:
            _write_whole(self.times, b"%d %.3f\n" % (self.size, time.time()))
            _write_whole(self.log, piece)
            self.size += len(piece)
        except OSError:
            # Half a piece would be taken for a whole one.
            for file, size in zip((self.times, self.log), sizes, strict=True):
                os.ftruncate(file.fileno(), size)
            raise

    def close(self) -> None:
        self.log.close()
        self.times.close()


class Supervisor:
    def __init__(self, launch: dict[str, Any]) -> None:
        self.launch = launch
        self.log = LogFile(launch["log"], launch["log_limit_bytes"])
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGALRM, self._kill)
        signal.signal(signal.SIGQUIT, self._kill)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        self._write("pid", str(os.getpid()))
        started = time.time()
        error = None
        # Blocked since before this program began, and until there is a command that they can reach.
        early = signal.sigpending().intersection(BLOCKED_AT_START)
        try:
            if not early:
                self.process = self._start()
        except OSError as exc:
            error = f"{exc.strerror or exc}: {self.launch['argv'][0]}"
            self.log.write(f"{error}\n".encode())
            code = NOT_STARTED
        else:
            if self.process is None:
                code = 128 + (signal.SIGKILL if signal.SIGQUIT in early else signal.SIGTERM)
            else:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_AT_START)
                code = self._wait(self.process)
        self.log.close()
        outcome = {"exit_code": code, "started": started, "ended": time.time(), "error": error and error[:500]}
        self._write("exit", json.dumps(outcome))
        return 0

    def _start(self) -> subprocess.Popen[bytes]:
        parent = os.getpid()

        def in_the_child() -> None:
            # What this program ignores or blocks would stay so in the command.
            for ignored in (signal.SIGINT, signal.SIGHUP):
                signal.signal(ignored, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_AT_START)
            # A supervisor that is killed takes its command along.
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(128 + signal.SIGKILL)

        return subprocess.Popen(
            self.launch["argv"],
            env=self.launch["env"],
            cwd=self.launch["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            process_group=0,
            preexec_fn=in_the_child,
        )

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        reader = threading.Thread(target=self._copy_output, args=(process,), daemon=True)
        reader.start()
        status = process.wait()
        signal.alarm(0)
        self._kill_group_and_descendants()
        reader.join(timeout=10)
        return status if status >= 0 else 128 - status

    def _copy_output(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        while piece := os.read(process.stdout.fileno(), 65536):
            self.log.write(piece)

    def _terminate(self, _signal: int, _frame: object) -> None:
        self._signal_group(signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, max(self.launch["grace_seconds"], 0.001))

    def _kill(self, _signal: int, _frame: object) -> None:
        self._kill_group_and_descendants()

    def _signal_group(self, number: int) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def _kill_group_and_descendants(self) -> None:
        self._signal_group(signal.SIGKILL)
        # Processes that left the group are adopted by this process, which is why they can still be found.
        main = self.process.pid if self.process is not None else None
        while strays := [pid for pid in _children(os.getpid()) if pid != main]:
            for pid in strays:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def _write(self, which: str, content: str) -> None:
        path = self.launch[which]
        # Whoever starts this program takes the room for it, so that a full disk cannot lose an exit code.
        reserved = os.path.exists(path + ".part")  # noqa: PTH110
        with open(path + ".part", "r+" if reserved else "w", encoding="utf-8") as file:
            file.write(content.ljust(RESERVED_BYTES) if reserved else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".part", path)


def _write_whole(file: io.FileIO, piece: bytes) -> None:
    while piece:
        piece = piece[file.write(piece) :]


def _children(pid: int) -> list[int]:
    """The process's children, where the system tells (Linux)."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as _file:
        _launch = json.load(_file)
    sys.exit(Supervisor(_launch).run())
