"""The text of every statement that is sent to Snowflake about jobs, models and stages. With `row_statements` and
`account_statements`, nothing else builds SQL.

Identifiers are validated or quoted, literals escaped, specifications serialised by a library
(`statement_text`). Syntax:
https://docs.snowflake.com/en/sql-reference/sql/execute-inference-job-service and …/execute-job-service
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath, needs_quotes
from airflow_provider_snowflake_batch.jobs.row_statements import create_parquet_format, select_source
from airflow_provider_snowflake_batch.jobs.sources import (
    Source,
    StageParquet,
    StageQuery,
)
from airflow_provider_snowflake_batch.jobs.statement_text import json_in_dollars, literal, stage_sql, yaml_text

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.job import ContainerJob, RegistryJob


def current_account() -> str:
    """The names that the session's account goes by; answered without a warehouse."""
    return "SELECT CURRENT_ORGANIZATION_NAME() AS ORGANIZATION, CURRENT_ACCOUNT_NAME() AS ACCOUNT"


def execute_inference_job(job: RegistryJob) -> str:
    """``EXECUTE INFERENCE JOB SERVICE``; the order of its clauses is fixed."""
    clauses = [
        "EXECUTE INFERENCE JOB SERVICE",
        f"IN COMPUTE POOL {job.compute_pool.sql()}",
        f"WITH SPECIFICATION {literal(inference_specification(job))}",
        f"FROM {_source(job.source)}",
        f"MODEL = {job.model.sql()}",
    ]
    if job.version is not None:
        clauses.append(f"VERSION = {job.version.sql()}")
    if job.settings.function_name is not None:
        clauses.append(f"FUNCTION = {literal(job.settings.function_name)}")
    clauses += [f"NAME = {_job(job.name)}", "ASYNC = TRUE"]
    if job.settings.replicas is not None:
        clauses.append(f"REPLICAS = {int(job.settings.replicas)}")
    return "\n".join(clauses)


def inference_specification(job: RegistryJob) -> str:
    """The YAML of ``WITH SPECIFICATION``. It repeats nothing that has a clause of its own, and holds no secret."""
    settings = job.settings
    engine = job.engine.to_dict()
    if job.engine.engine is not None:
        # The statement wants the member's upper-case name, unlike every other value of the specification.
        engine["engine"] = job.engine.engine.name
    blocks: dict[str, dict[str, Any]] = {
        "input": job.input.to_dict(),
        "output": {"stage_location": str(job.output.location), "mode": job.output.mode.value},
        "resources": _present(settings, "cpu_requests", "memory_requests", "gpu_requests"),
        "inference": _present(settings, "num_workers", "max_batch_rows")
        | ({"engine_options": engine} if engine else {}),
        "image_build": _present(settings, "image_repo") | ({"force_rebuild": True} if settings.force_rebuild else {}),
    }
    return yaml_text({name: block for name, block in blocks.items() if block})


def execute_job(job: ContainerJob) -> str:
    """``EXECUTE JOB SERVICE``, always asynchronous, properties before the specification."""
    clauses = [
        "EXECUTE JOB SERVICE",
        f"IN COMPUTE POOL {job.compute_pool.sql()}",
        f"NAME = {_job(job.name)}",
        "ASYNC = TRUE",
    ]
    if job.replicas != 1:
        clauses.append(f"REPLICAS = {int(job.replicas)}")
    if job.query_warehouse is not None:
        clauses.append(f"QUERY_WAREHOUSE = {job.query_warehouse.sql()}")
    if job.external_access_integrations:
        names = ", ".join(name.sql() for name in job.external_access_integrations)
        clauses.append(f"EXTERNAL_ACCESS_INTEGRATIONS = ({names})")
    if job.comment is not None:
        clauses.append(f"COMMENT = {literal(job.comment)}")
    clauses.append(f"FROM SPECIFICATION $$\n{json_in_dollars(job.specification)}\n$$")
    return "\n".join(clauses)


def before_inference_job(job: RegistryJob) -> list[str]:
    """What has to run first in the session that sends :func:`execute_inference_job`; harmless when repeated."""
    source = job.source
    if isinstance(source, StageQuery) and source.temporary:
        return [create_parquet_format(source.file_format)]
    return []


def describe_job(name: QualifiedName) -> str:
    return f"DESCRIBE SERVICE {_job(name)}"


def show_jobs(
    database: str | None = None,
    schema: str | None = None,
    *,
    compute_pool: Identifier | None = None,
    like: str | None = None,
    starts_with: str | None = None,
    limit: int | None = None,
) -> str:
    """``SHOW JOB SERVICES``: at most 10,000 rows; LIKE ignores case, STARTS WITH does not."""
    text = "SHOW JOB SERVICES"
    if like is not None:
        text += f" LIKE {literal(like)}"
    if compute_pool is not None:
        text += f" IN COMPUTE POOL {compute_pool.sql()}"
    elif schema is not None:
        text += f" IN SCHEMA {QualifiedName(schema, database).sql()}"
    elif database is not None:
        text += f" IN DATABASE {Identifier(database).sql()}"
    if starts_with is not None:
        text += f" STARTS WITH {literal(starts_with)}"
    if limit is not None:
        text += f" LIMIT {int(limit)}"
    return text


