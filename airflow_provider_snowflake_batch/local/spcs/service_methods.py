"""What is called on a service (its logs, waiting for it, cancelling it), and functions about what surrounds it.

https://docs.snowflake.com/en/sql-reference/functions/system_get_service_logs, …/system_get_service_dns_domain,
…/system_get_compute_pool_pending_maintenance and
https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    cannot_be_performed,
    compilation_error,
    not_supported,
)
from airflow_provider_snowflake_batch.local.functions import Arguments, method, scalar_function
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import logs, service_clauses
from airflow_provider_snowflake_batch.local.spcs.control_plane import SpcsControlPlane
from airflow_provider_snowflake_batch.local.spcs.job_history import instant
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.spcs.show_services import dns_domain
from airflow_provider_snowflake_batch.local.spcs.store import Store
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of, moment

_DAY = 86400.0


@scalar_function("SYSTEM$GET_SERVICE_LOGS")
def get_service_logs(statement: Statement, arguments: Arguments, store: Store, spcs: SpcsControlPlane) -> str:
    """Name, instance, container, number of lines, previous container, since, with timestamps.

    The last two are not documented; Snowflake's own command line client sends them.
    """
    job = _named_service(statement, spcs, arguments.get(0))
    container = _find(store, job, arguments.get(1), str(arguments.get(2)))
    count = arguments.get(3)
    if count is not None and (not str(count).isdigit()):
        raise compilation_error(f"Invalid argument for SYSTEM$GET_SERVICE_LOGS: number of lines {count!r}.")
    if _truth(arguments.get(4)):
        raise SnowflakeError(
            f"Container '{container.name}' was not restarted, there are no previous logs.",
            errno=395035,
            sqlstate="22023",
        )
    if container.pid is None and not container.ended:
        raise SnowflakeError(
            f"Logs are not available. Container Status: PENDING. {container.message}", errno=395036, sqlstate="55000"
        )
    since = arguments.get(5)
    return logs.recent(
        spcs.log_path(container),
        last_lines=None if count is None else int(count),
        since=datetime.fromtimestamp(instant(since, 0.0), UTC) if since else None,
        timestamps=_truth(arguments.get(6)),
    )


@scalar_function("SYSTEM$GET_SERVICE_STATUS")
def get_service_status(statement: Statement, arguments: Arguments, store: Store, spcs: SpcsControlPlane) -> str:
    """Deprecated, still used by Snowflake's command line client: …/functions/system_get_service_status"""
    job = _named_service(statement, spcs, arguments.get(0))
    return json.dumps(
        [
            {
                "status": item.status,
                "message": item.message,
                "containerName": item.name,
                "instanceId": str(item.instance),
                "serviceName": job.name,
                "image": item.image,
                "restartCount": 0,
                "startTime": str(moment(item.started_on) or ""),
            }
            for item in store.containers(job.id)
        ]
    )


@scalar_function("SYSTEM$WAIT_FOR_SERVICES")
def wait_for_services(statement: Statement, arguments: Arguments, spcs: SpcsControlPlane) -> str:
    """Seconds, then names; for jobs it waits until they are done: …/functions/system_wait_for_services"""
    seconds = _seconds(arguments.get(0))
    deadline = time.monotonic() + seconds
    for name in arguments.positional[1:]:
        _wait_for(statement, spcs, _named_service(statement, spcs, name), JobStatus.DONE, deadline - time.monotonic())
    return "Success: All services are in the DONE state."


@method("SPCS_WAIT_FOR")
def spcs_wait_for(statement: Statement, parts: tuple[str, ...], arguments: Arguments, spcs: SpcsControlPlane) -> Result:
    job = spcs.get(service_clauses.full_name(statement, parts))
    wanted = str(arguments.get(0, "STATUS", "DONE")).upper()
    if wanted not in JobStatus.__members__ or wanted == "UNKNOWN":
        raise compilation_error(f"Invalid argument for SPCS_WAIT_FOR: status '{wanted}'.")
    _wait_for(statement, spcs, job, JobStatus(wanted), _seconds(arguments.get(1, "TIMEOUT_SECS", 0)))
    return Result(columns_of("SPCS_WAIT_FOR"), [(f"Service {job.name} is in the {wanted} state.",)])


