"""Work in the triggerer that has to be done even if Airflow no longer waits for it.

Airflow 3.3 gives a trigger's ``on_kill`` thirty seconds (``[triggerer] on_kill_timeout``). But until the trigger has
ended, each round of the triggerer, about every second, cancels it again (``TriggerRunner.cancel_triggers``). The second
time this cancels ``on_kill`` itself, and nothing is logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)
# Holds the tasks: the event loop's own references do not keep them alive.
_at_work: set[asyncio.Task[None]] = set()


async def shielded(work: Coroutine[Any, Any, None], patience: float) -> None:
    """Do some work to its end, and wait for it, even if the caller is cancelled again and again meanwhile.

    :param patience: seconds to wait; the work goes on even then.
    :raises TimeoutError: the work has not ended by then.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    task = loop.create_task(work)
    _at_work.add(task)
    task.add_done_callback(_at_work.discard)
    while not task.done() and (left := until - loop.time()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task], timeout=left)
    if not task.done():
        raise TimeoutError
    task.result()


def in_background(work: Coroutine[Any, Any, None]) -> None:
    """Do some work that nobody waits for. Its errors are logged for debugging only."""

    async def quietly() -> None:
        try:
            await work
        except Exception:
            log.debug("Work in the background has failed", exc_info=True)

    task = asyncio.get_running_loop().create_task(quietly())
    _at_work.add(task)
    task.add_done_callback(_at_work.discard)
