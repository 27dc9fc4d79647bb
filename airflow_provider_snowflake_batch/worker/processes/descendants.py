"""Whatever the model has started is gone when the job ends: its own processes, those these started, and daemons.

Two ways, since neither covers everything (both are Linux's):

* Processes whose parent ended become children of the coordinator (``PR_SET_CHILD_SUBREAPER``), which kills all that are
  left when it ends in whatever order it can choose.
* A coordinator that is killed cannot do that. A process of a few pages, forked before anything is loaded, notices that
  it is gone, kills all processes that carry the run's mark in the environment they were started with, with all that
  descend from these, and removes the job's temporary folder. Not found is who was started with another environment, or
  has overwritten it, and has lost its parent.

Children that a process had before it became a worker (``exec`` in a shell) are not touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn

from airflow_provider_snowflake_batch.worker.temporary import remove_tree

MARK = "SNOWFLAKE_BATCH_RUN"
_PR_SET_CHILD_SUBREAPER = 36
_KILL_SECONDS = 5.0
# Processes that end by themselves when all their users have ended, and then remove shared memory and semaphores that
# these have left. They get some time for that.
_CLEANERS = (b"resource_tracker", b"torch_shm_manager")
_CLEAN_SECONDS = 2.0
_PAUSE_SECONDS = 0.005
# No more than this counts of the time between two looks: on a busy machine, this process may stand still for longer
# than all of it is to take.
_MOST_COUNTED_SECONDS = 0.1


class _Spent:
    """How many seconds this process has been at something."""

    def __init__(self) -> None:
        self._looked, self._seconds = time.monotonic(), 0.0

    def __call__(self) -> float:
        looked, self._looked = self._looked, time.monotonic()
        self._seconds += min(self._looked - looked, _MOST_COUNTED_SECONDS)
        return self._seconds


class Descendants:
    """The processes that descend from this one, from now on.

    :param folder: removed if this process is killed.
    """

    def __init__(self, folder: Path) -> None:
        self._foreign = set(_children(os.getpid()))
        self._mark = uuid.uuid4().hex
        os.environ[MARK] = self._mark
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        reading, self._writing = os.pipe()
        self._guard = os.fork()
        if not self._guard:
            _guard(reading, self._mark, folder)
        os.close(reading)

    def reap(self, waited_for: Collection[int]) -> None:
        """Let go of processes that became this one's and have ended.

        :param waited_for: processes that somebody else waits for.
        """
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in waited_for or ended.si_pid in self._foreign or ended.si_pid == self._guard:
                    return
                os.waitpid(ended.si_pid, 0)

    def kill(self) -> None:
        """Kill all of them, and wait until they are gone."""
        spent = _Spent()
        while (left := [pid for pid in _children(os.getpid()) if self._is_ours(pid)]) and spent() < _KILL_SECONDS:
            left = _without_cleaners(left, spent())
            if not left:
                time.sleep(_PAUSE_SECONDS)
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            for pid in left:
                # Its children become children of this process, and are found in the next round.
                with contextlib.suppress(ChildProcessError):
                    while os.waitpid(pid, os.WNOHANG) == (0, 0) and spent() < _KILL_SECONDS:
                        time.sleep(_PAUSE_SECONDS)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._guard, signal.SIGKILL)
            os.waitpid(self._guard, 0)
        os.close(self._writing)

    def _is_ours(self, pid: int) -> bool:
        if pid in self._foreign or pid == self._guard:
            return False
        # A child from before this run may have left children of its own. They lack the mark.
        return not self._foreign or _is_marked(pid, self._mark)


def _guard(reading: int, mark: str, folder: Path) -> NoReturn:
    """Wait until the coordinator is gone, then end what it has left."""
    try:
        # A session of its own, so that signals to the coordinator's group or terminal do not end it.
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        # Also closes the coordinator's end of the pipe, which must not stay open here.
        os.closerange(3, reading)
        os.closerange(reading + 1, 1024)
        while os.read(reading, 1):
            pass
        kill_marked(MARK, mark)
        remove_tree(folder)
    finally:
        os._exit(0)


def kill_marked(name: str, value: str) -> None:
    """Kill the processes that were started with a variable of a value, and those that descend from them.

    Some overwrite their environment when they give themselves another title, as Ray's do. Returns when they are gone,
    but does not wait for ever.
    """
    spent = _Spent()
    while spent() < _KILL_SECONDS:
        born = _marked(name, value)
        for pid in _without_cleaners(list(born), spent()):
            with contextlib.suppress(OSError):
                # By a handle, so that no later process of the same number is killed.
                handle = os.pidfd_open(pid)
                try:
                    if _origin(pid)[1] == born[pid]:
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)
        if not born:
            return
        time.sleep(_PAUSE_SECONDS)


def _marked(name: str, value: str) -> dict[int, int]:
    """The processes that carry a mark or descend from one that does, but this one, and when each was born (ticks)."""
    there: dict[int, tuple[int, int]] = {}
    for pid in _processes():
        with contextlib.suppress(OSError, ValueError, IndexError):
            there[pid] = _origin(pid)
    found = {pid for pid in there if _is_marked(pid, value, name)}
    new = found
    while new:
        new = {pid for pid, (parent, _) in there.items() if parent in new} - found
        found |= new
    return {pid: there[pid][1] for pid in found if pid != os.getpid()}


def _without_cleaners(pids: list[int], spent: float) -> list[int]:
    """Which of some processes are to be killed now: cleaners only when they have had their time."""
    if spent > _CLEAN_SECONDS:
        return pids
    return [pid for pid in pids if not _cleans_up(pid)]


def _cleans_up(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(one in command for one in _CLEANERS)


def _is_marked(pid: int, mark: str, name: str = MARK) -> bool:
    try:
        # The environment that the process was started with. That of another user's process cannot be read.
        return f"{name}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _processes() -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def _children(parent: int) -> list[int]:
    """The process's children, where the system tells."""
    found = []
    for pid in _processes():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if _origin(pid)[0] == parent:
                found.append(pid)
    return found


def _origin(pid: int) -> tuple[int, int]:
    """The parent of a process, and when it was born, in ticks.

    :raises OSError: there is none, or the system does not tell.
    """
    # After the name, which may hold any character: state, parent, …. The time of birth is the 22nd field of all.
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[1]), int(fields[19])
