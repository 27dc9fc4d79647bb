"""What a try does once it has decided about the job of an earlier one: which calls, in which order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_snowflake_batch.exceptions import JobInputError, JobLostError
from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.kinds import parse_job
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus
from airflow_provider_snowflake_batch.operators.earlier_job import EarlierJob
from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords

NAME, LOCATION = "D.S.EARLIER", "@D.S.R/EARLIER/"
GIVEN: dict[str, Any] = {"model_name": "d.s.m", "X": "d.s.t", "compute_pool": "p"}


def job(name: str = "d.s.new", mode: str = "error", **changes: Any) -> BatchJob:
    return parse_job(name=name, output_spec={"stage_location": "@d.s.r/", "mode": mode}, **(GIVEN | changes))


@dataclass
class Hook:
    """What it is asked to do, and how the job stands at each look."""

    looks: list[JobStatus | Exception | None]
    done: list[str] = field(default_factory=list)

    def poll(self, name: QualifiedName, query_id: str | None) -> JobInfo | None:
        found = self.looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return None if found is None else JobInfo(str(name), found, found.value)

    def kill(self, name: QualifiedName, query_id: str | None) -> None:
        self.done.append(f"kill {name}")

    def delete(self, name: QualifiedName) -> None:
        self.done.append(f"delete {name}")

    def remove_files(self, location: object) -> None:
        self.done.append(f"remove {location}")


@dataclass
class Earlier:
    hook: Hook
    record: JobRecord
    refusal: Exception | None = None
    sent: list[BatchJob] = field(default_factory=list)

    def go_on_or_clear_away(self, wanted: BatchJob) -> JobRecord | None:
        values = {"snowflake_batch_job": {"job_name": NAME, "output_location": LOCATION, "submitted_at": 1.0}}
        store = SimpleNamespace(get=values.get, set=values.__setitem__)
        records = JobRecords(store, None)
        records.save(self.record)
        found = EarlierJob(self.hook, records, self._submit).go_on_or_clear_away(wanted)
        self.record = JobRecord.from_dict(values["snowflake_batch_job"])
        return found

    def _submit(self, again: BatchJob) -> JobRecord:
        self.sent.append(again)
        if self.refusal is not None:
            raise self.refusal
        return self.record


def earlier(*looks: JobStatus | Exception | None, begun: BatchJob | None = None, **changes: Any) -> Earlier:
    begun = begun or job()
    given: dict[str, Any] = {"query_id": "01", "fingerprint": begun.fingerprint(), "sizing": dict(begun.sizing)}
    return Earlier(Hook(list(looks)), JobRecord(NAME, LOCATION, 1.0, **(given | changes)))


BIGGER = {"job_spec": {"replicas": 4}}


@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.DONE])
def test_a_job_that_has_begun_keeps_its_size(status: JobStatus, caplog: pytest.LogCaptureFixture) -> None:
    one = earlier(status)
    assert one.go_on_or_clear_away(job(**BIGGER)).job_name == NAME
    assert (one.hook.done, one.sent) == ([], [])
    assert one.record.found_at is not None
    assert "keeps its own: replicas 1 instead of 4." in caplog.text


@pytest.mark.parametrize("status", [JobStatus.PENDING, None])
def test_a_job_that_has_not_begun_gives_way_to_another_size(
    status: JobStatus | None, caplog: pytest.LogCaptureFixture
) -> None:
    one = earlier(status)
    assert one.go_on_or_clear_away(job(**BIGGER)) is None
    assert one.hook.done == [f"kill {NAME}"]
    assert "asks for another size (replicas 1 instead of 4): cancelling it" in caplog.text


@pytest.mark.parametrize(("mode", "removed"), [("error", [f"remove {LOCATION}"]), ("overwrite", [])])
def test_one_of_the_same_name_makes_room(mode: str, removed: list[str]) -> None:
    one = earlier(JobStatus.PENDING, begun=job(NAME, mode))
    assert one.go_on_or_clear_away(job(NAME, mode, **BIGGER)) is None
    assert one.hook.done == [f"kill {NAME}", f"delete {NAME}", *removed]


def test_a_job_of_unknown_size_is_gone_on_with() -> None:
    one = earlier(JobStatus.PENDING, sizing=None)
    assert one.go_on_or_clear_away(job(**BIGGER)).job_name == NAME
    assert one.hook.done == []


@pytest.mark.parametrize(
    ("status", "done"),
    [(JobStatus.RUNNING, [f"kill {NAME}"]), (JobStatus.FAILED, []), (None, [f"kill {NAME}"])],
)
def test_another_job_is_cancelled(status: JobStatus | None, done: list[str]) -> None:
    one = earlier(status)
    assert one.go_on_or_clear_away(job(X="d.s.other")) is None
    assert one.hook.done == done


def test_a_failed_job_of_another_name_is_left_as_it_is() -> None:
    one = earlier(JobStatus.FAILED)
    assert one.go_on_or_clear_away(job()) is None
    assert one.hook.done == []


def test_a_statement_that_was_perhaps_not_sent_is_sent_under_its_name() -> None:
    one = earlier(JobLostError("none"), query_id=None)
    assert one.go_on_or_clear_away(job()) is not None
    assert [str(sent.name) for sent in one.sent] == [NAME]


@pytest.mark.parametrize(
    ("wanted", "status", "goes_on", "done"),
    [
        (job(), JobStatus.PENDING, True, []),
        (job(**BIGGER), JobStatus.RUNNING, True, []),
        (job(**BIGGER), JobStatus.PENDING, False, [f"kill {NAME}"]),
    ],
)
def test_a_statement_that_arrives_after_all_is_decided_about_like_any_other(
    wanted: BatchJob, status: JobStatus, goes_on: bool, done: list[str]
) -> None:
    one = replace(earlier(JobLostError("none"), status, query_id=None), refusal=JobInputError("exists already"))
    assert (one.go_on_or_clear_away(wanted) is not None) is goes_on
    assert one.hook.done == done


@pytest.mark.parametrize("second", [JobLostError("none"), JobStatus.PENDING])
def test_what_is_wrong_with_the_new_job_is_told(second: Any) -> None:
    wanted = job() if isinstance(second, Exception) else job(X="d.s.other")
    one = replace(earlier(JobLostError("none"), second, query_id=None), refusal=JobInputError("no such pool"))
    with pytest.raises(JobInputError, match="no such pool"):
        one.go_on_or_clear_away(wanted)


ROWS, JOB_FILES = "@D.S.R/_snowflake_temporary/EARLIER/", "@D.S.R/_batch_worker/EARLIER/"
WORKER: dict[str, Any] = {"model": {"target": "m:C"}, "model_name": None}


def test_what_a_job_of_the_worker_has_finished_is_kept_for_one_of_the_same_name() -> None:
    begun = job(NAME, **WORKER)
    one = earlier(JobStatus.FAILED, begun=begun, begun_within=[0, 0])
    assert one.go_on_or_clear_away(begun) is None
    assert one.hook.done == [f"delete {NAME}"]


def test_after_a_clear_it_is_not() -> None:
    begun = job(NAME, **WORKER)
    one = earlier(JobStatus.FAILED, begun=begun, begun_within=[7, 0])
    assert one.go_on_or_clear_away(begun) is None
    assert one.hook.done == [f"delete {NAME}", f"remove {LOCATION}", f"remove {ROWS}", f"remove {JOB_FILES}"]


def test_the_rows_of_a_job_that_is_replaced_go_with_it() -> None:
    one = earlier(JobStatus.RUNNING, begun=job(**WORKER), begun_within=[0, 0])
    assert one.go_on_or_clear_away(job(**WORKER, X="OTHER_TABLE")) is None
    assert one.hook.done == [f"kill {NAME}", f"remove {ROWS}", f"remove {JOB_FILES}"]
