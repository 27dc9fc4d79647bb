"""What Airflow learns about the pages. Every component of Airflow imports this module, so it loads next to nothing."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from airflow_provider_snowflake_batch.links.job_card import JOB_PAGE
from airflow_provider_snowflake_batch.monitoring.bundle import ENTRY, URL_PREFIX, bundle_version

JOBS_PAGE = "snowflake-batch-jobs"
RUN_PAGE = "snowflake-batch-run-jobs"


class LazyApp:
    """The endpoints, built on the first request: other components than the API server never load FastAPI for them."""

    def __init__(self) -> None:
        self._app: Any = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._built()(scope, receive, send)

    def _built(self) -> Any:
        with self._lock:
            if self._app is None:
                from airflow_provider_snowflake_batch.monitoring.app import create_app

                self._app = create_app()
            return self._app


def bundle_url() -> str:
    """Where a browser finds the pages' script: a path, so that it works under every name of the server.

    A path within ``[api] base_url``, since Airflow 3.2 takes a relative one as relative to its own scripts.
    """
    root = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
    return f"{root}{URL_PREFIX}/static/{bundle_version()}/{ENTRY}"


def react_apps() -> list[dict[str, Any]]:
    url = bundle_url()
    return [
        # By these names Airflow also finds the pages' components once the script is loaded.
        {
            "name": "Batch inference",
            "url_route": JOBS_PAGE,
            "bundle_url": url,
            "destination": "nav",
            "category": "browse",
        },
        {"name": "Batch job", "url_route": JOB_PAGE, "bundle_url": url, "destination": "task_instance"},
        {"name": "Batch jobs", "url_route": RUN_PAGE, "bundle_url": url, "destination": "dag_run"},
    ]


class BatchInferencePlugin(AirflowPlugin):
    """*Browse → Batch inference*, the tabs *Batch jobs* of a Dag run and *Batch job* of a task, and the endpoints
    behind them."""

    name = "snowflake_batch_inference"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": URL_PREFIX, "name": "Snowflake batch inference"}]
    react_apps = react_apps()
