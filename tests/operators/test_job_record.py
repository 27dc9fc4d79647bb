"""What a try takes over from the record of an earlier one."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
from airflow_provider_snowflake_batch.jobs.kinds import parse_job
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus
from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords
from airflow_provider_snowflake_batch.operators.named_jobs import NamedJobs

TRIES = SimpleNamespace(max_tries=2, task=SimpleNamespace(retries=2))
FIRST = "@D.S.R/FIRST/"


def job(**changes: Any) -> BatchJob:
    given = {"X": "d.s.t", "compute_pool": "p", "output_spec": {"stage_location": "@d.s.r/"}}
    return parse_job(name="d.s.second", **(given | changes))


def records(begun: BatchJob, tries: list[int] | None = None) -> JobRecords:
    record = JobRecord("D.S.FIRST", FIRST, 1.0, begun.fingerprint(), version="V1", begun_within=tries or [2, 2])
    store = SimpleNamespace(get={"snowflake_batch_job": asdict(record)}.get)
    return JobRecords(store, TRIES)


WORKER = {"model": {"target": "m:C"}}


def test_a_job_of_the_worker_goes_on_in_the_directory_of_the_first_try() -> None:
    begun = job(**WORKER)
    found = records(begun).as_begun(begun)
    assert str(found.output_directory) == FIRST
    assert str(found.name) == "D.S.SECOND"
    assert records(begun).resumes(begun)


@pytest.mark.parametrize("changes", [{"job_spec": {"replicas": 4, "image": "/d/s/r/i:2"}}, {"compute_pool": "bigger"}])
def test_also_in_another_size_and_with_another_image(changes: dict[str, Any]) -> None:
    assert str(records(job(**WORKER)).as_begun(job(**WORKER, **changes)).output_directory) == FIRST


@pytest.mark.parametrize("changes", [{"X": "d.s.other"}, {"job_spec": {"on_error": "quarantine"}}])
def test_not_for_other_work(changes: dict[str, Any]) -> None:
    other = job(**WORKER, **changes)
    assert records(job(**WORKER)).as_begun(other) is other
    assert not records(job(**WORKER)).resumes(other)


def test_not_after_a_clear() -> None:
    begun = job(**WORKER)
    assert records(begun, [5, 2]).as_begun(begun) is begun
    assert not records(begun, [5, 2]).resumes(begun)


def test_a_registered_models_job_keeps_its_version_and_has_a_directory_of_its_own() -> None:
    begun = job(model_name="d.s.m")
    found = records(begun).as_begun(begun)
    assert str(found.model_function.version) == "V1"
    assert str(found.output_directory) == "@D.S.R/SECOND/"
    assert not records(begun).resumes(begun)


@pytest.mark.parametrize("version", [None, "champion"])
def test_a_registered_model_in_the_worker_keeps_its_version_and_its_directory(version: str | None) -> None:
    begun = job(**WORKER | {"model": {"kind": "registry", "name": "d.s.m", "version": version}})
    found = records(begun).as_begun(begun)
    assert (str(found.model_function.model), str(found.model_function.version)) == ("D.S.M", "V1")
    assert str(found.output_directory) == FIRST


def named(begun: BatchJob, number: int) -> NamedJobs:
    """What a try sees that is the ``number``-th to submit a job, where only names tell."""
    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, max_tries=2, try_number=number, task=None)
    found = NamedJobs(ti, datetime(2026, 11, 28, tzinfo=UTC), SimpleNamespace(), begun, waits=True)
    found._number = number
    return found


def test_where_only_names_tell_the_directory_is_that_of_the_first_name() -> None:
    begun = job(**WORKER)
    first, second = (named(begun, number).name(begun) for number in (1, 2))
    assert first.name != second.name
    assert named(begun, 2).as_begun(second).output_directory == first.output_directory
    assert named(begun, 1).as_begun(first).output_directory == first.output_directory
    other = job(**WORKER, X="d.s.other")
    assert named(other, 2).as_begun(other).output_directory != first.output_directory
    registered = job(model_name="d.s.m")
    assert named(registered, 2).as_begun(registered) is registered


def test_when_a_job_was_made_is_noted_once_and_only_of_the_own_job() -> None:
    kept = {"snowflake_batch_job": asdict(JobRecord("D.S.FIRST", FIRST, 1.0))}
    store = SimpleNamespace(get=kept.get, set=kept.__setitem__)
    found = JobRecords(store, TRIES)
    for name, day in (("D.S.OTHER", 1), ("D.S.FIRST", 2), ("D.S.FIRST", 3)):
        found.mark_seen(JobInfo(name, JobStatus.FAILED, "FAILED", created_on=f"2026-11-0{day}T00:00:00+00:00"))
    assert kept["snowflake_batch_job"]["created_on"] == "2026-11-02T00:00:00+00:00"
