"""The recipes of docs/howto.md, each as a Dag on the local Snowflake."""

from __future__ import annotations

import asyncio
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator
from airflow_provider_snowflake_batch.triggers import success
from tests.airflow_home import environment_without_settings, make_database
from tests.container_jobs import container_job
from tests.example_dags.run_example import ROOT, fetch_folder

# All recipes run within the first test's fixture: about a minute on two free cores.
pytestmark = pytest.mark.timeout(1800)

PAGE = (ROOT / "docs" / "howto.md").read_text(encoding="utf-8")
_RECIPE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DAG = re.compile(r"^(with DAG\(\"(\w+)\".*\)):$", re.MULTILINE)
RECIPES = {match[2]: code for code in _RECIPE.findall(PAGE) for match in _DAG.finditer(code)}

# Where a recipe's Dag is not run here, and why.
NOT_RUN = {
    "load_theirs": "a run that no event has started loads nothing: see the test of its watcher",
    "reviews": "needs torch: test_reviews_transformers.py runs such a model",
}


@dataclass(frozen=True)
class Made:
    """What a recipe's last job has written: a column and its values, in order."""

    column: str
    values: list[Any]
    task: str = "score"


CHURN = Made("CHURN", [0.5, 1.5, 2.5])
MADE = {
    "score_a_table": CHURN,
    "read_results": CHURN,
    "score_a_query": Made("CHURN", [0.5, 1.5]),
    "score_parquet": Made("CHURN", [1.5]),
    "score_some_files": Made("LABEL", ["a", "bb"]),
    "score_all_files": Made("LABEL", ["ccc", "dddd"]),
    "score_content": Made("LABEL", ["ccc", "dddd"]),
    "load_results": CHURN,
    "registered_and_own": CHURN,
    "with_parameters": Made("STORY", ["Once, 0.9, 512", "Twice upon, 0.9, 512"]),
    "sized": CHURN,
    "gated": CHURN,
    "verified": CHURN,
    "own_code": Made("AREA", [0.0, 6.0, 20.0], "area"),
    "bad_rows": Made("RATIO", [2 / 3, 4 / 5], "shape"),
    "embed_and_classify": Made("CLASS", ["long", "short"], "classify"),
    "by_customer": Made("TOTAL", [200.0, 250.0]),
}
# Runs Dags one after the other, and prints what each came to.
RUN = """
import json, sys
from datetime import datetime, timezone
from pathlib import Path
from scripts.run_dag import run

reports = {}
for name in sys.argv[2:]:
    reports[Path(name).stem] = run(Path(name), {}, logical_date=datetime(2026, 1, 5, tzinfo=timezone.utc))
    Path(sys.argv[1]).write_text(json.dumps(reports, default=str))
"""


def recipes_that_run() -> dict[str, str]:
    """All but those that this machine lacks the libraries for."""
    without = set(NOT_RUN) | (set() if os.environ.get("LOCAL_SNOWFLAKE_RUNTIME_PYTHON") else {"own_code", "bad_rows"})
    return {name: code for name, code in RECIPES.items() if name not in without}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A local Snowflake with what the page says that its recipes find, and the job that one of them cancels."""
    with LocalServer(tmp_path_factory.mktemp("howto") / "state") as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", server.airflow_connection_json)
        (sql,) = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        with SnowflakeBatchHook("snowflake_default") as hook:
            hook.run(sql, split_statements=True)
            job = container_job(hook, Identifier("SCORING"), "sleep", "600")
            hook.submit(replace(job, name=QualifiedName("NIGHTLY_SCORES", "PUBLIC", "ML")))
            subprocess.run(
                [sys.executable, "-m", "tests.example_dags.howto_models", server.state_dir], cwd=ROOT, check=True
            )
            yield server


@pytest.fixture(scope="module")
def reports(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each recipe's Dag came to."""
    home = tmp_path_factory.mktemp("airflow")
    environment = environment_without_settings() | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home),
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": server.airflow_connection_json,
    }
    files = []
    for name, code in recipes_that_run().items():
        files.append(home / f"{name}.py")
        files[-1].write_text(_DAG.sub(r"\1 as dag:", code), encoding="utf-8")
    report = home / "report.json"
    make_database(home)
    done = subprocess.run(
        [sys.executable, "-c", RUN, report, *files],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    reports: dict[str, Any] = json.loads(report.read_text())
    return reports


@pytest.fixture
def connection(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", server.airflow_connection_json)
    return "snowflake_default"


def written(connection: str, folder: Path, location: str) -> list[dict[str, Any]]:
    """The rows of a job's results."""
    fetch_folder(connection, location, folder)
    return [row for file in sorted(folder.rglob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_every_recipe_is_a_dag() -> None:
    assert len(RECIPES) == PAGE.count("```python")
    assert set(NOT_RUN) <= set(RECIPES)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RECIPES if name not in NOT_RUN])
def test_every_task_succeeds(name: str, reports: dict[str, Any]) -> None:
    if name not in reports:
        pytest.skip("LOCAL_SNOWFLAKE_RUNTIME_PYTHON names no Python for jobs with a model of their own")
    report = reports[name]
    assert report["failures"] == {}
    assert set(report["tasks"].values()) == {"success"}


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_the_results_are_right(name: str, reports: dict[str, Any], connection: str, tmp_path: Path) -> None:
    if name not in reports:
        pytest.skip("LOCAL_SNOWFLAKE_RUNTIME_PYTHON names no Python for jobs with a model of their own")
    made = MADE[name]
    result = reports[name]["results"][made.task]
    assert result["rows"] == len(made.values)
    found = written(connection, tmp_path, result["output_location"])
    assert sorted(row[made.column] for row in found) == made.values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chat", "user: Why?"),
        ("describe_images", "[image/png, 1 bytes, "),
        ("describe_images", "[audio/wav, 3 bytes, "),
    ],
)
def test_chats_are_answered(name: str, words: str, reports: dict[str, Any], connection: str, tmp_path: Path) -> None:
    (row,) = written(connection, tmp_path, reports[name]["results"]["score"]["output_location"])
    assert words in json.dumps(row["choices"])


