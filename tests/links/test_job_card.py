"""The button that leads to a task instance's tab with its job."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_snowflake_batch.links.job_card import JobCardLink


@pytest.mark.parametrize(
    ("log_url", "page"),
    [
        (
            "http://localhost:8080/dags/d/runs/manual__2026-11-01T12%3A00%3A00%2B00%3A00/tasks/g.score?try_number=2",
            "http://localhost:8080/dags/d/runs/manual__2026-11-01T12:00:00+00:00/tasks/g.score",
        ),
        (
            "https://example.com/airflow/dags/d/runs/r%2F1/tasks/score/mapped/3?try_number=1",
            "https://example.com/airflow/dags/d/runs/r%2F1/tasks/score/mapped/3",
        ),
    ],
)
def test_the_button_leads_to_the_tab(log_url: str, page: str) -> None:
    stored: dict[str, str] = {}
    instance = SimpleNamespace(log_url=log_url, xcom_push=lambda key, value: stored.update({key: value}))
    JobCardLink().store_for({"ti": instance})  # type: ignore[typeddict-item]
    assert stored == {"_link_JobCardLink": f"{page}/plugin/snowflake-batch-job"}
