"""What a trace shows of jobs and of the loading of their results, where ``[traces] otel_on`` has Airflow write traces.

A task process of Airflow has a span of its own, and an exporter; what is begun there becomes part of the run's trace:
https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/traces.html
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from airflow_provider_snowflake_batch.hooks.loading import LoadResult
    from airflow_provider_snowflake_batch.hooks.results import JobResult
    from airflow_provider_snowflake_batch.jobs.card import JobCard

log = logging.getLogger(__name__)
NAME = "snowflake_batch.job"
LOAD = "snowflake_batch.load"


def add_spans(card: JobCard, result: JobResult | None = None, failure: Exception | None = None) -> None:
    """Add a span for a job that has ended, from its submission to its end, with a span for each part of that time.

    The task tells the whole job at its end, since a deferred task has no process while the job runs. Whatever goes
    wrong here, the task goes on.

    :param card: of the job.
    :param result: what it has left, if it succeeded.
    :param failure: why it did not.
    """
    if card.ended_at is None:
        return
    try:
        from opentelemetry import trace

        tracer = trace.get_tracer("airflow_provider_snowflake_batch")
        # The end is by Snowflake's clock, the beginning by this machine's. They may differ.
        ended = max(card.ended_at, card.submitted_at)
        job = tracer.start_span(NAME, start_time=_nanoseconds(card.submitted_at), attributes=_attributes(card, result))
        if job.is_recording():
            for phase, begins, ends in _phases(card, ended):
                part = tracer.start_span(
                    f"{NAME}.{phase}", trace.set_span_in_context(job), start_time=_nanoseconds(begins)
                )
                part.end(_nanoseconds(ends))
        if failure is not None:
            _fail(job, failure)
        job.end(_nanoseconds(ended))
    except Exception:
        log.debug("A span could not be written", exc_info=True)


def add_load_span(
    begun: float, told: dict[str, str], result: LoadResult | None = None, failure: BaseException | None = None
) -> None:
    """Add a span for results that were loaded, or not, from then to now. Whatever goes wrong here, the task goes on.

    :param begun: seconds since the epoch.
    :param told: ``stage_location``, ``table`` and ``mode``, its attributes.
    :param result: what was loaded.
    :param failure: why it was not.
    """
    try:
        from opentelemetry import trace

        tracer = trace.get_tracer("airflow_provider_snowflake_batch")
        counts: dict[str, Any] = {} if result is None else {"rows": result.rows, "files": result.files}
        attributes = {f"{LOAD}.{name}": value for name, value in {**told, **counts}.items()}
        load = tracer.start_span(LOAD, start_time=_nanoseconds(begun), attributes=attributes)
        if failure is not None:
            _fail(load, failure)
        load.end()
    except Exception:
        log.debug("A span could not be written", exc_info=True)


def _fail(span: Span, failure: BaseException) -> None:
    from opentelemetry import trace

    # Without the message, as Airflow does: it may hold secrets, which are masked in logs but not here.
    span.set_status(trace.StatusCode.ERROR, f"Exception: {type(failure).__name__}")


def _phases(card: JobCard, ended: float) -> list[tuple[str, float, float]]:
    """The parts of the job's time, with their first and last seconds since the epoch."""
    if card.started_at is None:
        return [("pending", card.submitted_at, ended)]
    started = min(max(card.started_at, card.submitted_at), ended)
    return [("pending", card.submitted_at, started), ("running", started, ended)]


def _attributes(card: JobCard, result: JobResult | None) -> dict[str, Any]:
    told = {
        "name": card.job_name,
        "status": card.status,
        "model": card.model,
        "version": card.version,
        "function": card.function,
        "compute_pool": card.compute_pool,
        "instance_family": card.instance_family,
        "replicas": card.replicas,
        "output_location": card.output_location,
        "rows": None if result is None else result.rows,
        "rows_reused": None if result is None else result.rows_reused,
    }
    return {f"{NAME}.{name}": value for name, value in told.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
