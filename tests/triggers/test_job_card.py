"""The card that a trigger writes beside its own work. tests/stack sees it in a real triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY, JobCard
from airflow_provider_snowflake_batch.jobs.logs import Progress
from airflow_provider_snowflake_batch.jobs.status import ContainerInfo
from airflow_provider_snowflake_batch.triggers import job_card
from airflow_provider_snowflake_batch.triggers.job_card import DeferredCard, tell_cancelled
from tests.job_infos import info

CARD = JobCard("D.S.J", "SUBMITTED", "P", 1, "@D.S.R/J/", 10.0, 1).to_dict()


class XComs:
    """The task's XComs, over a slow line if need be."""

    def __init__(self, card: Any) -> None:
        self.card = card
        self.writes: list[str] = []
        self.written: asyncio.Queue[None] = asyncio.Queue()
        self.line = asyncio.Event()
        self.line.set()

    async def get(self, key: str) -> Any:
        await self.line.wait()
        assert key == JOB_CARD_KEY
        return self.card

    async def set(self, key: str, value: Any) -> None:
        assert key == JOB_CARD_KEY
        self.card = value
        self.writes.append(value["status"])
        self.written.put_nowait(None)


@pytest.fixture
def xcoms(monkeypatch: pytest.MonkeyPatch) -> XComs:
    monkeypatch.setattr(job_card, "CARD_SECONDS", 0)
    return XComs(dict(CARD))


def run(awaitable: Awaitable[Any]) -> Any:
    return asyncio.run(asyncio.wait_for(awaitable, 30))


def test_it_is_written_when_something_has_changed(xcoms: XComs) -> None:
    async def scenario() -> None:
        async with DeferredCard(xcoms, "D.S.J") as card:
            card.look(info("PENDING"))
            await xcoms.written.get()
            for _ in range(3):
                card.look(info("PENDING"), Progress(0, "running", 0, 9))
                await asyncio.sleep(0.02)
            containers = [ContainerInfo(0, "main", "READY", "Running")]
            card.look(info("RUNNING"), Progress(0, "running", 1, 9), containers, ["epoch 1"])
            await xcoms.written.get()

    run(scenario())
    assert xcoms.writes == ["PENDING", "RUNNING"]
    assert xcoms.card["progress"]["rows_done"] == 1
    assert xcoms.card["started_at"] is not None
    assert xcoms.card["containers"][0]["message"] == "Running"
    assert xcoms.card["history"][-1][1] == 1
    assert xcoms.card["log"] == ["epoch 1"]
    assert xcoms.card["confirmed_every"] == 10
    assert job_card._open_cards == 0


def test_a_slow_write_stops_nobody_and_never_comes_late(xcoms: XComs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_card, "_LAST_WRITE_SECONDS", 0.05)

    async def scenario() -> None:
        xcoms.line.clear()
        async with DeferredCard(xcoms, "D.S.J") as card:
            for status in ("PENDING", "RUNNING", "DONE"):
                card.look(info(status))
                await asyncio.sleep(0.01)
        xcoms.line.set()
        await asyncio.sleep(0.1)

    run(scenario())
    assert xcoms.writes == []


def test_it_tells_of_a_start_that_was_seen_before_anything_was_written(
    xcoms: XComs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_card, "CARD_SECONDS", 0.2)

    async def scenario() -> float:
        async with DeferredCard(xcoms, "D.S.J") as card:
            card.look(info("RUNNING"))
            seen = time.time()
            while xcoms.written.empty():
                await asyncio.sleep(0.01)
                card.look(info("RUNNING"))
        return seen

    seen = run(scenario())
    assert xcoms.card["started_at"] <= seen < xcoms.card["updated_at"]


def test_it_is_written_again_when_nothing_is_new_to_tell_that_somebody_looks(xcoms: XComs) -> None:
    async def scenario() -> None:
        async with DeferredCard(xcoms, "D.S.J", poll_interval=0) as card:
            while len(xcoms.writes) < 2:
                card.look(info("PENDING"))
                await asyncio.sleep(0.01)

    run(scenario())
    assert xcoms.writes == ["PENDING", "PENDING"]


@pytest.mark.parametrize(
    ("found", "status", "message"),
    [
        ("CANCELLED", "CANCELLED", "so its job was cancelled. Snowflake said then: CANCELLED."),
        ("CANCELLING", "CANCELLING", "so its job was cancelled. Snowflake said then: CANCELLING."),
        ("DONE", "DONE", "Its job had ended already. Snowflake said then: DONE."),
        (None, "SUBMITTED", "so its job was cancelled. Snowflake knew no such job then."),
    ],
)
def test_it_tells_that_the_job_was_cancelled(xcoms: XComs, found: str | None, status: str, message: str) -> None:
    run(tell_cancelled(xcoms, "D.S.J", info(found) if found else None))  # type: ignore[arg-type]
    assert xcoms.card["status"] == status
    assert xcoms.card["message"].startswith("The deferred task was ended in Airflow")
    assert xcoms.card["message"].endswith(message)


def test_the_end_of_another_try_is_not_told(xcoms: XComs) -> None:
    run(tell_cancelled(xcoms, "D.S.OTHER", info("CANCELLED")))  # type: ignore[arg-type]
    assert (xcoms.writes, xcoms.card) == ([], CARD)


@pytest.mark.parametrize("stored", [None, {**CARD, "job_name": "D.S.OF_A_NEW_TRY"}])
def test_the_card_of_another_job_is_left_alone(xcoms: XComs, stored: Any) -> None:
    xcoms.card = stored

    async def scenario() -> None:
        async with DeferredCard(xcoms, "D.S.J") as card:
            card.look(info("RUNNING"))

    run(scenario())
    assert (xcoms.writes, xcoms.card) == ([], stored)


def test_nothing_is_written_for_a_short_job_nor_where_there_is_no_task(
    xcoms: XComs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(task: XComs | None) -> None:
        async with DeferredCard(task, "D.S.J") as card:
            card.look(info("RUNNING"))

    run(scenario(None))
    monkeypatch.setattr(job_card, "CARD_SECONDS", 10)
    run(scenario(xcoms))
    assert xcoms.writes == []
