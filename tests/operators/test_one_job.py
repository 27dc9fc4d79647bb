"""One job per intent where two things happen at once: tries, statements, and those who cancel."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partialmethod
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType, TaskDeferred
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_snowflake_batch.exceptions import (
    JobCancelledError,
    SnowflakeUnreachableError,
)
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.job import RegistryJob, generate_job_name
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords
from tests.compute_pools import hook_with_pool
from tests.local_faults import LocalFaults
from tests.operators.task_instances import Store, TaskInstance, batch_task, fired_by, names, until_it_exists, wait

pytestmark = pytest.mark.slow

POOL = "ONE_JOB_TESTS"


@pytest.fixture
def hook(snowflake_connection: str, linear_model: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, POOL, 4, "CREATE OR REPLACE STAGE ONE_JOB_TESTS") as opened:
        yield opened


def context_of(store: Store, **changes: Any) -> Any:
    instance = TaskInstance(**changes)
    instance.start_date = datetime.now(UTC)
    return {"ti": instance, "task_state_store": store}


def deferred_job(context: Any, **changes: Any) -> str:
    with pytest.raises(TaskDeferred) as deferred:
        batch_task(POOL, deferrable=True, **changes).execute(context)
    return deferred.value.trigger.job_name


def in_background(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def wait_for(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_statement_that_arrives_while_the_next_try_looks_around_makes_that_trys_job(
    hook: SnowflakeBatchHook, faults: LocalFaults
) -> None:
    """The last try died with its statement on the way."""
    described = {name: getattr(batch_task(POOL), name) for name in ("model_name", "X", "compute_pool", "output_spec")}
    job = RegistryJob.parse(name=generate_job_name("arrives"), **described)
    job = job.qualify(*hook.namespace, hook.session_role)
    store = Store()
    JobRecords(store, None).save(
        JobRecord(str(job.name), str(job.output_directory), time.time(), fingerprint=job.fingerprint())
    )

    def arrive() -> None:
        # The try looks twice, whether there is such a job, and is held at the second answer.
        first = faults.add("delay", statement=f"DESCRIBE SERVICE.*{job.name.name}", seconds=60)
        ready.set()
        wait_for(lambda: faults.fired(first))
        second = faults.add("delay", statement=f"DESCRIBE SERVICE.*{job.name.name}", seconds=60)
        faults.clear(first)
        wait_for(lambda: faults.fired(second))
        hook.submit(job)
        wait_for(lambda: str(job.name) in names(hook))
        faults.clear(second)

    ready = threading.Event()
    arriving = in_background(arrive)
    assert ready.wait(120)
    assert deferred_job(context_of(store, try_number=2)) == str(job.name)
    arriving.join(120)
    assert wait(hook, str(job.name)) is JobStatus.DONE


def test_a_try_in_another_schema_does_not_go_on_with_a_job_of_other_rows(
    hook: SnowflakeBatchHook, faults: LocalFaults
) -> None:
    hook.run(
        [
            "CREATE SCHEMA IF NOT EXISTS LOCAL.OTHER_ROWS",
            "CREATE OR REPLACE TABLE PUBLIC.ONE_JOB_ROWS AS SELECT 1 AS A, 1 AS B",
            "CREATE OR REPLACE TABLE OTHER_ROWS.ONE_JOB_ROWS AS SELECT 2 AS A, 2 AS B",
        ]
    )
    faults.add("pending", job="BATCH_DAG_SCORE")
    places = {
        "model_name": "LOCAL.PUBLIC.LINEAR",
        "output_spec": {"stage_location": "@LOCAL.PUBLIC.ONE_JOB_TESTS/out/"},
        "X": "SELECT * FROM ONE_JOB_ROWS",
    }
    store = Store()
    first = deferred_job(context_of(store), **places)
    until_it_exists(hook, first)
    assert deferred_job(context_of(store, try_number=2), **places) == first
    assert deferred_job(context_of(store, try_number=3), schema="OTHER_ROWS", **places) != first
    assert wait(hook, first) is JobStatus.CANCELLED


@pytest.fixture
def two_tries(hook: SnowflakeBatchHook, faults: LocalFaults) -> tuple[Store, str]:
    """The store of a task whose first try has begun a job, which stays PENDING."""
    faults.add("pending", job="BATCH_DAG_SCORE")
    store = Store()
    name = deferred_job(context_of(store))
    until_it_exists(hook, name)
    return store, name


def test_a_job_of_another_size_is_replaced_while_it_has_not_begun(
    hook: SnowflakeBatchHook, faults: LocalFaults, two_tries: tuple[Store, str], caplog: pytest.LogCaptureFixture
) -> None:
    store, name = two_tries
    other = deferred_job(context_of(store, try_number=2), job_spec={"replicas": 2})
    faults.clear()
    assert other != name
    assert "asks for another size (replicas 1 instead of 2)" in caplog.text
    assert wait(hook, name) is JobStatus.CANCELLED
    assert wait(hook, other) is JobStatus.DONE
    assert store.record["sizing"]["replicas"] == 2
    # Done: its size does not matter any more.
    task = batch_task(POOL, deferrable=True, job_spec={"replicas": 3})
    assert task.execute(context_of(store, try_number=3))["job_name"] == other
    assert "the job has begun and keeps its own: replicas 2 instead of 3" in caplog.text


def test_a_job_of_a_fixed_name_and_another_size_gives_its_name_to_the_new_one(
    hook: SnowflakeBatchHook, faults: LocalFaults
) -> None:
    store, spec = Store(), {"job_name": "FIXED_AND_RESIZED"}
    faults.add("pending", job="FIXED_AND_RESIZED")
    name = deferred_job(context_of(store), job_spec=spec)
    until_it_exists(hook, name)
    assert deferred_job(context_of(store, try_number=2), job_spec=spec | {"replicas": 2}) == name
    faults.clear()
    assert wait(hook, name) is JobStatus.DONE
    assert hook.status(name).replicas == 2


def test_a_job_whose_size_nobody_has_noted_is_gone_on_with(
    hook: SnowflakeBatchHook, two_tries: tuple[Store, str]
) -> None:
    store, name = two_tries
    store.change(sizing=None)
    assert deferred_job(context_of(store, try_number=2), job_spec={"replicas": 2}) == name


def test_a_job_that_is_cancelled_for_the_last_try_is_replaced_while_deferred(
    hook: SnowflakeBatchHook, faults: LocalFaults, two_tries: tuple[Store, str]
) -> None:
    """The trigger of a cleared task may cancel the job when the next try has found it."""
    store, name = two_tries
    context = context_of(store, try_number=2, max_tries=1)
    task = batch_task(POOL, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    assert deferred.value.trigger.job_name == name
    hook.cancel(name)
    event = asyncio.run(fired_by(deferred.value.trigger))
    assert event["status"] == "CANCELLED"
    faults.clear()
    with pytest.raises(TaskDeferred) as again:
        batch_task(POOL, deferrable=True).execute_complete(context, event)
    other = again.value.trigger.job_name
    assert other != name
    assert wait(hook, other) is JobStatus.DONE


def test_a_job_that_is_cancelled_for_the_last_try_is_replaced_in_the_worker_slot(
    hook: SnowflakeBatchHook, faults: LocalFaults, two_tries: tuple[Store, str], snowflake_connection: str
) -> None:
    store, name = two_tries

    def cancel() -> None:
        with SnowflakeBatchHook(snowflake_connection) as another:
            wait_for(lambda: store.record["found_at"])
            another.cancel(name)
            faults.clear()

    cancelling = in_background(cancel)
    result = batch_task(POOL).execute(context_of(store, try_number=2, max_tries=1))
    cancelling.join(120)
    assert result["status"] == "DONE"
    assert result["job_name"] != name


def test_who_cancels_the_job_later_means_this_try(hook: SnowflakeBatchHook, two_tries: tuple[Store, str]) -> None:
    store, name = two_tries
    context = context_of(store, try_number=2)
    with pytest.raises(TaskDeferred) as deferred:
        batch_task(POOL, deferrable=True).execute(context)
    hook.cancel(name)
    event = asyncio.run(fired_by(deferred.value.trigger))
    store.change(found_at=time.time() - 3600)
    with pytest.raises(JobCancelledError, match="was cancelled in Snowflake"):
        batch_task(POOL, deferrable=True).execute_complete(context, event)


def test_an_event_that_came_too_early_means_waiting_on(hook: SnowflakeBatchHook, two_tries: tuple[Store, str]) -> None:
    store, name = two_tries
    handed_back = {"query_id": None, "output_location": store.record["output_location"], "submitted_at": time.time()}
    event = {"job_name": name, "status": "DONE", **handed_back}
    with pytest.raises(TaskDeferred) as deferred:
        batch_task(POOL, deferrable=True).execute_complete(context_of(store), event)
    assert deferred.value.trigger.job_name == name


def test_a_job_that_cannot_be_asked_about_is_left_to_the_next_try(
    hook: SnowflakeBatchHook, faults: LocalFaults, local_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The driver tries again, too, and by itself for minutes.
    connection = json.loads(local_server.airflow_connection_json)
    connection["extra"] |= {"login_timeout": 1, "network_timeout": 1}
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", json.dumps(connection))
    begin = SnowflakeBatchHook.__init__
    monkeypatch.setattr(SnowflakeBatchHook, "__init__", partialmethod(begin, transient_timeout=1))
    faults.add("pending", job="BATCH_DAG_SCORE")
    store = Store()

    def vanish() -> None:
        wait_for(lambda: store.values and store.record["query_id"])
        wait_for(lambda: store.record["job_name"] in names(hook))
        faults.add("http-error", status=503, statement="DESCRIBE SERVICE")

    vanishing = in_background(vanish)
    with pytest.raises(SnowflakeUnreachableError, match=r"may still run\. A retry goes on with it\.$") as raised:
        batch_task(POOL).execute(context_of(store))
    vanishing.join(120)
    faults.clear()
    name = store.record["job_name"]
    assert name in str(raised.value)
    assert batch_task(POOL).execute(context_of(store, try_number=2))["job_name"] == name


def test_a_task_killed_while_it_sends_the_statement_leaves_no_job(
    hook: SnowflakeBatchHook, faults: LocalFaults
) -> None:
    """Airflow's handler of SIGTERM calls on_kill, and then lets the interrupted code go on."""
    task, store, known = batch_task(POOL), Store(), names(hook)
    # The driver sends the statement again by itself. A job of one row could be done before it is cancelled.
    faults.add("pending", job="BATCH_DAG_SCORE")
    refused = faults.add("http-error", status=503, statement="EXECUTE INFERENCE")

    def kill() -> None:
        wait_for(lambda: faults.fired(refused))
        signal.raise_signal(signal.SIGUSR1)
        wait_for(lambda: task._run is not None and task._run.canceller.has_cancelled)
        time.sleep(0.5)
        faults.clear(refused)

    with at_signal(task):
        killing = in_background(kill)
        with pytest.raises(JobCancelledError, match="since the task was killed"):
            task.execute(context_of(store))
        killing.join(120)
    for name in names(hook) - known:
        assert wait(hook, name) is JobStatus.CANCELLED


