"""How far a job is, as its log tells: the replicas together, and each."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.log import mask_secret

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX
from airflow_provider_snowflake_batch.hooks import logs
from airflow_provider_snowflake_batch.hooks.logs import LogFollower
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.status import ContainerInfo

JOB = QualifiedName.parse("D.S.J", field="job")


class Job:
    """Stands in for a hook: containers and their logs are what a test says."""

    log = logging.getLogger(__name__)

    def __init__(self, replicas: int) -> None:
        self.status = ["READY"] * replicas
        self.texts = [""] * replicas

    def containers(self, _: QualifiedName) -> list[ContainerInfo]:
        return [ContainerInfo(number, "main", status, "") for number, status in enumerate(self.status)]

    def logs(self, _: QualifiedName, *, instance_id: int, **__: Any) -> str:
        return self.texts[instance_id]

    def say(self, replica: int, phase: str, done: int, total: int, **more: Any) -> None:
        line = {"phase": phase, "replica": replica, "replicas": len(self.texts), "rows_done": done, "rows_total": total}
        self.texts[replica] += f"{PROGRESS_PREFIX}{json.dumps({**line, **more})}\n"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def read(follower: LogFollower, job: Job) -> list[str]:
    return follower.read(job)  # type: ignore[arg-type]


def states(follower: LogFollower) -> list[str]:
    assert follower.progress is not None
    assert follower.progress.by_replica is not None
    return [one.state.value for one in follower.progress.by_replica.each]


def test_replicas_with_a_share_each_are_told_together(clock: SimpleNamespace) -> None:
    job, follower = Job(3), LogFollower(JOB)
    job.texts[1] = "a line of the model\n"
    job.say(0, "running", 500, 900, rows_per_second=100.0, eta_seconds=4.0, rows_reused=100)
    job.say(1, "running", 40, 900, rows_per_second=8.0, eta_seconds=107.0)
    assert read(follower, job) == [
        "[replica 1] a line of the model",
        (
            "540 of 1,800 rows (30 %), 100 kept from earlier tries, 108 rows/s, about 2 min left; "
            "replica 0: 400 rows, 100 rows/s; replica 1 slow: 40 rows, 8 rows/s; replica 2 late"
        ),
    ]
    job.say(2, "loading", 0, 900)
    assert read(follower, job) == [], "so soon"
    assert states(follower) == ["running", "slow", "loading"]
    clock.now += logs.PROGRESS_SECONDS
    assert len(read(follower, job)) == 1
    clock.now += logs.PROGRESS_SECONDS
    assert read(follower, job) == [], "nothing new"


def test_a_replica_whose_container_failed_is_lost() -> None:
    job, follower = Job(3), LogFollower(JOB)
    for replica in (0, 1):
        job.say(replica, "running", 5, 10, rows_per_second=1.0)
    job.status[1:] = ["FAILED", "FAILED"]
    read(follower, job)
    assert states(follower) == ["running", "lost", "lost"]
    job.say(0, "failed", 5, 10)
    read(follower, job)
    assert states(follower) == ["lost"] * 3


def test_who_knows_all_tells_of_all() -> None:
    job, follower = Job(2), LogFollower(JOB)
    each = [{"replica": 0, "state": "done", "rows": 6}, {"replica": 1, "state": "done", "rows": 4}]
    job.say(0, "done", 10, 10, by_replica={"each": each})
    assert read(follower, job) == ["10 of 10 rows (100 %); replica 0 done: 6 rows; replica 1 done: 4 rows"]
    assert follower.progress is not None
    assert follower.progress.to_dict()["by_replica"] == {"each": each}


def test_of_many_replicas_those_are_named_that_do_not_simply_run() -> None:
    job, follower = Job(300), LogFollower(JOB)
    for replica in range(290):
        job.say(replica, "running", 10, 100, rows_per_second=1.0 if replica < 2 else 10.0)
    (line,) = read(follower, job)
    assert "; replica 0 slow: 10 rows, 1 rows/s; replica 1 slow" in line
    assert line.endswith("; 6 more late; 288 running")
    assert len(line) < 300
    assert follower.progress is not None
    assert len(json.dumps(follower.progress.to_dict())) < 3_200


def test_a_job_of_one_replica_is_told_as_before() -> None:
    job, follower = Job(1), LogFollower(JOB)
    job.say(0, "running", 5, 10, rows_per_second=2.0)
    assert read(follower, job) == ["5 of 10 rows (50 %), 2 rows/s"]
    assert follower.progress is not None
    assert "by_replica" not in follower.progress.to_dict()


def test_a_log_that_claims_to_be_of_very_many_replicas_costs_nothing() -> None:
    job, follower = Job(1), LogFollower(JOB)
    job.say(0, "running", 5, 10, replicas=2**60)
    read(follower, job)
    assert follower.progress is not None
    assert follower.progress.by_replica is None


def test_the_last_lines_are_those_of_the_model_without_what_airflow_masks() -> None:
    mask_secret("password-of-the-job")
    job, follower = Job(2), LogFollower(JOB)
    job.texts[0] = "".join(f"line {number}\n" for number in range(30)) + "\n"
    job.texts[1] = "x" * 190 + "password-of-the-job\n"
    job.say(0, "running", 5, 10)
    shown = read(follower, job)
    assert len(shown) == 33
    assert follower.last_lines == [
        *(f"[replica 0] line {number}" for number in range(19, 30)), "[replica 1] " + "x" * 190 + "***",
    ]  # fmt: skip
    assert read(follower, job) == []
    assert len(follower.last_lines) == 12, "kept until there are others"
