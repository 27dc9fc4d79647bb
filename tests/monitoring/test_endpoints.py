"""The endpoints in Airflow's API application: whom they answer, and what.

Also tests ``monitoring/app.py``, ``monitoring/overview.py``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.jobs.example_rows import EXAMPLE_ROWS_KEY
from airflow_provider_snowflake_batch.jobs.sent_statement import STATEMENT_KEY
from airflow_provider_snowflake_batch.monitoring.order import Place, Sort
from tests.monitoring.auth import CLERK
from tests.monitoring.conftest import Client
from tests.monitoring.rows import card, push, set_state

JOBS, JOB, DAGS, OVERVIEW, RUN = (f"/snowflake-batch/{name}" for name in ("jobs", "job", "dags", "overview", "run"))
Run = Callable[[str], str]


def named(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [job["card"]["job_name"] for job in answer.json()["jobs"]]


@pytest.fixture
def two_dags(new_run: Run) -> dict[str, str]:
    """A running job of each Dag; the ids of their runs."""
    runs = {dag_id: new_run(dag_id) for dag_id in ("scores", "salaries")}
    for age, (dag_id, run_id) in enumerate(runs.items()):
        set_state(dag_id, run_id, "deferred", age=age)
        push(dag_id, run_id, card(f"DB.PUBLIC.{dag_id.upper()}"))
    return runs


def of(dag_id: str, run_id: str, task_id: str = "score", **more: Any) -> dict[str, Any]:
    return {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, **more}


def test_a_forged_token_is_refused(client: Client) -> None:
    answer = client(None).get(JOBS, headers={"Authorization": "Bearer not.a.token"})
    assert answer.status_code in (401, 403)


def test_a_user_sees_only_the_dags_that_they_may_read(client: Client, two_dags: dict[str, str]) -> None:
    clerk = client(CLERK)
    assert named(client("viewer").get(JOBS)) == ["DB.PUBLIC.SCORES", "DB.PUBLIC.SALARIES"]
    assert named(clerk.get(JOBS)) == ["DB.PUBLIC.SCORES"]
    for asked in ({}, {"text": "pool"}, {"group": "failed"}):
        assert clerk.get(JOBS, params=asked).json()["counts"] == {"active": 1, "done": 0, "failed": 0}
    assert client("viewer").get(DAGS).json() == {"dags": ["salaries", "scores"]}
    assert clerk.get(DAGS).json() == {"dags": ["scores"]}
    assert named(clerk.get(JOBS, params={"text": "salar"})) == []
    assert clerk.get(JOBS, params={"dag_id": "salaries"}).status_code == 403
    assert clerk.get(JOB, params=of("salaries", two_dags["salaries"])).status_code == 403
    assert clerk.get(JOB, params=of("scores", two_dags["scores"])).status_code == 200
    # Airflow's dependency takes the wildcard for all Dags, and the last of several values for the Dag.
    assert clerk.get(JOB, params=of("~", two_dags["salaries"])).status_code == 403
    twice = {"run_id": two_dags["salaries"], "task_id": "score"}
    for first, last in (("scores", "salaries"), ("salaries", "scores")):
        answer = clerk.get(f"{JOB}?dag_id={first}&dag_id={last}", params=twice)
        assert "SALARIES" not in answer.text


@pytest.mark.parametrize("name", ["docs", "redoc", "openapi.json", "", "nothing"])
def test_there_is_nothing_else(client: Client, name: str) -> None:
    assert client("admin").get(f"/snowflake-batch/{name}").status_code == 404


def test_a_job_is_told_with_its_task(client: Client, new_run: Run) -> None:
    run = new_run("scores")
    set_state("scores", run, "deferred")
    progress = {
        "phase": "predict",
        "rows_done": 5,
        "rows_total": 10,
        "rows_per_second": 2.5,
        "eta_seconds": 2.0,
        "rows_reused": 0,
        "quarantined_rows": 0,
        "batch_rows": 4096,
    }
    stored = card(progress=progress, version="V1", started_at=1.5, updated_at=2.5)
    push("scores", run, stored)
    push("scores", run, {"password": "hunter2"}, key="return_value")

    (listed,) = client("viewer").get(JOBS).json()["jobs"]
    assert listed["card"] == stored
    task = {name: listed[name] for name in ("dag_id", "run_id", "task_id", "map_index", "map_label", "state", "live")}
    assert task == {**of("scores", run, map_index=-1, map_label=None), "state": "deferred", "live": True}
    assert listed["started_at"].startswith("2026-11-01T12:00:00")

    answer = client("viewer").get(JOB, params=of("scores", run))
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert abs(told.pop("now") - time.time()) < 600
    assert told.pop("may")["edit"] is False
    assert told.pop("cost")["node_seconds"] > 0
    assert told == {"job": listed, "links": {}, "example_rows": None}
    assert "hunter2" not in answer.text


def test_the_cost_is_estimated_with_the_users_prices(
    client: Client, new_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SNOWFLAKE_BATCH__CREDITS_PER_NODE_HOUR", '{"CPU_X64_S": 3}')
    run = new_run("scores")
    set_state("scores", run, "success")
    push("scores", run, card(status="DONE", started_at=10.0, ended_at=3610.0, instance_family="CPU_X64_S"))
    cost = client("viewer").get(JOB, params=of("scores", run)).json()["cost"]
    assert cost == {"node_seconds": 7200, "credits": 6, "least_credits": 6, "prices_of": None}
    monkeypatch.setenv("AIRFLOW__SNOWFLAKE_BATCH__CREDITS_PER_NODE_HOUR", "no JSON")
    cost = client("viewer").get(JOB, params=of("scores", run)).json()["cost"]
    assert (cost["node_seconds"], cost["prices_of"]) == (7200, "2026-01-13")


def test_who_may_edit_the_task_is_offered_to(client: Client, two_dags: dict[str, str]) -> None:
    own = of("scores", two_dags["scores"])
    offered = {user: client(user).get(JOB, params=own).json()["may"] for user in ("viewer", "admin")}
    assert {user: may["edit"] for user, may in offered.items()} == {"viewer": False, "admin": True}
    assert all(isinstance(may["cancel_deferred"], bool) for may in offered.values())


def test_what_the_pages_change_is_changed_by_airflow_and_who_did_is_written_down(
    client: Client, two_dags: dict[str, str]
) -> None:
    address = f"/api/v2/dags/scores/dagRuns/{two_dags['scores']}/taskInstances/score"
    refused = client("viewer").patch(address, json={"new_state": "failed"})
    done = client("admin").patch(address, json={"new_state": "failed"})
    assert (refused.status_code, done.status_code) == (403, 200), done.text
    assert done.json()["task_instances"][0]["state"] == "failed"
    clear = {"dag_run_id": two_dags["scores"], "dry_run": False, "only_failed": False, "task_ids": ["score"]}
    assert client("viewer").post("/api/v2/dags/scores/clearTaskInstances", json=clear).status_code == 403
    assert client("admin").post("/api/v2/dags/scores/clearTaskInstances", json=clear).status_code == 200
    log = client("admin").get("/api/v2/eventLogs", params={"dag_id": "scores", "run_id": two_dags["scores"]}).json()
    assert ("patch_task_instance", "admin") in {(each["event"], each["owner"]) for each in log["event_logs"]}


def test_a_task_without_a_job_has_none(client: Client, new_run: Run) -> None:
    run = new_run("scores")
    nothing = {"job": None, "links": {}, "now": 0}
    for task, map_index in (("other", -1), ("score", -1), ("score", 3), ("nowhere", -1)):
        asked = client("viewer").get(JOB, params=of("scores", run, task, map_index=map_index))
        assert (asked.status_code, {**asked.json(), "now": 0}) == (200, nothing)


def test_mapped_tasks_are_told_apart(client: Client, new_run: Run) -> None:
    run = new_run("scores")
    for map_index in (0, 1):
        set_state("scores", run, "deferred", task_id="parts", map_index=map_index, age=map_index)
        push("scores", run, card(f"DB.PUBLIC.PART_{map_index}"), task_id="parts", map_index=map_index)
    viewer = client("viewer")
    assert [job["map_index"] for job in viewer.get(JOBS).json()["jobs"]] == [0, 1]
    for map_index in (0, 1):
        found = viewer.get(JOB, params=of("scores", run, "parts", map_index=map_index)).json()["job"]
        assert (found["card"]["job_name"], found["map_label"]) == (f"DB.PUBLIC.PART_{map_index}", str(map_index))


def test_links_to_snowsight_are_those_that_the_task_has_stored(client: Client, new_run: Run) -> None:
    run = new_run("scores")
    push("scores", run, card())
    push("scores", run, "https://app.snowflake.com/x/y/#/compute/job/DB/PUBLIC/J", key="_link_SnowsightJobLink")
    push("scores", run, "javascript:alert(1)", key="_link_OutputStageLink")
    links = client("viewer").get(JOB, params=of("scores", run)).json()["links"]
    assert links == {"Snowsight job": "https://app.snowflake.com/x/y/#/compute/job/DB/PUBLIC/J"}


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({"job_name": "DB.PUBLIC.BATCH_1", "statement": "EXECUTE NEW"}, ("EXECUTE NEW", None)),
        ({"job_name": "DB.PUBLIC.BATCH_1", "no_statement": "long"}, (None, "long")),
        # Of a version that kept it on the card.
        (None, ("EXECUTE OLD", None)),
        ({"job_name": "DB.PUBLIC.ANOTHER", "statement": "EXECUTE NEW"}, ("EXECUTE OLD", None)),
        ({"job_name": "DB.PUBLIC.BATCH_1", "statement": ["x"], "no_statement": 3}, (None, None)),
        ("EXECUTE NEW", ("EXECUTE OLD", None)),
    ],
)
def test_the_statement_is_told_on_the_jobs_own_page(
    client: Client, new_run: Run, kept: Any, told: tuple[str | None, str | None]
) -> None:
    run = new_run("scores")
    push("scores", run, card(statement="EXECUTE OLD"))
    if kept is not None:
        push("scores", run, kept, key=STATEMENT_KEY)
    shown = client("viewer").get(JOB, params=of("scores", run)).json()["job"]["card"]
    assert (shown["statement"], shown["no_statement"]) == told
    assert "EXECUTE" not in client("viewer").get(JOBS).text


def test_rows_of_the_results_are_told_on_the_jobs_own_page_to_who_may_read_xcoms(client: Client, new_run: Run) -> None:
    run = new_run("salaries")
    rows = {"columns": ["NAME"], "rows": [["<b>Ann"]], "columns_left_out": 2}
    push("salaries", run, card())
    assert client("admin").get(JOB, params=of("salaries", run)).json()["example_rows"] is None
    push("salaries", run, {"job_name": "DB.PUBLIC.BATCH_1", **rows}, key=EXAMPLE_ROWS_KEY)
    asked = client("admin").get(JOB, params=of("salaries", run))
    assert (asked.status_code, asked.json()["example_rows"]) == (200, rows | {"no_rows": None})
    for name in (None, "stranger", CLERK):
        refused = client(name).get(JOB, params=of("salaries", run))
        assert refused.status_code in (401, 403)
        assert "Ann" not in refused.text
    for path in (JOBS, RUN, OVERVIEW):
        assert "Ann" not in client("admin").get(path, params={"dag_id": "salaries", "run_id": run}).text


@pytest.mark.parametrize(
    ("state", "status", "group"),
    [
        ("running", "SUBMITTED", "active"),
        ("deferred", "RUNNING", "active"),
        ("deferred", "SOME_NEW_STATUS", "active"),
        (None, "RUNNING", "active"),
        ("running", "DONE", "done"),
        ("success", "DONE", "done"),
        ("failed", "DONE", "failed"),
        ("failed", "FAILED", "failed"),
        ("up_for_retry", "FAILED", "failed"),
        ("deferred", "CANCELLED", "failed"),
        ("failed", "RUNNING", "failed"),
        ("failed", "REFUSED", "failed"),
        ("up_for_retry", "NOT_SUBMITTED", "failed"),
        ("success", "running", "failed"),
    ],
)
def test_jobs_fall_into_three_groups(client: Client, new_run: Run, state: str | None, status: str, group: str) -> None:
    run = new_run("scores")
    set_state("scores", run, state)
    push("scores", run, card(status=status))
    viewer = client("viewer")
    assert {name: len(named(viewer.get(JOBS, params={"group": name}))) for name in ("active", "done", "failed")} == {
        **dict.fromkeys(("active", "done", "failed"), 0),
        group: 1,
    }
    assert viewer.get(JOB, params=of("scores", run)).json()["job"]["group"] == group


@pytest.fixture
def told(client: Client, new_run: Run) -> str:
    """Tasks of which the list shows all that it can; the run's id."""
    run = new_run("scores")
    set_state("scores", run, "failed")
    push("scores", run, card("DB.S.ALPHA", "INTERNAL_ERROR", version="QUICK_FOX_9", message="ModelError: a 100% of x"))
    for index, label in enumerate(("March", "April")):
        set_state("scores", run, "deferred", task_id="parts", map_index=index, age=1 + index, label=label)
        push("scores", run, card(f"DB.S.{label}", model="DB.S.OTHER"), task_id="parts", map_index=index)
    return run


