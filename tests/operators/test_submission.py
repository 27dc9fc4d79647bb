"""A task that is told to end before its job's statement is sent."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException
from snowflake.connector import SnowflakeConnection

from airflow_provider_snowflake_batch.exceptions import JobCancelledError, JobInputError
from airflow_provider_snowflake_batch.hooks import sent_statements
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.masking import masked
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.job import ContainerJob
from airflow_provider_snowflake_batch.jobs.models import PythonModel
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.job_record import JobRecords
from tests.local_faults import faults_of
from tests.operators.task_instances import Store, TaskInstance, batch_task, names


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run(
            [
                "CREATE COMPUTE POOL IF NOT EXISTS SUBMISSION MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE OR REPLACE STAGE SUBMISSION ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        yield opened


@pytest.fixture
def task(tmp_path: Path) -> Iterator[RunBatchOperator]:
    """A task whose ``on_kill`` SIGUSR1 calls, as Airflow's handler of SIGTERM does before it lets the code go on."""
    (tmp_path / "m.py").write_text("class Model: pass")
    dag = DAG("dag")
    dag.fileloc = str(tmp_path / "dag.py")
    made = RunBatchOperator(
        task_id="score",
        dag=dag,
        model=PythonModel("m:Model", code="m.py"),
        X="SELECT 1 AS A",
        compute_pool="SUBMISSION",
        output_spec={"stage_location": "@SUBMISSION/out/"},
    )
    before = signal.signal(signal.SIGUSR1, lambda *_: made.on_kill())
    yield made
    signal.signal(signal.SIGUSR1, before)


def killed(task: RunBatchOperator, held: threading.Event) -> None:
    def kill() -> None:
        held.wait(60)
        signal.raise_signal(signal.SIGUSR1)

    killing = threading.Thread(target=kill, daemon=True)
    killing.start()
    with pytest.raises(JobCancelledError, match="since the task was killed"):
        task.execute({"ti": TaskInstance(), "task_state_store": None})
    killing.join(60)