def test_a_record_that_cannot_be_completed_does_not_fail_the_task(
    hook: SnowflakeBatchHook, caplog: pytest.LogCaptureFixture
) -> None:
    """Airflow's API may fail for a moment; what the next try needs is recorded already."""

    class Failing(Store):
        def set(self, key: str, value: Any) -> None:
            if value["query_id"] is not None and value["found_at"] is None and value["done_within"] is None:
                raise ConnectionError("503")
            super().set(key, value)

    store = Failing()
    name = deferred_job(context_of(store))
    assert f"The query id of job {name} could not be recorded: 503" in caplog.text
    assert deferred_job(context_of(store, try_number=2)) == name
    assert wait(hook, name) is JobStatus.DONE


@pytest.mark.parametrize("states", [{"run": {"score": "queued"}}, None], ids=["answer", "no answer"])
def test_a_try_that_was_replaced_leaves_its_job_if_the_signal_comes_while_it_asks_airflow(
    hook: SnowflakeBatchHook, states: Any
) -> None:
    """There is one request at a time, so the handler cannot ask before the interrupted request has ended."""
    task, instance, store = killed_in_a_request(states, refused=True)
    with at_signal(task), suppress(TaskDeferred):
        task.execute({"ti": instance, "task_state_store": store})
    assert store.was_killed
    assert wait(hook, store.record["job_name"]) is JobStatus.DONE


