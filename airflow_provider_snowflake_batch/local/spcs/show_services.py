"""SHOW, DESCRIBE and DROP of services: https://docs.snowflake.com/en/sql-reference/sql/desc-service, …/show-services,
…/show-service-instances-in-service, …/show-service-containers-in-service, …/drop-service
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import yaml

from airflow_provider_snowflake_batch.local.clauses import show_clauses
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, does_not_exist, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import service_clauses, status
from airflow_provider_snowflake_batch.local.spcs.control_plane import SpcsControlPlane
from airflow_provider_snowflake_batch.local.spcs.platform_variables import address
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.spcs.store import Store
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of, moment, statement

_SERVICE_COLUMNS = columns_of(
    "name, status, database_name, schema_name, owner, compute_pool, spec, dns_name, current_instances:NUMBER, "
    "target_instances:NUMBER, min_ready_instances:NUMBER, min_instances:NUMBER, max_instances:NUMBER, "
    "auto_resume, external_access_integrations, created_on:TIMESTAMP_LTZ(9), updated_on:TIMESTAMP_LTZ(9), "
    "resumed_on:TIMESTAMP_LTZ(9), suspended_on:TIMESTAMP_LTZ(9), auto_suspend_secs:NUMBER, comment, "
    "owner_role_type, query_warehouse, is_job, is_async_job, spec_digest, is_upgrading, managing_object_domain, "
    "managing_object_name"
)
_SPEC = 6


@statement("DESCRIBE SERVICE", "DESC SERVICE")
def describe_service(statement: Statement, cursor: Cursor, store: Store, spcs: SpcsControlPlane) -> Result:
    job = _service(statement, spcs, cursor)
    cursor.end()
    row = _service_row(job, store.containers(job.id))
    row.insert(_SPEC, _shown(job.specification))
    return Result(_SERVICE_COLUMNS, [row])


@statement("SHOW SERVICES", "SHOW JOB SERVICES")
def show_services(statement: Statement, cursor: Cursor, databases: Databases, store: Store) -> Result:
    # Every service here is a job service.
    exclude_jobs = cursor.accept("EXCLUDE", "JOBS")
    if any(token.value == "OF" for token in cursor.tokens):
        raise not_supported("SHOW SERVICES … OF TYPE")
    chosen = show_clauses(cursor, statement.session, databases, in_pool=True)
    if chosen.compute_pool is not None and store.find_pool(chosen.compute_pool) is None:
        raise does_not_exist("Compute pool", chosen.compute_pool)
    jobs = [] if exclude_jobs else store.existing_jobs()
    found = chosen.select(
        (job for job in jobs if chosen.compute_pool in (None, job.compute_pool)),
        lambda job: (job.name, job.database, job.schema),
    )
    containers = store.containers_of(found)
    rows = [_service_row(job, containers[job.id]) for job in found]
    return Result([column for column in _SERVICE_COLUMNS if column.name != "spec"], rows)


@statement("DROP SERVICE")
def drop_service(statement: Statement, cursor: Cursor, spcs: SpcsControlPlane) -> Result:
    if_exists = cursor.accept("IF", "EXISTS")
    full_name = service_clauses.full_name(statement, service_clauses.service_name(cursor))
    # FORCE is for block volumes, whose content goes with the job here in any case.
    cursor.accept("FORCE")
    cursor.end()
    name = full_name.rpartition(".")[2]
    if if_exists and spcs.name_is_free(full_name):
        return Result.dropped(name, was_there=False)
    spcs.drop(full_name)
    return Result.dropped(name, was_there=True)


@statement("ALTER SERVICE")
def alter_service(statement: Statement, cursor: Cursor, spcs: SpcsControlPlane) -> Result:
    if cursor.accept("IF", "EXISTS") and spcs.name_is_free(service_clauses.full_name(statement, cursor.name())):
        return Result.message("Statement executed successfully.")
    # https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services
    raise SnowflakeError("ALTER SERVICE is not supported for job services.", errno=395034, sqlstate="0A000")


@statement("CREATE SERVICE")
def create_service(statement: Statement, cursor: Cursor) -> Result:
    raise not_supported("CREATE SERVICE (job services run with EXECUTE JOB SERVICE)")


@statement("SHOW SERVICE INSTANCES IN SERVICE")
def show_service_instances(statement: Statement, cursor: Cursor, store: Store, spcs: SpcsControlPlane) -> Result:
    job = _service(statement, spcs, cursor)
    cursor.end()
    rows = [
        (
            *_of_instance(job, instance, group), _digest(job), _text(job.created_on), _text(group[0].started_on),
            address(instance) if group[0].started_on is not None else None,
        )
        for instance, group in status.instances(store.containers(job.id)).items()
    ]  # fmt: skip
    columns = columns_of(
        "database_name, schema_name, service_name, service_status, instance_id, status, spec_digest, creation_time, "
        "start_time, ip_address"
    )
    return Result(columns, rows)


@statement("SHOW SERVICE CONTAINERS IN SERVICE")
def show_service_containers(statement: Statement, cursor: Cursor, store: Store, spcs: SpcsControlPlane) -> Result:
    job = _service(statement, spcs, cursor)
    cursor.end()
    columns = columns_of(
        "database_name, schema_name, service_name, service_status, instance_id, instance_status, container_name, "
        "status, message, image_name, image_digest, restart_count:NUMBER, start_time, last_exit_code:NUMBER, "
        "last_restart_time"
    )
    rows = [
        (
            *_of_instance(job, instance, group), container.name, container.status, container.message, container.image,
            # No container of a job is restarted: https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-compute-pool
            None, 0, _text(container.started_on), container.exit_code, None,
        )
        for instance, group in status.instances(store.containers(job.id)).items()
        for container in group
    ]  # fmt: skip
    return Result(columns, rows)


def _of_instance(job: Job, instance: int, group: list[Container]) -> tuple[str, ...]:
    """What the rows of an instance and of its containers begin with."""
    return job.database, job.schema, job.name, job.status.value, str(instance), status.instance_status(group)


@statement("SHOW ENDPOINTS IN SERVICE")
def show_endpoints(statement: Statement, cursor: Cursor, spcs: SpcsControlPlane) -> Result:
    job = _service(statement, spcs, cursor)
    cursor.end()
    columns = columns_of("name, port:NUMBER, port_range, protocol, is_public, ingress_url, privatelink_ingress_url")
    rows = [
        (item["name"], item.get("port"), item.get("portRange"), item.get("protocol", "HTTP"), "false", None, None)
        for item in job.endpoints
    ]
    return Result(columns, rows)


def _service(statement: Statement, spcs: SpcsControlPlane, cursor: Cursor) -> Job:
    job: Job = spcs.get(service_clauses.full_name(statement, service_clauses.service_name(cursor)))
    return job


def _service_row(job: Job, containers: list[Container]) -> list[Any]:
    """The columns of SHOW, which are those of DESCRIBE without the specification."""
    groups = status.instances(containers).values()
    current = sum(status.instance_status(group) in ("READY", "TERMINATING") for group in groups)
    integrations = f"[{','.join(job.external_access_integrations)}]" if job.external_access_integrations else None
    return [
        job.name, job.status.value, job.database, job.schema, job.owner, job.compute_pool, _dns_name(job), current,
        job.replicas, job.replicas, job.replicas, job.replicas, "false", integrations, moment(job.created_on),
        moment(job.updated_on), None, None, 0, job.comment, "ROLE", job.query_warehouse, "true",
        str(job.is_async).lower(), _digest(job), "false", None, None,
    ]  # fmt: skip


def _shown(specification: str) -> str:
    """The specification with the list of volumes that clients look for, empty if need be."""
    document = yaml.safe_load(specification)
    document["spec"].setdefault("volumes", [])
    return str(yaml.safe_dump(document, sort_keys=False))


def _dns_name(job: Job) -> str:
    """As an account forms it; on this machine nobody resolves it."""
    return f"{job.name.lower().replace('_', '-')}.{dns_domain(job.database, job.schema)}"


def dns_domain(database: str, schema: str) -> str:
    """What the DNS names of a schema's services end with."""
    suffix = hashlib.sha256(f"{database}.{schema}".encode()).hexdigest()[:4]
    return f"{suffix}.svc.spcs.internal"


def _digest(job: Job) -> str:
    return hashlib.sha256(job.specification.encode()).hexdigest()


def _text(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
