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


@pytest.mark.parametrize(("next_method", "asked"), [(None, 0), ("execute_complete", 1)])
def test_what_a_try_has_not_stored_is_not_asked_for(
    next_method: str | None, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's client logs an error for each XCom that is asked for and is not there."""
    from airflow.providers.common.compat.sdk import XCom

    questions: list[str] = []
    monkeypatch.setattr(XCom, "get_value", lambda ti_key, key: questions.append(key))
    instance = SimpleNamespace(
        dag_id="d", run_id=str(next_method), task_id="t", map_index=-1, try_number=1, log_url="http://a/dags/d",
        xcom_push=lambda key, value: None, _ti_context_from_server=SimpleNamespace(next_method=next_method),
    )  # fmt: skip
    assert JobCardLink().get_link(None, ti_key=instance) == ""  # type: ignore[arg-type]
    assert len(questions) == asked
    JobCardLink().store_for({"ti": instance})  # type: ignore[typeddict-item]
    assert JobCardLink().get_link(None, ti_key=instance) == "http://a/dags/d/plugin/snowflake-batch-job"  # type: ignore[arg-type]
    assert len(questions) == asked
