"""The hook and the trigger live through what happens to an account and to the way there."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.exceptions import PoolCapacityError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.errors import is_transient
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.job import ContainerJob, generate_job_name
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.triggers.batch_inference import BatchJobTrigger
from tests.drivers import DRIVER_LINE
from tests.local_faults import LocalFaults

POOL = Identifier("FAULTY_TESTS")
# More than the driver survives by itself; the 5.x line tries more often in the same time.
LOSSES = 3 if DRIVER_LINE == 4 else 9


@pytest.fixture
def hook(
    local_server: LocalServer, snowflake_connection: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SnowflakeBatchHook]:
    """A hook whose driver gives up early, so that the hook's own tries are seen too."""
    connection = local_server.airflow_connection
    connection["extra"] |= {"login_timeout": 1, "network_timeout": 1, "platform_detection_timeout_seconds": 0}
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", json.dumps(connection))
    with SnowflakeBatchHook(snowflake_connection, transient_timeout=60) as opened:
        opened.run(f"CREATE COMPUTE POOL IF NOT EXISTS {POOL} MIN_NODES = 1 MAX_NODES = 8 INSTANCE_FAMILY = CPU_X64_S")
        yield opened


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The times that a hook tried once more by itself; the tries are real."""
    seen: list[int] = []
    abandon = SnowflakeBatchHook._abandon

    def counted(self: SnowflakeBatchHook) -> None:
        seen.append(1)
        abandon(self)

    monkeypatch.setattr(SnowflakeBatchHook, "_abandon", counted)
    return seen


def test_a_new_login_reads_the_connection_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A triggerer's session lives for days; meanwhile hosts are moved and passwords are changed."""
    with LocalServer(tmp_path / "state") as server, SnowflakeBatchHook("moved", transient_timeout=30) as hook:
        point_to(server, monkeypatch)
        assert hook.rows("SELECT 1 AS A") == [{"a": 1}]
        server.stop()
        before, server.port = server.port, 0
        server.start()
        assert server.port != before
        point_to(server, monkeypatch)
        assert hook.rows("SELECT 2 AS A") == [{"a": 2}]


