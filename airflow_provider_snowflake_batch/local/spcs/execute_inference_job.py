"""EXECUTE INFERENCE JOB SERVICE: https://docs.snowflake.com/en/sql-reference/sql/execute-inference-job-service

The job runs this project's worker on the model's own files; what the worker is to do is written to JOB.json.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import yaml

from airflow_provider_snowflake_batch.local.errors import compilation_error, does_not_exist
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import inference_specification, service_clauses, worker_job
from airflow_provider_snowflake_batch.local.spcs.inference_specification import InferenceSpecification
from airflow_provider_snowflake_batch.local.spcs.records import Container
from airflow_provider_snowflake_batch.local.spcs.store import Store
from airflow_provider_snowflake_batch.local.spcs.submission import (
    JobRooms,
    Request,
    containers_of,
    new_job,
    wait_for_end,
)
from airflow_provider_snowflake_batch.local.statements import Result, Statement, statement

IMAGE = "airflow-provider-snowflake-batch/worker:local"


@dataclass(slots=True)
class InferenceRequest(Request):
    """:param query: the subquery of FROM, or None. :param stage: the stage location of FROM, or None."""

    name_prefix: str = "BATCH_INFERENCE_"
    specification: str = ""
    query: str | None = None
    stage: str | None = None
    model: tuple[str, ...] = ()
    version: str | None = None
    function: str | None = None


@statement("EXECUTE INFERENCE JOB SERVICE")
def execute_inference_job_service(statement: Statement, cursor: Cursor, rooms: JobRooms) -> Result:
    request = read(cursor)
    return Result.message(submit(statement, rooms, request, inference_specification.parse(request.specification)))


def submit(statement: Statement, rooms: JobRooms, request: InferenceRequest, checked: InferenceSpecification) -> str:
    """Start the job, and wait for it if the request says so.

    :returns: the answer's text, which clients read the job's name from.
    :raises SnowflakeError: for whatever cannot work; nothing is left behind then.
    """
    spcs = rooms.spcs
    _check_image_repository(statement, spcs.store, checked.image_repo)
    job = new_job(
        statement,
        rooms,
        request,
        kind="INFERENCE",
        default_name=f"{request.name_prefix}{uuid.uuid4()}".replace("-", "_").upper(),
        resources=checked.resources,
    )
    model = rooms.registry.resolve(statement.session, request.model, request.version)
    function = model.function(request.function)
    work = worker_job.prepare(statement, rooms, job, request, checked, model, function)
    job.scratch = work.scratch
    job.specification = _shown_specification(work.command, checked.document, work.output_location)
    worker = Container(job.id, 0, "main", IMAGE, work.command, {}, {})
    try:
        spcs.submit(job, containers_of(job, [worker]))
    except BaseException:
        worker_job.discard(spcs, job)
        raise
    if not request.is_async:
        wait_for_end(statement, spcs, job)
        state = "DONE"
    else:
        state = "RUNNING"
    return (
        f"Batch inference job {job.full_name} with model {model.full_name} version {model.name} method "
        f"{function.target} is in {state} state. Results will be persisted to the destination: "
        f"{work.output_location}, once the job is completed."
    )


def read(cursor: Cursor) -> InferenceRequest:
    """The statement after its keywords. The order of the first clauses is fixed, as documented."""
    cursor.expect("IN", "COMPUTE", "POOL")
    request = InferenceRequest(service_clauses.pool_name(cursor), is_async=True)
    cursor.expect("WITH", "SPECIFICATION")
    request.specification = cursor.string()
    cursor.expect("FROM")
    if cursor.looking_at("("):
        request.query = cursor.parenthesised()
    else:
        request.stage = cursor.stage()
    cursor.expect("MODEL", "=")
    request.model = cursor.name()
    for clause in service_clauses.each_clause(cursor):
        cursor.expect("=")
        _property(request, clause, cursor)
    return request


def _property(request: InferenceRequest, clause: str, cursor: Cursor) -> None:
    if clause == "VERSION":
        token = cursor.peek()
        request.version = cursor.string() if token is not None and token.kind == "string" else cursor.name()[0]
    elif clause == "FUNCTION":
        request.function = cursor.string()
    elif clause == "NAME":
        request.name = service_clauses.service_name(cursor)
    elif clause == "ASYNC":
        request.is_async = cursor.boolean()
    elif clause == "REPLICAS":
        request.replicas = service_clauses.replicas(cursor)
    else:
        raise compilation_error(f"invalid property '{clause}' for 'INFERENCE JOB SERVICE'.")


def _check_image_repository(statement: Statement, store: Store, name: str | None) -> None:
    """No image is built here, but a repository that does not exist is a mistake in an account."""
    if name is None:
        return
    cursor = Cursor(name)
    full_name = service_clauses.full_name(statement, cursor.name())
    cursor.end()
    if full_name not in store.image_repositories():
        raise does_not_exist("Image repository", full_name)


def _shown_specification(command: list[str], document: dict[str, object], output_location: str) -> str:
    """The service specification that DESCRIBE SERVICE shows: the one container, and the request as it was made."""
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", *command[1:]],
        "env": {"BATCH_INFERENCE_OUTPUT_LOCATION": output_location},
    }
    shown = {"spec": {"containers": [container], "volumes": []}, "batchInference": document}
    return str(yaml.safe_dump(shown, sort_keys=False))
