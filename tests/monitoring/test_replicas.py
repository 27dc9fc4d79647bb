"""What the tab shows of each replica of a job."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.contract.progress import AllReplicas, ReplicaProgress, ReplicaState
from airflow_provider_snowflake_batch.monitoring.cards import readable_card
from tests.monitoring.javascript import run_tests
from tests.monitoring.rows import card

EACH = [
    ReplicaProgress(0, ReplicaState.RUNNING, 1200, 400.0),
    ReplicaProgress(1, ReplicaState.RUNNING, 90, 30.04),
    ReplicaProgress(2, ReplicaState.LATE),
    ReplicaProgress(3, ReplicaState.LOST, 7),
]


def told(by_replica: Any, group: str = "active") -> dict[str, Any]:
    """A job as the endpoints tell it."""
    stored = card(progress={"phase": "running", "rows_done": 1297, "rows_total": 9000, "by_replica": by_replica})
    return {
        "dag_id": "scores",
        "run_id": "run",
        "task_id": "score",
        "map_index": -1,
        "map_label": None,
        "state": "deferred",
        "try_number": 1,
        "started_at": None,
        "ended_at": None,
        "live": group == "active",
        "group": group,
        "card": readable_card(stored, longest=1000),
    }


MANY = [ReplicaProgress(number, ReplicaState.RUNNING, 1000, 10.0) for number in range(1024)]
ODD = [None, "all", {"each": []}, {"each": [{"replica": "<b>", "rows": 1}]}]
ENTRY = {"replica": 0, "rows": 5, "state": "<script>", "secret": "s3cret"}


@pytest.mark.timeout(900)
def test_the_tab_shows_each_replica() -> None:
    jobs = {
        "now": 1_793_534_400,
        "each": told(AllReplicas.of(EACH).to_json()),
        "many": told(AllReplicas.of(MANY).to_json()),
        "not_needed": told(AllReplicas.of(EACH[:1] + EACH[2:3]).to_json(), group="done"),
        "odd": [told(value) for value in ODD],
        "unknown": told({"each": [ENTRY], "moons": 2}),
    }
    done = run_tests(["replicas.test.mjs"], jobs)
    assert done.returncode == 0, done.stdout + done.stderr