def show_containers(name: QualifiedName) -> str:
    return f"SHOW SERVICE CONTAINERS IN SERVICE {_job(name)}"


def show_instances(name: QualifiedName) -> str:
    return f"SHOW SERVICE INSTANCES IN SERVICE {_job(name)}"


def service_logs(
    name: QualifiedName, instance_id: int, container: str, *, lines: int | None = None, since: datetime | None = None
) -> str:
    """``SYSTEM$GET_SERVICE_LOGS``: at most 100 KB, the newest lines.

    :param since: only lines after this time, each then beginning with its own timestamp (the two arguments that
        Snowflake's own command line uses).
    """
    arguments = [literal(_job(name)), literal(str(int(instance_id))), literal(container)]
    if lines is not None or since is not None:
        arguments.append(str(int(lines if lines is not None else 1000)))
    if since is not None:
        arguments += ["FALSE", literal(since.isoformat()), "TRUE"]
    return f"CALL SYSTEM$GET_SERVICE_LOGS({', '.join(arguments)})"


def cancel_job(name: QualifiedName) -> str:
    return f"CALL {_job(name)}!SPCS_CANCEL_JOB()"


def cancel_query(query_id: str) -> str:
    """``SYSTEM$CANCEL_QUERY``: stops a statement that is still at work."""
    return f"SELECT SYSTEM$CANCEL_QUERY({literal(query_id)})"


def drop_job(name: QualifiedName, *, if_exists: bool = True) -> str:
    return f"DROP SERVICE {'IF EXISTS ' if if_exists else ''}{_job(name)}"


def describe_compute_pool(pool: Identifier) -> str:
    return f"DESCRIBE COMPUTE POOL {pool.sql()}"


def describe_stage(stage: QualifiedName) -> str:
    return f"DESCRIBE STAGE {stage.sql()}"


def show_stages(stage: QualifiedName) -> str:
    """``SHOW STAGES`` of one name, and of those that it matches as a pattern; its ``type`` tells the encryption."""
    schema = QualifiedName(stage.schema or "", stage.database)
    return f"SHOW STAGES LIKE {literal(stage.name)} IN SCHEMA {schema.sql()}"


def show_model_versions(model: QualifiedName, *, like: str | None = None) -> str:
    """``SHOW VERSIONS``.

    :param like: pattern with ``%`` and ``_``, case-insensitive; a name as it is also matches itself.
    """
    chosen = f" LIKE {literal(like)}" if like is not None else ""
    return f"SHOW VERSIONS{chosen} IN MODEL {model.sql()}"


def model_version_url(model: QualifiedName, version: Identifier) -> str:
    """Where the files of a version are, for `list_url` and `get_url`."""
    return f"snow://model/{model}/versions/{version}/"


def list_url(url: str) -> str:
    """``LIST`` of files that are on no stage."""
    return f"LIST {literal(url)}"


def get_url(url: str, local_directory: str) -> str:
    """``GET`` of a file that is on no stage into a directory of this machine."""
    return f"GET {literal(url)} {literal('file://' + local_directory.rstrip('/') + '/')}"


def show_model_functions(model: QualifiedName, version: Identifier) -> str:
    return f"SHOW FUNCTIONS IN MODEL {model.sql()} VERSION {version.sql()}"


def list_stage(location: StagePath, *, pattern: str | None = None) -> str:
    """``LIST``: name, size in bytes, md5, last_modified. It matches by prefix, so a directory ends with a slash."""
    return f"LIST {stage_sql(location)}" + (f" PATTERN = {literal(pattern)}" if pattern is not None else "")


def remove_stage_files(location: StagePath) -> str:
    return f"REMOVE {stage_sql(location)}"


def get_stage_file(location: StagePath, local_directory: str) -> str:
    """``GET`` of one file into a directory of this machine."""
    return f"GET {stage_sql(location)} {literal('file://' + local_directory.rstrip('/') + '/')}"


def put_stage_file(local_file: str, directory: StagePath) -> str:
    """``PUT`` of one file as it is, over whatever has its name."""
    options = "AUTO_COMPRESS = FALSE OVERWRITE = TRUE PARALLEL = 1"
    return f"PUT {literal('file://' + local_file)} {stage_sql(directory)} {options}"


def ml_job_runtime(pool: Identifier) -> str:
    """``SYSTEM$GET_ML_JOB_RUNTIME``: the image that the account runs ML jobs of a pool in."""
    return f"CALL SYSTEM$GET_ML_JOB_RUNTIME({literal(str(pool))}, '')"


def _source(source: Source) -> str:
    if isinstance(source, StageParquet) and not source.needs_query:
        return source.location.directory().bare_sql(field="X")
    # A trailing line comment would swallow the parenthesis, hence the line breaks.
    return f"(\n{select_source(source)}\n)"


def _job(name: QualifiedName) -> str:
    """A job's name as it may stand in a statement: services and jobs take no quoted names at any level.

    Nor around reserved words: most of these are names for all statements but a few.
    """
    for part in name.parts():
        if needs_quotes(part):
            raise InvalidJobError("job_spec.job_name", f"{part!r} would need quotes, which job names cannot have.")
    return str(name)


def _present(block: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(block, name) for name in names if getattr(block, name) is not None}