FINDS: list[tuple[str, list[str]]] = [
    ("alpha", ["DB.S.ALPHA"]),
    ("  ALPHA\t", ["DB.S.ALPHA"]),
    ("internal error", ["DB.S.ALPHA"]),
    ("quick_fox_9", ["DB.S.ALPHA"]),
    ("modelerror: a 100%", ["DB.S.ALPHA"]),
    ("100_", []),
    ("scores · score", ["DB.S.ALPHA"]),
    ("scores · parts", ["DB.S.March", "DB.S.April"]),
    ("parts [1]", ["DB.S.April"]),
    ("parts march", ["DB.S.March"]),
    ("running", ["DB.S.March", "DB.S.April"]),
    ("public.linear", ["DB.S.ALPHA"]),
    ("other poo", ["DB.S.March", "DB.S.April"]),
    ("alpha march", []),
    ("'", []),
    ("   ", ["DB.S.March", "DB.S.April", "DB.S.ALPHA"]),
]


def test_text_finds_what_the_list_shows(client: Client, told: str) -> None:
    viewer = client("viewer")
    for text, found in FINDS:
        assert named(viewer.get(JOBS, params={"text": text, "run_id": told})) == found, text
    # No more words than a database can take.
    assert named(viewer.get(JOBS, params={"text": "s " * 125})) != []


