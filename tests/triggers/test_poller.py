"""The poller that triggers share."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack

from airflow_provider_snowflake_batch.jobs.connection import ConnectionSettings
from airflow_provider_snowflake_batch.triggers.poller import shared_poller


def test_triggers_of_one_connection_share_a_thread_which_ends_with_the_last_of_them() -> None:
    """A triggerer lives for weeks: a thread that each deferred task left behind would use up what the machine has."""
    before = set(threading.enumerate())

    async def threads_of(users: int) -> set[threading.Thread]:
        async with AsyncExitStack() as stack:
            pollers = {id(await stack.enter_async_context(shared_poller(ConnectionSettings()))) for _ in range(users)}
            assert len(pollers) == 1
            return {thread for thread in threading.enumerate() if thread.name == "snowflake-batch-poller"} - before

    (thread,) = asyncio.run(threads_of(20))
    thread.join(timeout=30)
    assert not thread.is_alive()
