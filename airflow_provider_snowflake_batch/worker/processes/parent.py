"""What every process that a replica starts has in common: it ends with the one it serves."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; end at once if that has happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def leave_signals_to_parent() -> None:
    """Go on when the whole process group is told to end: the parent decides when this process stops.

    A handler is set rather than SIG_IGN, which programs that are started from here would inherit.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
