"""Airflow's whole API application over a real metadata database, in this process."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.airflow_home import make_database
from tests.monitoring.auth import CLERK

HERE = Path(__file__).parent
SETTINGS = {
    "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
    "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
    "AIRFLOW__CORE__AUTH_MANAGER": "tests.monitoring.auth.PerDagAuthManager",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"admin:admin,op:op,user:user,viewer:viewer,{CLERK}:viewer",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
        [
            {
                "name": "monitored",
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(HERE / "dags")},
            }
        ]
    ),
    "PYTHONPATH": str(HERE.parents[1]),
}

Client = Callable[[str | None], TestClient]


def airflow(*command: str) -> None:
    """Run Airflow's command line on the database of these tests."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *command], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="package")
def database() -> Iterator[None]:
    """The metadata database of the tests' Airflow home, with the Dags in ``dags/``."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        make_database(Path(os.environ["AIRFLOW_HOME"]))
        airflow("dags", "reserialize")
        yield
    (Path(os.environ["AIRFLOW_HOME"]) / "airflow.db").unlink(missing_ok=True)


@pytest.fixture(scope="package")
def application(database: None) -> Any:
    from airflow.api_fastapi.app import create_app

    return create_app(apps="core")


@pytest.fixture(scope="package")
def client(application: Any) -> Client:
    """A client with the token of ``admin``, ``op``, ``user``, ``viewer``, ``clerk`` or ``stranger``, or with none."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def with_token_of(name: str | None) -> TestClient:
        headers = {}
        if name is not None:
            role = {"stranger": None, CLERK: "viewer"}.get(name, name)
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
            headers["Authorization"] = f"Bearer {token}"
        return TestClient(application, headers=headers)

    return with_token_of


@pytest.fixture(autouse=True)
def every_request_compares(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What is in the database is in the list at once."""
    if "database" in request.fixturenames:
        from airflow_provider_snowflake_batch.monitoring import follow

        monkeypatch.setattr(follow, "FOLLOWER", follow.Follower(background=False))


@pytest.fixture
def new_run(client: Client) -> Iterator[Callable[[str], str]]:
    """Starts a run of a Dag, of which nothing is left after the test; the run's id."""
    admin, begun = client("admin"), []

    def start(dag_id: str) -> str:
        run_id = f"run_{secrets.token_hex(4)}"
        body = {"dag_run_id": run_id, "logical_date": None}
        answer = admin.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        assert answer.status_code == 200, answer.text
        begun.append((dag_id, run_id))
        return run_id

    yield start
    for dag_id, run_id in begun:
        assert admin.delete(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").status_code == 204
