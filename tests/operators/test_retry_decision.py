"""Every case of what a try does about the job of an earlier one."""

from __future__ import annotations

from itertools import product

import pytest

from airflow_provider_snowflake_batch.jobs.kinds import parse_job
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus
from airflow_provider_snowflake_batch.operators.job_record import JobRecord
from airflow_provider_snowflake_batch.operators.retry_decision import Decision, decide

JOB = parse_job(
    name="d.s.j", model_name="d.s.m", X="d.s.t", compute_pool="p", output_spec={"stage_location": "@d.s.r/"}
)
FINGERPRINTS = {"same": JOB.fingerprint(), "older": JOB.older_fingerprints()[0], "other": "0" * 64, "none": None}
SIZINGS = {"same": dict(JOB.sizing), "other": {**JOB.sizing, "replicas": 9}, "unknown": None}
ENDED_FOR_NOTHING = {"FAILED", "INTERNAL_ERROR", "CANCELLING", "CANCELLED", "DELETING", "DELETED"}


def info(status: JobStatus | None) -> JobInfo | None:
    return None if status is None else JobInfo("D.S.J", status, status.value)


def record(fingerprint: str = "same", sizing: str = "same", query_id: str | None = "01") -> JobRecord:
    return JobRecord("D.S.J", "@D.S.R/J/", 1.0, FINGERPRINTS[fingerprint], query_id=query_id, sizing=SIZINGS[sizing])


@pytest.mark.parametrize("status", [None, *JobStatus], ids=str)
@pytest.mark.parametrize("gone", [False, True])
def test_without_a_record_there_is_nothing_to_decide(status: JobStatus | None, gone: bool) -> None:
    assert decide(None, info(status), JOB, gone=gone) is Decision.START


@pytest.mark.parametrize(("fingerprint", "sizing"), product(FINGERPRINTS, SIZINGS))
@pytest.mark.parametrize(("query_id", "expected"), [(None, Decision.SEND_AGAIN), ("01", Decision.START_AFTER_LOSS)])
def test_a_job_that_is_not_there_is_sent_again_if_it_may_never_have_been_sent(
    query_id: str | None, expected: Decision, fingerprint: str, sizing: str
) -> None:
    assert decide(record(fingerprint, sizing, query_id), None, JOB, gone=True) is expected


@pytest.mark.parametrize(
    ("status", "fingerprint", "sizing", "query_id"),
    product([None, *JobStatus], FINGERPRINTS, SIZINGS, [None, "01"]),
)
def test_a_job_that_is_there(status: JobStatus | None, fingerprint: str, sizing: str, query_id: str | None) -> None:
    if fingerprint in ("other", "none"):
        expected = Decision.REPLACE_OTHER
    elif status is not None and status.value in ENDED_FOR_NOTHING:
        expected = Decision.START_AFTER_END
    elif sizing == "other" and status in (None, JobStatus.PENDING):
        expected = Decision.REPLACE_RESIZED
    else:
        expected = Decision.GO_ON
    assert decide(record(fingerprint, sizing, query_id), info(status), JOB) is expected
