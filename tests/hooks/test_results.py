from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX
from airflow_provider_snowflake_batch.exceptions import JobCancelledError, JobFailedError, JobLostError
from airflow_provider_snowflake_batch.hooks import results
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.results import (
    JobResult,
    collect_result,
    failure_of,
    read_containers_and_logs,
)
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, StagePath
from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo, JobStatus
from tests.compute_pools import hook_with_pool
from tests.container_jobs import container_job
from tests.local_faults import LocalFaults

POOL = Identifier("RESULT_TESTS")
JOB = JobInfo("D.S.J", JobStatus.FAILED, "FAILED")
PROGRESS = f'{PROGRESS_PREFIX}{{"phase": "running", "replica": 0}}'


@pytest.mark.parametrize(
    ("log", "begins"),
    [
        ("loading\nModelError: no\n", "ModelError: no. "),
        (f"ModelError: no\n{PROGRESS}\nModelError: yes", "ModelError: yes. "),
        (f"loading\n{PROGRESS}\n", "Containers: "),
        (f"loading\n{PROGRESS[:30]}", "Containers: "),
        ("", "Containers: "),
    ],
)
def test_a_failure_begins_with_what_tells_of_it(log: str, begins: str) -> None:
    killed = ContainerInfo(instance_id=0, name="main", status="FAILED", message="Killed: out of memory", exit_code=137)
    error = failure_of(JOB, [killed], {"replica 0, container main": log} if log else {})
    assert isinstance(error, JobFailedError)
    assert str(error).startswith(begins)
    assert "Killed: out of memory" in str(error)
    assert PROGRESS_PREFIX not in str(error)


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, POOL, 2, "CREATE OR REPLACE STAGE RESULT_TESTS") as opened:
        yield opened


def collected(hook: SnowflakeBatchHook, **files: bytes) -> JobResult:
    for name, content in files.items():
        hook.write_file(f"@RESULT_TESTS/job/{name}", content)
    result = JobResult("D.S.J", "DONE", "@RESULT_TESTS/job/")
    return collect_result(hook, result, StagePath.parse(result.output_location, field="output_location"))


def test_a_manifest_that_cannot_be_read_costs_no_results(hook: SnowflakeBatchHook) -> None:
    result = collected(hook, **{"part-0.parquet": b"rows", "_SUCCESS": b"", "_manifest.json": b'{"rows": '})
    assert (result.files, result.rows) == (1, None)
    (warning,) = result.warnings
    assert warning.startswith("_manifest.json of the results cannot be read: ")
    assert warning.endswith("It tells no number of rows.")


def test_without_success_there_is_no_result(hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "VISIBLE_SECONDS", 0.1)
    monkeypatch.setattr(results, "_LOOK_AGAIN_SECONDS", 0.1)
    with pytest.raises(JobFailedError, match="J is DONE, but @RESULT_TESTS/job/ has no _SUCCESS: its output"):
        collected(hook, **{"part-0.parquet": b"rows", "_manifest.json": b'{"rows": 1}'})


def test_success_may_be_seen_a_little_late(hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_LOOK_AGAIN_SECONDS", 0.1)

    def finish() -> None:
        with hook.twin() as job:
            job.write_file("@RESULT_TESTS/job/_SUCCESS", b"")

    late = threading.Timer(1, finish)
    late.start()
    assert collected(hook, **{"part-0.parquet": b"rows"}).files == 1
    late.join()


def test_what_cannot_be_read_of_a_job_that_failed_is_left_out(hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
    job = container_job(hook, POOL, "python", "-c", "raise SystemExit('the model broke')")
    info = hook.wait(job.name, query_id=hook.submit(job), deadlines=Deadlines.within(60))

    containers, logs = read_containers_and_logs(hook, info.name)
    assert logs == {"replica 0, container main": "the model broke"}
    assert str(failure_of(info, containers, logs)).startswith("the model broke. Job ")

    unreadable = faults.add("http-error", status=404, statement="GET_SERVICE_LOGS")
    containers, logs = read_containers_and_logs(hook, info.name)
    assert ([container.status for container in containers], logs) == (["FAILED"], {})
    assert "There is no log to show" in str(failure_of(info, containers, logs))
    assert faults.fired(unreadable)

    unlisted = faults.add("http-error", status=404, statement="SHOW SERVICE CONTAINERS")
    assert read_containers_and_logs(hook, info.name) == ([], {})
    assert faults.fired(unlisted)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (JobStatus.CANCELLED, JobCancelledError, "Job D.S.J was cancelled in Snowflake."),
        (JobStatus.DELETED, JobLostError, "Job D.S.J was dropped while it ran."),
    ],
)
def test_a_job_that_somebody_has_ended(status: JobStatus, kind: type[Exception], words: str) -> None:
    error = failure_of(JobInfo("D.S.J", status, status.value), [], {})
    assert type(error) is kind
    assert str(error) == words
