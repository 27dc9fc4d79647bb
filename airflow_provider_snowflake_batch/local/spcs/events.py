"""What happened to a job and its containers, as ``<job>!SPCS_GET_EVENTS()`` lists it.

https://docs.snowflake.com/en/developer-guide/snowpark-container-services/monitoring-services. An account gives them out
with a delay of minutes and only if its event table collects them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, method
from airflow_provider_snowflake_batch.local.spcs import service_clauses, status
from airflow_provider_snowflake_batch.local.spcs.control_plane import SpcsControlPlane
from airflow_provider_snowflake_batch.local.spcs.job_history import instant
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement

_DAY = 86400.0
_COLUMNS = [
    Column("TIMESTAMP", "TIMESTAMP_NTZ", 0, 9),
    Column("SEVERITY"),
    Column("EVENT_NAME"),
    Column("EVENT_DETAILS", "VARIANT"),
    Column("INSTANCE_ID", "FIXED", 38, 0),
    Column("CONTAINER_NAME"),
    Column("RECORD", "VARIANT"),
    Column("RECORD_ATTRIBUTES", "VARIANT"),
]
Event = tuple[float, str, str, str, Container | None]
"""Seconds since the epoch, name, status, message, and the container unless it is the job's."""


@method("SPCS_GET_EVENTS")
def spcs_get_events(
    statement: Statement, parts: tuple[str, ...], arguments: Arguments, spcs: SpcsControlPlane
) -> Result:
    """The changes of status of the last day, or between START_TIME and END_TIME."""
    job = spcs.get(service_clauses.full_name(statement, parts))
    now = time.time()
    start = instant(arguments.get(0, "START_TIME"), now - _DAY)
    end = instant(arguments.get(1, "END_TIME"), now)
    events = sorted(events_of(job, spcs.store.containers(job.id)), key=lambda event: event[0])
    return Result(_COLUMNS, [_row(event) for event in events if start <= event[0] <= end])


@method("SPCS_GET_METRICS")
def spcs_get_metrics(statement: Statement, parts: tuple[str, ...], arguments: Arguments) -> Result:
    raise not_supported("SPCS_GET_METRICS")


def events_of(job: Job, containers: list[Container]) -> Iterator[Event]:
    """The changes of status that the records of a job and its containers tell of."""
    yield job.created_on, "SERVICE.STATUS_CHANGE", "PENDING", status.job_message(JobStatus.PENDING, []), None
    starts = [container.started_on for container in containers if container.started_on is not None]
    if starts:
        yield min(starts), "SERVICE.STATUS_CHANGE", "RUNNING", status.job_message(JobStatus.RUNNING, []), None
    if job.completed_on is not None:
        yield job.completed_on, "SERVICE.STATUS_CHANGE", job.status.value, job.message, None
    for container in containers:
        name = "CONTAINER.STATUS_CHANGE"
        yield job.created_on, name, "PENDING", status.WAITING, container
        if container.started_on is not None:
            yield container.started_on, name, "READY", status.RUNNING, container
        if container.ended_on is not None:
            yield container.ended_on, name, container.status, container.message, container


def _row(event: Event) -> tuple[Any, ...]:
    seconds, name, state, message, container = event
    severity = "ERROR" if state in ("FAILED", "INTERNAL_ERROR") else "INFO"
    details = json.dumps({"status": state, "message": message})
    return (
        datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None),
        severity,
        name,
        details,
        None if container is None else container.instance,
        None if container is None else container.name,
        json.dumps({"name": name, "severity_text": severity}),
        "{}",
    )
