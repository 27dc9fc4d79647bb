"""The button on a task's page that leads to what is known of its job right now."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_snowflake_batch.links.stored_link import StoredLink

if TYPE_CHECKING:
    from airflow.sdk import Context

JOB_PAGE = "snowflake-batch-job"
"""The route of the tab *Batch job*, the same on the page of every task instance."""


class JobCardLink(StoredLink):
    """The tab of the task instance that shows its job as it is now.

    The address begins with ``[api] base_url`` as the task's process knows it, like those in Airflow's own messages.
    """

    name = "Batch job"

    def store_for(self, context: Context) -> None:
        """Make the link work from now on."""
        self.store(context, job_page(context))


def job_page(context: Context) -> str:
    """The address of the tab."""
    page = urlsplit(context["ti"].log_url)
    # Airflow's pages compare the open tab's address with one in which these two characters are not escaped.
    task = page.path.replace("%3A", ":").replace("%2B", "+")
    return page._replace(path=f"{task}/plugin/{JOB_PAGE}", query="").geturl()
