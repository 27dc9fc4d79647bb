"""EXECUTE JOB SERVICE: https://docs.snowflake.com/en/sql-reference/sql/execute-job-service"""

from __future__ import annotations

from pathlib import Path

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import (
    container_runtime,
    secrets,
    service_clauses,
    specification,
    templates,
)
from airflow_provider_snowflake_batch.local.spcs.compute_pools import SYSTEM_POOL
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.spcs.submission import (
    JobRooms,
    Request,
    containers_of,
    new_job,
    wait_for_end,
)
from airflow_provider_snowflake_batch.local.stages.stages import Stages
from airflow_provider_snowflake_batch.local.statements import Result, Statement, statement


@statement("EXECUTE JOB SERVICE")
def execute_job_service(statement: Statement, cursor: Cursor, rooms: JobRooms) -> Result:
    request, specification_text = read(statement, rooms.stages, cursor)
    if request.pool == SYSTEM_POOL:
        # https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-compute-pool
        raise SnowflakeError(
            f"Compute pool {SYSTEM_POOL} runs notebooks, model serving and ML jobs only, not EXECUTE JOB SERVICE. "
            "Create a compute pool for it.",
            errno=395033,
            sqlstate="42501",
        )
    checked = specification.parse(specification_text)
    for container in checked.containers:
        container_runtime.check_image(container.image)
    job = new_job(
        statement,
        rooms,
        request,
        kind="JOB",
        default_name=f"JOB_{statement.query_id.replace('-', '_').upper()}",
        resources=checked.resources,
    )
    job.specification = specification_text
    job.endpoints = checked.endpoints
    containers = _containers(statement, rooms, job, checked)
    rooms.spcs.submit(job, containers)
    if request.is_async:
        return Result.message(f"Started Snowpark Container Services Job '{job.name}'.")
    wait_for_end(statement, rooms.spcs, job)
    return Result.message(f"Job {job.name} completed successfully with status: DONE.")


def read(statement: Statement, stages: Stages, cursor: Cursor) -> tuple[Request, str]:
    """The statement after its keywords; the documentation shows both orders of the clauses, so any order goes."""
    cursor.expect("IN", "COMPUTE", "POOL")
    request = Request(service_clauses.pool_name(cursor))
    found: str | None = None
    for clause in service_clauses.each_clause(cursor):
        if clause == "FROM":
            found = _specification(statement, stages, cursor)
        elif clause == "WITH" and cursor.looking_at("TAG"):
            raise not_supported("WITH TAG of EXECUTE JOB SERVICE")
        else:
            cursor.expect("=")
            _property(request, clause, cursor)
    if found is None:
        raise compilation_error("syntax error: EXECUTE JOB SERVICE needs a FROM clause with a specification.")
    return request, found


def _property(request: Request, clause: str, cursor: Cursor) -> None:
    if clause == "NAME":
        request.name = service_clauses.service_name(cursor)
    elif clause == "ASYNC":
        request.is_async = cursor.boolean()
    elif clause == "REPLICAS":
        request.replicas = service_clauses.replicas(cursor)
    elif clause == "QUERY_WAREHOUSE":
        request.query_warehouse = cursor.name()[0]
    elif clause == "COMMENT":
        request.comment = cursor.string()
    elif clause == "EXTERNAL_ACCESS_INTEGRATIONS":
        request.external_access_integrations = _names(cursor)
    else:
        raise compilation_error(f"invalid property '{clause}' for 'JOB SERVICE'.")


def _names(cursor: Cursor) -> list[str]:
    """Integrations are taken as named: a local process has the network that this machine has."""
    cursor.expect("(")
    names = [".".join(cursor.name())]
    while cursor.accept(","):
        names.append(".".join(cursor.name()))
    cursor.expect(")")
    return names


def _specification(statement: Statement, stages: Stages, cursor: Cursor) -> str:
    """The specification's text, templates filled; cursor placed after FROM."""
    token = cursor.peek()
    if token is not None and (token.kind == "stage" or (token.kind == "string" and token.value.startswith("@"))):
        stage = cursor.stage()
        keyword = cursor.next().value
        if keyword not in ("SPECIFICATION_FILE", "SPEC", "SPECIFICATION_TEMPLATE_FILE"):
            cursor.at -= 1
            raise cursor.unexpected("SPECIFICATION_FILE")
        cursor.expect("=")
        text = stage_file(statement, stages, f"{stage.rstrip('/')}/{cursor.string().lstrip('/')}")
    else:
        keyword = cursor.next().value
        if keyword not in ("SPECIFICATION", "SPECIFICATION_TEMPLATE"):
            cursor.at -= 1
            raise cursor.unexpected("SPECIFICATION or a stage")
        text = cursor.string()
    if "TEMPLATE" not in keyword:
        return text
    cursor.expect("USING")
    return templates.fill(text, templates.using(cursor))


def stage_file(statement: Statement, stages: Stages, location: str) -> str:
    """The text of a file on a stage.

    :raises SnowflakeError: if there is none, or it is no text.
    """
    _, path = stages.resolve(statement.session, location)
    try:
        content: str = path.read_text(encoding="utf-8")
        return content
    except (FileNotFoundError, IsADirectoryError):
        raise SnowflakeError(
            f"File '{location}' does not exist or not authorized.", errno=395025, sqlstate="02000"
        ) from None
    except UnicodeDecodeError:
        raise SnowflakeError(f"File '{location}' is not UTF-8 text.", errno=395018, sqlstate="22023") from None


def _containers(
    statement: Statement, rooms: JobRooms, job: Job, checked: specification.JobSpecification
) -> list[Container]:
    """Every container with its mounts resolved to folders; an instance has its own of what is not a stage."""
    mounted: dict[str, Path] = {}
    for volume in checked.volumes.values():
        if volume.stage is not None:
            _, mounted[volume.name] = rooms.stages.resolve(statement.session, volume.stage)
    templates_ = [Container(job.id, 0, item.name, item.image, item.argv, item.env, {}) for item in checked.containers]
    containers = containers_of(job, templates_)
    mounts = {item.name: item.mounts for item in checked.containers}
    named = {item.name: secrets.references(job, item.secrets, rooms.spcs.store) for item in checked.containers}
    for container in containers:
        instance = rooms.spcs.instance_folder(job.id, container.instance)
        own = instance / "volumes"
        container.mounts = {
            path: str(mounted.get(volume, own / volume)) for path, volume in mounts[container.name].items()
        }
        container.secrets = named[container.name]
        container.mounts |= {
            item["folder"]: str(instance / "secrets" / f"{container.name}-{number}")
            for number, item in enumerate(container.secrets)
            if "folder" in item
        }
    return containers
