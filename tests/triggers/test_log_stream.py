"""A job's log in the log of the task that waits for it.

Also tests ``triggers/session_thread.py``.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.connection import ConnectionSettings
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.job import ContainerJob, generate_job_name
from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo, JobStatus
from airflow_provider_snowflake_batch.triggers.log_stream import LogStream
from airflow_provider_snowflake_batch.triggers.poller import shared_poller
from airflow_provider_snowflake_batch.triggers.session_thread import Priority, SessionThread

POOL = Identifier("LOG_TESTS")
LINES = 60
CODE = f"""
import time
for number in range({LINES}):
    print("line", number, flush=True)
    time.sleep(0.1)
"""


class Remembered:
    """Positions as an XCom keeps them."""

    def __init__(self) -> None:
        self.saved: Mapping[str, Sequence[int]] | None = None

    async def load(self) -> Mapping[str, Sequence[int]] | None:
        return self.saved

    async def save(self, positions: Mapping[str, Sequence[int]]) -> None:
        self.saved = dict(positions)


@pytest.mark.slow
def test_every_line_of_every_replica_comes_once_whoever_reads(snowflake_connection: str) -> None:
    with SnowflakeBatchHook(snowflake_connection) as hook:
        hook.run(f"CREATE COMPUTE POOL IF NOT EXISTS {POOL} MIN_NODES = 1 MAX_NODES = 4 INSTANCE_FAMILY = CPU_X64_S")
        container = {"name": "main", "image": "/db/schema/repo/image:1", "command": ["python", "-c", CODE]}
        name = hook.qualify_name(generate_job_name("log", "tests"))
        hook.submit(ContainerJob(name, POOL, {"spec": {"containers": [container]}}, replicas=2))
        while not hook.list_jobs(like=name.name):
            time.sleep(0.1)
        lines: list[str] = []
        remembered = Remembered()
        # Each a trigger of its own, as after a restart of the triggerer; the last one sees the job end.
        readers = 0
        while not asyncio.run(read(name, hook, lines.append, remembered)):
            readers += 1
    assert readers >= 1
    for replica in range(2):
        found = [int(number) for line in lines for number in re.findall(rf"^\[replica {replica}\] line (\d+)$", line)]
        assert found == [*range(LINES)]


async def read(
    name: QualifiedName, hook: SnowflakeBatchHook, show: Callable[[str], None], remembered: Remembered
) -> bool:
    """Follow the log until something new was shown and remembered; True if the job has ended."""
    before = remembered.saved
    async with shared_poller(ConnectionSettings(hook.get_conn_id())) as poller:
        stream = LogStream(poller, name, show, remembered)
        while True:
            info = await poller.poll(name)
            assert info is not None
            if info.status.is_terminal:
                await stream.finish()
                return True
            stream.follow(info)
            await asyncio.sleep(0.1)
            if remembered.saved != before:
                await stream.stop()
                return False


def test_lines_are_not_shown_again_when_the_job_ends_while_it_is_asked_how_far_they_were() -> None:
    class Slow(Remembered):
        """Answers the second time; who asks first is cancelled."""

        asked = asyncio.Event()

        async def load(self) -> Mapping[str, Sequence[int]] | None:
            if not self.asked.is_set():
                self.asked.set()
                await asyncio.Event().wait()
            return await super().load()

    printed = ["one\n", "two\n"]
    hook = SimpleNamespace(
        containers=lambda _: [ContainerInfo(0, "main", "READY", "")], logs=lambda *_, **__: "".join(printed),
        repeating_for=lambda _: nullcontext(), log=logging.getLogger(__name__),
    )  # fmt: skip

    async def run(read: Callable[[Any], Any], _: Priority) -> Any:
        return read(hook)

    def stream(remembered: Remembered, lines: list[str]) -> LogStream:
        name = QualifiedName.parse("D.S.J", field="job")
        return LogStream(SimpleNamespace(run=run, users=1), name, lines.append, remembered)

    async def restart(remembered: Slow) -> list[str]:
        second = stream(remembered, lines := [])
        second.follow(JobInfo("D.S.J", JobStatus.RUNNING, "RUNNING"))
        await remembered.asked.wait()
        await second.finish()
        return lines

    first = Remembered()
    asyncio.run(stream(first, []).finish())
    printed.append("three\n")
    later = Slow()
    later.saved = first.saved
    assert asyncio.run(restart(later)) == ["three"]


def test_a_log_that_cannot_be_read_ends_nothing() -> None:
    async def refused(*_: Any) -> Any:
        raise RuntimeError("no way")

    stream = LogStream(SimpleNamespace(run=refused, users=1), QualifiedName.parse("D.S.J", field="job"), print, None)
    asyncio.run(stream.finish())


def test_statuses_go_before_logs() -> None:
    async def order() -> list[str]:
        done: list[str] = []
        begun, go_on = threading.Event(), threading.Event()

        def first(_: Any) -> None:
            begun.set()
            go_on.wait(10)

        thread = SessionThread(lambda: SimpleNamespace(close=lambda: done.append("closed")))
        waiting = [asyncio.create_task(thread.run(first))]
        await asyncio.to_thread(begun.wait, 10)
        for name, priority in (("log 1", Priority.LOG), ("log 2", Priority.LOG), ("status", Priority.STATUS)):
            waiting.append(asyncio.create_task(thread.run(lambda _, name=name: done.append(name), priority)))
        cancelled = asyncio.create_task(thread.run(lambda _: done.append("unwanted"), Priority.LOG))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*waiting)
        await thread.close()
        return done

    assert asyncio.run(order()) == ["status", "log 1", "log 2", "closed"]


def test_what_fails_is_told_to_who_asked() -> None:
    async def ask() -> None:
        thread = SessionThread(lambda: SimpleNamespace(close=lambda: None))
        with pytest.raises(ZeroDivisionError):
            await thread.run(lambda _: 1 / 0)
        await thread.close()

    asyncio.run(ask())