def test_a_task_killed_while_its_rows_are_unloaded_ends_the_unload(
    hook: SnowflakeBatchHook, task: RunBatchOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, before, said = threading.Event(), names(hook), list[str]()

    def still_running(*_: Any) -> bool:
        held.set()
        return True

    rows = SnowflakeBatchHook.rows
    monkeypatch.setattr(SnowflakeBatchHook, "rows", lambda self, sql, **more: (said.append(sql), rows(self, sql))[1])
    monkeypatch.setattr(SnowflakeConnection, "is_still_running", still_running)
    killed(task, held)
    assert "SYSTEM$CANCEL_QUERY" in said[-1]
    assert names(hook) == before
    assert not any("_batch_worker" in file.path for file in hook.list_files("@SUBMISSION/"))


def test_a_task_killed_while_it_uploads_files_sends_no_statement(
    hook: SnowflakeBatchHook, task: RunBatchOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, before = threading.Event(), names(hook)
    write = SnowflakeBatchHook.write_file

    def slow(self: SnowflakeBatchHook, location: Any, content: bytes) -> None:
        write(self, location, content)
        if str(location).endswith(".pyz"):
            held.set()
            # Until the kill has been dealt with, as far as that does not depend on this code.
            while task._run is None or not task._run.canceller.has_cancelled:
                threading.Event().wait(0.01)

    monkeypatch.setattr(SnowflakeBatchHook, "write_file", slow)
    killed(task, held)
    assert names(hook) == before
    assert not any("/code-" in file.path for file in hook.list_files("@SUBMISSION/"))


@pytest.fixture
def stranger(hook: SnowflakeBatchHook) -> Iterator[ContainerJob]:
    """A job of somebody else that has the name which the task's job is to have."""
    container = {"name": "main", "image": "/db/s/r/i:1", "command": ["python", "-c", "import time; time.sleep(600)"]}
    name = QualifiedName("SUBMISSION_TAKEN", "PUBLIC", "LOCAL")
    yield ContainerJob(name, Identifier("SUBMISSION"), {"spec": {"containers": [container]}})
    hook.delete(name)


@pytest.mark.parametrize("moment", ["before its statement", "after its statement"])
def test_a_task_killed_while_somebody_else_takes_the_name_leaves_their_job_alone(
    hook: SnowflakeBatchHook,
    task: RunBatchOperator,
    stranger: ContainerJob,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    submit = SnowflakeBatchHook.submit

    def late(self: SnowflakeBatchHook, job: Any) -> str:
        query_id = submit(hook, stranger)
        while not hook.check_submission(query_id):
            threading.Event().wait(0.01)
        if moment == "before its statement":
            signal.raise_signal(signal.SIGUSR1)
        query_id = submit(self, job)
        if moment == "after its statement":
            signal.raise_signal(signal.SIGUSR1)
        return query_id

    monkeypatch.setattr(SnowflakeBatchHook, "submit", late)
    # On a busy machine the refusal may take longer than a killed task may wait.
    monkeypatch.setattr(sent_statements, "_KILLED_WITHIN", 60.0)
    task.job_spec = {"job_name": "SUBMISSION_TAKEN"}
    with pytest.raises(JobCancelledError, match="since the task was killed"):
        task.execute({"ti": TaskInstance(), "task_state_store": None})
    assert hook.status(stranger.name).status in (JobStatus.PENDING, JobStatus.RUNNING)


def test_a_task_with_a_fixed_name_killed_right_after_its_statement_cancels_its_job(
    hook: SnowflakeBatchHook, task: RunBatchOperator, monkeypatch: pytest.MonkeyPatch, local_server: LocalServer
) -> None:
    submit, name = SnowflakeBatchHook.submit, QualifiedName("SUBMISSION_FIXED", "PUBLIC", "LOCAL")

    def killed_then(self: SnowflakeBatchHook, job: Any) -> str:
        query_id = submit(self, job)
        signal.raise_signal(signal.SIGUSR1)
        return query_id

    monkeypatch.setattr(SnowflakeBatchHook, "submit", killed_then)
    task.job_spec = {"job_name": name.name}
    # It could end before it is cancelled.
    with faults_of(local_server) as faults:
        faults.add("pending", job=name.name)
        try:
            with pytest.raises(JobCancelledError, match="since the task was killed"):
                task.execute({"ti": TaskInstance(), "task_state_store": None})
            assert hook.status(name).status in (JobStatus.CANCELLED, JobStatus.CANCELLING)
        finally:
            hook.delete(name)


def test_a_job_of_somebody_else_that_takes_the_name_meanwhile_is_not_taken_for_the_tasks(
    hook: SnowflakeBatchHook, task: RunBatchOperator, stranger: ContainerJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = SnowflakeBatchHook.submit

    def late(self: SnowflakeBatchHook, job: Any) -> str:
        query_id = submit(hook, stranger)
        while not hook.check_submission(query_id):
            threading.Event().wait(0.01)
        return submit(self, job)

    monkeypatch.setattr(SnowflakeBatchHook, "submit", late)
    task.job_spec = {"job_name": "SUBMISSION_TAKEN"}
    store = Store()
    with pytest.raises(JobInputError, match="^A job of this name exists already: "):
        task.execute({"ti": TaskInstance(), "task_state_store": store})
    task.on_kill()
    assert hook.status(stranger.name).status in (JobStatus.PENDING, JobStatus.RUNNING)
    assert JobRecords(store, TaskInstance(max_tries=1)).load() is None, "a clear does not go on with it"


def test_a_connection_that_is_not_there_is_told_and_nothing_is_sent() -> None:
    instance = TaskInstance()
    with pytest.raises(AirflowNotFoundException, match="no Airflow connection no_such, .* snowflake_conn_id") as raised:
        batch_task("SUBMISSION", snowflake_conn_id="no_such").execute({"ti": instance, "task_state_store": Store()})
    # A secrets backend may answer the next try.
    assert not isinstance(raised.value, AirflowFailException)
    card = instance.xcoms[JOB_CARD_KEY]
    assert (card["status"], card["message"]) == ("NOT_SUBMITTED", masked(str(raised.value)))
