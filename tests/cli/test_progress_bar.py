"""Bars of ``airflow snowflake-batch …``: for who sits at a terminal, and nobody else.

Each command is a process, at a terminal of its own.
"""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.compute_pools import hook_with_pool
from tests.container_jobs import container_job
from tests.worker.batches import Batch

LOCATION = "@PROGRESS_BAR/out/JOB"
FILES = 3
# What hides the cursor, which a bar does and a table does not.
HIDE_CURSOR = "\x1b[?25l"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass(frozen=True)
class Ended:
    """A command at a terminal: its exit code, what the terminal got, and that without colours and moves."""

    code: int
    shown: str

    @property
    def text(self) -> str:
        return _CONTROL.sub("", self.shown)


@dataclass(frozen=True)
class Shell:
    """Runs commands of Airflow."""

    environment: dict[str, str]

    def at_a_terminal(self, *words: str, answer_elsewhere: bool = False) -> Ended:
        """:param answer_elsewhere: standard output is no terminal, standard error is."""
        ours, theirs = pty.openpty()
        shown = bytearray()

        def read() -> None:
            # Linux answers with an error when the last of its users has closed it.
            with suppress(OSError):
                while piece := os.read(ours, 65536):
                    shown.extend(piece)

        reader = threading.Thread(target=read)
        with subprocess.Popen(
            [sys.executable, "-m", "airflow", "snowflake-batch", *words],
            env=self.environment | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
            stdin=theirs, stdout=subprocess.DEVNULL if answer_elsewhere else theirs, stderr=theirs,
        ) as process:  # fmt: skip
            os.close(theirs)
            reader.start()
            process.wait(180)
            reader.join()
        os.close(ours)
        return Ended(process.returncode, shown.decode(errors="replace"))

    def piped(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "airflow", "snowflake-batch", *words],
            env=self.environment, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip


@pytest.fixture
def shell(local_server: LocalServer, tmp_path: Path) -> Shell:
    settings = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return Shell(
        settings
        | {
            "AIRFLOW_HOME": str(tmp_path / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": local_server.airflow_connection_json,
        }
    )


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, Identifier("PROGRESS_BAR"), nodes=1) as opened:
        yield opened


@pytest.fixture
def results(hook: SnowflakeBatchHook) -> str:
    hook.run("CREATE OR REPLACE STAGE PROGRESS_BAR ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
    for number in range(FILES):
        content = io.BytesIO()
        pq.write_table(pa.table({"ID": [number]}), content)
        hook.write_file(f"{LOCATION}/part-{number}.parquet", content.getvalue())
    hook.write_file(f"{LOCATION}/_SUCCESS", b"")
    return LOCATION


def test_verify_counts_files_at_a_terminal(shell: Shell, results: str) -> None:
    ended = shell.at_a_terminal("verify", results, "--contents")
    assert ended.code == 0, ended.text
    assert HIDE_CURSOR in ended.shown
    assert f"{FILES} of {FILES}" in ended.text


def test_there_is_none_for_programs(shell: Shell, results: str) -> None:
    verify = ("verify", results, "--contents")
    ended = shell.at_a_terminal(*verify, "--output", "json")
    assert (ended.code, HIDE_CURSOR in ended.shown) == (0, False), ended.text
    assert f'"files": "{FILES}"' in ended.text
    # Who sees what goes wrong at a terminal, and reads the answer from a file.
    ended = shell.at_a_terminal(*verify, answer_elsewhere=True)
    assert (ended.code, HIDE_CURSOR in ended.shown) == (0, False), ended.text
    done = shell.piped(*verify)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert " of " not in done.stderr


def test_a_log_that_is_followed_stands_above_the_bar(shell: Shell, hook: SnowflakeBatchHook) -> None:
    progress = {"replica": 0, "phase": "running", "rows_done": 1200, "rows_total": 3000}
    long = "x" * 200
    words = (
        f"print('begins [b] :warning:'); print('{long}'); print('SNOWFLAKE_BATCH_PROGRESS ' + {json.dumps(progress)!r})"
    )
    job = container_job(hook, Identifier("PROGRESS_BAR"), "python", "-c", words)
    hook.wait(job.name, query_id=hook.submit(job))
    ended = shell.at_a_terminal("logs", str(job.name), "--follow")
    hook.delete(job.name)
    assert ended.code == 0, ended.text
    assert "begins [b] :warning:" in ended.text
    # Whole, so that it can be copied: the terminal folds it.
    assert long in ended.text
    assert "1,200 of 3,000" in ended.text
    assert f"Job {job.name} is DONE" in ended.text


def test_plan_shows_that_it_is_at_work(shell: Shell, tmp_path: Path) -> None:
    batch = Batch(tmp_path)
    batch.ids(300)
    job = str(batch.job())
    ended = shell.at_a_terminal("plan", job, "--seconds", "2")
    assert ended.code == 0, ended.text
    assert "Scoring a sample" in ended.text
    assert "300 rows in 1 tasks;" in ended.text
    done = shell.piped("plan", job, "--seconds", "2", "-o", "json")
    assert json.loads(done.stdout)["rows"] == 300
    assert "Scoring a sample" not in done.stderr


def test_what_is_wrong_is_told_beside_the_bar(shell: Shell, tmp_path: Path) -> None:
    ended = shell.at_a_terminal("plan", str(tmp_path / "none.json"))
    assert ended.code == 2
    assert "cannot read the job file" in ended.text
