"""What the pages show for what the endpoints answer."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_snowflake_batch.monitoring.bundle import scripts
from airflow_provider_snowflake_batch.monitoring.cards import readable_card
from tests.monitoring.javascript import call, draw
from tests.monitoring.rows import card

RUN = "manual__2026-11-01T12:00:00+00:00"
NOON = 1_793_534_400  # 2026-11-01 12:00 UTC
TAB = {"dagId": "scores", "runId": RUN, "taskId": "score"}


def told(state: str | None = "deferred", group: str = "active", **changes: Any) -> dict[str, Any]:
    """A job as the endpoints tell it."""
    stored = changes.pop("stored", None) or card(submitted_at=NOON, updated_at=NOON + 60, **changes)
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
    }


HALF = {"phase": "predict", "rows_done": 4512345, "rows_total": 9000000, "rows_per_second": 26543.2, "eta_seconds": 169}
RUNNING = told(progress=HALF, started_at=NOON + 20)
DONE = told("success", "done", status="DONE", ended_at=NOON + 90, progress={"rows_done": 7, "rows_total": 7})
FAILED = told("failed", "failed", status="FAILED", message="ValueError: <script>alert(1)</script>")
UNSEEN = told("failed", "failed", status="RUNNING")
OLD = told("running", "active", stored={"job_name": "OLD"})


def jobs(*found: Any, more: bool = False) -> dict[str, Any]:
    return {"jobs": {"jobs": list(found), "more": more}, "dags": {"dags": ["salaries", "scores"]}}


def test_the_list_tells_of_every_job() -> None:
    page = draw("Batch inference", jobs(RUNNING, DONE, FAILED, UNSEEN, OLD))
    badges = [badge["colorPalette"] for badge in page.properties("Badge")]
    assert badges == ["running", "success", "failed", "none", "none"]
    assert [bar["value"] for bar in page.properties("Progress.Root")] == [pytest.approx(50.137, abs=0.001), 100]
    for text in (
        "scores · score", RUN, "4,512,345 of 9,000,000 rows · 50 %", "26,543 rows/s · 2 min 49 s left", "LINEAR",
        "POOL", "2 replicas", "2026-11-01 12:00:00", "7 rows · 100 %", "1 min 30 s", "last seen", "UNKNOWN",
    ):  # fmt: skip
        assert text in page.text, text
    own, log, *_ = [link["to"] for link in page.properties("RouterLink")]
    assert own == f"{log}/plugin/snowflake-batch-job"
    assert log == f"/dags/scores/runs/{RUN}/tasks/score"
    assert page.asked[0].startswith("jobs?limit=25&offset=0") or page.asked[0] == "dags"


@pytest.mark.parametrize(
    ("answers", "search", "message"),
    [
        (jobs(), "", "No batch inference jobs yet"),
        (jobs(), "text=x", "No job matches"),
        (jobs(), "offset=50", "No older jobs"),
        ({"jobs": 401}, "", "Your session has ended."),
        ({"jobs": 403}, "", "You may not see this"),
        ({"jobs": 500}, "", "has answered with error 500"),
        ({"jobs": "<!doctype html>"}, "", "Somebody else than Airflow's API server has answered."),
        ({}, "", "Airflow's API server cannot be reached."),
    ],
)
def test_the_list_says_why_it_is_empty(answers: dict[str, Any], search: str, message: str) -> None:
    page = draw("Batch inference", answers, search=search)
    assert message in page.text
    assert page.properties("Table.Root") == page.properties("Skeleton") == []


def test_the_list_asks_for_what_its_address_says() -> None:
    page = draw("Batch inference", jobs(DONE, more=True), search="group=done&dag_id=gone&text=x%26y&offset=25")
    assert "jobs?group=done&dag_id=gone&text=x%26y&limit=25&offset=25" in page.asked
    newer, older = [button for button in page.properties("Button") if button.get("disabled") is not None][-2:]
    assert (newer["disabled"], older["disabled"]) == (False, False)
    chosen = [field["value"] for field in page.properties("NativeSelect.Field")]
    assert chosen == ["done", "gone"]
    assert "gone" in [option["value"] for option in page.properties("option")]


@pytest.mark.parametrize(
    ("job", "texts"),
    [
        (
            RUNNING,
            ["RUNNING", "predict", "2 min 49 s left", "waited 20 s", "not yet", "@DB.PUBLIC.RESULTS/out/BATCH_1/"],
        ),
        (DONE, ["DONE", "7 rows", "1 min 30 s in all", "the model's default", "success"]),
        (FAILED, ["FAILED", "The task failed", "ValueError: <script>alert(1)</script>", "No rows reported."]),
        (UNSEEN, ["RUNNING", "last seen", "The task has ended without seeing the end of the job."]),
        (OLD, ["OLD", "UNKNOWN", "No rows reported yet."]),
        (told(stored={"x": 1}), ["Unnamed job", "UNKNOWN"]),
        (None, ["No batch job"]),
    ],
    ids=["running", "done", "failed", "unseen", "old", "nothing", "none"],
)
def test_the_tab_shows_its_job(job: Any, texts: list[str]) -> None:
    page = draw("Batch job", {"job": {"job": job, "links": {}}}, TAB)
    for text in texts:
        assert text in page.text, text
    assert page.asked == [
        f"job?dag_id=scores&run_id={RUN.replace('+', '%2B').replace(':', '%3A')}&task_id=score&map_index=-1"
    ]


def test_the_tab_of_a_mapped_task_asks_for_that_one() -> None:
    page = draw("Batch job", {"job": {"job": None, "links": {}}}, {**TAB, "mapIndex": "3"})
    assert page.asked[0].endswith("&map_index=3")


def test_the_tab_links_to_snowsight_and_copies_names() -> None:
    url = "https://app.snowflake.com/x/y/#/compute/job/DB/PUBLIC/J"
    page = draw("Batch job", {"job": {"job": RUNNING, "links": {"Snowsight job": url}}}, TAB)
    (link,) = page.properties("a")
    assert (link["href"], link["rel"]) == (url, "noopener noreferrer")
    copied = [each["value"] for each in page.properties("Clipboard.Root")]
    assert copied == ["DB.PUBLIC.BATCH_1", "@DB.PUBLIC.RESULTS/out/BATCH_1/"]


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_the_tab_tells_of_an_error_and_offers_to_try_again(status: int) -> None:
    page = draw("Batch job", {"job": status}, TAB)
    assert page.properties("Alert.Root")[0]["role"] == "alert"
    assert "Try again" in page.text
    assert page.properties("Skeleton") == []


def test_texts_never_become_markup() -> None:
    for name, script in scripts().items():
        assert not re.search(rb"innerHTML|dangerouslySet|insertAdjacent|document\.write|\beval\b", script), name


def test_numbers_are_written_to_be_read() -> None:
    cases: list[tuple[list[Any], Any]] = [
        (["formatNumber", 1234567], "1,234,567"),
        (["formatNumber", 1234567, "de"], "1.234.567"),
        (["formatNumber", None], "–"),
        (["formatRate", 3.25], "3.3 rows/s"),
        (["formatRate", 26543.2], "26,543 rows/s"),
        (["formatRate", None], None),
        (["formatDuration", 0.4], "0 s"),
        (["formatDuration", 59.6], "1 min 0 s"),
        (["formatDuration", 3725], "1 h 2 min"),
        (["formatDuration", 200000], "2 d 7 h"),
        (["formatDuration", -1], "–"),
        (["formatTime", NOON, "UTC"], "2026-11-01 12:00:00"),
        (["formatTime", NOON, "America/New_York"], "2026-11-01 07:00:00"),
        (["formatTime", 1e300, "UTC"], "–"),
        (["formatTime", None, "UTC"], "–"),
        (["percentDone", {"rows_done": 1, "rows_total": 4}], 25),
        (["percentDone", {"rows_done": 9, "rows_total": 4}], 100),
        (["percentDone", {"rows_done": 0, "rows_total": 0}], None),
        (["percentDone", None], None),
        (["formatRows", {"rows_done": 5}], "5 rows"),
        (["formatRows", {"rows_done": 5, "rows_reused": 0}], "5 rows"),
        (["formatRows", {"rows_done": 5, "rows_reused": 3}], "5 rows, 3 kept from earlier tries"),
        (["formatRows", {"rows_done": 5, "rows_total": 9, "rows_reused": 3}], "5 of 9 rows, 3 kept from earlier tries"),
        (["shortName", 'DB."a.b"."my ""x.y"'], '"my ""x.y"'),
        (["shortName", "DB.PUBLIC.M"], "M"),
        (["shortName", None], "–"),
        (["lastLine", "Job failed\n  File x\nValueError: no\n\n"], "ValueError: no"),
        (["lastLine", " "], None),
        (["lastLine", None], None),
        (["taskName", {"task_id": "t", "map_index": 2, "map_label": "March"}], "t [March]"),
        (
            ["taskPath", {"dag_id": "d", "run_id": "r/?#+:", "task_id": "g.t", "map_index": 0}],
            "/dags/d/runs/r%2F%3F%23+:/tasks/g.t/mapped/0",
        ),
        (["chosenTimeZone", '"Europe/Berlin"'], "Europe/Berlin"),
        (["chosenTimeZone", '"Mars/Base"'], None),
        (["chosenTimeZone", "{"], None),
        (["chosenTimeZone", None], None),
    ]  # fmt: skip
    for (given, expected), returned in zip(cases, call(*(given for given, _ in cases)), strict=True):
        assert returned == expected, given