@pytest.mark.slow
def test_a_row_that_cannot_be_scored_is_told(reports: dict[str, Any]) -> None:
    if "bad_rows" not in reports:
        pytest.skip("LOCAL_SNOWFLAKE_RUNTIME_PYTHON names no Python for jobs with a model of their own")
    assert reports["bad_rows"]["results"]["shape"]["warnings"] == ["1 row(s) failed and were put aside."]


@pytest.mark.slow
def test_results_are_verified(reports: dict[str, Any]) -> None:
    assert reports["verified"]["results"]["verify"]["rows"] == 3


@pytest.mark.slow
def test_the_table_holds_the_loaded_results(reports: dict[str, Any], connection: str) -> None:
    assert reports["load_results"]["results"]["load"]["rows"] == 3
    rows = SnowflakeBatchHook(connection).get_records("SELECT CHURN FROM ML.PUBLIC.SCORES ORDER BY ID")
    assert rows == [(0.5,), (1.5,), (2.5,)]


@pytest.mark.slow
def test_nested_results_stay_nested(reports: dict[str, Any], connection: str, tmp_path: Path) -> None:
    (row,) = written(connection, tmp_path, reports["transcribe"]["results"]["score"]["output_location"])
    assert row["SPEECH"] == {"text": "one", "chunks": [{"timestamp": [0.0, 0.5], "text": "o"}]}
    said = "SELECT SPEECH:chunks[0].text::TEXT, SPEECH:chunks[0].timestamp[1]::FLOAT FROM ML.PUBLIC.SPEECHES"
    assert SnowflakeBatchHook(connection).get_records(said) == [("o", 0.5)]


@pytest.mark.slow
def test_a_job_that_completes_starts_its_dag(
    reports: dict[str, Any], connection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(success, "_HANDED_OVER_SECONDS", 0.1)
    recipe = tmp_path / "load_theirs.py"
    recipe.write_text(_DAG.sub(r"\1 as dag:", RECIPES["load_theirs"]), encoding="utf-8")
    names: dict[str, Any] = runpy.run_path(str(recipe))
    (watcher,) = names["scores"].watchers
    watcher.trigger.poll_interval = 0.2
    done = fetch_folder(connection, reports["score_a_table"]["results"]["score"]["output_location"], tmp_path / "done")

    def complete(hook: SnowflakeBatchHook, job: str) -> None:
        for file in sorted(done.rglob("*"), key=lambda file: file.name == "_SUCCESS"):
            if file.is_file():
                hook.write_file(f"@ML.PUBLIC.RESULTS/theirs/{job}/{file.relative_to(done)}", file.read_bytes())

    async def first_event(hook: SnowflakeBatchHook) -> dict[str, Any]:
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def follow() -> None:
            async for event in watcher.trigger.run():
                heard.put_nowait(event.payload)

        following = asyncio.create_task(follow())
        try:
            # What is there at its first look is no news.
            for number in range(60):
                await asyncio.to_thread(complete, hook, f"JOB_{number}")
                with suppress(TimeoutError):
                    return await asyncio.wait_for(heard.get(), timeout=2)
            pytest.fail(f"the watcher has told of nothing: {following}")
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    with SnowflakeBatchHook(connection) as hook:
        payload = asyncio.run(first_event(hook))
        assert re.fullmatch(r"@ML\.PUBLIC\.RESULTS/theirs/JOB_\d+/", payload["stage_location"])
        find, load = names["dag"].get_task("directories"), names["dag"].get_task("load")
        (location,) = find.python_callable({names["scores"]: [SimpleNamespace(extra={"payload": payload})]})
        given = {name: load.partial_kwargs[name] for name in ("table", "mode")}
        LoadBatchResultsOperator(task_id="load", stage_location=location, **given).execute({})
        rows = hook.get_records("SELECT CHURN FROM ML.PUBLIC.THEIR_SCORES ORDER BY ID")
    assert rows == [(0.5,), (1.5,), (2.5,)]


@pytest.mark.slow
def test_the_job_that_was_looked_after_is_gone(reports: dict[str, Any], connection: str) -> None:
    with SnowflakeBatchHook(connection) as hook:
        assert "ML.PUBLIC.NIGHTLY_SCORES" not in {job.name for job in hook.list_jobs("ML", "PUBLIC")}
