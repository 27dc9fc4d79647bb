"""From a checked statement to a submitted job, for both EXECUTE statements."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.account_objects import AccountObjects
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, already_exists, does_not_exist
from airflow_provider_snowflake_batch.local.registry.registry import ModelRegistry
from airflow_provider_snowflake_batch.local.spcs import instance_families
from airflow_provider_snowflake_batch.local.spcs.control_plane import SpcsControlPlane
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.stages.stages import Stages
from airflow_provider_snowflake_batch.local.statements import Statement


@dataclass(frozen=True, slots=True)
class JobRooms:
    """What a job is checked against and made of, before it is submitted."""

    engine: Engine
    objects: AccountObjects
    stages: Stages
    registry: ModelRegistry
    spcs: SpcsControlPlane


@dataclass(slots=True)
class Request:
    """What both EXECUTE statements ask for.

    :param namespace: database and schema of a generated name, if they are not the session's.
    """

    pool: str
    name: tuple[str, ...] | None = None
    namespace: list[str] = field(default_factory=list)
    is_async: bool = False
    replicas: int | None = None
    comment: str | None = None
    query_warehouse: str | None = None
    external_access_integrations: list[str] | None = None


def new_job(
    statement: Statement,
    rooms: JobRooms,
    request: Request,
    *,
    kind: str,
    default_name: str,
    resources: Mapping[str, float | None],
) -> Job:
    """The job as it is before anything of it exists, its name and pool checked.

    :raises SnowflakeError: 2003 for an unknown pool, 2002 for a taken name, 395018 if the pool's nodes are too small.
    """
    session, spcs = statement.session, rooms.spcs
    pool = spcs.pools.get(request.pool)
    database, schema, name = session.qualify(request.name or (*request.namespace, default_name))
    if not rooms.engine.databases.has_schema(database, schema):
        raise does_not_exist("Schema", f"{database}.{schema}")
    if request.query_warehouse is not None and request.query_warehouse not in rooms.objects.warehouses():
        raise does_not_exist("Warehouse", request.query_warehouse)
    now = time.time()
    parameters: dict[str, Any] = {"ASYNC": request.is_async}
    if request.replicas is not None:
        parameters["REPLICAS"] = request.replicas
    wanted = instance_families.whole_node(resources, instance_families.find(pool.instance_family))
    job = Job(
        id=uuid.uuid4().hex,
        number=0,
        query_id=statement.query_id,
        database=database,
        schema=schema,
        name=name,
        kind=kind,
        compute_pool=pool.name,
        owner=session.role or "",
        is_async=request.is_async,
        replicas=request.replicas or 1,
        specification="",
        resources=wanted,
        parameters=parameters,
        created_on=now,
        updated_on=now,
        comment=request.comment,
        query_warehouse=request.query_warehouse,
        external_access_integrations=request.external_access_integrations or [],
    )
    if not spcs.name_is_free(job.full_name):
        raise already_exists(job.full_name)
    return job


def wait_for_end(statement: Statement, spcs: SpcsControlPlane, job: Job) -> None:
    """Block an ``ASYNC = FALSE`` statement; aborting the statement cancels the job, as in an account.

    :raises SnowflakeError: if the job does not end as DONE (the error's number is this server's own).
    """
    try:
        while True:
            statement.check_cancelled()
            seen = spcs.wait(job.id, lambda now: now.status.is_terminal or now.deleted_on is not None, 0.5)
            if seen.status.is_terminal or seen.deleted_on is not None:
                break
    except BaseException:
        # The job may have been dropped meanwhile, which ends it as well.
        with contextlib.suppress(SnowflakeError):
            spcs.cancel(job.full_name)
        raise
    if seen.status is not JobStatus.DONE:
        raise SnowflakeError(
            f"Job {job.name} failed to complete. Exited with status: {seen.status.value}.",
            errno=395031,
            sqlstate="58000",
        )


def containers_of(job: Job, templates: list[Container]) -> list[Container]:
    """One container per template and replica."""
    return [
        Container(
            job_id=job.id,
            instance=instance,
            name=template.name,
            image=template.image,
            argv=list(template.argv),
            env=dict(template.env),
            mounts=dict(template.mounts),
        )
        for instance in range(job.replicas)
        for template in templates
    ]