def test_jobs_of_a_dag_a_run_and_a_task(client: Client, two_dags: dict[str, str], told: str) -> None:
    viewer = client("viewer")
    assert named(viewer.get(JOBS, params={"dag_id": "salaries"})) == ["DB.PUBLIC.SALARIES"]
    assert len(named(viewer.get(JOBS, params={"run_id": told}))) == 3
    assert len(named(viewer.get(JOBS, params={"run_id": told, "task_id": "parts"}))) == 2


def progress(done: int, total: int | None = None, rate: float | None = None) -> dict[str, Any]:
    return {"phase": "predict", "rows_done": done, "rows_total": total, "rows_per_second": rate, "eta_seconds": None}


def test_the_overview_tells_what_runs_and_what_the_last_days_were(client: Client, new_run: Run) -> None:
    now = time.time()
    looked = {"updated_at": now, "confirmed_every": 600, "started_at": now - 1800, "progress": progress(5, 10, 2.5)}
    jobs: list[tuple[str, str, str, dict[str, Any]]] = [
        ("scores", "deferred", "RUNNING", looked),
        ("salaries", "deferred", "RUNNING", looked),
        # Nobody has looked at it for an hour.
        ("scores", "deferred", "RUNNING", {**looked, "updated_at": now - 3600, "confirmed_every": 10}),
        ("scores", "running", "PENDING", {"updated_at": now, "confirmed_every": 600}),
        ("scores", "failed", "FAILED", {"ended_at": now - 60}),
        ("scores", "failed", "FAILED", {"ended_at": now - 3 * 86400}),
        ("scores", "success", "DONE", {"started_at": now - 8 * 86400, "ended_at": now - 2 * 86400}),
        ("scores", "success", "DONE", {"started_at": now - 20 * 86400, "ended_at": now - 19 * 86400}),
    ]
    for dag_id, state, status, told in jobs:
        run = new_run(dag_id)
        set_state(dag_id, run, state)
        push(dag_id, run, card(status=status, **told))
    found = client("viewer").get(OVERVIEW, params={"timezone": "Asia/Tokyo"}).json()
    figures = {
        name: found[name] for name in ("running", "waiting", "unconfirmed", "rows_per_second", "failed_last_day")
    }
    assert figures == {"running": 3, "waiting": 1, "unconfirmed": 1, "rows_per_second": 5.0, "failed_last_day": 1}
    # Two nodes each: two half hours, and six days.
    assert found["node_seconds"] == pytest.approx(2 * (1800 + 1800 + 6 * 86400), abs=60)
    days = found["days"]
    assert [datetime.fromtimestamp(day["begin"], ZoneInfo("Asia/Tokyo")).hour for day in days] == [0] * 7
    assert days[-1]["begin"] <= now < days[-1]["begin"] + 86400
    assert sum(day["done"] for day in days) == 1
    assert sum(day["failed"] for day in days) == 2
    of_clerk = client(CLERK).get(OVERVIEW).json()
    assert (of_clerk["running"], of_clerk["rows_per_second"], of_clerk["timezone"]) == (2, 2.5, "UTC")
    assert client("viewer").get(OVERVIEW, params={"dag_id": "salaries"}).json()["running"] == 1


