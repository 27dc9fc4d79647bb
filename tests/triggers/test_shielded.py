"""Work that goes on although Airflow cancels whoever waits for it, again and again."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest

from airflow_provider_snowflake_batch.triggers.shielded import _at_work, in_background, shielded


def test_work_is_done_however_often_it_is_cancelled() -> None:
    async def killed() -> bool:
        go_on, done = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            await go_on.wait()
            done.set()

        async def trigger() -> None:
            """As the triggerer calls ``on_kill``."""
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(shielded(work(), 30), timeout=30)

        waiting = asyncio.create_task(trigger())
        for _ in range(3):
            await asyncio.sleep(0.01)
            waiting.cancel()
        await asyncio.sleep(0.01)
        assert not done.is_set()
        go_on.set()
        await waiting
        return await done.wait()

    assert asyncio.run(asyncio.wait_for(killed(), 30))


def test_what_takes_too_long_is_not_waited_for() -> None:
    async def late() -> bool:
        go_on, ended = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            await go_on.wait()
            ended.set()

        with pytest.raises(TimeoutError):
            await shielded(work(), 0.05)
        go_on.set()
        return await ended.wait()

    assert asyncio.run(asyncio.wait_for(late(), 30))


def test_a_failure_is_told() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(shielded(work(), 30))


def test_work_in_the_background_is_done_while_nobody_waits(caplog: pytest.LogCaptureFixture) -> None:
    done = []

    async def works() -> None:
        await asyncio.sleep(0)
        done.append(True)

    async def fails() -> None:
        raise OSError("no network")

    async def caller() -> None:
        in_background(works())
        in_background(fails())
        assert not done
        await asyncio.wait(set(_at_work))

    with caplog.at_level(logging.DEBUG):
        asyncio.run(asyncio.wait_for(caller(), 30))
    assert done == [True]
    assert "no network" in caplog.text
