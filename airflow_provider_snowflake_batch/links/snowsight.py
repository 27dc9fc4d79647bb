"""Buttons on a task's page that lead to Snowsight.

A link is known as soon as the job is, and stored under the XCom key that Airflow reads it from: so it works while the
task runs or is deferred, and after it has failed. Where there is nothing to link to, as on the local Snowflake, no
button is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath


class StoredLink(BaseOperatorLink):
    """A link whose address the task itself stores."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """What :meth:`store` stored for this try of the task, or an empty text: Airflow then shows no button.

        Airflow calls it in the task's process at the end of each of its parts, and stores the answer anew.
        """
        from airflow.providers.common.compat.sdk import XCom

        stored = XCom.get_value(ti_key=ti_key, key=self.xcom_key)
        return stored if isinstance(stored, str) else ""

    def store(self, context: Context, url: str) -> None:
        """Make the link work from now on.

        :param url: must hold no secret: whoever may see the task may see it.
        """
        context["ti"].xcom_push(key=self.xcom_key, value=url)


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
