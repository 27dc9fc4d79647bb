"""How long something takes, on a machine that may be busy with other things."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

_TRIES = 4


def quickest(seconds: float, attempt: Callable[..., object], *, prepare: Callable[[], Any] | None = None) -> float:
    """Make attempts, up to four, until one takes less than so many seconds: a fault delays each, a busy machine some.

    :param attempt: what is timed. :param prepare: done before each attempt, which gets what it returns.
    :return: how long the quickest one took, in seconds.
    """
    taken: list[float] = []
    while len(taken) < _TRIES and (not taken or min(taken) >= seconds):
        given = [] if prepare is None else [prepare()]
        begun = time.monotonic()
        attempt(*given)
        taken.append(time.monotonic() - begun)
    return min(taken)
