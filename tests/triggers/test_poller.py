"""The poller that triggers share."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest

from airflow_provider_snowflake_batch.jobs.connection import ConnectionSettings
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus
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


def test_many_triggers_are_told_in_many_turns_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """While all of thousands were told in one, nothing else in the triggerer would go on, its heartbeat not either."""
    names = [QualifiedName(f"JOB_{number}", "S", "D") for number in range(2000)]
    jobs = [JobInfo(str(name), JobStatus.RUNNING, "RUNNING") for name in names]
    hook = SimpleNamespace(list_jobs=lambda *_, **__: jobs, close=lambda: None)
    monkeypatch.setattr("airflow_provider_snowflake_batch.triggers.poller.open_hook", lambda _: hook)
    told: list[JobInfo | None] = []

    async def most_in_one_turn() -> int:
        async with shared_poller(ConnectionSettings()) as poller:

            async def ask(name: QualifiedName) -> None:
                told.append(await poller.poll(name))

            asking = [asyncio.create_task(ask(name)) for name in names]
            most = 0
            while len(told) < len(names):
                before = len(told)
                await asyncio.sleep(0)
                most = max(most, len(told) - before)
            await asyncio.gather(*asking)
            return most

    assert asyncio.run(most_in_one_turn()) <= 500
    assert told == jobs


def test_triggers_that_take_long_to_ask_share_a_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers of ten thousand that fire together keep the event loop busy for longer than a question waits."""
    names = [QualifiedName(f"JOB_{number}", "S", "D") for number in range(500)]
    jobs = [JobInfo(str(name), JobStatus.RUNNING, "RUNNING") for name in names]
    statements: list[object] = []
    hook = SimpleNamespace(list_jobs=lambda *_, **__: statements.append(1) or jobs, close=lambda: None)
    monkeypatch.setattr("airflow_provider_snowflake_batch.triggers.poller.open_hook", lambda _: hook)
    # However slow the machine is: no pause between two questions is as long as the first wait for more of them.
    monkeypatch.setattr("airflow_provider_snowflake_batch.triggers.poller._GATHER_SECONDS", 0.6)
    monkeypatch.setattr("airflow_provider_snowflake_batch.triggers.poller._MOST_GATHER_SECONDS", 60.0)

    async def ask_one_after_another() -> list[JobInfo | None]:
        async with shared_poller(ConnectionSettings()) as poller:
            asking = []
            for name in names:
                asking.append(asyncio.create_task(poller.poll(name)))
                if len(asking) % 50 == 0:
                    await asyncio.sleep(0.1)
            return await asyncio.gather(*asking)

    assert asyncio.run(ask_one_after_another()) == jobs
    assert len(statements) == 1


def test_one_who_asks_takes_no_answer_away_from_another(monkeypatch: pytest.MonkeyPatch) -> None:
    name = QualifiedName("JOB", "S", "D")
    hook = SimpleNamespace(poll=lambda *_: JobInfo(str(name), JobStatus.DONE, "DONE"), close=lambda: None)
    monkeypatch.setattr("airflow_provider_snowflake_batch.triggers.poller.open_hook", lambda _: hook)

    async def ask_three_times() -> list[JobInfo | BaseException | None]:
        async with shared_poller(ConnectionSettings()) as poller:
            asking = [asyncio.create_task(poller.poll(name)) for _ in range(3)]
            await asyncio.sleep(0)
            asking[0].cancel()
            return await asyncio.gather(*asking, return_exceptions=True)

    cancelled, *others = asyncio.run(ask_three_times())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert [other.status for other in others if isinstance(other, JobInfo)] == [JobStatus.DONE] * 2
