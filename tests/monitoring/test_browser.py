"""The pages in a real browser, on a real API server: ``make test-browser``.

The tests themselves are in ``pages``; this makes the jobs that they look at, and runs them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.example_rows import EXAMPLE_ROWS_KEY
from airflow_provider_snowflake_batch.jobs.sent_statement import STATEMENT_KEY
from tests.monitoring import browser
from tests.monitoring.conftest import Client
from tests.monitoring.javascript import run_tests
from tests.monitoring.rows import card, push, set_state

STATEMENT = "EXECUTE JOB SERVICE\nIN COMPUTE POOL POOL"
BAD = {
    "quarantined_rows": 12,
    "batch_rows": 4096,
    "first_bad_rows": [f"ValueError: cannot score {row} (row {row} of file data_000.parquet)" for row in (7, 150, 151)],
}
OUTPUT = {
    "files": 12,
    "bytes": 234_567_890,
    "columns": [[f"FEATURE_{number}", "double"] for number in range(30)]
    + [["A_LONG_NAME_" * 5, "struct<a: list<item: double>>"]],
    "columns_left_out": 3,
}
HALF = {"phase": "predict", "rows_done": 4512345, "rows_total": 9000000, "rows_per_second": 26543.2, "eta_seconds": 169}


@pytest.fixture
def server(database: None, tmp_path: Path) -> Iterator[str]:
    """An API server on the tests' database; its address."""
    with browser.api_server(tmp_path) as url:
        yield url


def fill(new_run: Callable[[str], str]) -> dict[str, str]:
    """Jobs in every state; the ids of their runs."""
    now = time.time()
    runs = {name: new_run("scores") for name in ("running", "failed", "done", "mapped", "changing")}
    looked = {"updated_at": now, "confirmed_every": 3600, "submitted_at": now - 300, "accepted_at": now - 280,
              "started_at": now - 240, "version": "V3", "instance_family": "CPU_X64_S"}  # fmt: skip
    jobs: dict[str, tuple[str, str, dict[str, Any]]] = {
        "running": ("deferred", "RUNNING", {**looked, **story(now), "progress": HALF | BAD | replicas()}),
        "failed": (
            "failed",
            "FAILED",
            {**looked, "ended_at": now - 60, "message": "Traceback:\n" + "  File x\n" * 40 + "KeyError: no such column",
             "containers": [{"replica": 0, "name": "main", "status": "FAILED", "message": "x", "exit_code": 137,
                             "restarts": 0}]},
        ),
        "done": ("success", "DONE", {**looked, "ended_at": now - 86400 * 2, "started_at": now - 86400 * 2 - 7200,
                             "progress": {"rows_done": 9000000, "rows_total": 9000000}, "output": OUTPUT}),
        "changing": ("deferred", "RUNNING", looked),
    }  # fmt: skip
    for age, (name, (state, status, told)) in enumerate(jobs.items()):
        set_state("scores", runs[name], state, age=age)
        push("scores", runs[name], card(f"ML.SCORING.BATCH_SCORES_SCORE_{age}0F3A7C21", status, **told))
    rows = [[f"{row}", "[0.25, 0.5, …]", None, "a text that is so long that it takes two lines of its cell " * 2]
            for row in range(3)]  # fmt: skip
    kept = {"columns": ["ID", "FEATURES", "NOTE", "A_LONG_NAME"], "rows": rows, "columns_left_out": 2}
    push("scores", runs["done"], {"job_name": "ML.SCORING.BATCH_SCORES_SCORE_20F3A7C21", **kept}, key=EXAMPLE_ROWS_KEY)
    sent = {"job_name": "ML.SCORING.BATCH_SCORES_SCORE_00F3A7C21", "statement": STATEMENT}
    push("scores", runs["running"], sent, key=STATEMENT_KEY)
    failed = {**looked, "message": "ModelError: expected 12 columns, got 11"}
    no_node = {"replica": 0, "name": "main", "status": "PENDING", "message": "No node is free yet.", "restarts": 0}
    pending = {**looked, "started_at": None, "containers": [no_node]}
    for index, (state, status) in enumerate((("deferred", "PENDING"), ("failed", "FAILED"))):
        told = failed if state == "failed" else pending
        set_state("scores", runs["mapped"], state, task_id="parts", map_index=index, label=("February", "March")[index])
        push("scores", runs["mapped"], card(f"PART_{index}", status, **told), task_id="parts", map_index=index)
    set_state("scores", runs["mapped"], "success")
    push("scores", runs["mapped"], card("WHOLE", "DONE", **looked, ended_at=now - 20, progress={"rows_done": 7}))
    return runs