@method("SPCS_CANCEL_JOB")
def spcs_cancel_job(
    statement: Statement, parts: tuple[str, ...], arguments: Arguments, spcs: SpcsControlPlane
) -> Result:
    job = spcs.cancel(service_clauses.full_name(statement, parts))
    if job.status is JobStatus.CANCELLING:
        text = f"Cancellation of job {job.name} is in progress."
    else:
        text = f"Job {job.name} has already ended with status: {job.status.value}."
    return Result(columns_of("SPCS_CANCEL_JOB"), [(text,)])


@method("SPCS_GET_LOGS")
def spcs_get_logs(statement: Statement, parts: tuple[str, ...], arguments: Arguments, spcs: SpcsControlPlane) -> Result:
    """The log lines of the last day, or between START_TIME and END_TIME."""
    job = spcs.get(service_clauses.full_name(statement, parts))
    now = time.time()
    start = instant(arguments.get(0, "START_TIME"), now - _DAY)
    end = instant(arguments.get(1, "END_TIME"), now)
    columns = columns_of(
        "TIMESTAMP:TIMESTAMP_NTZ(9), INSTANCE_ID:NUMBER, CONTAINER_NAME, LOG, RECORD_ATTRIBUTES:VARIANT"
    )
    rows: list[tuple[Any, ...]] = []
    for container in spcs.store.containers(job.id):
        for written, line in logs.lines(spcs.log_path(container)):
            if start <= written.timestamp() <= end:
                rows.append((written.replace(tzinfo=None), container.instance, container.name, line, "{}"))
    return Result(columns, sorted(rows, key=lambda row: row[0]))


def _wait_for(statement: Statement, spcs: SpcsControlPlane, job: Job, wanted: JobStatus, seconds: float) -> None:
    """:raises SnowflakeError: with the current status, if the wanted one is not reached in time or at all."""
    deadline = time.monotonic() + seconds
    while True:
        statement.check_cancelled()
        left = deadline - time.monotonic()
        seen = spcs.wait(job.id, lambda now: now.status is wanted or now.settled, min(max(left, 0), 0.5))
        if seen.status is wanted:
            return
        if seen.status.is_terminal or left <= 0:
            raise SnowflakeError(
                f"Service {job.name} did not reach the status {wanted.value} within {seconds:g} seconds. "
                f"Current status: {seen.status.value}.",
                errno=395037,
                sqlstate="55000",
            )


def _named_service(statement: Statement, spcs: SpcsControlPlane, name: Any) -> Job:
    cursor = Cursor(str(name))
    parts = service_clauses.service_name(cursor)
    cursor.end()
    job: Job = spcs.get(service_clauses.full_name(statement, parts))
    return job


def _find(store: Store, job: Job, instance: Any, name: str) -> Container:
    containers: list[Container] = store.containers(job.id)
    for container in containers:
        if str(container.instance) == str(instance) and container.name.lower() == name.lower():
            return container
    known = ", ".join(f"{item.instance}/{item.name}" for item in containers)
    raise SnowflakeError(
        f"Instance '{instance}' or container '{name}' does not exist in service {job.name}, which has {known}.",
        errno=395038,
        sqlstate="02000",
    )


def _truth(value: Any) -> bool:
    return value is True or str(value).upper() == "TRUE"


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise compilation_error(f"Invalid number of seconds: {value!r}.") from None


@scalar_function("SYSTEM$GET_SERVICE_DNS_DOMAIN")
def get_service_dns_domain(statement: Statement, arguments: Arguments, databases: Databases) -> str:
    """``<hash>.svc.spcs.internal`` of a schema."""
    cursor = Cursor(str(arguments.get(0)))
    parts = cursor.name()
    cursor.end()
    database, schema = parts if len(parts) == 2 else (statement.session.database or "", parts[0])
    if not databases.has_schema(database, schema):
        raise cannot_be_performed()
    return dns_domain(database, schema)


@scalar_function("SYSTEM$GET_COMPUTE_POOL_PENDING_MAINTENANCE")
def get_pending_maintenance(statement: Statement, arguments: Arguments) -> str:
    """Nothing here is ever maintained."""
    return "[]"


@scalar_function("SYSTEM$REGISTRY_LIST_IMAGES")
def registry_list_images(statement: Statement, arguments: Arguments) -> str:
    raise not_supported("SYSTEM$REGISTRY_LIST_IMAGES (images are neither stored nor run)")
