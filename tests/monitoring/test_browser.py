"""The pages in a real browser, on a real API server: ``make test-browser``.

The tests themselves are in ``pages/browser.test.mjs``; this makes the jobs that they look at, and runs them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_snowflake_batch.jobs.sent_statement import STATEMENT_KEY
from airflow_provider_snowflake_batch.standalone.processes import end, free_ports
from tests.monitoring.conftest import Client
from tests.monitoring.javascript import run_tests
from tests.monitoring.rows import card, push, set_state

CHROMIUM = os.environ.get("CHROMIUM", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(CHROMIUM).is_file(),
        reason="needs Chromium (Debian: apt-get install chromium), and its path in CHROMIUM: make test-browser",
    ),
]

STATEMENT = "EXECUTE JOB SERVICE\nIN COMPUTE POOL POOL"
HALF = {"phase": "predict", "rows_done": 4512345, "rows_total": 9000000, "rows_per_second": 26543.2, "eta_seconds": 169}


@pytest.fixture
def server(database: None, tmp_path: Path) -> Iterator[str]:
    """An API server on the tests' database; its address."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "airflow",
        "api-server",
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--workers",
        "1",
    ]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 180
        while not answers(f"{url}/api/v2/version"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The API server does not answer: {(tmp_path / 'server.log').read_text()[-3000:]}")
            time.sleep(0.5)
        yield url
    finally:
        end([process], grace=5)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=10, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def fill(new_run: Callable[[str], str]) -> dict[str, str]:
    """Jobs in every state; the ids of their runs."""
    now = time.time()
    runs = {name: new_run("scores") for name in ("running", "failed", "done", "mapped", "changing")}
    looked = {"updated_at": now, "confirmed_every": 3600, "submitted_at": now - 300, "accepted_at": now - 280,
              "started_at": now - 240, "version": "V3", "instance_family": "CPU_X64_S"}  # fmt: skip
    jobs: dict[str, tuple[str, str, dict[str, Any]]] = {
        "running": ("deferred", "RUNNING", {**looked, **story(now), "progress": HALF | replicas()}),
        "failed": (
            "failed",
            "FAILED",
            {**looked, "ended_at": now - 60, "message": "Traceback:\n" + "  File x\n" * 40 + "KeyError: no such column",
             "containers": [{"replica": 0, "name": "main", "status": "FAILED", "message": "x", "exit_code": 137,
                             "restarts": 0}]},
        ),
        "done": ("success", "DONE", {**looked, "ended_at": now - 86400 * 2, "started_at": now - 86400 * 2 - 7200}),
        "changing": ("deferred", "RUNNING", looked),
    }  # fmt: skip
    for age, (name, (state, status, told)) in enumerate(jobs.items()):
        set_state("scores", runs[name], state, age=age)
        push("scores", runs[name], card(f"ML.SCORING.BATCH_SCORES_SCORE_{age}0F3A7C21", status, **told))
    sent = {"job_name": "ML.SCORING.BATCH_SCORES_SCORE_00F3A7C21", "statement": STATEMENT}
    push("scores", runs["running"], sent, key=STATEMENT_KEY)
    for index, (state, status) in enumerate((("deferred", "PENDING"), ("failed", "FAILED"))):
        told = {**looked, "message": "ModelError: expected 12 columns, got 11"} if state == "failed" else looked
        set_state("scores", runs["mapped"], state, task_id="parts", map_index=index, label=("February", "March")[index])
        push("scores", runs["mapped"], card(f"PART_{index}", status, **told), task_id="parts", map_index=index)
    set_state("scores", runs["mapped"], "success")
    push("scores", runs["mapped"], card("WHOLE", "DONE", **looked, ended_at=now - 20, progress={"rows_done": 7}))
    return runs


def story(now: float) -> dict[str, Any]:
    return {
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


@pytest.mark.timeout(900)
def test_the_pages_in_a_browser(
    server: str, client: Client, new_run: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = client("admin").headers["Authorization"].split()
    settings = {"PAGES_URL": server, "PAGES_TOKEN": token, "PAGES_RUNS": json.dumps(fill(new_run))}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    done = run_tests("browser.test.mjs", {}, seconds=800)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
