"""The spans of jobs that have ended; those of a run of Airflow are in test_failed_job.py."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from airflow_provider_snowflake_batch.exceptions import JobFailedError, JobInputError
from airflow_provider_snowflake_batch.hooks.loading import LoadResult
from airflow_provider_snowflake_batch.hooks.results import JobResult
from airflow_provider_snowflake_batch.jobs.card import JobCard
from airflow_provider_snowflake_batch.operators.spans import add_load_span, add_spans

CARD = JobCard(
    job_name="ML.PUBLIC.SCORES",
    status="DONE",
    compute_pool="CPU_POOL",
    replicas=2,
    output_location="@ML.PUBLIC.RESULTS/scores/",
    submitted_at=1000.0,
    started_at=1060.5,
    ended_at=1200.0,
    attempt=1,
    model="ML.PUBLIC.CHURN",
)
RESULT = JobResult(
    job_name=CARD.job_name, status="DONE", output_location=CARD.output_location, attempt=1, rows=10, rows_reused=4
)


def seconds(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time / 1e9, span.end_time / 1e9


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_job_with_the_parts_of_its_time(spans: InMemorySpanExporter) -> None:
    add_spans(CARD, RESULT)
    told = by_name(spans)
    job, pending, running = (told[f"snowflake_batch.job{part}"] for part in ("", ".pending", ".running"))
    assert (seconds(job), seconds(pending), seconds(running)) == ((1000, 1200), (1000, 1060.5), (1060.5, 1200))
    assert pending.parent == running.parent == job.context
    assert job.status.status_code is trace.StatusCode.UNSET
    assert dict(job.attributes or {}) == {
        "snowflake_batch.job.name": "ML.PUBLIC.SCORES",
        "snowflake_batch.job.status": "DONE",
        "snowflake_batch.job.model": "ML.PUBLIC.CHURN",
        "snowflake_batch.job.compute_pool": "CPU_POOL",
        "snowflake_batch.job.replicas": 2,
        "snowflake_batch.job.output_location": "@ML.PUBLIC.RESULTS/scores/",
        "snowflake_batch.job.rows": 10,
        "snowflake_batch.job.rows_reused": 4,
    }


def test_it_belongs_to_the_tasks_own_span(spans: InMemorySpanExporter) -> None:
    with trace.get_tracer("airflow").start_as_current_span("worker.score") as task:
        add_spans(CARD, RESULT)
    assert by_name(spans)["snowflake_batch.job"].parent == task.get_span_context()


def test_a_failure_is_named_without_its_message(spans: InMemorySpanExporter) -> None:
    """Which may hold what Airflow's log masks."""
    add_spans(replace(CARD, status="FAILED"), failure=JobFailedError("the password is hush"))
    job = by_name(spans)["snowflake_batch.job"]
    assert (job.status.status_code, job.status.description) == (trace.StatusCode.ERROR, "Exception: JobFailedError")
    assert "hush" not in job.to_json()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"started_at": None}, {"": (1000, 1200), ".pending": (1000, 1200)}),
        # Two clocks.
        ({"started_at": 999.0}, {"": (1000, 1200), ".pending": (1000, 1000), ".running": (1000, 1200)}),
        ({"started_at": None, "ended_at": 990.0}, {"": (1000, 1000), ".pending": (1000, 1000)}),
        ({"ended_at": None}, {}),
    ],
    ids=["not seen to run", "began before its submission", "ended before its submission", "not seen to end"],
)
def test_times_that_are_missing_or_differ(
    spans: InMemorySpanExporter, changes: dict[str, Any], expected: dict[str, tuple[float, float]]
) -> None:
    add_spans(replace(CARD, **changes))
    told = {name.removeprefix("snowflake_batch.job"): seconds(span) for name, span in by_name(spans).items()}
    assert told == expected


def test_a_tracer_that_fails_does_not_fail_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> Any:
        raise RuntimeError("no exporter")

    monkeypatch.setattr(trace, "get_tracer", broken)
    add_spans(CARD, RESULT)
    add_load_span(1000, LOAD)


LOAD = {"stage_location": "@ML.PUBLIC.RESULTS/scores/", "table": "ML.PUBLIC.SCORES", "mode": "append"}


def test_results_that_were_loaded(spans: InMemorySpanExporter) -> None:
    begun = time.time() - 5
    add_load_span(begun, LOAD, LoadResult("ML.PUBLIC.SCORES", 10, 2))
    load = by_name(spans)["snowflake_batch.load"]
    assert seconds(load)[0] == pytest.approx(begun)
    assert begun + 5 <= seconds(load)[1] <= time.time()
    assert load.status.status_code is trace.StatusCode.UNSET
    expected = {**LOAD, "rows": 10, "files": 2}
    assert dict(load.attributes or {}) == {f"snowflake_batch.load.{name}": value for name, value in expected.items()}


def test_results_that_could_not_be_loaded(spans: InMemorySpanExporter) -> None:
    add_load_span(1000, LOAD, failure=JobInputError("the password is hush"))
    load = by_name(spans)["snowflake_batch.load"]
    assert (load.status.status_code, load.status.description) == (trace.StatusCode.ERROR, "Exception: JobInputError")
    assert "hush" not in load.to_json()
