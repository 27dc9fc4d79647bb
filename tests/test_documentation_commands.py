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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.cli.command_lines import arguments, commands

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("[CS]*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Blocks that are not run here, by what they begin with on which page, and why.
ACCOUNT = "needs an account, or objects of one"
ELSEWHERE = "a test of its own runs it: "
NOT_RUN = {
    "README.md: make demo": ELSEWHERE + "tests/example_dags/test_digits.py",
    "README.md: pip install -c constraints.txt .": "fetches from a package index; make's targets do it",
    "airflow.md: airflow roles add-perms": "needs Airflow's FAB provider",
    "clients.md: python -m scripts.clients_table": "needs environments with other clients; test-others makes them",
    "concepts.md: airflow snowflake-batch verify": ACCOUNT,
    "first-run.md: airflow snowflake-batch doctor": ACCOUNT,
    "howto.md: airflow snowflake-batch local up": ELSEWHERE + "tests/standalone/test_stack.py",
    "lineage.md: pip install": "fetches from a package index",
    "local.md: make local": "takes port 8085; the next block is what it runs",
    "local.md: python -m airflow_provider_snowflake_batch.local --port 8085": "another one takes a free port",
    "local.md: airflow snowflake-batch local up": ELSEWHERE + "tests/standalone/test_stack.py",
    "local.md: curl -H": "speaks to port 8085; tests/local/faults sends the same request",
    "quickstart.md: git clone": ELSEWHERE + "tests/example_dags/test_digits.py",
    "quickstart.md: python3 -m venv": "fetches from a package index; tests/test_distribution.py does",
    "quickstart.md: export AIRFLOW_HOME": ELSEWHERE + "tests/example_dags/test_quickstart.py",
    "terminal.md: airflow snowflake-batch list": "names a job; tests/cli/test_jobs.py has one",
    "versions.md: python -W error": "names a Dag of the reader's",
    "worker-runtime.md: docker build": "needs Docker and an account's image registry",
    "worker-runtime.md: airflow snowflake-batch clean-up": ACCOUNT,
    "worker.md: python -m benchmarks": "takes hours",
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


@pytest.fixture
def folder(shop: LocalServer, tmp_path: Path) -> Path:
    """What the commands find: a job of three rows, and that server's folder."""
    import pandas as pd

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
    environment = os.environ | {
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


@pytest.mark.parametrize(("place", "text"), SQL, ids=[place for place, _ in SQL])
def test_sql_runs(place: str, text: str, shop: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", shop.airflow_connection_json)
    SnowflakeBatchHook("snowflake_default").run(text, split_statements=True)
