"""The same under the FAB auth manager: its roles, and one of an organisation that may read one Dag."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.monitoring import browser, matrix
from tests.monitoring.conftest import SETTINGS, Client, airflow

pytest.importorskip("airflow.providers.fab", reason="needs the FAB provider: make test-fab")

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
ROLES = {
    None: matrix.NOBODY,
    "Public": matrix.FORBIDDEN,
    "Clerk": matrix.SOME,
    "Onlooker": matrix.ALL,
    "Viewer": matrix.ALL,
    "User": matrix.ALL,
    "Op": matrix.ALL,
    "Admin": matrix.ALL,
}
"""Of an organisation: a *Clerk* reads one Dag, an *Onlooker* what a *Viewer* does at first."""
CLERK = [("can_read", "DAG:scores"), ("can_read", "XComs")]


@pytest.fixture(scope="module")
def database() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # What a user may is asked anew each time.
        own = {"AIRFLOW__CORE__AUTH_MANAGER": FAB, "AIRFLOW__FAB__CACHE_TTL": "0"}
        for name, value in (SETTINGS | own).items():
            patch.setenv(name, value)
        airflow("db", "migrate")
        airflow("dags", "reserialize")
        yield
    (Path(os.environ["AIRFLOW_HOME"]) / "airflow.db").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def users(database: None) -> dict[str, int]:
    """One of each role; their numbers in the database."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager: Any = builder.sm
        manager.sync_roles()
        viewers = [(each.action.name, each.resource.name) for each in manager.find_role("Viewer").permissions]
        manager.bulk_sync_roles([{"role": "Clerk", "perms": CLERK}, {"role": "Onlooker", "perms": viewers}])
        return {
            role: manager.add_user(role.lower(), role, "x", f"{role}@x.org", manager.find_role(role), role).id
            for role in ROLES
            if role is not None
        }


@pytest.fixture(scope="module")
def client(users: dict[str, int]) -> Client:
    """A client with the token of a user of a role, in any case, or with none."""
    from airflow.api_fastapi.app import create_app, get_auth_manager

    application = create_app(apps="core")

    def with_token_of(role: str | None) -> TestClient:
        headers = {}
        if role is not None:
            user = get_auth_manager().deserialize_user({"sub": str(users[role.capitalize()])})
            headers["Authorization"] = f"Bearer {get_auth_manager().generate_jwt(user)}"
        return TestClient(application, headers=headers)

    return with_token_of


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_answered_what_it_may_read(
    client: Client, new_run: Callable[[str], str], role: str | None
) -> None:
    matrix.check(client(role), ROLES[role], matrix.fill(new_run))


def test_viewers_see_the_pages_with_the_permission_that_the_documentation_names(client: Client) -> None:
    def seen(role: str) -> bool:
        answer = client(role).get("/api/v2/plugins")
        assert answer.status_code in (200, 403)
        return "snowflake-batch-jobs" in json.dumps(answer.json())

    assert {role: seen(role) for role in ("Viewer", "User", "Op", "Admin")} == {
        "Viewer": False, "User": False, "Op": True, "Admin": True,
    }  # fmt: skip
    let_viewers_see()
    assert seen("Viewer")
    assert seen("User")


def let_viewers_see() -> None:
    page = (Path(__file__).parents[2] / "docs" / "airflow.md").read_text()
    (command,) = [line for line in page.splitlines() if line.startswith("airflow roles add-perms")]
    airflow(*command.split()[1:])


@browser.needed
def test_each_role_finds_the_pages_in_a_browser_and_does_what_it_may(
    client: Client, new_run: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_viewers_see()
    sees = {role: role != "Onlooker" for role in ("Onlooker", "Viewer", "User", "Op", "Admin")}
    with browser.api_server(tmp_path) as url:
        browser.hold_roles(url, client, new_run, sees, edit={"User", "Op", "Admin"}, patch=monkeypatch)
