"""What others see of batch inference tasks in a real Airflow: links, asset events, lineage; and asset watchers."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests import account_name
from tests.airflow_stack import AirflowStack
from tests.models import log_model
from tests.stack.models import Patience

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SNOWSIGHT = "https://app.snowflake.com/local/local/#"
WATCHING = "Watching @LOCAL.PUBLIC.DIGITS_RESULTS/scores/ from now on"


@pytest.fixture(scope="module")
def connection(local_server: LocalServer) -> Iterator[str]:
    """The Airflow connection to the local Snowflake under an account's host name, as JSON."""
    connection = local_server.airflow_connection
    connection["extra"]["host"] = account_name.HOST
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", json.dumps(connection))
        account_name.install()
        yield json.dumps(connection)
        account_name.uninstall()


@pytest.fixture(scope="module")
def hook(connection: str, local_server: LocalServer) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook() as opened:
        opened.run(
            [
                "CREATE COMPUTE POOL ASSET_POOL MIN_NODES = 1 MAX_NODES = 2 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE STAGE ASSET_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                "CREATE STAGE IF NOT EXISTS DIGITS_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                "CREATE TABLE ASSET_INPUT AS SELECT 60::FLOAT AS SECONDS",
                "DROP TABLE IF EXISTS DIGITS_SCORES",
            ]
        )
        waits = pd.DataFrame({"SECONDS": [0.0, 1.5]})
        outputs = waits.rename(columns={"SECONDS": "WAITED"})
        log_model(local_server, Patience(), "PATIENCE_WITH_ASSETS", "V1", waits, outputs)
        write_results(opened, "OLD", rows=5)
        yield opened


