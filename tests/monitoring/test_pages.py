"""What the pages show for what the endpoints answer, and what they do with what is typed and pressed.

The tests themselves are in ``pages/``, in the pages' own language; this makes the answers, and runs them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.monitoring.bundle import scripts
from airflow_provider_snowflake_batch.monitoring.cards import readable_card
from airflow_provider_snowflake_batch.monitoring.entries import LOOKS_MISSED
from tests.monitoring.javascript import PAGES, run_tests
from tests.monitoring.rows import card

RUN = "manual__2026-11-01T12:00:00+00:00"
NOON = 1_793_534_400  # 2026-11-01 12:00 UTC
NOW = NOON + 60
NO_NODE = "Compute pool node(s) are being provisioned"
HALF = {"phase": "predict", "rows_done": 4512345, "rows_total": 9000000, "rows_per_second": 26543.2, "eta_seconds": 169}


def told(state: str | None = "deferred", group: str = "active", **changes: Any) -> dict[str, Any]:
    """A job as the endpoints tell it."""
    task = {name: changes.pop(name) for name in ("task_id", "map_index", "map_label") if name in changes}
    stored = changes.pop("stored", None) or card(**{"submitted_at": NOON, "updated_at": NOW, **changes})
    return {
        "dag_id": "scores",
        "run_id": RUN,
        "task_id": "score",
        "map_index": -1,
        "map_label": None,
        "state": state,
        "try_number": 1,
        "started_at": "2026-11-01T12:00:00Z",
        "ended_at": None,
        "live": state in (None, "deferred", "running", "up_for_retry"),
        "group": group,
        "card": readable_card(stored, longest=1000),
        **task,
    }


def told_of(status: str, message: str, **changes: Any) -> dict[str, Any]:
    return told("failed", "failed", status=status, message=message, **changes)


JOBS: dict[str, Any] = {
    "now": NOW,
    "running": told(progress=HALF, started_at=NOON + 20, confirmed_every=10, statement="EXECUTE JOB\nNAME = <b>"),
    "done": told("success", "done", status="DONE", ended_at=NOON + 90, progress={"rows_done": 7, "rows_total": 7}),
    "picky": told(
        progress=HALF
        | {"quarantined_rows": 2000, "batch_rows": 4096, "first_bad_rows": ["ValueError: <b> (row 7 of file a)", "b"]}
    ),
    "waits": told(
        status="PENDING",
        accepted_at=NOON + 20,
        containers=[
            {"replica": replica, "name": "main", "status": "PENDING", "message": message, "restarts": 0}
            for replica, message in enumerate(["No <b>node yet.", "No <b>node yet.", "Failed to pull image"])
        ],
    ),
    "waited": told(
        started_at=NOON + 50,
        accepted_at=NOON + 20,
        waits=[[25, NO_NODE], [45, "Failed to pull <b>image"], [50, "Waiting to start"]],
    ),
    "waits_again": told(
        status="PENDING",
        accepted_at=NOON + 20,
        waits=[[25, NO_NODE], [45, "Unschedulable due to insufficient CPU resources."]],
    ),
    "builds": told(status="SUBMITTED"),
    "talking": told(log=["epoch 1", "<b>epoch 2</b>"]),
    "written": told(
        "success",
        "done",
        status="DONE",
        progress={"rows_done": 9000, "rows_total": 9000},
        output={
            "files": 12,
            "bytes": 1_234_567,
            "columns": [["ID", "int64"], ["<b>", "double"]],
            "columns_left_out": 3,
        },
    ),
    "unread": told("success", "done", status="DONE", output={"files": 1, "bytes": 0, "columns": None}),
    "one": told("success", "done", status="DONE", ended_at=NOON + 90, progress={"rows_done": 1, "rows_total": 1}),
    "failed": told_of("FAILED", "Job DB.PUBLIC.BATCH_1 ended as FAILED. ValueError: <script>alert(1)</script>"),
    "unseen": told("failed", "failed", status="RUNNING"),
    "old": told("running", "active", stored={"job_name": "OLD", "updated_at": 1.0}),
    "nothing": told(stored={"x": 1}),
    # Of a server that is two minutes further than the card.
    "stale": told(progress=HALF, submitted_at=NOON - 240, updated_at=NOON - 60, confirmed_every=10),
    "refused": told_of("REFUSED", "The compute pool NOWHERE does not exist.", job_name="", output_location=""),
    "cancelled": told_of("CANCELLED", "The deferred task was ended in Airflow. Snowflake said then: CANCELLED."),
    "traceback": told_of("FAILED", "Traceback:\n" + "  File x\n" * 50 + "KeyError: 'A'"),
    "story": told(
        started_at=NOON + 50,
        accepted_at=NOON + 20,
        progress=HALF,
        history=[[50, 0], [52, 100], [54, 500], [56, 500], [58, 700]],
    ),
    "retried": told(
        containers=[
            {"replica": 1, "name": "main", "status": "FAILED", "message": "oom", "exit_code": 137, "restarts": 2}
        ],
        earlier_tries=[
            {
                "attempt": 1,
                "job_name": "DB.PUBLIC.OLD",
                "status": "FAILED",
                "submitted_at": NOON - 100,
                "ended_at": NOON - 10,
                "rows_done": 1234,
                "rows_reused": 100,
                "message": "Traceback:\nValueError: no",
            },
            {"attempt": 2, "job_name": "", "status": "NOT_SUBMITTED", "message": "<b>away</b>"},
            "else",
        ],
    ),
    "long": told(no_statement="It has 9,000 bytes, and 8,192 are kept at most."),
    "crashed": told_of("FAILED", "no", accepted_at=NOON + 20, started_at=NOON + 30, ended_at=NOON + 60, history="no"),
    "brief": told_of("FAILED", "no", accepted_at=NOON + 20, ended_at=NOON + 60),
    "mapped": [told(task_id="parts", map_index=index, map_label="March") for index in (0, 1)],
}


COUNTS = {"active": 1, "done": 1_200, "failed": 7}
JOBS["overview"] = {
    "running": 3,
    "waiting": 2,
    "unconfirmed": 1,
    "rows_per_second": 26543.2,
    "failed_last_day": 4,
    "node_seconds": 4.5 * 3600,
    "timezone": "UTC",
    "days": [
        {"begin": NOON - 43200 - 86400 * back, "done": back * 100, "failed": back % 2, "node_seconds": 3600.0 * back}
        for back in range(6, -1, -1)
    ],
    "now": NOW,
}
JOBS["together"] = {
    "counts": COUNTS,
    "statuses": {"DONE": 1200, "FAILED": 6, "": 1, "RUNNING": 1},
    "unconfirmed": 1,
    "rows_done": 500.0,
    "rows_total": 1000.0,
    "rows_per_second": 12.0,
    "ran": 1_206,
    "node_seconds": 7200.0,
    "tasks": [
        {
            "task_id": name, "counts": counts, "statuses": {"DONE": 1}, "unconfirmed": 0, "rows_done": rows,
            "rows_total": rows, "rows_per_second": 0, "ran": 1, "node_seconds": 60.0,
        }
        for name, counts, rows in (("parts", COUNTS, 500.0), ("score", COUNTS | {"done": 1}, 0))
    ],
    "tasks_left_out": 3,
    "slowest": [told(task_id="parts", map_index=7, map_label="March")],
    "failed": [JOBS["failed"]],
    "now": NOW,
}  # fmt: skip
# A run whose tasks all ask for a pool that there is not.
JOBS["together_refused"] = JOBS["together"] | {
    "counts": {"active": 0, "done": 0, "failed": 2},
    "statuses": {"REFUSED": 2},
    "rows_done": 0,
    "rows_total": 0,
    "rows_per_second": 0,
    "ran": 0,
    "node_seconds": 0,
    "tasks": [task | {"ran": 0, "node_seconds": 0} for task in JOBS["together"]["tasks"]],
    "slowest": [JOBS["refused"]],
    "failed": [JOBS["refused"]],
}


@pytest.mark.timeout(900)
def test_the_pages() -> None:
    # In one process, as each takes longer to load the libraries than for most of its tests.
    files = ["actions.test.mjs", "format.test.mjs", "list.test.mjs", "together.test.mjs", "tab.test.mjs"]
    done = run_tests(files, JOBS, seconds=500)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_and_index_take_the_same_cards_for_stale() -> None:
    assert f"const LOOKS_MISSED = {LOOKS_MISSED};" in scripts()["format.js"].decode()


def test_texts_never_become_markup() -> None:
    for name, script in scripts().items():
        assert not re.search(rb"innerHTML|dangerouslySet|insertAdjacent|document\.write|\beval\b", script), name


def test_libraries_are_pinned_wherever_they_come_from() -> None:
    lock = (PAGES / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert lock.count('"integrity": "sha512-') > 100
    assert Path(PAGES / ".npmrc").read_text().splitlines()[0] == "omit-lockfile-registry-resolved=true"