@pytest.mark.parametrize("zone", ["Nowhere/At_All", "../../etc/passwd", "/etc/passwd", "", "x" * 100, "a\tb"])
def test_the_days_of_a_time_zone_that_nobody_knows_are_those_of_utc(client: Client, zone: str) -> None:
    found = client("viewer").get(OVERVIEW, params={"timezone": zone}).json()
    assert (found["timezone"], len(found["days"])) == ("UTC", 7)


def test_the_jobs_of_a_run_are_taken_together(client: Client, two_dags: dict[str, str], new_run: Run) -> None:
    run, now = new_run("scores"), time.time()
    looked = {"updated_at": now, "confirmed_every": 600, "started_at": now - 100, "submitted_at": now - 100}
    set_state("scores", run, "failed")
    push("scores", run, card("LOST", "FAILED", **looked, ended_at=now - 40, message="ValueError: no"))
    for index, (state, status, told) in enumerate(
        [
            ("deferred", "RUNNING", {**looked, "progress": progress(5, 10, 2.5)}),
            ("success", "DONE", {**looked, "submitted_at": now - 900, "ended_at": now, "progress": progress(7)}),
        ]
    ):
        set_state("scores", run, state, task_id="parts", map_index=index, age=index)
        push("scores", run, card(f"PART_{index}", status, **told), task_id="parts", map_index=index)
    found = client("viewer").get(RUN, params={"dag_id": "scores", "run_id": run}).json()
    assert found["counts"] == {"active": 1, "done": 1, "failed": 1}
    assert found["statuses"] == {"RUNNING": 1, "DONE": 1, "FAILED": 1}
    assert (found["rows_done"], found["rows_total"], found["rows_per_second"]) == (12, 17, 2.5)
    assert found["node_seconds"] == pytest.approx(2 * (60 + 100 + 100), abs=60)
    assert found["ran"] == 3
    parts, score = found["tasks"]
    assert (parts["task_id"], parts["counts"]["done"], parts["rows_done"]) == ("parts", 1, 12)
    assert (score["task_id"], score["counts"]["failed"], found["tasks_left_out"]) == ("score", 1, 0)
    assert [job["card"]["job_name"] for job in found["slowest"]] == ["PART_1", "PART_0", "LOST"]
    assert [job["card"]["message"] for job in found["failed"]] == ["ValueError: no"]
    nothing = client("viewer").get(RUN, params={"dag_id": "scores", "run_id": "nowhere"}).json()
    assert (nothing["counts"], nothing["tasks"]) == ({"active": 0, "done": 0, "failed": 0}, [])
    # Airflow's dependency takes the wildcard for all Dags, and the last of several values for the Dag.
    hidden = two_dags["salaries"]
    assert client(CLERK).get(RUN, params={"dag_id": "salaries", "run_id": hidden}).status_code == 403
    for asked in (f"dag_id=~&run_id={hidden}", f"dag_id=salaries&dag_id=scores&run_id={hidden}"):
        assert sum(client(CLERK).get(f"{RUN}?{asked}").json()["counts"].values()) == 0


