"""The SQL and the commands of the README and of the documentation run, or it is said why one cannot."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_home import environment_without_settings
from tests.cli.command_lines import arguments, commands
from tests.container_jobs import container_job
from tests.models import log_linear_model

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("[CS]*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Blocks that are not run here, by what they begin with on which page, and why.
ELSEWHERE = "a test of its own runs it: "
PORT = "takes a fixed port of the machine; "
INDEX = "fetches from a package index; "
NOT_RUN = {
    "README.md: make demo": ELSEWHERE + "tests/example_dags/test_digits.py",
    "README.md: pip install -c constraints.txt .": INDEX + "tests/test_package.py holds the extras",
    "airflow.md: airflow roles add-perms": ELSEWHERE + "tests/monitoring/test_fab.py, in make test-fab",
    "clients.md: python -m scripts.clients_table": "needs other clients in environments of make test-others; there "
    "tests/local/clients/test_features.py tries each row, and tests/local/clients/test_table.py holds the page",
    "howto.md: airflow snowflake-batch local up": PORT + "tests/standalone/test_stack.py runs it on free ones",
    "lineage.md: pip install": INDEX + "tests/test_package.py holds the extra",
    "local.md: make local": PORT + "the next block is what it runs",
    "local.md: python -m airflow_provider_snowflake_batch.local --port 8085": PORT + "a test here takes a free one",
    "local.md: airflow snowflake-batch local up": PORT + "tests/standalone/test_stack.py runs it on free ones",
    "local.md: curl -H": "not every machine has curl; a test below sends its request",
    "quickstart.md: git clone": ELSEWHERE + "tests/example_dags/test_digits.py",
    "quickstart.md: python3 -m venv": INDEX + "tests/test_distribution.py installs the wheel",
    "quickstart.md: export AIRFLOW_HOME": ELSEWHERE + "tests/example_dags/test_quickstart.py",
    "worker-runtime.md: docker build": "needs Docker and an account's image registry; tests/test_package.py holds "
    "what the image installs",
    "worker.md: python -m benchmarks": "takes hours; a test below finds the scripts",
}


def blocks(*languages: str) -> list[tuple[str, str]]:
    """Blocks in some languages: where each stands with its first line, and its text."""
    return [
        (f"{page.name}: {match[2].splitlines()[0]}", match[2])
        for page in PAGES
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match[1] in languages
    ]


def reason(place: str) -> str | None:
    """Why a block is not run; None if it is."""
    return next((why for begin, why in NOT_RUN.items() if place.startswith(begin)), None)


BASH = blocks("bash", "sh", "console")
SQL = blocks("sql")


def test_every_block_says_its_language() -> None:
    """One without a language would be run by nobody."""
    known = {"bash", "diff", "json", "python", "sql", "text", "toml", ""}
    directives = re.compile(r"\{[\w-]+\}.*")
    languages = {match[1] for page in PAGES for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))}
    assert {language for language in languages - known if not directives.fullmatch(language)} == set()
    # What a shell runs is not hidden in a block without one.
    hidden = [place for place, _ in blocks("", "text") if re.search(r": (make|pip|python|airflow|export|snow) ", place)]
    assert hidden == []


def test_every_reason_is_of_a_block() -> None:
    places = [place for place, _ in BASH]
    assert [begin for begin in NOT_RUN if not any(place.startswith(begin) for place in places)] == []
    named = {path for why in NOT_RUN.values() for path in re.findall(r"tests/[\w/]+\.py", why)}
    assert {path for path in named if not (ROOT / path).is_file()} == set()


def test_scripts_and_targets_that_are_named_exist() -> None:
    text = "\n".join(text for _, text in BASH)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in re.findall(r"^make ([\w-]+)", text, re.MULTILINE):
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name
    found = {name: find_spec(name) for name in re.findall(r"\bpython -m ((?:benchmarks|scripts)[\w.]*)", text)}
    assert len(found) > 10
    assert [name for name, spec in found.items() if spec is None] == []


@pytest.mark.parametrize(("place", "text"), BASH, ids=[place for place, _ in BASH])
def test_bash_is_bash_with_commands_and_options_that_exist(place: str, text: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0 or "<this repository>" in text, checked.stderr
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("airflow snowflake-batch "):
            words = shlex.split(line, comments=True)
            name = max((one for one in commands() if words[2:][: one.count(" ") + 1] == one.split()), key=len)
            assert isinstance(arguments(name, *words[2 + name.count(" ") + 1 :]), argparse.Namespace)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A local Snowflake in the folder ``.local-snowflake``, as the pages name it."""
    with LocalServer(tmp_path_factory.mktemp("docs") / ".local-snowflake") as server:
        yield server


