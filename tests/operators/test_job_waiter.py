"""A task's limits as moments, and waiting that comes to nothing. With whole tasks: ``test_deadlines.py``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_snowflake_batch.exceptions import JobLostError, JobTimeoutError, SnowflakeUnreachableError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.status import JobInfo
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.job_record import JobRecord
from airflow_provider_snowflake_batch.operators.job_waiter import JobWaiter, TimeLimits
from tests.compute_pools import hook_with_pool
from tests.container_jobs import container_job
from tests.local_faults import LocalFaults

POOL = Identifier("WAITER_TESTS")


@pytest.mark.parametrize(
    ("limits", "try_started", "expected"),
    [
        (TimeLimits(), 50.0, Deadlines()),
        (TimeLimits(timeout=10), None, Deadlines(end=110.0)),
        (TimeLimits(pending_timeout=5), None, Deadlines(start=105.0, pending=5)),
        (TimeLimits(execution_timeout=timedelta(seconds=30)), 50.0, Deadlines(end=80.0)),
        (TimeLimits(execution_timeout=timedelta(seconds=30)), None, Deadlines()),
        (TimeLimits(timeout=10, execution_timeout=timedelta(seconds=90)), 50.0, Deadlines(end=110.0)),
        (TimeLimits(timeout=99, execution_timeout=timedelta(seconds=90)), 50.0, Deadlines(end=140.0)),
    ],
)
def test_limits_become_moments(limits: TimeLimits, try_started: float | None, expected: Deadlines) -> None:
    assert limits.deadlines(100.0, try_started=try_started) == expected


def test_the_limits_that_were_given_are_named() -> None:
    assert str(TimeLimits(timeout=10, pending_timeout=5)) == "timeout 10, pending_timeout 5"
    assert str(TimeLimits()) == ""


class Card:
    """Notes what it is told of the job."""

    def __init__(self) -> None:
        self.statuses: list[str] = []
        self.reasons: list[str] = []

    def look(self, info: JobInfo, progress: Any = None) -> None:
        self.statuses.append(info.reported_status)

    def cancelled(self, hook: SnowflakeBatchHook, why: str) -> None:
        self.reasons.append(why)

    def tell_lines(self, lines: Iterable[str]) -> None:
        pass

    def tell_containers(self, containers: Iterable[Any]) -> None:
        pass


@pytest.fixture
def hook(
    local_server: LocalServer, snowflake_connection: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SnowflakeBatchHook]:
    """A hook, and a driver beneath it, that give up early."""
    connection = json.loads(local_server.airflow_connection_json)
    connection["extra"] |= {"login_timeout": 1, "network_timeout": 1}
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", json.dumps(connection))
    with hook_with_pool(snowflake_connection, POOL, 4) as opened:
        opened.transient_timeout = 1
        yield opened


@pytest.fixture
def record(hook: SnowflakeBatchHook) -> Iterator[JobRecord]:
    """Of a job that runs for longer than any of these tests."""
    job = container_job(hook, POOL, "python", "-c", "import time; time.sleep(600)")
    sent = JobRecord(str(job.name), "@D.S.OUT/J/", time.time(), query_id=hook.submit(job))
    hook.wait(sent.name, query_id=sent.query_id, until_accepted=True)
    yield sent
    hook.delete(sent.name)


def waiter(hook: SnowflakeBatchHook, record: JobRecord, card: Any, *, durable: bool = True, **limits: Any) -> JobWaiter:
    given = TimeLimits(**limits)
    deadlines = given.deadlines(time.time(), try_started=None)
    return JobWaiter(hook, record, card, limits=given, deadlines=deadlines, poll_interval=0.2, durable=durable)


def test_a_job_that_misses_its_end_and_cannot_be_cancelled_may_still_run(
    hook: SnowflakeBatchHook, record: JobRecord, faults: LocalFaults
) -> None:
    refused = faults.add("http-error", status=404, statement="SPCS_CANCEL_JOB")
    card = Card()
    with pytest.raises(JobTimeoutError, match="did not end in time.* It could not be cancelled and may still run: "):
        waiter(hook, record, card, timeout=1).until_ended(stream_logs=False)
    assert faults.fired(refused)
    assert card.reasons == []
    assert not hook.status(record.name).status.is_terminal


def test_a_job_that_somebody_drops_is_lost(hook: SnowflakeBatchHook, record: JobRecord) -> None:
    def drop() -> None:
        with hook.twin() as other:
            other.delete(record.name)

    card = Card()
    dropping = threading.Timer(1, drop)
    dropping.start()
    with pytest.raises(JobLostError, match=r"Its statement succeeded, so it was dropped\."):
        waiter(hook, record, card).until_ended(stream_logs=False)
    dropping.join()
    assert card.statuses


@pytest.mark.parametrize(
    ("durable", "end"),
    [(True, r"may still run\. A retry goes on with it\."), (False, r"may still run\.")],
    ids=["durable", "not durable"],
)
def test_a_job_that_cannot_be_asked_about_is_left_alone(
    hook: SnowflakeBatchHook, record: JobRecord, faults: LocalFaults, durable: bool, end: str
) -> None:
    away = faults.add("http-error", status=503, statement="DESCRIBE SERVICE")
    with pytest.raises(SnowflakeUnreachableError, match=f"could not be asked about job {record.job_name}: .* {end}$"):
        waiter(hook, record, Card(), durable=durable).until_ended(stream_logs=False)
    assert faults.fired(away)
    faults.clear()
    assert not hook.status(record.name).status.is_terminal