def test_jobs_of_a_run_that_were_refused_did_not_run(client: Client, new_run: Run) -> None:
    run, now = new_run("scores"), time.time()
    ended = {"submitted_at": now, "ended_at": now, "updated_at": now, "message": "no such pool"}
    for index in (0, 1):
        set_state("scores", run, "failed", task_id="parts", map_index=index)
        push("scores", run, card("", "REFUSED", **ended), task_id="parts", map_index=index)
    found = client("viewer").get(RUN, params={"dag_id": "scores", "run_id": run}).json()
    assert (found["counts"]["failed"], found["ran"], found["node_seconds"]) == (2, 0, 0)
    set_state("scores", run, "deferred", age=1)
    push("scores", run, card(started_at=now - 1, updated_at=now, confirmed_every=600))
    found = client("viewer").get(RUN, params={"dag_id": "scores", "run_id": run}).json()
    assert (found["ran"], [task["ran"] for task in found["tasks"]]) == (1, [0, 1])


@pytest.mark.parametrize("path", [JOBS, OVERVIEW, RUN])
def test_who_has_the_answer_already_is_told_so(
    client: Client, two_dags: dict[str, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_snowflake_batch.monitoring import app, follow

    # As in an API server, which does not compare for each request, but looks at what runs.
    monkeypatch.setattr(follow, "FOLLOWER", follow.Follower())
    monkeypatch.setattr(follow, "LOOK_EVERY", 0)
    monkeypatch.setattr(app, "_FIGURES_HOLD", 1e9)
    run = two_dags["scores"]
    asked = {"dag_id": "scores", "run_id": run} if path != OVERVIEW else {}

    def ask(user: str, tag: str = "") -> Any:
        return client(user).get(path, params=asked, headers={"If-None-Match": tag})

    tag = ask("viewer").headers["ETag"]
    for same in (tag, f"W/{tag}"):
        again = ask("viewer", same)
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "no-store"
    # Who may read others is told others.
    assert ask(CLERK, tag).status_code == 200
    assert ask("stranger", tag).status_code == 403
    push("scores", run, card("DB.PUBLIC.SCORES", status="PENDING"))
    later = ask("viewer", tag)
    assert (later.status_code, ask("viewer", later.headers["ETag"]).status_code) == (200, 304)
    set_state("scores", run, "failed")
    ended = ask("viewer", later.headers["ETag"])
    assert ended.status_code == 200
    if path != JOBS:
        monkeypatch.setattr(app, "_FIGURES_HOLD", 1e8)
        assert ask("viewer", ended.headers["ETag"]).status_code == 200


REFUSED: list[tuple[str, dict[str, Any]]] = [
    (JOBS, {"text": "a\0b"}),
    (JOBS, {"dag_id": "a\0b"}),
    (JOB, {"dag_id": "scores", "run_id": "r", "task_id": "a\0b"}),
    (JOB, {"dag_id": "scores", "run_id": "a\0b", "task_id": "t"}),
    (JOB, {"dag_id": "scores", "run_id": "r", "task_id": "t", "map_index": 2**63}),
    (JOB, {"dag_id": "scores", "run_id": "r", "task_id": "t", "map_index": 2**31}),
    (JOB, {"dag_id": "scores", "run_id": "r", "task_id": "t", "map_index": -2}),
    (OVERVIEW, {"timezone": "a\0b"}),
    (OVERVIEW, {"timezone": "x" * 101}),
    (RUN, {"dag_id": "scores", "run_id": "a\0b"}),
    (JOBS, {"limit": 101}),
    (JOBS, {"limit": 0}),
    (JOBS, {"text": "x" * 251}),
    (JOBS, {"group": "x"}),
    (JOBS, {"sort": "x"}),
    (JOBS, {"after": "not a place"}),
    (JOBS, {"after": "x" * 3_000}),
    (JOBS, {"before": Place((1.5,), 1.0).encode()}),
    (JOBS, {"after": Place((1.5, 0, "d", "t", "r", 0), 1.0).encode()}),
    (JOBS, {"sort": "task", "after": Place(("d", "t\0", "r", 0), 1.0).encode()}),
    (JOBS, {"sort": "task", "after": Place((None, True, [], 0), 1.0).encode()}),
]


def test_what_no_database_can_be_asked_is_refused(client: Client) -> None:
    for address, parameters in REFUSED:
        assert client("viewer").get(address, params=parameters).status_code == 422, parameters
    # Before Airflow asks the database for the Dag, and whether this user may read it.
    assert client(None).get(JOBS, params={"dag_id": "a\0b"}).status_code == 422


@pytest.fixture
def five(client: Client, new_run: Run) -> None:
    """Ended jobs J0 to J4, the newest first, and an older one that runs."""
    for age, (name, status, state) in enumerate(
        [*((f"J{index}", "DONE", "success") for index in range(5)), ("OLD", "RUNNING", "deferred")]
    ):
        run = new_run("scores")
        set_state("scores", run, state, age=age)
        # The same model, so that other columns have to tell them apart; one has been in an odd hand.
        times = {"submitted_at": 1000.0 - age, "ended_at": 1000.0 + age if status == "DONE" else None}
        push("scores", run, card(f"DB.PUBLIC.{name}", status, **times) | ({"submitted_at": "x"} if age == 2 else {}))


def turn(viewer: Any, way: str, **asked: Any) -> list[list[str]]:
    """Every page from the first one, or from the last one back to it."""
    pages, place = [], asked.pop("place", None)
    while True:
        answer = viewer.get(JOBS, params={"limit": 2, **asked, **(place or {})})
        pages.append([name.removeprefix("DB.PUBLIC.") for name in named(answer)])
        beyond = answer.json()[{"after": "older", "before": "newer"}[way]]
        if beyond is None:
            return pages
        place = {way: beyond}
        assert len(pages) < 10


def test_what_runs_comes_first_then_the_newest(client: Client, five: None) -> None:
    assert turn(client("viewer"), "after") == [["OLD", "J0"], ["J1", "J2"], ["J3", "J4"]]
    assert turn(client("viewer"), "after", reverse=True) == [["J4", "J3"], ["J2", "J1"], ["J0", "OLD"]]


def test_every_order_is_the_same_in_both_directions(client: Client, five: None) -> None:
    for sort, reverse in itertools.product([each.value for each in Sort], [False, True]):
        turn_both_ways(client("viewer"), {"sort": sort, "reverse": reverse})


def turn_both_ways(viewer: Any, asked: dict[str, Any]) -> None:
    whole = [name.removeprefix("DB.PUBLIC.") for name in named(viewer.get(JOBS, params={"limit": 100, **asked}))]
    pages = turn(viewer, "after", **asked)
    assert [name for page in pages for name in page] == whole
    assert sorted(whole) == ["J0", "J1", "J2", "J3", "J4", "OLD"]
    # From behind the last one back to the first.
    last = viewer.get(JOBS, params={"limit": 4, **asked}).json()["older"]
    behind = viewer.get(JOBS, params={"limit": 2, **asked, "after": last}).json()["newer"]
    assert turn(viewer, "before", place={"before": behind}, **asked) == [whole[2:4], whole[:2]]


def test_jobs_are_sorted_by_what_their_cards_say(client: Client, five: None) -> None:
    for sort, first in {"submitted": ["J0", "J1"], "duration": ["J2", "OLD"], "status": ["J0", "J1"]}.items():
        found = named(client("viewer").get(JOBS, params={"sort": sort, "limit": 2}))
        assert sorted(name.removeprefix("DB.PUBLIC.") for name in found) == first, sort


def test_pages_hold_when_jobs_come_in_between(client: Client, five: None, new_run: Run) -> None:
    viewer = client("viewer")
    older = viewer.get(JOBS, params={"limit": 2}).json()["older"]
    run = new_run("scores")
    set_state("scores", run, "deferred", age=-5)
    push("scores", run, card("DB.PUBLIC.NEW"))
    assert named(viewer.get(JOBS, params={"limit": 2, "after": older})) == ["DB.PUBLIC.J1", "DB.PUBLIC.J2"]


def test_jobs_are_counted_of_each_group_whichever_is_shown(client: Client, five: None, told: str) -> None:
    viewer = client("viewer")
    counted = {"active": 3, "done": 5, "failed": 1}
    for parameters in ({}, {"group": "failed"}, {"limit": 1}):
        assert viewer.get(JOBS, params=parameters).json()["counts"] == counted
    assert viewer.get(JOBS, params={"text": "march"}).json()["counts"] == {"active": 1, "done": 0, "failed": 0}


@pytest.mark.parametrize(
    ("stored", "job_name"),
    [
        (None, None),
        ("a text", None),
        ([1, 2], None),
        ({}, None),
        ({"job_name": "OLD"}, "OLD"),
        ({"job_name": ["a"], "status": 5, "submitted_at": "now", "replicas": True, "progress": "half"}, None),
        ({**card("NEW"), "hologram": {"secret": 1}, "progress": {"rows_done": "many", "planets": 9}}, "NEW"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_card_of_another_version_breaks_nothing(
    client: Client, new_run: Run, stored: Any, job_name: str | None
) -> None:
    broken, sound = new_run("scores"), new_run("scores")
    set_state("scores", broken, "deferred", age=0)
    set_state("scores", sound, "deferred", age=1)
    push("scores", broken, stored)
    push("scores", sound, card("SOUND"))
    viewer = client("viewer")
    assert named(viewer.get(JOBS)) == [job_name, "SOUND"]
    assert named(viewer.get(JOBS, params={"text": "sound"})) == ["SOUND"]
    found = viewer.get(JOB, params=of("scores", broken)).json()["job"]["card"]
    assert found.keys() == card().keys()
    assert "secret" not in str(found)
    assert "planets" not in str(found)


def test_hostile_texts_stay_texts_and_become_short(client: Client, new_run: Run) -> None:
    run = new_run("scores")
    script = "<script>alert(1)</script>"
    push("scores", run, card(script, message="x" * 100_000 + "\n" + script))
    viewer = client("viewer")
    listed = viewer.get(JOBS)
    assert listed.headers["content-type"] == "application/json"
    assert listed.json()["jobs"][0]["card"]["job_name"] == script
    assert len(listed.content) < 2_000
    page = viewer.get(JOB, params=of("scores", run))
    assert page.json()["job"]["card"]["message"].endswith(script)
    assert len(page.content) < 25_000


def test_a_card_is_found_under_the_key_that_tasks_write() -> None:
    assert JOB_CARD_KEY == "snowflake_batch_job"
