from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX
from airflow_provider_snowflake_batch.exceptions import JobFailedError
from airflow_provider_snowflake_batch.hooks.results import failure_of
from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo, JobStatus

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