@pytest.fixture(scope="module")
def account(shop: LocalServer) -> LocalServer:
    """What the pages' names stand for: the objects of docs/setup.sql, a model, a job that has ended, results."""
    import pandas as pd

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", shop.airflow_connection_json)
        with SnowflakeBatchHook("snowflake_default") as hook:
            hook.run((ROOT / "docs" / "setup.sql").read_text(encoding="utf-8"), split_statements=True)
            hook.run(
                "CREATE DATABASE IF NOT EXISTS DB; CREATE SCHEMA IF NOT EXISTS DB.SCHEMA; "
                "CREATE STAGE IF NOT EXISTS DB.SCHEMA.RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                split_statements=True,
            )
            results = "@ML.BATCH.RESULTS/churn/BATCH_DAG_SCORE_1A2B3C4D"
            hook.write_file(f"{results}/0.parquet", pd.DataFrame({"ID": range(1000)}).to_parquet())
            hook.write_file(f"{results}/_SUCCESS", b"")
            job = container_job(hook, Identifier("AIRFLOW_POOL"), "python", "-c", "print('done')")
            job = replace(job, name=hook.qualify_name("BATCH_NIGHTLY_SCORES_SCORE_1A2B3C4D"))
            hook.wait(job.name, query_id=hook.submit(job))
    log_linear_model(shop, "ML.PUBLIC.CHURN")
    return shop


@pytest.fixture
def folder(account: LocalServer, tmp_path: Path) -> Path:
    """What the commands find: a job of three rows, the quickstart's Dag, and that server's folder."""
    import pandas as pd

    shop = account
    page = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "nightly_scores.py").write_text(next(m[2] for m in _BLOCK.finditer(page) if m[1] == "python"))
    (tmp_path / ".local-snowflake").symlink_to(shop.state_dir)
    (tmp_path / "input").mkdir()
    pd.DataFrame({"ID": [1, 2, 3]}).to_parquet(tmp_path / "input" / "rows.parquet")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "model.py").write_text("def score(rows):\n    return {'TWICE': (rows['ID'] * 2).to_numpy()}\n")
    job = {
        "version": 1,
        "job_name": "DB.SCHEMA.JOB",
        "input": {"path": "input"},
        "output": {"path": "OUTPUT_DIRECTORY", "mode": "overwrite"},
        "model": {"kind": "python", "target": "model:score", "python_path": ["code"]},
    }
    (tmp_path / "JOB.json").write_text(json.dumps(job))
    return tmp_path


RUN = [(place, text) for place, text in BASH if reason(place) is None]


@pytest.mark.parametrize(("place", "text"), RUN, ids=[place for place, _ in RUN])
def test_bash_runs(place: str, text: str, folder: Path, shop: LocalServer) -> None:
    environment = environment_without_settings() | {
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": shop.airflow_connection_json,
        "STATE": str(folder / "state"),
        "PYTHONPATH": str(ROOT),
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        assert process.wait(300) == 0, log.read_text()
    finally:
        # What a block leaves running in the background.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def test_the_request_that_curl_sends(shop: LocalServer) -> None:
    (text,) = [text for place, text in BASH if "curl" in place]
    words = iter(shlex.split(text.replace("\\\n", " ").replace("$SECRET", shop.airflow_connection["password"])))
    assert next(words) == "curl"
    options = {word: next(words) if word.startswith("-") else "" for word in words}
    (url,) = [word for word, value in options.items() if not value]
    header, _, value = options["-H"].partition(": ")
    address = url.replace(":8085", f":{shop.port}")
    request = urllib.request.Request(address, options["-d"].encode(), {header: value})
    with urllib.request.urlopen(request, timeout=60) as answer:
        added = json.load(answer)
    assert added.items() >= json.loads(options["-d"]).items()
    clear = urllib.request.Request(address, headers={header: value}, method="DELETE")
    with urllib.request.urlopen(clear, timeout=60) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(("place", "text"), SQL, ids=[place for place, _ in SQL])
def test_sql_runs(place: str, text: str, shop: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", shop.airflow_connection_json)
    SnowflakeBatchHook("snowflake_default").run(text, split_statements=True)
