"""Buttons on a task's page that lead to Snowsight. The local Snowflake has none, so no button is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.links.stored_link import StoredLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath


class SnowsightJobLink(StoredLink):
    """The job's page."""

    name = "Snowsight job"


class OutputStageLink(StoredLink):
    """The page of the stage that holds the job's results."""

    name = "Output stage"


class SnowsightTableLink(StoredLink):
    """The page of the table that the results were loaded into."""

    name = "Snowsight table"


def store_links(
    context: Context,
    hook: SnowflakeBatchHook,
    *,
    job: QualifiedName | None = None,
    location: StagePath | None = None,
    table: QualifiedName | None = None,
) -> None:
    """Store the links of what is given; none if the session's Snowflake has no web interface.

    :param job: fully qualified, like the others.
    :param location: in the stage to link to.
    """
    from airflow_provider_snowflake_batch.hooks.snowsight import find_snowsight

    snowsight = find_snowsight(hook)
    if snowsight is None:
        return
    if job is not None:
        SnowsightJobLink().store(context, snowsight.job(job))
    if location is not None:
        OutputStageLink().store(context, snowsight.stage(location.stage))
    if table is not None:
        SnowsightTableLink().store(context, snowsight.table(table))
