"""A thread with one Snowflake session, which does what many triggers ask of it: one thing at a time, urgent first."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_snowflake_batch.jobs.connection import ConnectionSettings

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

_T = TypeVar("_T")

# While Snowflake cannot be reached, a statement is repeated for minutes. A trigger that waited for it would delay its
# own on_kill, and the triggerer's end.
_CLOSE_SECONDS = 5.0


class Priority(IntEnum):
    """What goes first. Logs may be read late; statuses may not, and cancelling a job may not wait."""

    STATUS = 0
    LOG = 1
    CLOSE = 2


def open_hook(settings: ConnectionSettings, **changes: Any) -> SnowflakeBatchHook:
    """A hook, made when it is needed: it loads the driver.

    :param changes: other arguments of the hook.
    """
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

    return SnowflakeBatchHook(**settings.arguments(), **changes)


class SessionThread:
    """Runs actions of the blocking driver off the event loop.

    :param open_hook: makes the hook, in the thread, when the first action needs it.
    """

    def __init__(self, open_hook: Callable[[], SnowflakeBatchHook]) -> None:
        self._open_hook = open_hook
        self._hook: SnowflakeBatchHook | None = None
        self._waiting: queue.PriorityQueue[tuple[Priority, int, Callable[[], Any] | None, Future[Any]]]
        self._waiting = queue.PriorityQueue()
        self._order = itertools.count()
        self._thread = threading.Thread(target=self._work, name="snowflake-batch-poller", daemon=True)
        self._thread.start()

    async def run(self, action: Callable[[SnowflakeBatchHook], _T], priority: Priority = Priority.STATUS) -> _T:
        """Do something with the session. Actions of one priority take their turns in order."""

        def call() -> _T:
            if self._hook is None:
                self._hook = self._open_hook()
            return action(self._hook)

        return await asyncio.wrap_future(self._put(priority, call))

    async def close(self) -> None:
        """Log out, and end the thread. If it is busy for long, it does so later by itself."""

        def log_out() -> None:
            if self._hook is not None:
                self._hook.close()

        closed = self._put(Priority.CLOSE, log_out)
        self._put(Priority.CLOSE, None)
        await asyncio.to_thread(wait, [closed], _CLOSE_SECONDS)

    def _put(self, priority: Priority, call: Callable[[], Any] | None) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.put((priority, next(self._order), call, future))
        return future

    def _work(self) -> None:
        while True:
            _, _, call, future = self._waiting.get()
            if call is None:
                return
            # An action that was cancelled is left out.
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
