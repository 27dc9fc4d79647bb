"""A job that misses a deadline is cancelled, and the exception says which one and why; in both modes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout, TaskDeferred
from airflow.sdk.execution_time.timeout import timeout

from airflow_provider_snowflake_batch.exceptions import JobPendingError, JobTimeoutError, PoolCapacityError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.operators.job_record import JobRecord
from tests.compute_pools import hook_with_pool
from tests.local_faults import LocalFaults
from tests.operators.task_instances import Store, TaskInstance, batch_task, fired_by

pytestmark = pytest.mark.slow

POOL = "DEADLINE_TESTS"
PULL = "Failed to pull image"
CROWDED = "Unschedulable due to insufficient GPU resources"


@pytest.fixture
def hook(snowflake_connection: str, linear_model: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, POOL, 4, "CREATE OR REPLACE STAGE DEADLINE_TESTS") as opened:
        yield opened


def run_task(**changes: Any) -> dict[str, Any]:
    """The task from beginning to end; what the triggerer does with a trigger is done here."""
    task = batch_task(POOL, **changes)
    instance = TaskInstance()
    instance.start_date = datetime.now(UTC)
    context: Any = {"ti": instance}
    try:
        return task.execute(context)
    except TaskDeferred as deferred:
        return task.execute_complete(context, asyncio.run(fired_by(deferred.trigger)))


MODES = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in a slot"])


@MODES
@pytest.mark.parametrize(("reason", "kind"), [(PULL, JobPendingError), (CROWDED, PoolCapacityError)])
def test_a_job_that_does_not_start_says_why(
    hook: SnowflakeBatchHook, faults: LocalFaults, deferrable: bool, reason: str, kind: type[Exception]
) -> None:
    faults.add("pending", reason=reason)
    with pytest.raises(JobPendingError, match=f"did not start in time: .*{reason}.* It was cancelled") as raised:
        run_task(deferrable=deferrable, pending_timeout=2)
    assert type(raised.value) is kind
    assert_cancelled(hook, raised.value)


@MODES
def test_a_job_may_start_however_long_its_image_was_built(
    hook: SnowflakeBatchHook, faults: LocalFaults, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    """The statement was sent an hour ago; the job is made just now."""
    sent = JobRecord.sent
    monkeypatch.setattr(JobRecord, "sent", lambda self, query_id: submitted_an_hour_ago(sent(self, query_id)))
    faults.add("pending", seconds=3)
    assert run_task(deferrable=deferrable, pending_timeout=60)["status"] == "DONE"


def submitted_an_hour_ago(record: JobRecord) -> JobRecord:
    return replace(record, submitted_at=record.submitted_at - 3600)


@MODES
def test_a_job_that_does_not_end_is_given_up(hook: SnowflakeBatchHook, faults: LocalFaults, deferrable: bool) -> None:
    faults.add("pending")
    with pytest.raises(JobTimeoutError, match=r"did not end in time\. It was cancelled\.") as raised:
        run_task(deferrable=deferrable, timeout=2)
    assert type(raised.value) is JobTimeoutError
    assert_cancelled(hook, raised.value)


def test_the_execution_timeout_holds_while_the_task_is_deferred(hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
    faults.add("pending")
    begun = time.monotonic()
    with pytest.raises(JobTimeoutError, match=r"did not end in time\. It was cancelled\.") as raised:
        run_task(deferrable=True, timeout=600, execution_timeout=timedelta(seconds=3))
    assert time.monotonic() - begun >= 3
    assert_cancelled(hook, raised.value)


def test_the_execution_timeout_cancels_the_job_although_the_task_has_tries_left(
    hook: SnowflakeBatchHook, faults: LocalFaults
) -> None:
    faults.add("pending")
    store = Store()
    task = batch_task(POOL, deferrable=False)

    def killed_by_airflow() -> None:
        try:
            with timeout(3):
                task.execute({"ti": instance, "task_state_store": store})
        except AirflowTaskTimeout:
            task.on_kill()
            raise

    instance = TaskInstance()
    with pytest.raises(AirflowTaskTimeout):
        killed_by_airflow()
    card = instance.xcoms[JOB_CARD_KEY]
    assert card["message"].startswith("Timeout")
    assert card["status"] in ("CANCELLING", "CANCELLED")
    assert hook.wait(store.record["job_name"], deadlines=Deadlines.within(60)).reported_status == "CANCELLED"


def assert_cancelled(hook: SnowflakeBatchHook, error: Exception) -> None:
    name = str(error).split()[1]
    assert hook.wait(name, deadlines=Deadlines.within(60)).reported_status == "CANCELLED"
