"""How Airflow learns of the pages, and what that costs the components that never show them.

Also tests ``monitoring/bundle.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.monitoring.bundle import ENTRY, scripts
from tests.monitoring.conftest import Client

HEAVY = {"fastapi", "starlette", "sqlalchemy.orm.strategies", "pandas", "pyarrow", "snowflake.connector", "numpy"}


def in_a_fresh_interpreter(code: str, **settings: str) -> Any:
    """What a program prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=180, check=False, env=os.environ | settings,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_plugin_costs_other_components_next_to_nothing() -> None:
    added = in_a_fresh_interpreter(
        "import json, sys, airflow.plugins_manager\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_snowflake_batch.monitoring.plugin\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert "airflow_provider_snowflake_batch.monitoring.plugin" in added
    assert [name for name in added if name.split(".")[0] in HEAVY or name in HEAVY] == []
    assert not any(name.startswith("airflow.") and not name.startswith("airflow.sdk") for name in added), added
    assert len(added) < 20, added


def test_airflow_loads_the_plugin_once_and_without_complaint(client: Client) -> None:
    assert client("admin").get("/api/v2/plugins/importErrors").json()["import_errors"] == []
    # Airflow's UI asks as the user who sees the pages.
    viewer = client("viewer")
    plugins = [each for each in viewer.get("/api/v2/plugins").json()["plugins"] if "snowflake_batch" in each["name"]]
    (plugin,) = plugins
    pages = {page["name"]: page for page in plugin["react_apps"]}
    assert {(name, page["destination"], page["url_route"]) for name, page in pages.items()} == {
        ("Batch inference", "nav", "snowflake-batch-jobs"),
        ("Batch job", "task_instance", "snowflake-batch-job"),
        ("Batch jobs", "dag_run", "snowflake-batch-run-jobs"),
    }
    assert pages["Batch inference"]["category"] == "browse"


def test_the_scripts_are_served_to_browsers(client: Client) -> None:
    (plugin,) = (
        each for each in client("admin").get("/api/v2/plugins").json()["plugins"] if "snowflake_batch" in each["name"]
    )
    for page in plugin["react_apps"]:
        address = page["bundle_url"]
        answer = client(None).get(address)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.content == scripts()[ENTRY]
        # As Airflow looks for the page's component once the script is loaded.
        assert f'globalThis["{page["name"]}"] = ' in answer.text
    for name in scripts():
        assert client(None).get(address.replace(ENTRY, name)).content == scripts()[name]
    other = client(None).get(address.replace(address.split("/")[-2], "0123456789abcdef"))
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("name", ["plugin.py", "..%2Fplugin.py", "%2e%2e/plugin.py", "nothing.js", "__init__.py"])
def test_nothing_but_the_scripts_is_served(client: Client, name: str) -> None:
    answer = client(None).get(f"/snowflake-batch/static/0/{name}")
    assert answer.status_code == 404


_UNDER_A_PATH = """
import json
from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from starlette.testclient import TestClient

application = create_app(apps="core")
token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="admin", role="admin"))
client = TestClient(application, base_url="http://testserver/airflow", headers={"Authorization": f"Bearer {token}"})
(plugin,) = [each for each in client.get("/api/v2/plugins").json()["plugins"] if "snowflake_batch" in each["name"]]
address = plugin["react_apps"][0]["bundle_url"]
script = client.get(f"http://testserver{address}")
# As the script itself finds the endpoints.
jobs = client.get(script.url.join("../../jobs"))
print(json.dumps([address, script.status_code, str(jobs.url), jobs.status_code, "jobs" in jobs.json()]))
"""


def test_the_pages_work_under_a_path(database: None) -> None:
    address, script, jobs_address, jobs, answered = in_a_fresh_interpreter(
        _UNDER_A_PATH, AIRFLOW__API__BASE_URL="https://example.com/airflow/"
    )
    assert address.startswith("/airflow/snowflake-batch/static/")
    assert address.endswith(f"/{ENTRY}")
    assert jobs_address == "http://testserver/airflow/snowflake-batch/jobs"
    assert (script, jobs, answered) == (200, 200, True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(Path(__file__).parents[2])).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "content")
    return folder / "content"


def test_a_wheel_has_the_scripts_and_the_entry_point(wheel: Path) -> None:
    static = wheel / "airflow_provider_snowflake_batch" / "monitoring" / "static"
    assert {path.name: path.read_bytes() for path in static.iterdir()} == scripts()
    (entry_points,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "airflow_provider_snowflake_batch.monitoring.plugin:BatchInferencePlugin" in entry_points.read_text()
