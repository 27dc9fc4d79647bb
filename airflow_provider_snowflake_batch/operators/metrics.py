"""What Airflow's metrics say of jobs, wherever the deployment sends them: StatsD, OpenTelemetry, Datadog.

https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/metrics.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_snowflake_batch.hooks.results import JobResult
    from airflow_provider_snowflake_batch.jobs.card import JobCard

log = logging.getLogger(__name__)
PREFIX = "snowflake_batch"
_NO_STATS = SimpleNamespace(incr=lambda *_, **__: None, timing=lambda *_, **__: None, gauge=lambda *_, **__: None)


def count_begun(context: Context, card: JobCard, *, resumed: bool) -> None:
    """The task has a job to wait for.

    :param resumed: it is that of an earlier try; else it was submitted.
    """
    with _quietly() as stats:
        tags = _tags(context, card)
        stats.incr(f"{PREFIX}.job.{'resumed' if resumed else 'submitted'}", tags=tags)
        if not resumed and card.attempt > 1:
            stats.incr(f"{PREFIX}.job.retried", tags=tags)


def count_ended(context: Context, card: JobCard) -> None:
    """The task has seen its job end.

    The status is part of the counter's name, since plain StatsD has no tags.
    """
    with _quietly() as stats:
        tags = _tags(context, card)
        stats.incr(f"{PREFIX}.job.{card.status.lower()}", tags=tags)
        if card.started_at is None:
            return
        # Snowflake's clock and this machine's may differ.
        pending = max(card.started_at - card.submitted_at, 0.0)
        stats.timing(f"{PREFIX}.job.pending_duration", pending * 1000, tags=tags)
        if card.ended_at is not None:
            running = max(card.ended_at - card.started_at, 0.0)
            stats.timing(f"{PREFIX}.job.running_duration", running * 1000, tags=tags)
            _count_cost(stats, card, tags)


def _count_cost(stats: Any, card: JobCard, tags: dict[str, str]) -> None:
    from airflow.providers.common.compat.sdk import conf

    from airflow_provider_snowflake_batch.jobs.prices import estimated_cost, readable_prices

    own = readable_prices(conf.getjson("snowflake_batch", "credits_per_node_hour", fallback={}))
    cost = estimated_cost(card.to_dict(), card.ended_at or 0.0, own)
    if cost is None:
        return
    stats.incr(f"{PREFIX}.job.node_seconds", round(cost["node_seconds"]), tags=tags)
    if "credits" in cost:
        stats.gauge(f"{PREFIX}.job.credits", cost["credits"], tags=tags)


def count_rows(context: Context, card: JobCard, result: JobResult) -> None:
    """The task has its job's results."""
    with _quietly() as stats:
        tags = _tags(context, card)
        if result.rows is None:
            return
        stats.incr(f"{PREFIX}.rows", result.rows, tags=tags)
        if result.rows_reused:
            stats.incr(f"{PREFIX}.rows_reused", result.rows_reused, tags=tags)
        if result.seconds:
            scored = result.rows - (result.rows_reused or 0)
            stats.gauge(f"{PREFIX}.rows_per_second", scored / result.seconds, tags=tags)


def count_loaded(context: Context, rows: int, seconds: float) -> None:
    """The task has loaded results into a table.

    :param rows: that this call has loaded.
    :param seconds: that it took.
    """
    with _quietly() as stats:
        tags = {"dag_id": context["ti"].dag_id, "task_id": context["ti"].task_id}
        stats.incr(f"{PREFIX}.load.rows", rows, tags=tags)
        stats.timing(f"{PREFIX}.load.duration", seconds * 1000, tags=tags)


@contextmanager
def _quietly() -> Iterator[Any]:
    """Airflow's metrics; whatever goes wrong with them, the task goes on."""
    try:
        from airflow.providers.common.compat.sdk import Stats
    except Exception:
        log.debug("There are no metrics", exc_info=True)
        yield _NO_STATS
        return
    try:
        yield Stats
    except Exception:
        log.debug("A metric could not be sent", exc_info=True)


def _tags(context: Context, card: JobCard) -> dict[str, str]:
    ti = context["ti"]
    return {"dag_id": ti.dag_id, "task_id": ti.task_id, "compute_pool": card.compute_pool}
