"""What happened to jobs and their containers: SNOWFLAKE.SPCS.GET_JOB_HISTORY, ``<job>!SPCS_GET_EVENTS()``.

https://docs.snowflake.com/en/sql-reference/functions/get_job_history and
https://docs.snowflake.com/en/developer-guide/snowpark-container-services/monitoring-services. An account gives events
out with a delay of minutes and only if its event table collects them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, method, table_function
from airflow_provider_snowflake_batch.local.spcs import service_clauses, status
from airflow_provider_snowflake_batch.local.spcs.control_plane import RETENTION_SECONDS, SpcsControlPlane
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.spcs.store import Store
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of, moment

_COLUMNS = columns_of(
    "QUERY_ID, ID:NUMBER, NAME, DATABASE_NAME, SCHEMA_NAME, CREATED_TIME:TIMESTAMP_LTZ(9), "
    "COMPLETED_TIME:TIMESTAMP_LTZ(9), DELETED_TIME:TIMESTAMP_LTZ(9), STATUS, MESSAGE, INSTANCE_STATUSES:VARIANT, "
    "COMPUTE_POOL_NAME, OWNER, OWNER_ROLE_TYPE, PARAMETERS:VARIANT, MANAGING_OBJECT:VARIANT"
)


@table_function("SNOWFLAKE.SPCS.GET_JOB_HISTORY")
def get_job_history(statement: Statement, arguments: Arguments, store: Store) -> Result:
    """Jobs of the current role, dropped ones too, newest first."""
    now = time.time()
    start = instant(arguments.get(0, "CREATED_TIME_START"), now - RETENTION_SECONDS)
    end = instant(arguments.get(1, "CREATED_TIME_END"), now)
    limit = arguments.get(2, "RESULT_LIMIT", 100)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 10000:
        raise SnowflakeError(
            f"Invalid value {limit} for RESULT_LIMIT, expected 1 to 10000.", errno=1008, sqlstate="22023"
        )
    jobs = [
        job
        for job in store.all_jobs()
        if start <= job.created_on <= end and job.owner == (statement.session.role or "")
    ]
    containers = store.containers_of(jobs[:limit])
    return Result(_COLUMNS, [_row(job, containers[job.id]) for job in jobs[:limit]])


def instant(value: Any, default: float) -> float:
    """Seconds since the epoch of a timestamp argument."""
    if value is None:
        return default
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError:
        raise SnowflakeError(f"Timestamp '{value}' is not recognized", errno=100035, sqlstate="22007") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _row(job: Job, containers: list[Container]) -> tuple[Any, ...]:
    return (
        job.query_id, job.number, job.name, job.database, job.schema, moment(job.created_on),
        moment(job.completed_on), moment(job.deleted_on), job.status.value, job.message,
        json.dumps(_instance_statuses(containers)), job.compute_pool, job.owner, "ROLE", json.dumps(job.parameters),
        None,
    )  # fmt: skip


def _instance_statuses(containers: list[Container]) -> dict[str, Any]:
    groups = status.instances(containers)
    states = [status.instance_status(group) for group in groups.values()]
    return {
        "totalInstances": len(groups),
        "succeededInstances": states.count("SUCCEEDED"),
        "failedInstances": states.count("FAILED"),
        "pendingInstances": states.count("PENDING"),
        "runningInstances": states.count("READY") + states.count("TERMINATING"),
        "instances": [
            {"instanceId": str(instance), "containers": [_container(item) for item in group]}
            for instance, group in groups.items()
        ],
    }


def _container(container: Container) -> dict[str, Any]:
    started = moment(container.started_on)
    return {
        "containerName": container.name,
        "image": container.image,
        "imageSha256": "",
        "lastExitCode": container.exit_code,
        "message": container.message,
        "restartCount": 0,
        "startTime": started.isoformat() if started is not None else "",
        "status": container.status,
    }


_DAY = 86400.0
_EVENT_COLUMNS = columns_of(
    "TIMESTAMP:TIMESTAMP_NTZ(9), SEVERITY, EVENT_NAME, EVENT_DETAILS:VARIANT, INSTANCE_ID:NUMBER, "
    "CONTAINER_NAME, RECORD:VARIANT, RECORD_ATTRIBUTES:VARIANT"
)
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
    return Result(_EVENT_COLUMNS, [_event_row(event) for event in events if start <= event[0] <= end])


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


def _event_row(event: Event) -> tuple[Any, ...]:
    seconds, name, state, message, container = event
    severity = "ERROR" if state in ("FAILED", "INTERNAL_ERROR") else "INFO"
    details = json.dumps({"status": state, "message": message})
    return (
        datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None), severity, name, details,
        None if container is None else container.instance, None if container is None else container.name,
        json.dumps({"name": name, "severity_text": severity}), "{}",
    )  # fmt: skip