@pytest.fixture(scope="module")
def airflow(
    hook: SnowflakeBatchHook, connection: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    home = tmp_path_factory.mktemp("airflow-assets")
    settings = {
        "PYTHONPATH": f"{HERE / 'account_name_path'}:{ROOT}",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(home / "lineage.jsonl"), "append": True}
        ),
    }
    with AirflowStack(home, [ROOT / "example_dags", HERE / "asset_dags"], connection, settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def scored(airflow: AirflowStack) -> dict[str, Any]:
    """A run of the Dag ``scored``, with the links of its first task as they were while it was deferred."""
    run = airflow.trigger("scored")
    airflow.wait_for_task(run, "score", "deferred")
    job = airflow.xcom(run, "score", "snowflake_batch_job")["job_name"]
    until(
        lambda: airflow.xcom(run, "score", "snowflake_batch_job")["status"] == "RUNNING",
        lambda: f"the trigger has not told that the job runs: {airflow.task_log(run, 'score')}",
    )
    links = airflow.links(run, "score")
    card = airflow.xcom(run, "score", "snowflake_batch_job")
    pages = on_the_pages(airflow, run)
    assert airflow.task_states(run)["score"] == "deferred", "too late to prove anything"
    assert airflow.wait_for_run(run) == "success", airflow.failures(run)
    return {"run": run, "job": job, "links": links, "card": card, "pages": pages, "result": airflow.xcom(run, "score")}


ON_THE_TAB_ALONE = ("containers", "earlier_tries", "history", "statement", "no_statement", "output", "log")


def on_the_pages(airflow: AirflowStack, run: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The task ``score`` of a run as the list of all jobs and as its own tab are told of it."""
    (listed,) = airflow.fetch("/snowflake-batch/jobs", dag_id="scored", text=run).raise_for_status().json()["jobs"]
    own = airflow.fetch("/snowflake-batch/job", dag_id="scored", run_id=run, task_id="score")
    return listed, own.raise_for_status().json()


def test_links_work_while_the_task_is_deferred_and_afterwards(airflow: AirflowStack, scored: dict[str, Any]) -> None:
    expected = {
        "Batch job": f"{airflow.url}/dags/scored/runs/{scored['run']}/tasks/score/plugin/snowflake-batch-job",
        "Snowsight job": f"{SNOWSIGHT}/compute/job/{scored['job'].replace('.', '/')}",
        "Output stage": f"{SNOWSIGHT}/data/databases/LOCAL/schemas/PUBLIC/stage/ASSET_RESULTS",
    }
    assert scored["links"] == expected
    assert airflow.links(scored["run"], "score") == expected
    assert airflow.links(scored["run"], "load") == {
        "Output stage": expected["Output stage"],
        "Snowsight table": f"{SNOWSIGHT}/data/databases/LOCAL/schemas/PUBLIC/table/PATIENCE_SCORES",
    }


def test_the_job_card_follows_the_job(airflow: AirflowStack, scored: dict[str, Any]) -> None:
    deferred = scored["card"]
    assert (deferred["status"], deferred["ended_at"]) == ("RUNNING", None)
    assert deferred["submitted_at"] < deferred["started_at"] <= deferred["updated_at"]
    card = airflow.xcom(scored["run"], "score", "snowflake_batch_job")
    assert (card["job_name"], card["status"], card["message"]) == (scored["job"], "DONE", None)
    assert card["started_at"] == deferred["started_at"] < card["ended_at"]
    assert (card["progress"]["rows_done"], card["progress"]["rows_total"]) == (1, 1)


def test_the_pages_show_the_job_while_it_runs_and_afterwards(airflow: AirflowStack, scored: dict[str, Any]) -> None:
    for (listed, own), status, group, state in (
        (scored["pages"], "RUNNING", "active", "deferred"),
        (on_the_pages(airflow, scored["run"]), "DONE", "done", "success"),
    ):
        # The list leaves out what only the job's own page shows.
        assert own["job"] | {"card": own["job"]["card"] | dict.fromkeys(ON_THE_TAB_ALONE)} == listed
        assert (listed["group"], listed["state"], listed["live"]) == (group, state, group == "active")
        assert (listed["card"]["job_name"], listed["card"]["status"]) == (scored["job"], status)
        links = {name: url for name, url in scored["links"].items() if name != "Batch job"}
        assert own["links"] == links
    shown = on_the_pages(airflow, scored["run"])[1]["job"]["card"]
    stored = airflow.xcom(scored["run"], "score", "snowflake_batch_job")
    assert shown["history"]
    statement = airflow.xcom(scored["run"], "score", "snowflake_batch_statement")
    assert statement == {"job_name": scored["job"], "statement": shown.pop("statement")}
    assert (stored.pop("statement"), shown["output"]["files"]) == (None, 1)
    assert {name: value for name, value in shown.items() if name in stored or value is not None} == stored


def test_the_button_leads_to_a_page_that_airflow_knows(airflow: AirflowStack, scored: dict[str, Any]) -> None:
    button = scored["links"]["Batch job"]
    assert airflow.fetch(button).status_code == 200
    pages = [page for plugin in airflow.fetch("/api/v2/plugins").json()["plugins"] for page in plugin["react_apps"]]
    (tab,) = (page for page in pages if button.endswith(f"/plugin/{page['url_route']}"))
    assert tab["destination"] == "task_instance"
    script = airflow.fetch(tab["bundle_url"])
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert f'globalThis["{tab["name"]}"] = ' in script.text


def test_outlet_events_tell_what_was_made(airflow: AirflowStack, scored: dict[str, Any]) -> None:
    result = scored["result"]
    told = {name: result[name] for name in ("job_name", "status", "output_location", "rows", "files")}
    expected = {**told, "model": "LOCAL.PUBLIC.PATIENCE_WITH_ASSETS", "version": "V1"}
    (event,) = airflow.asset_events("patience_scores")
    assert event["extra"] == expected
    (loaded,) = airflow.asset_events("patience_table")
    assert loaded["extra"] == {
        "table": "LOCAL.PUBLIC.PATIENCE_SCORES",
        "rows": 1,
        "files": result["files"],
        "output_location": result["output_location"],
    }
    (run,) = until(lambda: airflow.runs("told"), lambda: "the event has started no run")
    assert airflow.wait_for_run(run) == "success"
    assert airflow.xcom(run, "hear") == [expected]


def test_openlineage_gets_the_way_from_table_to_table(airflow: AirflowStack, scored: dict[str, Any]) -> None:
    def events(task: str, kind: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (airflow.home / "lineage.jsonl").read_text().splitlines()]
        return [event for event in found if event["job"]["name"] == f"scored.{task}" and event["eventType"] == kind]

    (score,) = until(lambda: events("score", "COMPLETE"), lambda: "no event of the job's end")
    (load,) = until(lambda: events("load", "COMPLETE"), lambda: "no event of the load's end")
    place = "LOCAL.PUBLIC.ASSET_RESULTS/scored"
    assert names(score["inputs"]) == ["LOCAL.PUBLIC.ASSET_INPUT", "LOCAL.PUBLIC.PATIENCE_WITH_ASSETS"]
    assert names(score["outputs"]) == names(load["inputs"]) == [place]
    assert names(load["outputs"]) == ["LOCAL.PUBLIC.PATIENCE_SCORES"]
    assert score["outputs"][0]["namespace"] == load["inputs"][0]["namespace"]
    facet = score["run"]["facets"]["snowflakeBatchInference"]
    assert (facet["jobName"], facet["status"], facet["rows"]) == (scored["job"], "DONE", 1)
    assert score["job"]["facets"]["sql"]["query"] == "SELECT SECONDS FROM ASSET_INPUT"
    started = events("score", "START")
    assert started
    assert all(names(event["inputs"]) == names(score["inputs"]) for event in started)
    secret = json.loads(airflow.environment["AIRFLOW_CONN_SNOWFLAKE_DEFAULT"])["password"]
    assert secret not in (airflow.home / "lineage.jsonl").read_text()


def test_a_watcher_starts_a_run_for_each_new_success_across_a_restart(
    airflow: AirflowStack, hook: SnowflakeBatchHook
) -> None:
    airflow.unpause("digits_load")
    until(lambda: WATCHING in triggerer_log(airflow), lambda: f"nobody watches: {triggerer_log(airflow)[-3000:]}")
    assert loads(airflow, hook) == (0, 0)

    write_results(hook, "FIRST", rows=1)
    until(lambda: loads(airflow, hook) == (1, 1), lambda: f"{loads(airflow, hook)}")
    # Until then, the event would come once more.
    until(
        lambda: "Told of @LOCAL.PUBLIC.DIGITS_RESULTS/scores/FIRST/" in triggerer_log(airflow),
        lambda: triggerer_log(airflow)[-3000:],
    )

    airflow.kill("triggerer")
    write_results(hook, "MEANWHILE", rows=2)
    airflow.start("triggerer")
    until(lambda: loads(airflow, hook) == (2, 3), lambda: f"{loads(airflow, hook)}", timeout=200)

    # Nothing that has been told of comes again; that the watcher looks at all shows the next one.
    write_results(hook, "LAST", rows=4)
    until(lambda: loads(airflow, hook) == (3, 7), lambda: f"{loads(airflow, hook)}")
    assert triggerer_log(airflow).count(WATCHING) == 1

    events = airflow.asset_events("digits_scores")
    assert sorted(event["extra"]["payload"]["stage_location"] for event in events) == [
        f"@LOCAL.PUBLIC.DIGITS_RESULTS/scores/{job}/" for job in ("FIRST", "LAST", "MEANWHILE")
    ]


def loads(airflow: AirflowStack, hook: SnowflakeBatchHook) -> tuple[int, int]:
    """Successful runs of the example, and rows in its table; -1 runs while one is at work."""
    states = [airflow.run_state(run) for run in airflow.runs("digits_load")]
    if any(state != "success" for state in states):
        assert "failed" not in states
        return -1, -1
    return len(states), hook.rows("SELECT COUNT(*) AS N FROM DIGITS_SCORES")[0]["n"] if states else 0


def write_results(hook: SnowflakeBatchHook, job: str, rows: int) -> None:
    """What a job leaves on the stage."""
    content = io.BytesIO()
    pq.write_table(pa.table({"SCAN": list(range(rows)), "PREDICTION": [7] * rows}), content)
    directory = f"@DIGITS_RESULTS/scores/{job}"
    hook.write_file(f"{directory}/part-0.parquet", content.getvalue())
    hook.write_file(f"{directory}/_manifest.json", json.dumps({"rows": rows}).encode())
    hook.write_file(f"{directory}/_SUCCESS", b"")


def triggerer_log(airflow: AirflowStack) -> str:
    return (airflow.logs / "triggerer.log").read_text(errors="replace")


def names(datasets: list[dict[str, Any]]) -> list[str]:
    return [dataset["name"] for dataset in datasets]


def until(look: Callable[[], Any], otherwise: Callable[[], str], timeout: float = 120) -> Any:
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{otherwise()}, within {timeout:g} s")
        time.sleep(0.5)
    return seen
