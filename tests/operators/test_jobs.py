"""Cancelling and deleting jobs that are there already, against the local Snowflake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_snowflake_batch.exceptions import JobInputError, JobNotFoundError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.job import ContainerJob, generate_job_name
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.operators.jobs import CancelBatchJobOperator, DeleteBatchJobOperator

POOL = Identifier("JOB_TESTS")


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run(f"CREATE COMPUTE POOL IF NOT EXISTS {POOL} MIN_NODES = 1 MAX_NODES = 4 INSTANCE_FAMILY = CPU_X64_S")
        yield opened


def start(hook: SnowflakeBatchHook, code: str) -> str:
    container = {"name": "main", "image": "/db/schema/repo/image:1", "command": ["python", "-c", code]}
    job = ContainerJob(
        name=hook.qualify_name(generate_job_name("operators", "jobs")),
        compute_pool=POOL,
        specification={"spec": {"containers": [container]}},
    )
    query_id = hook.submit(job)
    while hook.poll(job.name, query_id) is None:
        pass
    return str(job.name)


def test_cancel_stops_a_job_and_keeps_it(hook: SnowflakeBatchHook) -> None:
    name = start(hook, "import time; time.sleep(600)")
    assert CancelBatchJobOperator(task_id="cancel", job_name=name).execute({}) == "CANCELLED"
    assert hook.status(name).status is JobStatus.CANCELLED


def test_cancel_leaves_a_job_that_has_ended(hook: SnowflakeBatchHook) -> None:
    name = start(hook, "pass")
    hook.wait(name, deadlines=Deadlines.within(60))
    assert CancelBatchJobOperator(task_id="cancel", job_name=name).execute({}) == "DONE"


def test_cancel_need_not_wait(hook: SnowflakeBatchHook) -> None:
    name = start(hook, "import time; time.sleep(600)")
    status = CancelBatchJobOperator(task_id="cancel", job_name=name, wait_for_completion=False).execute({})
    assert status in ("CANCELLING", "CANCELLED")


def test_cancel_names_a_job_that_is_not_there(snowflake_connection: str) -> None:
    with pytest.raises(JobNotFoundError, match=r"LOCAL\.PUBLIC\.NO_SUCH_JOB does not exist"):
        CancelBatchJobOperator(task_id="cancel", job_name="NO_SUCH_JOB").execute({})


def test_delete_takes_the_output_along_if_asked(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE OR REPLACE STAGE JOB_TESTS")
    given = ("_batch_worker/{}/J/JOB-1.json", "_snowflake_temporary/{}/0a1b2c3d/data.parquet")
    for file in ("mine/part-0.parquet", "mine/_SUCCESS", "another/_SUCCESS", *(name.format("mine") for name in given)):
        hook.write_file(f"@JOB_TESTS/{file}", b"")
    name = start(hook, "import time; time.sleep(600)")
    DeleteBatchJobOperator(task_id="delete", job_name=name).execute({})
    with pytest.raises(JobNotFoundError):
        hook.status(name)
    assert len(hook.list_files("@JOB_TESTS/")) == 5
    for name in (*given, "_batch_worker/code-1.zip"):
        hook.write_file(f"@JOB_TESTS/{name.format('mine_too')}", b"")
    name = start(hook, "import time; time.sleep(600)")
    DeleteBatchJobOperator(task_id="delete", job_name=name, output_location="@JOB_TESTS/mine").execute({})
    others = ["_batch_worker/code-1.zip", *(name.format("mine_too") for name in given), "another/_SUCCESS"]
    assert sorted(file.path for file in hook.list_files("@JOB_TESTS/")) == sorted(others)
    with pytest.raises(JobNotFoundError):
        hook.status(name)
    # Again, when the job is gone.
    DeleteBatchJobOperator(task_id="delete", job_name=name, output_location="@JOB_TESTS/another").execute({})
    assert not any(file.path.startswith("another/") for file in hook.list_files("@JOB_TESTS/"))


def test_what_is_malformed_fails_the_parse() -> None:
    for operator in (CancelBatchJobOperator, DeleteBatchJobOperator):
        with pytest.raises(InvalidJobError, match="job_name: 'a; DROP SERVICE b'"):
            operator(task_id="t", job_name="a; DROP SERVICE b")
    with pytest.raises(InvalidJobError, match="output_location: '@s' is a whole stage"):
        DeleteBatchJobOperator(task_id="t", job_name="a", output_location="@s")


def test_what_a_template_brings_is_checked_before_anything_is_deleted(hook: SnowflakeBatchHook) -> None:
    name = start(hook, "import time; time.sleep(600)")
    task = DeleteBatchJobOperator(task_id="t", job_name="{{ x }}", output_location="{{ y }}")
    task.job_name, task.output_location = name, "@s"
    with pytest.raises(JobInputError, match="whole stage"):
        task.execute({})
    assert not hook.status(name).status.is_terminal
    hook.delete(name)
