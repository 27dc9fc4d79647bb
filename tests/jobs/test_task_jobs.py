"""Names by which a task finds its own jobs, and nobody else's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.job import MAX_JOB_NAME_LENGTH, generate_job_name
from airflow_provider_snowflake_batch.jobs.task_jobs import TaskInstanceKey, TaskJobName

KEY = TaskInstanceKey("dag", "score", "manual__2026-01-01", datetime(2026, 1, 1, 12, 0, 0, 1, UTC), -1)


@pytest.mark.parametrize(
    "other",
    [
        {"dag_id": "dag2"},
        {"task_id": "score2"},
        {"run_id": "manual__2026-01-02"},
        {"run_started": KEY.run_started + timedelta(microseconds=1)},
        {"map_index": 0},
        {"dag_id": "dag_score", "task_id": ""},
    ],
)
def test_every_task_instance_has_a_key_of_its_own(other: dict[str, Any]) -> None:
    assert replace(KEY, **other).digest() != KEY.digest()


def test_the_key_does_not_depend_on_how_the_time_is_written() -> None:
    elsewhere = KEY.run_started.astimezone(timezone(timedelta(hours=9)))
    assert replace(KEY, run_started=elsewhere).digest() == KEY.digest()


def test_a_name_says_what_it_was_made_of() -> None:
    end = TaskJobName(KEY.digest(), "0123ABCD", tries=12, number=3)
    name = generate_job_name("d" * 200, "task", prefix="NIGHTLY", suffix=str(end))
    assert len(name) == MAX_JOB_NAME_LENGTH
    assert TaskJobName.of(f"DB.SCHEMA.{name}") == end


@pytest.mark.parametrize("name", ["BATCH_DAG_SCORE_1A2B3C4D", "BATCH_0123ABCD_1_1", "SOMETHING", ""])
def test_other_names_say_nothing(name: str) -> None:
    assert TaskJobName.of(name) is None
