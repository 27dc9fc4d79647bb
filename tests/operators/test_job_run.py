"""What a task makes of a trigger's word that there is no job to collect. With whole jobs: ``test_run_batch.py``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_snowflake_batch.exceptions import (
    JobInputError,
    JobLostError,
    JobSubmissionError,
    SnowflakeUnreachableError,
)
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords
from tests.operators.task_instances import Store, TaskInstance

STAGE = "@LOCAL.PUBLIC.JOB_RUN_TESTS"
JOB = JobRecord("LOCAL.PUBLIC.J", f"{STAGE}/out/J/", 10.0, fingerprint="f", query_id="q")
LONG_LIST = f"{STAGE}/out/_snowflake_temporary/J/paths.parquet"


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run("CREATE OR REPLACE STAGE JOB_RUN_TESTS")
        opened.write_file(LONG_LIST, b"paths")
        yield opened


@pytest.fixture
def store() -> Store:
    made = Store()
    JobRecords(made, None).save(JOB)
    return made


def resumed(store: Store, instance: TaskInstance, status: str, **changes: Any) -> Exception:
    """What the task fails with after this event."""
    task = RunBatchOperator(
        task_id="score",
        model_name="M",
        X=[f"{STAGE}/one.png"],
        compute_pool="P",
        output_spec={"stage_location": f"{STAGE}/out/"},
        **changes,
    )
    event = {
        "job_name": JOB.job_name,
        "output_location": JOB.output_location,
        "submitted_at": time.time(),
        "query_id": JOB.query_id,
        "status": status,
        "message": "What Snowflake has said.",
    }
    with pytest.raises(Exception, match="What Snowflake has said") as raised:
        task.execute_complete({"ti": instance, "task_state_store": store}, event)
    return raised.value


@pytest.mark.parametrize(
    ("status", "kind", "shown"),
    [
        ("refused", JobInputError, "REFUSED"),
        ("not_submitted", JobSubmissionError, "NOT_SUBMITTED"),
        ("lost", JobLostError, "SUBMITTED"),
    ],
)
def test_a_job_that_is_not_there(
    hook: SnowflakeBatchHook, store: Store, status: str, kind: type[Exception], shown: str
) -> None:
    instance = TaskInstance()
    error = resumed(store, instance, status)
    assert type(error) is kind
    # Only what another try would meet again fails without one.
    assert isinstance(error, AirflowFailException) is (status == "refused")
    card = instance.xcoms[JOB_CARD_KEY]
    assert (card["status"], card["message"]) == (shown, "What Snowflake has said.")
    # A statement that has come to nothing is sent again under the same name.
    assert store.record["query_id"] == (None if status == "not_submitted" else "q")
    assert not hook.list_files(f"{STAGE}/out/_snowflake_temporary/")


@pytest.mark.parametrize("durable", [True, False])
def test_a_job_that_the_trigger_could_not_ask_about_keeps_its_rows(
    hook: SnowflakeBatchHook, store: Store, durable: bool
) -> None:
    instance = TaskInstance()
    error = resumed(store, instance, "error", durable=durable)
    assert type(error) is SnowflakeUnreachableError
    assert str(error).endswith("A retry goes on with it." if durable else "may still run.")
    assert instance.xcoms[JOB_CARD_KEY]["message"] == str(error)
    assert store.record["query_id"] == "q"
    assert [file.path for file in hook.list_files(f"{STAGE}/out/_snowflake_temporary/")] == [
        LONG_LIST.removeprefix(f"{STAGE}/")
    ]