def test_a_users_kill_cancels_the_job_if_the_signal_comes_while_the_task_asks_airflow(
    hook: SnowflakeBatchHook, faults: LocalFaults
) -> None:
    faults.add("pending", job="BATCH_DAG_SCORE")
    task, instance, store = killed_in_a_request({"run": {"score": "failed"}}, refused=False)
    with at_signal(task), pytest.raises(JobCancelledError, match="since the task was killed"):
        task.execute({"ti": instance, "task_state_store": store})
    assert wait(hook, store.record["job_name"]) is JobStatus.CANCELLED


def killed_in_a_request(states: Any, *, refused: bool) -> tuple[RunBatchOperator, Any, Any]:
    """A task that is told to end while it records what it has submitted; as with Airflow, one request at a time."""
    line = threading.Lock()

    class Killed(Store):
        was_killed = False

        def set(self, key: str, value: Any) -> None:
            with line:
                if value["query_id"] is None or self.was_killed:
                    super().set(key, value)
                    return
                self.was_killed = True
                signal.raise_signal(signal.SIGUSR1)
                if refused:
                    detail = {"status_code": 404, "message": "Server returned error"}
                    raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))
                super().set(key, value)

    class Instance(TaskInstance):
        run_id, map_index = "run", -1

        def get_task_states(self, **which: Any) -> Any:
            with line:
                if states is None:
                    raise ConnectionError("gone")
                return states

    instance = Instance()
    instance.start_date = datetime.now(UTC)
    return batch_task(POOL, deferrable=True), instance, Killed()


@contextmanager
def at_signal(task: RunBatchOperator) -> Iterator[None]:
    """Call ``on_kill`` as Airflow's handler of SIGTERM does."""
    before = signal.signal(signal.SIGUSR1, lambda *_: task.on_kill())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_last_file_of_a_job_may_show_up_late(hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
    """A job writes through a stage volume: others see its files some time after they are closed."""
    faults.add("stage-lag", seconds=4)
    result = batch_task(POOL).execute(context_of(Store()))
    assert (result["status"], result["rows"], result["files"]) == ("DONE", 1, 1)