def point_to(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = server.airflow_connection
    connection["extra"] |= {"login_timeout": 1, "network_timeout": 1, "platform_detection_timeout_seconds": 0}
    monkeypatch.setenv("AIRFLOW_CONN_MOVED", json.dumps(connection))


def job_of(hook: SnowflakeBatchHook, code: str = "pass") -> ContainerJob:
    container = {"name": "main", "image": "/db/schema/repo/image:1", "command": ["python", "-c", code]}
    return ContainerJob(
        name=hook.qualify_name(generate_job_name("faulty", "tests")),
        compute_pool=POOL,
        specification={"spec": {"containers": [container]}},
    )


def a_fifth_fails(faults: LocalFaults, seed: int) -> None:
    """Every fifth request fails, in one of ten ways."""
    faulty: list[dict[str, Any]] = [
        {"kind": "http-error", "status": 429},
        {"kind": "http-error", "status": 500},
        {"kind": "http-error", "status": 503},
        {"kind": "drop"},
        {"kind": "drop"},
        {"kind": "drop-answer"},
        {"kind": "drop-answer"},
        {"kind": "expire", "code": 390112},
        {"kind": "expire", "code": 390111},
        {"kind": "expire", "code": 390114},
    ]
    for number, fault in enumerate(faulty):
        faults.add(**fault, probability=0.022, seed=seed + number)


def fired(faults: LocalFaults) -> int:
    return sum(fault["fired"] for fault in faults.all())


def assert_one_job(hook: SnowflakeBatchHook, job: ContainerJob) -> None:
    assert [info.name for info in hook.list_jobs(starts_with=job.name.name)] == [str(job.name)]


@pytest.mark.slow
def test_a_job_lives_through_a_fifth_of_failing_requests(hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
    a_fifth_fails(faults, seed=1)
    jobs = []
    while fired(faults) < 5:
        job = job_of(hook)
        jobs.append(job)
        info = hook.wait(job.name, query_id=hook.submit(job), deadlines=Deadlines.within(60), poll_interval=0.2)
        assert info.status is JobStatus.DONE
    faults.clear()
    for job in jobs:
        assert_one_job(hook, job)


@pytest.mark.slow
def test_a_trigger_lives_through_a_fifth_of_failing_requests(hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
    a_fifth_fails(faults, seed=2)
    jobs: list[ContainerJob] = []

    async def event_of(job: ContainerJob, query_id: str) -> dict[str, Any]:
        trigger = BatchJobTrigger(
            job_name=str(job.name),
            query_id=query_id,
            output_location="@S/out/",
            submitted_at=time.time(),
            poll_interval=0.1,
            snowflake_conn_id="snowflake_default",
        )
        (event,) = [event async for event in trigger.run()]
        return event.payload

    async def all_of_them() -> list[dict[str, Any]]:
        together = [job_of(hook, "import time; time.sleep(0.5)") for _ in range(3)]
        jobs.extend(together)
        return await asyncio.gather(*(event_of(job, hook.submit(job)) for job in together))

    while fired(faults) < 5:
        events = asyncio.run(asyncio.wait_for(all_of_them(), 60))
        assert [event["status"] for event in events] == ["DONE"] * 3, events
    faults.clear()
    for job in jobs:
        assert_one_job(hook, job)


@pytest.mark.parametrize("code", [390104, 390111, 390114])
def test_an_expired_session_is_logged_in_anew(
    hook: SnowflakeBatchHook, faults: LocalFaults, tries: list[int], code: int
) -> None:
    before = hook.rows("SELECT CURRENT_SESSION() AS id")
    fault = faults.add("expire", code=code, statement="CURRENT_SESSION", count=1)
    assert hook.rows("SELECT CURRENT_SESSION() AS id") != before
    assert (faults.fired(fault), len(tries)) == (1, 1)


def test_an_expired_token_is_the_drivers_business(
    hook: SnowflakeBatchHook, faults: LocalFaults, tries: list[int]
) -> None:
    before = hook.rows("SELECT CURRENT_SESSION() AS id")
    fault = faults.add("expire", code=390112, statement="CURRENT_SESSION", count=1)
    assert hook.rows("SELECT CURRENT_SESSION() AS id") == before
    assert (faults.fired(fault), len(tries)) == (1, 0)


def test_a_login_is_tried_again(hook: SnowflakeBatchHook, faults: LocalFaults, tries: list[int]) -> None:
    hook.close()
    tries.clear()
    fault = faults.add("drop", path="login-request", count=LOSSES - 1)
    assert hook.rows("SELECT 1 AS one") == [{"one": 1}]
    assert faults.fired(fault) == LOSSES - 1
    assert tries


@pytest.mark.parametrize("fault", [{"kind": "http-error", "status": 429}, {"kind": "http-error"}, {"kind": "drop"}])
def test_what_the_driver_gives_up_the_hook_tries_again(
    hook: SnowflakeBatchHook, faults: LocalFaults, tries: list[int], fault: dict[str, Any]
) -> None:
    hook.rows("SELECT 1")
    identity = faults.add(**fault, statement="marked", count=LOSSES)
    assert hook.rows("SELECT 1 AS marked") == [{"marked": 1}]
    assert faults.fired(identity) == LOSSES
    assert tries


@pytest.mark.skipif(DRIVER_LINE != 4, reason="the timer is one of the 4.x line")
def test_what_the_drivers_own_timer_aborts_the_hook_tries_again(hook: SnowflakeBatchHook, tries: list[int]) -> None:
    hook.transient_timeout = 3
    endless = "SELECT SUM(a.SEQ4 * b.SEQ4) FROM {0} a, {0} b".format(
        "(SELECT SEQ4() SEQ4 FROM TABLE(GENERATOR(ROWCOUNT => 1000000)))"
    )
    with pytest.raises(Exception, match="timeout") as raised:
        hook.rows(endless)
    assert is_transient(raised.value)
    assert tries
    assert hook.rows("SELECT 1 AS one") == [{"one": 1}]


def test_a_submission_whose_answer_is_lost_makes_one_job(
    hook: SnowflakeBatchHook, faults: LocalFaults, tries: list[int]
) -> None:
    job = job_of(hook)
    # The hook sends the statement again in a session of its own.
    fault = faults.add("drop-answer", statement="^EXECUTE JOB SERVICE", path="query-request", count=LOSSES)
    info = hook.wait(job.name, query_id=hook.submit(job), deadlines=Deadlines.within(60), poll_interval=0.2)
    assert info.status is JobStatus.DONE
    assert faults.fired(fault) == LOSSES
    assert tries
    assert_one_job(hook, job)


def test_a_job_that_gets_no_node_is_told_with_snowflakes_reason(hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
    faults.add("pending", reason="Unschedulable due to insufficient GPU resources.")
    job = job_of(hook)
    limits = Deadlines(end=time.time() + 60, start=time.time() + 1)
    with pytest.raises(PoolCapacityError, match="insufficient GPU resources"):
        hook.wait(job.name, query_id=hook.submit(job), deadlines=limits)
