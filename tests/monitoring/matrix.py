"""Whom each endpoint answers, by every method: the same under each auth manager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from tests.monitoring.rows import card, push, set_state

PREFIX = "/snowflake-batch"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
STATIC = "/static/{version}/{name}"
ENDPOINTS: dict[str, set[str]] = {path: {"GET"} for path in ("/jobs", "/dags", "/job", "/overview", "/run", STATIC)}
"""The methods of each. All but the scripts need a user who may read the XComs of a Dag."""

NOBODY, FORBIDDEN, SOME, ALL = "nobody", "forbidden", "the Dag scores", "all Dags"
"""What a user may read: nobody has no token."""


def endpoints() -> dict[str, set[str]]:
    """Those that there are."""
    from airflow_provider_snowflake_batch.monitoring.app import create_app

    return {route.path: set(route.methods) for route in create_app().routes}  # type: ignore[attr-defined]


def fill(new_run: Callable[[str], str]) -> dict[str, str]:
    """A job of each Dag that runs; the ids of their runs."""
    runs = {dag_id: new_run(dag_id) for dag_id in ("scores", "salaries")}
    for dag_id, run_id in runs.items():
        set_state(dag_id, run_id, "deferred")
        push(dag_id, run_id, card(f"DB.PUBLIC.{dag_id.upper()}"))
    return runs


def check(client: TestClient, reads: str, runs: dict[str, str]) -> None:
    """Hold what one user is answered, by every method of every endpoint."""
    for path in ENDPOINTS:
        for method in METHODS:
            for dag_id in (None, *runs):
                asked = _parameters(path, dag_id, runs)
                if asked is not None:
                    answer = client.request(method, PREFIX + path.format(version=0, name="api.js"), params=asked)
                    wanted = _wanted(path, method, dag_id, reads)
                    assert answer.status_code == wanted, (path, method, dag_id, reads, answer.text)
                    if path != STATIC and method == "GET":
                        _hold_what_is_told(path, dag_id, reads, answer)


def _parameters(path: str, dag_id: str | None, runs: dict[str, str]) -> dict[str, str] | None:
    if path in {"/job", "/run"}:
        # There is no job, and no run, of all Dags.
        task = {"task_id": "score"} if path == "/job" else {}
        return {"dag_id": dag_id, "run_id": runs[dag_id], **task} if dag_id else None
    if dag_id is None:
        return {}
    return {"dag_id": dag_id} if path in {"/jobs", "/overview"} else None


def _wanted(path: str, method: str, dag_id: str | None, reads: str) -> int:
    if method not in ENDPOINTS[path]:
        return 405
    if path == STATIC or reads == ALL or (reads == SOME and dag_id != "salaries"):
        return 200
    return 401 if reads == NOBODY else 403


def _hold_what_is_told(path: str, dag_id: str | None, reads: str, answer: Any) -> None:
    may = {ALL: {"scores", "salaries"}, SOME: {"scores"}}.get(reads, set())
    told = may if dag_id is None else may & {dag_id}
    if path == "/overview":
        # It names no Dag.
        if answer.status_code == 200:
            assert answer.json()["running"] == len(told)
        return
    text = answer.text.lower()
    assert {each for each in ("scores", "salaries") if each in text} == told, (path, dag_id, reads, answer.text)
    if path in {"/jobs", "/run"} and told:
        assert answer.json()["counts"]["active"] == len(told)