def fill_more(new_run: Callable[[str], str]) -> dict[str, str]:
    """Jobs of another Dag: one was refused, one cancelled, one is looked at by nobody, and more are done than a page
    has room for; the ids of their runs. One run has none."""
    now = time.time()
    gone = {"submitted_at": now - 90, "ended_at": now - 90, "updated_at": now - 90}
    jobs: dict[str, tuple[str, str, str, dict[str, Any]]] = {
        "refused": ("failed", "", "REFUSED", {**gone, "message": "The compute pool NOWHERE does not exist.",
                                              "output_location": ""}),
        "cancelled": ("failed", "GIVEN_UP", "CANCELLED", {
            **gone, "started_at": now - 95,
            "message": "The deferred task was ended in Airflow. Snowflake said then: CANCELLED."}),
        "stale": ("deferred", "STALE", "RUNNING", {"submitted_at": now - 4000, "started_at": now - 3900,
                                                   "updated_at": now - 3600, "confirmed_every": 10, "progress": HALF}),
        **{f"done {number}": ("success", f"OLD_{number:02}", "DONE", {**gone, "started_at": now - 99})
           for number in range(26)},
    }  # fmt: skip
    runs = {name: new_run("salaries") for name in (*jobs, "nothing")}
    for age, (name, (state, job_name, status, told)) in enumerate(jobs.items()):
        set_state("salaries", runs[name], state, age=100 + age)
        push("salaries", runs[name], card(job_name, status, **told))
    return runs


def story(now: float) -> dict[str, Any]:
    return {
        "log": [f"epoch {epoch}: loss 0.{97 - epoch}" for epoch in range(12)],
        "waits": [[25, "Compute pool node(s) are being provisioned"], [45, "Failed to pull image"]],
        "history": [[60 + 5 * step, 20_000 * step * step] for step in range(40)],
        "earlier_tries": [
            {"attempt": 1, "job_name": "ML.SCORING.BATCH_SCORES_SCORE_0A1B2C3D", "status": "FAILED",
             "submitted_at": now - 900, "ended_at": now - 600, "rows_done": 120_000, "rows_reused": 0,
             "message": "OutOfMemoryError: the container was ended"}
        ],
    }  # fmt: skip


def replicas() -> dict[str, Any]:
    """How far each of two replicas is."""
    from airflow_provider_snowflake_batch.contract.progress import AllReplicas

    each = [
        {"replica": 0, "state": "running", "rows": 3_000_000, "rows_per_second": 20_000.0},
        {"replica": 1, "state": "slow", "rows": 1_512_345, "rows_per_second": 6543.2},
    ]
    told = {"each": each}
    assert AllReplicas.from_json(told) is not None
    return {"by_replica": told}


def hold(url: str, client: Client, runs: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a file of tests as an administrator."""
    _, token = client("admin").headers["Authorization"].split()
    settings = {"PAGES_URL": url, "PAGES_TOKEN": token, "PAGES_RUNS": json.dumps(runs)}
    for setting, value in settings.items():
        monkeypatch.setenv(setting, value)
    done = run_tests([name], {}, seconds=800)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@browser.needed
def test_the_pages_in_a_browser(
    server: str, client: Client, new_run: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(server, client, fill(new_run), "browser.test.mjs", monkeypatch)


@browser.needed
def test_the_pages_of_jobs_that_did_not_run_as_they_should_in_a_browser(
    server: str, client: Client, new_run: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = fill(new_run) | fill_more(new_run)
    hold(server, client, runs, "states.test.mjs", monkeypatch)


@browser.needed
def test_what_somebody_on_call_is_told_and_can_do_in_a_browser(
    server: str, client: Client, new_run: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = fill(new_run) | fill_more(new_run)
    hold(server, client, runs, "on_call.test.mjs", monkeypatch)
    admin = client("admin")
    own = {name: f"/api/v2/dags/scores/dagRuns/{runs[name]}/taskInstances/score" for name in ("running", "failed")}
    assert admin.get(own["running"]).json()["state"] == "failed"
    assert admin.get(own["failed"]).json()["state"] != "failed"
    for name, event in (("running", "patch_task_instance"), ("failed", "post_clear_task_instances")):
        told = admin.get("/api/v2/eventLogs", params={"dag_id": "scores", "event": event, "limit": 100}).json()
        mine = [each for each in told["event_logs"] if runs[name] in json.dumps(each)]
        assert {each["owner"] for each in mine} == {"admin"}, told


@browser.needed
def test_each_role_finds_the_pages_in_a_browser_and_does_what_it_may(
    server: str, client: Client, new_run: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sees = dict.fromkeys(("viewer", "user", "op", "admin"), True)
    browser.hold_roles(server, client, new_run, sees, edit={"user", "op", "admin"}, patch=monkeypatch)
