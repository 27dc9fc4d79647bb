"""The button on a task's page that leads to what is known of its job right now."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_snowflake_batch.links.stored import StoredLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class JobCardLink(StoredLink):
    """The page of the task's XComs, where the job card shows status, replicas and progress.

    The address begins with ``[api] base_url`` as the task's process knows it, like those in Airflow's own messages.
    """

    name = "Job card"

    def store_for(self, context: Context) -> None:
        """Make the link work from now on."""
        page = urlsplit(context["ti"].log_url)
        self.store(context, page._replace(path=f"{page.path}/xcom", query="").geturl())
