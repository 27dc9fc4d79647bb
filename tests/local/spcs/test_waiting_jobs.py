"""Jobs that wait for a node, however many there are."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.local.faults.faults import Faults
from airflow_provider_snowflake_batch.local.spcs.control_plane import SpcsControlPlane
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.state import StateDirectory
from tests.local.spcs.conftest import wait_until

SUSPENDED = "Compute pool POOL is suspended"


@pytest.fixture
def spcs(tmp_path: Path) -> Iterator[SpcsControlPlane]:
    state = StateDirectory(tmp_path / "state")
    spcs = SpcsControlPlane(state, "ACCOUNT", Faults())
    spcs.pools.create(
        "POOL", "R", min_nodes=1, max_nodes=1, instance_family="CPU_X64_XS", auto_resume=False, initially_suspended=True
    )
    spcs.start()
    yield spcs
    spcs.stop(0)
    state.close()


def new_job(**fields: Any) -> Job:
    given: dict[str, Any] = {
        "id": uuid.uuid4().hex, "number": 0, "query_id": "q", "database": "D", "schema": "S", "kind": "JOB",
        "name": f"J_{uuid.uuid4().hex}", "compute_pool": "POOL", "owner": "R", "is_async": True, "replicas": 1,
        "specification": "", "resources": {"cpu": 1.0}, "parameters": {}, "created_on": time.time(),
        "updated_on": time.time(),
    }  # fmt: skip
    return Job(**{**given, **fields})


def submit(spcs: SpcsControlPlane) -> Job:
    job = new_job()
    spcs.submit(job, [Container(job.id, 0, "main", "i", ["true"], {}, {})])
    return job


def says(spcs: SpcsControlPlane, job: Job) -> str:
    return spcs.store.containers(job.id)[0].message


def test_a_new_job_is_looked_at_without_the_others(spcs: SpcsControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = [submit(spcs) for _ in range(3)]
    wait_until(lambda: all(says(spcs, job) == SUSPENDED for job in waiting), 60)
    looks: list[str] = []

    def everything() -> list[Job]:
        looks.append("all")
        return []

    monkeypatch.setattr(spcs.store, "active_jobs", everything)
    monkeypatch.setattr(spcs.store, "all_jobs", everything)
    job = submit(spcs)
    wait_until(lambda: says(spcs, job) == SUSPENDED, 60)
    spcs.cancel(waiting[0].full_name)
    wait_until(lambda: spcs.get(waiting[0].full_name).settled, 60)
    assert looks == []


def test_all_that_wait_are_looked_at_when_their_pool_changes(spcs: SpcsControlPlane) -> None:
    waiting = [submit(spcs) for _ in range(3)]
    wait_until(lambda: all(says(spcs, job) == SUSPENDED for job in waiting), 60)
    spcs.pools.resume("POOL")
    spcs.wake()
    # One after the other: the pool has a node for one of them.
    wait_until(lambda: all(spcs.get(job.full_name).status.value == "DONE" for job in waiting), 60)
    assert spcs.store.active_jobs() == []


def test_when_a_pool_was_last_used(spcs: SpcsControlPlane) -> None:
    store = spcs.store
    assert store.last_use("POOL") is None
    for completed in (5.0, 7.0, 6.0):
        store.add_job(new_job(completed_on=completed, settled=True), [])
    store.add_job(new_job(completed_on=9.0, settled=True, compute_pool="OTHER"), [])
    assert store.last_use("POOL") == 7.0
    before = time.time()
    store.add_job(new_job(compute_pool="OTHER"), [])
    assert (store.last_use("OTHER") or 0.0) >= before


def test_containers_of_several_jobs_in_one_statement(spcs: SpcsControlPlane) -> None:
    jobs = [new_job() for _ in range(3)]
    for job, names in zip(jobs, (["b", "a"], [], ["c"]), strict=True):
        spcs.store.add_job(job, [Container(job.id, 0, name, "i", ["true"], {}, {}) for name in names])
    # The server may begin to say why they wait.
    with spcs.runner.lock:
        found, first = spcs.store.containers_of(jobs), spcs.store.containers(jobs[0].id)
    # As they were declared.
    assert [[item.name for item in found[job.id]] for job in jobs] == [["b", "a"], [], ["c"]]
    assert found[jobs[0].id] == first
