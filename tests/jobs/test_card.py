"""The job card: what looks at the job make of it."""

from __future__ import annotations

from typing import Any

from airflow_provider_snowflake_batch.jobs.card import JobCard
from airflow_provider_snowflake_batch.jobs.logs import Progress
from airflow_provider_snowflake_batch.jobs.status import JobInfo

CARD = JobCard("D.S.J", "SUBMITTED", "P", 2, "@D.S.R/J/", 10.0, 1)


def info(status: str) -> JobInfo:
    return JobInfo.from_row({"database_name": "D", "schema_name": "S", "name": "J", "status": status})


def test_a_job_from_submission_to_its_end() -> None:
    pending = CARD.seen(info("PENDING"), 11)
    assert (pending.status, pending.started_at, pending.ended_at) == ("PENDING", None, None)
    running = pending.seen(info("RUNNING"), 12, Progress(0, "running", 5, 20, 1.0, 15.0))
    assert (running.status, running.started_at, running.ended_at) == ("RUNNING", 12, None)
    assert running.progress == {
        "phase": "running", "rows_done": 5, "rows_total": 20, "rows_per_second": 1.0, "eta_seconds": 15.0
    }  # fmt: skip
    ended = running.seen(info("FAILED"), 20, message="no").seen(info("FAILED"), 30)
    assert (ended.started_at, ended.ended_at, ended.updated_at) == (12, 20, 30)
    assert (ended.progress, ended.message) == (running.progress, "no")


def test_a_stored_card_comes_back_and_a_newer_versions_too() -> None:
    values: dict[str, Any] = CARD.to_dict()
    assert JobCard.from_dict(values) == CARD
    assert JobCard.from_dict({**values, "of_a_later_version": 1}) == CARD


def test_replicas_count_together() -> None:
    parts = [Progress(0, "done", 10, 10, 5.0, None), Progress(1, "running", 4, 12, 2.0, 4.0)]
    assert Progress.total(parts) == Progress(0, "running", 14, 22, 7.0, 4.0)
    assert Progress.total(parts[:1]) == Progress(0, "done", 10, 10, 5.0, None)
    assert Progress.total([]) is None
