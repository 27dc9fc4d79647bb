"""One job per intent: what a task does on a later try, and when a deadline passes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from functools import partialmethod
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_snowflake_batch.exceptions import (
    JobCancelledError,
    JobInputError,
    JobPendingError,
    JobSubmissionError,
    JobTimeoutError,
    PoolCapacityError,
)
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.job import ContainerJob, generate_job_name
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from tests.compute_pools import hook_with_pool
from tests.local_faults import LocalFaults
from tests.models import log_linear_model
from tests.operators.task_instances import Crash, Store, TaskInstance, batch_task, names, until_it_exists, wait

pytestmark = pytest.mark.slow

POOL = "DURABILITY_TESTS"


@pytest.fixture(scope="module")
def model(local_server: LocalServer) -> str:
    log_linear_model(local_server, "DURABLE", "V1")
    return "DURABLE"


@pytest.fixture
def hook(snowflake_connection: str, model: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, POOL, 4, "CREATE OR REPLACE STAGE DURABILITY_TESTS") as opened:
        yield opened


@pytest.fixture
def waiting(faults: LocalFaults) -> None:
    """Jobs of these tests stay PENDING: one of a single row could be done before it is cancelled."""
    faults.add("pending", job="SCORE")


def attempt(store: Store | None, *, max_tries: int = 3, **changes: Any) -> str | dict[str, Any]:
    """One try of the task: the result, or the name of the job that it defers on.

    :param max_tries: as Airflow counts: clearing a task raises it, a retry does not.
    """
    task = batch_task(POOL, **({"model_name": "DURABLE", "deferrable": True} | changes))
    context = {"ti": TaskInstance(max_tries=max_tries)} | ({"task_state_store": store} if store is not None else {})
    try:
        return task.execute(context)
    except TaskDeferred as deferred:
        return deferred.trigger.job_name


def test_a_retry_goes_on_with_the_job_that_runs(hook: SnowflakeBatchHook) -> None:
    store = Store()
    first = attempt(store)
    known = names(hook)
    assert attempt(store) == first
    result = attempt(store, deferrable=False)
    assert (result["job_name"], result["status"], result["rows"]) == (first, "DONE", 1)
    assert names(hook) == known


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "does not wait"])
def test_a_retry_collects_what_a_crashed_try_left_and_a_clear_starts_afresh(
    hook: SnowflakeBatchHook, waits: bool
) -> None:
    store = Store()
    first = attempt(store)
    assert wait(hook, first) is JobStatus.DONE
    # The second of these is what follows when the first has died before Airflow heard that it had succeeded.
    for _ in range(2):
        assert attempt(store, wait_for_completion=waits)["job_name"] == first
    second = attempt(store, max_tries=4)
    assert second != first
    assert wait(hook, second) is JobStatus.DONE


def test_a_try_that_died_before_it_sent_the_statement_is_made_good_under_the_same_name(
    hook: SnowflakeBatchHook,
) -> None:
    store = Store()
    first = attempt(store)
    wait(hook, first)
    hook.delete(first)
    hook.remove_files(store.record["output_location"])
    store.change(query_id=None)
    assert attempt(store) == first
    assert wait(hook, first) is JobStatus.DONE


def test_a_try_that_died_before_it_heard_from_snowflake_finds_its_job(hook: SnowflakeBatchHook) -> None:
    store = Store()
    first = attempt(store)
    store.change(query_id=None)
    known = names(hook)
    assert attempt(store, deferrable=False)["job_name"] == first
    assert names(hook) == known


@pytest.fixture
def second_version(hook: SnowflakeBatchHook, local_server: LocalServer) -> Iterator[None]:
    log_linear_model(local_server, "DURABLE", "V2")
    yield
    hook.run(["ALTER MODEL DURABLE SET DEFAULT_VERSION = V1", "ALTER MODEL DURABLE DROP VERSION V2"])


def test_a_retry_keeps_to_the_version_that_was_the_default(hook: SnowflakeBatchHook, second_version: None) -> None:
    store = Store()
    first = attempt(store)
    assert (store.record["version"], store.record["function"]) == ("V1", "predict")
    hook.run("ALTER MODEL DURABLE SET DEFAULT_VERSION = V2")
    # The default is no part of what the task asks for: the same job goes on.
    assert attempt(store) == first
    wait(hook, first)
    hook.delete(first)
    second = attempt(store)
    assert second != first
    assert store.record["version"] == "V1"

    wait(hook, second)
    hook.delete(second)
    attempt(store, max_tries=4)
    assert store.record["version"] == "V2"


def test_a_statement_sent_again_names_the_version_of_the_first(hook: SnowflakeBatchHook, second_version: None) -> None:
    store = Store()
    first = attempt(store)
    wait(hook, first)
    hook.delete(first)
    hook.remove_files(store.record["output_location"])
    store.change(query_id=None)
    hook.run("ALTER MODEL DURABLE SET DEFAULT_VERSION = V2")
    result = attempt(store, deferrable=False)
    assert (result["job_name"], result["version"]) == (first, "V1")


def test_a_record_of_a_version_before_knows_no_model_version(hook: SnowflakeBatchHook) -> None:
    store = Store()
    first = attempt(store)
    store.set(
        *store.values, {k: v for k, v in store.record.items() if k not in ("version", "function", "begun_within")}
    )
    assert attempt(store, deferrable=False)["job_name"] == first


@pytest.mark.parametrize("ending", ["cancelled", "dropped"])
def test_a_job_that_leads_nowhere_is_replaced(hook: SnowflakeBatchHook, ending: str) -> None:
    store = Store()
    first = attempt(store)
    until_it_exists(hook, first)
    if ending == "cancelled":
        hook.cancel(first)
    else:
        hook.delete(first)
    second = attempt(store)
    assert second != first
    assert wait(hook, second) is JobStatus.DONE


@pytest.mark.parametrize("mode", ["error", "overwrite"])
def test_a_job_with_a_fixed_name_can_be_tried_again(hook: SnowflakeBatchHook, mode: str) -> None:
    fixed = {
        "job_spec": {"job_name": f"FIXED_{mode}"},
        "output_spec": {"stage_location": "@DURABILITY_TESTS/out/", "mode": mode},
    }
    store = Store()
    name = attempt(store, **fixed)
    until_it_exists(hook, name)
    hook.cancel(name)
    wait(hook, name)
    hook.write_file(f"{store.record['output_location']}part-0.parquet", b"half of it")
    assert attempt(store, **fixed) == name
    assert wait(hook, name) is JobStatus.DONE
    with pytest.raises(JobInputError, match="exists already"):
        attempt(Store(), **fixed)


def test_a_later_job_of_the_same_name_is_not_taken_for_the_own_one(hook: SnowflakeBatchHook) -> None:
    """A Dag whose job has one name, and drops the last run's: an older run is tried again after a newer one."""
    fixed = {
        "job_spec": {"job_name": "SAME_IN_EACH_RUN"},
        "output_spec": {"stage_location": "@DURABILITY_TESTS/same/", "mode": "overwrite"},
    }
    older, newer = Store(), Store()
    name = str(attempt(older, **fixed))
    assert wait(hook, name) is JobStatus.DONE
    # This try finds its job. It dies before Airflow hears of its success.
    assert attempt(older, **fixed)["status"] == "DONE"
    hook.delete(name)
    assert attempt(newer, **fixed) == name
    assert wait(hook, name) is JobStatus.DONE
    made, files = hook.status(name).created_on, hook.list_files(newer.record["output_location"])
    with pytest.raises(JobInputError, match="exists already"):
        attempt(older, **fixed)
    assert (hook.status(name).created_on, hook.list_files(newer.record["output_location"])) == (made, files)
    assert attempt(newer, **fixed)["status"] == "DONE"


