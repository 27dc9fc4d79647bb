"""Airflow's settings, as environment variables, where all of it runs on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
CONNECTION_ID = "snowflake_default"
# Variables of this process that begin so belong to another Airflow.
_PREFIX = "AIRFLOW"


def plain_environment() -> dict[str, str]:
    """This process's environment without settings of Airflow, which are meant for another one."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}


def home_settings(home: Path, connection_json: str) -> dict[str, str]:
    """What every process needs to be part of the Airflow that keeps everything in ``home``.

    :param connection_json: the connection ``snowflake_default``.
    """
    return {
        "AIRFLOW_HOME": str(home),
        f"AIRFLOW_CONN_{CONNECTION_ID.upper()}": connection_json,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database(home, timeout=60),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "NO_PROXY": "127.0.0.1,localhost",
    }


def component_settings(
    port: int, log_ports: tuple[int, int], dags_folders: Sequence[Path], secrets: Mapping[str, str]
) -> dict[str, str]:
    """What the components need to find each other, beside :func:`home_settings`.

    :param port: of the UI and the REST API on 127.0.0.1.
    :param log_ports: where the scheduler and the triggerer serve logs.
    :param dags_folders: each becomes a Dag bundle, named like the folder.
    :param secrets: what :func:`~airflow_provider_snowflake_batch.standalone.processes.new_secrets` makes.
    """
    url = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": secrets["secret_key"],
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets["jwt_secret"],
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": secrets["fernet_key"],
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([_bundle(path) for path in dags_folders]),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(log_ports[1]),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_ports[0]),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        # A job's processes are on this machine, too. While they keep it busy, an answer may take longer than the five
        # seconds that are the default, after which a task fails before it has begun, without a word in its log.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    }


def settings_of(component: str, home: Path) -> dict[str, str]:
    """What one of :data:`COMPONENTS` needs otherwise than the others."""
    if component != "api-server":
        return {}
    # The API server writes its log of users' actions in its event loop. There the write may wait for a change of one of
    # its threads, and that change for the event loop: the timeout ends this, and the user has to click again.
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database(home, timeout=3)}


def login_settings(user: str, passwords_file: Path) -> dict[str, str]:
    """One user, an administrator of Airflow's simple auth manager.

    :param passwords_file: holds the user's password: :func:`passwords`.
    """
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{user}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file),
    }


def passwords(user: str, password: str) -> str:
    """The text of a file of passwords, as Airflow's simple auth manager reads it."""
    return json.dumps({user: password})


def database(home: Path, *, timeout: int) -> str:
    """The metadata database. :param timeout: seconds to wait for another connection's change."""
    return f"sqlite:///{home / 'airflow.db'}?timeout={timeout}"


def _bundle(path: Path) -> dict[str, Any]:
    return {
        # The name "example_dags" is reserved for Airflow's own bundle.
        "name": path.name.replace("_", "-"),
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(path), "refresh_interval": 5},
    }
