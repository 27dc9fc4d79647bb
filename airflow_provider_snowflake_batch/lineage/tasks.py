"""The lineage of each operator's task. Needs the OpenLineage provider; Airflow asks only where that is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.sqlparser import SQLParser
from attrs import define
from openlineage.client.facet_v2 import JobFacet, RunFacet, external_query_run, sql_job

from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import Query
from airflow_provider_snowflake_batch.lineage import datasets

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.hooks.loading import LoadResult
    from airflow_provider_snowflake_batch.hooks.results import JobResult
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.jobs.card import JobCard


@define
class SnowflakeBatchInferenceRunFacet(RunFacet):
    """The job behind a task. ``rows`` and ``files`` are what it has written, if that is known."""

    model: str
    computePool: str  # noqa: N815
    version: str | None = None
    function: str | None = None
    jobName: str | None = None  # noqa: N815
    status: str | None = None
    replicas: int | None = None
    outputLocation: str | None = None  # noqa: N815
    rows: int | None = None
    files: int | None = None
    seconds: float | None = None


def batch_job(
    hook: SnowflakeBatchHook,
    job: BatchJob,
    *,
    card: JobCard | None = None,
    query_id: str | None = None,
    result: JobResult | None = None,
) -> OperatorLineage[Any, Any]:
    """The lineage of a batch inference job.

    :param job: what the task's fields describe; its names may be partial.
    :param card: of the job that was submitted; None before that.
    :param query_id: of the statement that submitted it.
    :param result: of a job that has succeeded.
    :raises InvalidJobError: if neither the session nor the connection completes the job's names.
    """
    namespace = _namespace(hook)
    database, schema = hook.expected_namespace()
    job = job.qualify(database, schema)
    if card is not None:
        # If the task leaves them to the model, the card tells what has run.
        job = job.as_submitted(card.version, card.function)
    model = job.model_function
    source, misunderstood = datasets.inputs(namespace, job.source, database, schema)
    directory = StagePath.parse(card.output_location, field="output_location") if card else job.output_directory
    rows, files = (result.rows, result.files) if result is not None else (None, None)
    run_facets: dict[str, RunFacet] = {
        "snowflakeBatchInference": SnowflakeBatchInferenceRunFacet(
            model=str(model.model),
            version=str(model.version) if model.version is not None else None,
            function=model.function,
            computePool=card.compute_pool if card else str(job.compute_pool),
            replicas=card.replicas if card else job.sizing["replicas"],
            jobName=card.job_name if card else None,
            status=card.status if card else None,
            outputLocation=card.output_location if card else None,
            rows=rows,
            files=files,
            seconds=result.seconds if result is not None else None,
        )
    }
    if query_id is not None:
        run_facets["externalQuery"] = external_query_run.ExternalQueryRunFacet(
            externalQueryId=query_id, source=namespace
        )
    if misunderstood is not None:
        run_facets["extractionError"] = misunderstood
    job_facets: dict[str, JobFacet] = {}
    if isinstance(job.source, Query):
        job_facets["sql"] = sql_job.SQLJobFacet(query=SQLParser.normalize_sql(job.source.sql))
    # A class of the Dag's author is no data set of the account.
    models = [] if isinstance(model.model, str) else [datasets.model(namespace, model.model, model.version)]
    return OperatorLineage(
        inputs=[*source, *models],
        outputs=[datasets.results(namespace, directory, rows=rows, files=files)],
        run_facets=run_facets,
        job_facets=job_facets,
    )


def load(
    hook: SnowflakeBatchHook, stage_location: str, table: str, result: LoadResult | None = None
) -> OperatorLineage[Any, Any]:
    """The lineage of loading a job's results into a table.

    :param result: once it has succeeded.
    """
    namespace = _namespace(hook)
    where = hook.expected_namespace()
    directory = StagePath.parse(stage_location, field="stage_location").directory().qualify(*where)
    name = QualifiedName.parse(table, field="table").qualify(*where)
    rows, files = (result.rows, result.files) if result is not None else (None, None)
    return OperatorLineage(
        inputs=[datasets.job_output(namespace, directory)],
        outputs=[datasets.loaded(namespace, name, rows=rows, files=files)],
    )


def _namespace(hook: SnowflakeBatchHook) -> str:
    """As Airflow's Snowflake provider names the account."""
    connection = hook.get_connection(hook.get_conn_id())
    return str(SQLParser.create_namespace(hook.get_openlineage_database_info(connection)))