def test_a_lost_statement_is_sent_again_under_its_name(hook: SnowflakeBatchHook) -> None:
    store, begin = Store(), SnowflakeBatchHook.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnowflakeBatchHook, "submit", lambda self, job: str(uuid.uuid4()))
        patch.setattr(SnowflakeBatchHook, "__init__", partialmethod(begin, transient_timeout=1))
        with pytest.raises(JobSubmissionError, match=r"It was lost; there is no job\. A retry submits it again\."):
            attempt(store, deferrable=False)
    lost = store.record["job_name"]
    assert attempt(store, deferrable=False)["job_name"] == lost


def test_a_task_that_now_asks_for_something_else_gets_it(hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
    store = Store()
    faults.add("pending", job="SCORE")
    first = attempt(store)
    until_it_exists(hook, first)
    second = attempt(store, X="SELECT 2 AS A, 2 AS B")
    faults.clear()
    assert second != first
    assert wait(hook, first) is JobStatus.CANCELLED
    assert wait(hook, second) is JobStatus.DONE


@pytest.mark.parametrize("store", [None, Store()], ids=["no store", "durable off"])
def test_without_a_record_every_try_starts_afresh(hook: SnowflakeBatchHook, store: Store | None) -> None:
    durable = {"durable": False} if store is not None else {}
    first, second = attempt(store, **durable), attempt(store, **durable)
    assert first != second
    assert {wait(hook, first), wait(hook, second)} == {JobStatus.DONE}
    assert store is None or store.values == {}


def test_a_job_cancelled_in_snowflake_is_told_apart(hook: SnowflakeBatchHook, waiting: None) -> None:
    name = attempt(None)
    until_it_exists(hook, name)
    hook.cancel(name)
    wait(hook, name)
    event = event_for(name, "CANCELLED")
    with pytest.raises(JobCancelledError, match="was cancelled in Snowflake"):
        resume(event)


def event_for(name: str, status: str) -> dict[str, Any]:
    """What the trigger hands back."""
    handed_back = {"query_id": None, "output_location": "@S/x/", "submitted_at": time.time()}
    return {"job_name": name, "status": status, **handed_back}


def resume(event: dict[str, Any]) -> dict[str, Any]:
    task = RunBatchOperator(
        task_id="score", model_name="M", X="T", compute_pool="P", output_spec={"stage_location": "@s/x"}
    )
    return task.execute_complete({"ti": TaskInstance()}, event)


def test_a_job_that_does_not_end_in_time_is_cancelled(hook: SnowflakeBatchHook, waiting: None) -> None:
    with pytest.raises(JobTimeoutError, match=r"did not end in time\. It was cancelled\.") as raised:
        attempt(None, deferrable=False, timeout=0.2)
    assert wait(hook, str(raised.value).split()[1]) is JobStatus.CANCELLED


def test_so_is_one_that_the_trigger_gave_up(hook: SnowflakeBatchHook, waiting: None) -> None:
    name = attempt(None)
    until_it_exists(hook, name)
    event = event_for(name, "timeout")
    with pytest.raises(JobTimeoutError, match="It was cancelled"):
        resume(event)
    assert wait(hook, name) is JobStatus.CANCELLED


def test_a_job_that_finds_no_room_tells_what_it_waits_for(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE COMPUTE POOL IF NOT EXISTS CROWDED MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_XS")
    occupant = ContainerJob(
        name=hook.qualify_name(generate_job_name("occupant")),
        compute_pool=Identifier("CROWDED"),
        specification={
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "/db/schema/repo/image:1",
                        "command": ["python", "-c", "import time; time.sleep(600)"],
                        "resources": {"requests": {"cpu": 1}, "limits": {"cpu": 1}},
                    }
                ]
            }
        },
    )
    query_id = hook.submit(occupant)
    while (info := hook.poll(occupant.name, query_id)) is None or info.status is not JobStatus.RUNNING:
        time.sleep(0.1)
    try:
        with pytest.raises(JobPendingError) as raised:
            attempt(
                None,
                compute_pool="CROWDED",
                job_spec={"cpu_requests": "1"},
                deferrable=False,
                pending_timeout=1,
            )
    finally:
        hook.cancel(occupant.name)
    assert isinstance(raised.value, PoolCapacityError)
    message = str(raised.value)
    assert "Unschedulable due to insufficient" in message
    assert "compute pool CROWDED is" in message
    assert wait(hook, message.split()[1]) is JobStatus.CANCELLED


@pytest.mark.parametrize("dropped", [False, True], ids=["before the drop", "after the drop"])
def test_a_try_that_died_around_the_drop_is_made_good_without_a_second_job(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch, dropped: bool
) -> None:
    delete = SnowflakeBatchHook.delete

    def crash(self: SnowflakeBatchHook, name: Any) -> None:
        if dropped:
            delete(self, name)
        raise Crash

    store = Store()
    with monkeypatch.context() as patch:
        patch.setattr(SnowflakeBatchHook, "delete", crash)
        with pytest.raises(Crash):
            attempt(store, deferrable=False, on_finish="drop")
    name, known = store.record["job_name"], names(hook)
    assert (name in known) is not dropped
    for deferrable in (True, False):
        again = Store()
        again.values |= store.values
        result = attempt(again, deferrable=deferrable, on_finish="drop")
        assert (result["job_name"], result["status"], result["rows"]) == (name, "DONE", 1)
        assert result["seconds"] >= 0
    assert names(hook) == known - {name}
