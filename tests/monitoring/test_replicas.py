"""What the tab shows of each replica of a job."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.contract.progress import AllReplicas, ReplicaProgress, ReplicaState
from airflow_provider_snowflake_batch.monitoring.cards import readable_card
from tests.monitoring.javascript import Drawn, call, draw
from tests.monitoring.rows import card

TAB = {"dagId": "scores", "runId": "run", "taskId": "score"}
EACH = [
    ReplicaProgress(0, ReplicaState.RUNNING, 1200, 400.0),
    ReplicaProgress(1, ReplicaState.RUNNING, 90, 30.04),
    ReplicaProgress(2, ReplicaState.LATE),
    ReplicaProgress(3, ReplicaState.LOST, 7),
]


def tab(by_replica: Any, group: str = "active") -> Drawn:
    stored = card(progress={"phase": "running", "rows_done": 1297, "rows_total": 9000, "by_replica": by_replica})
    job = {
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
    return draw("Batch job", {"job": {"job": job, "links": {}}}, TAB)


def test_each_replica_has_a_line() -> None:
    page = tab(AllReplicas.of(EACH).to_json())
    for text in ("running", "1,200", "400 rows/s", "slow", "90", "30 rows/s", "late", "lost"):
        assert text in list(page.texts()), text
    bars = [bar for bar in page.properties("Progress.Root") if "replica" in bar["aria-label"]]
    assert [(bar["aria-label"], bar["value"], bar["max"]) for bar in bars] == [
        (f"Rows of replica {one.replica}", one.rows, 1200) for one in EACH
    ]


def test_of_many_replicas_the_others_are_a_sum() -> None:
    many = [ReplicaProgress(number, ReplicaState.RUNNING, 1000, 10.0) for number in range(1024)]
    page = tab(AllReplicas.of(many).to_json())
    assert "1,000 running more: 1,000,000 rows" in page.text
    assert len(page.properties("Table.Row")) == 1 + 24 + 1


def test_one_that_did_not_come_was_not_needed() -> None:
    page = tab(AllReplicas.of(EACH[:1] + EACH[2:3]).to_json(), group="done")
    assert "not needed" in page.text
    assert "late" not in list(page.texts())


@pytest.mark.parametrize("value", [None, "all", {"each": []}, {"each": [{"replica": "<b>", "rows": 1}]}])
def test_a_card_that_does_not_tell_shows_no_table(value: Any) -> None:
    page = tab(value)
    assert page.properties("Table.Root") == []
    assert "1,297 of 9,000 rows" in page.text


def test_what_is_unknown_in_an_entry_reaches_no_page() -> None:
    entry = {"replica": 0, "rows": 5, "state": "<script>", "secret": "s3cret"}
    page = tab({"each": [entry], "moons": 2})
    assert "s3cret" not in str(page.tree)
    assert "<script>" not in str(page.tree)


def test_how_a_replica_looks() -> None:
    looks = call(["replicaLook", {"state": "done", "rows": 5}], ["replicaLook", {"state": "done", "rows": 0}])
    assert looks == [{"label": "done", "palette": "success"}, {"label": "done", "palette": "none"}]
