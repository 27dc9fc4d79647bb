"""The triggers against the local Snowflake, on a real event loop."""

from __future__ import annotations

import asyncio
import pydoc
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_snowflake_batch.exceptions import JobNotFoundError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.connection import ConnectionSettings
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.triggers.batch_inference import BatchJobTrigger, BatchSuccessSensorTrigger
from airflow_provider_snowflake_batch.triggers.poller import shared_poller
from tests.compute_pools import hook_with_pool
from tests.container_jobs import container_job
from tests.local_faults import faults_of

POOL = Identifier("TRIGGER_TESTS")


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, POOL, nodes=8) as opened:
        yield opened


@pytest.fixture
def logins(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of every login; the logins themselves are real."""
    times: list[float] = []
    log_in = SnowflakeBatchHook.get_conn

    def counted(self: SnowflakeBatchHook) -> Any:
        times.append(time.monotonic())
        return log_in(self)

    monkeypatch.setattr(SnowflakeBatchHook, "get_conn", counted)
    return times


def submit(hook: SnowflakeBatchHook, code: str, pool: Identifier = POOL) -> tuple[str, str]:
    job = container_job(hook, pool, "python", "-c", code)
    return str(job.name), hook.submit(job)


def trigger_for(job: tuple[str, str | None], **changes: Any) -> BatchJobTrigger:
    given = {
        "job_name": job[0],
        "query_id": job[1],
        "output_location": "@S/out/",
        "submitted_at": 1.5,
        "poll_interval": 2,
        "snowflake_conn_id": "snowflake_default",
    }
    return BatchJobTrigger(**(given | changes))


async def first_event(trigger: BaseTrigger) -> dict[str, Any]:
    events = [event async for event in trigger.run()]
    assert [type(event) for event in events] == [TriggerEvent]
    return events[0].payload


def run(awaitable: Awaitable[Any]) -> Any:
    return asyncio.run(asyncio.wait_for(awaitable, 60))


def test_a_connection_that_is_not_there_is_told_to_the_task() -> None:
    event = run(first_event(trigger_for(("A.B.C", None), snowflake_conn_id="no_such")))
    assert event["status"] == "error"
    assert "no Airflow connection no_such" in event["message"]


def test_it_fires_once_when_the_job_has_ended(hook: SnowflakeBatchHook) -> None:
    job = submit(hook, "import time; time.sleep(1)")
    handed_back = {"output_location": "@S/out/", "submitted_at": 1.5}
    assert run(first_event(trigger_for(job))) == {
        "job_name": job[0], "query_id": job[1], "status": "DONE", **handed_back
    }  # fmt: skip
    job = submit(hook, "raise SystemExit(3)")
    assert run(first_event(trigger_for(job))) == {
        "job_name": job[0], "query_id": job[1], "status": "FAILED", **handed_back
    }  # fmt: skip


def test_the_jobs_log_goes_into_the_tasks_log(hook: SnowflakeBatchHook, capsys: pytest.CaptureFixture[str]) -> None:
    def log_of(**options: Any) -> str:
        job = submit(hook, "print('a word from', 'the model')")
        capsys.readouterr()
        run(first_event(trigger_for(job, **options)))
        return capsys.readouterr().out

    assert log_of().count("a word from the model") == 1
    assert "a word from the model" not in log_of(stream_logs=False)


def test_a_refused_statement_is_an_event_of_its_own(hook: SnowflakeBatchHook) -> None:
    job = submit(hook, "pass", Identifier("NO_SUCH_POOL"))
    event = run(first_event(trigger_for(job)))
    assert event["status"] == "refused"
    assert "NO_SUCH_POOL" in event["message"]


def test_a_dropped_job_is_lost(hook: SnowflakeBatchHook) -> None:
    name, query_id = submit(hook, "pass")
    hook.wait(name, query_id=query_id)
    hook.delete(name)
    event = run(first_event(trigger_for((name, query_id))))
    assert event["status"] == "lost"


def test_all_triggers_of_a_connection_share_one_login(hook: SnowflakeBatchHook, logins: list[float]) -> None:
    jobs = [submit(hook, "import time; time.sleep(1)") for _ in range(6)]
    logins.clear()

    async def all_of_them() -> list[dict[str, Any]]:
        return await asyncio.gather(*(first_event(trigger_for(job)) for job in jobs))

    events = run(all_of_them())
    assert sorted(event["job_name"] for event in events) == sorted(name for name, _ in jobs)
    assert {event["status"] for event in events} == {"DONE"}
    assert len(logins) == 1


def test_statements_at_work_take_turns_and_hold_nobody_up(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snowflake may work on the statement of each of many jobs for minutes, while it builds an image."""
    running = QualifiedName.parse(submit(hook, "import time; time.sleep(20)")[0], field="job")
    while True:
        with suppress(JobNotFoundError):
            hook.status(running)
            break
    at_work = {hook.qualify_name(f"AT_WORK_{number}"): str(uuid.uuid4()) for number in range(25)}
    looks: list[set[QualifiedName]] = []
    poll = SnowflakeBatchHook.poll

    def noted(self: SnowflakeBatchHook, name: QualifiedName, query_id: str | None = None) -> Any:
        looks[-1].add(name)
        return poll(self, name, query_id)

    monkeypatch.setattr(SnowflakeBatchHook, "poll", noted)

    async def three_looks() -> list[Any]:
        answers = []
        async with shared_poller(ConnectionSettings("snowflake_default")) as poller:
            for _ in range(3):
                looks.append(set())
                asked = [poller.poll(running), *(poller.poll(name, query_id) for name, query_id in at_work.items())]
                answers.append(await asyncio.gather(*asked))
        return answers

    for known, *unknown in run(three_looks()):
        assert known.name == str(running)
        assert unknown == [None] * 25
    assert [len(look) for look in looks] == [10, 10, 10]
    assert set.union(*looks) == set(at_work)
    hook.delete(running)


def test_a_trigger_that_is_told_to_end_does_not_wait_for_snowflake(
    hook: SnowflakeBatchHook, local_server: LocalServer
) -> None:
    """Airflow calls on_kill only when run() has ended."""
    job = submit(hook, "import time; time.sleep(600)")

    async def cancelled(fired: Callable[[], int]) -> None:
        def until_it_fires() -> None:
            while not fired():
                time.sleep(0.05)

        waiting = asyncio.create_task(first_event(trigger_for(job)))
        await asyncio.to_thread(until_it_fires)
        waiting.cancel()
        await asyncio.wait([waiting])

    with faults_of(local_server) as faults:
        slow = faults.add("delay", statement="DESCRIBE SERVICE", seconds=600)
        run(cancelled(lambda: faults.fired(slow)))
    run(trigger_for(job).on_kill())
    assert hook.wait(job[0], query_id=job[1], deadlines=Deadlines.within(60)).status is JobStatus.CANCELLED


def test_one_cancelled_trigger_does_not_disturb_another(hook: SnowflakeBatchHook) -> None:
    job = submit(hook, "import time; time.sleep(2)")

    async def two() -> dict[str, Any]:
        doomed = asyncio.create_task(first_event(trigger_for(job)))
        survivor = asyncio.create_task(first_event(trigger_for(job)))
        await asyncio.sleep(0.6)
        doomed.cancel()
        return await survivor

    assert run(two())["status"] == "DONE"


def test_the_driver_never_runs_on_the_event_loops_thread(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(hook, "import time; time.sleep(1)")
    threads: set[threading.Thread] = set()
    for name in ("get_conn", "rows", "check_submission", "close"):
        original = getattr(SnowflakeBatchHook, name)

        def noted(self: SnowflakeBatchHook, *given: Any, original: Any = original) -> Any:
            threads.add(threading.current_thread())
            return original(self, *given)

        monkeypatch.setattr(SnowflakeBatchHook, name, noted)
    assert run(first_event(trigger_for(job)))["status"] == "DONE"
    assert threads
    assert threading.current_thread() not in threads


def test_killing_the_deferred_task_cancels_the_job(hook: SnowflakeBatchHook) -> None:
    name, query_id = submit(hook, "import time; time.sleep(600)")
    hook.check_submission(query_id)
    run(trigger_for((name, query_id), cancel_on_kill=False).on_kill())
    time.sleep(0.5)
    assert not hook.status(name).status.is_terminal
    run(trigger_for((name, query_id)).on_kill())
    assert hook.wait(name, deadlines=Deadlines.within(60)).status is JobStatus.CANCELLED


def test_a_job_that_has_ended_is_left_as_it_is(hook: SnowflakeBatchHook, capsys: pytest.CaptureFixture[str]) -> None:
    """A triggerer that wakes after its tasks have succeeded takes that for a user's action, too."""
    name, query_id = submit(hook, "pass")
    assert hook.wait(name, query_id=query_id).status is JobStatus.DONE
    run(trigger_for((name, query_id)).on_kill())
    assert hook.status(name).status is JobStatus.DONE
    told = capsys.readouterr().out
    assert f"Job {name} has ended already: DONE" in told
    assert "Cancelling" not in told


def test_another_job_of_the_same_name_is_not_cancelled(
    hook: SnowflakeBatchHook, capsys: pytest.CaptureFixture[str]
) -> None:
    """A triggerer that wakes when the next run's job has the name, as one has that a user gives."""
    job = container_job(hook, POOL, "python", "-c", "import time; time.sleep(1.2)")
    trigger = trigger_for((str(job.name), hook.submit(job)))
    assert run(first_event(trigger))["status"] == "DONE"
    hook.delete(job.name)
    later = container_job(hook, POOL, "python", "-c", "import time; time.sleep(600)")
    query_id = hook.submit(replace(later, name=job.name))
    hook.check_submission(query_id)
    event = run(first_event(trigger))
    assert (event["status"], event["message"]) == ("lost", f"Job {job.name} was dropped, and another one has its name.")
    run(trigger.on_kill())
    assert not hook.status(job.name).status.is_terminal
    assert "another one has its name. Not cancelling." in capsys.readouterr().out
    run(trigger_for((str(job.name), query_id)).on_kill())
    assert hook.wait(job.name, deadlines=Deadlines.within(60)).status is JobStatus.CANCELLED


def test_success_is_seen_when_it_comes(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE OR REPLACE STAGE TRIGGER_TESTS")
    trigger = BatchSuccessSensorTrigger(
        stage_location="@TRIGGER_TESTS/out",
        deadline=time.time() + 30,
        poll_interval=0.2,
        snowflake_conn_id="snowflake_default",
    )

    async def later() -> dict[str, Any]:
        waiting = asyncio.create_task(first_event(trigger))
        await asyncio.to_thread(hook.write_file, "@TRIGGER_TESTS/out/_SUCCESS_NOT", b"")
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await asyncio.to_thread(hook.write_file, "@TRIGGER_TESTS/out/_SUCCESS", b"")
        return await waiting

    assert run(later()) == {"status": "success", "stage_location": "@TRIGGER_TESTS/out/"}


def test_success_that_never_comes(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE OR REPLACE STAGE TRIGGER_TESTS")

    def event_for(location: str) -> dict[str, Any]:
        return run(
            first_event(
                BatchSuccessSensorTrigger(
                    stage_location=location,
                    deadline=time.time() + 0.5,
                    poll_interval=0.2,
                    snowflake_conn_id="snowflake_default",
                )
            )
        )

    assert event_for("@TRIGGER_TESTS/out")["status"] == "timeout"
    missing = event_for("@NO_SUCH_STAGE/out")
    assert missing["status"] == "refused"
    assert "NO_SUCH_STAGE" in missing["message"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: trigger_for(("D.S.J", "q"), warehouse="w", database="d", schema="s", role="r", cancel_on_kill=False),
        lambda: BatchSuccessSensorTrigger(
            stage_location="@s/x",
            deadline=1.5,
            execution_deadline=1.2,
            exponential_backoff=True,
            max_wait=9,
            silent_fail=True,
            poll_interval=2,
            snowflake_conn_id="c",
            role="r",
        ),
    ],
)
def test_serialization_brings_back_the_same_trigger(make: Callable[[], BaseTrigger]) -> None:
    path, arguments = make().serialize()
    assert pydoc.locate(path)(**arguments).serialize() == (path, arguments)
