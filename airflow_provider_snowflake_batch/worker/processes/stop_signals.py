"""SIGTERM and SIGINT end a batch in order: its processes are stopped, and the records of finished tasks stay."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import FrameType

from airflow_provider_snowflake_batch.worker.errors import Terminated

_NUMBERS = (signal.SIGTERM, signal.SIGINT)
# Longer than an orderly end takes, which waits for a heartbeat and then for the batches of the model processes.
GIVE_UP_SECONDS = 16.0


class StopSignals:
    """From now on, the first of these signals raises `Terminated` in the main thread, and later ones do nothing.

    Python runs the handler between two of its own steps, so a read of a stage that hangs delays it, and a library may
    swallow its exception. Containers are killed 30 seconds after SIGTERM. So the signal also wakes a thread, which ends
    the process before that if it has not ended in order.

    :ivar received: what was raised; None before a signal. What was under way when it was raised may end in an error of
        another kind.
    """

    def __init__(self) -> None:
        self.received: Terminated | None = None
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        threading.Thread(target=_end_late, args=(woken,), name="give-up", daemon=True).start()
        for number in _NUMBERS:
            signal.signal(number, self._handle)

    def ignore(self) -> None:
        """Let signals do nothing from now on: what is left to do takes seconds, and is not to be left half-done."""
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.ignore()
        # Who has replaced the handlers for a while puts them back.
        if self.received is None:
            self.received = _terminated(number)
            raise self.received


def _terminated(number: int, remark: str = "") -> Terminated:
    return Terminated(f"stopped by {signal.Signals(number).name}; finished tasks keep their records{remark}")


def _end_late(woken: int) -> None:
    number = os.read(woken, 1)[0]
    while number not in _NUMBERS:
        number = os.read(woken, 1)[0]
    time.sleep(GIVE_UP_SECONDS)
    message = _terminated(number, ", although something held them up")
    # Not by sys.stderr, which the code that hangs may have locked. The kernel ends the model processes as well.
    with contextlib.suppress(OSError):
        os.write(2, (message.describe() + "\n").encode())
    os._exit(message.exit_code)
