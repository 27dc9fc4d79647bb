"""Standard output and standard error, shared by the coordinator and what its model processes print.

The reader of a stream may be gone or slow, or its disk may be full. No scored row is to be lost for that, so nothing
here raises. Progress lines and the line that names the cause of a failure start a new line, whatever a model has
printed before them. What a model prints is never taken for a progress line.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX

_PREFIX = PROGRESS_PREFIX.encode()
# Replaces the prefix where a model prints it.
_NO_PREFIX = _PREFIX.rstrip() + b": "
_READ_BYTES = 65_536
# Seconds for which the rest in a pipe is copied after all processes that write to it have ended.
_DRAIN_SECONDS = 5.0
# Seconds for which the last line waits until the stream takes it.
_LAST_SECONDS = 1.0


def open_missing() -> None:
    """Open standard streams that were closed when this process was started.

    Otherwise the next file that is opened takes their number, and what a library prints is written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # open() takes the lowest free number, which is the missing stream's.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)


class Console:
    """One of the standard streams.

    :param descriptor: its file descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._at_line_start = True
        self._held = b""
        # The latest line that was not taken yet.
        self._due = deque[str](maxlen=1)
        self._pipe: int | None = None
        self._thread: threading.Thread | None = None

    def line(self, text: str) -> None:
        """Write a line of one's own, however long that takes."""
        with self._lock:
            self._write_line(text)

    def line_if_taken(self, text: str) -> None:
        """Write a line of one's own; later, if the stream takes nothing at this moment, and not if another follows."""
        self._due.append(text)
        self._write_due(0.0)

    def _write_due(self, seconds: float) -> None:
        if self._lock.acquire(blocking=False):
            try:
                if self._due and _takes(self._descriptor, seconds):
                    self._write_line(self._due.pop())
            finally:
                self._lock.release()

    def _write_line(self, text: str) -> None:
        held, self._held = self._held, b""
        begin = b"" if self._at_line_start and not held else b"\n"
        # In one piece, so that what model processes print directly comes between lines and not within one.
        self._write(held + begin + text.encode("utf-8", "replace") + b"\n")

    def pipe(self) -> int:
        """The descriptor that model processes write to; what comes is copied from now on."""
        if self._pipe is None:
            reading, self._pipe = os.pipe()
            self._thread = threading.Thread(target=self._copy, args=(reading,), name="model-output", daemon=True)
            self._thread.start()
        return self._pipe

    def close(self) -> None:
        """Copy what model processes that have ended left in the pipe, and write what is due."""
        if self._pipe is not None and self._thread is not None:
            os.close(self._pipe)
            self._pipe = None
            # With a limit: a process that could not be ended may hold the other end open for ever.
            self._thread.join(_DRAIN_SECONDS)
        self._write_due(_LAST_SECONDS)

    def _copy(self, reading: int) -> None:
        while data := os.read(reading, _READ_BYTES):
            with self._lock:
                self._foreign(data)
            self._write_due(0.0)
        with self._lock:
            held, self._held = self._held, b""
            self._write(held)
        os.close(reading)

    def _foreign(self, data: bytes) -> None:
        data = (self._held + data).replace(_PREFIX, _NO_PREFIX)
        kept = next((size for size in range(len(_PREFIX) - 1, 0, -1) if data.endswith(_PREFIX[:size])), 0)
        self._held = data[len(data) - kept :]
        self._write(data[: len(data) - kept])

    def _write(self, data: bytes) -> None:
        if data:
            self._at_line_start = data.endswith(b"\n")
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                _takes(self._descriptor, 1.0)
            except OSError:
                # The stream is closed or its disk is full. The text is lost, but no row.
                return


def _takes(descriptor: int, seconds: float) -> bool:
    """Whether a descriptor takes some bytes now, or within some seconds."""
    with contextlib.suppress(OSError, ValueError):
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        return bool(poll.poll(1000 * seconds))
    return True
