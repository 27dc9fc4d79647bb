"""The quickstart's own Dag, as its page has it pasted into a directory with a ``.venv``."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from airflow_provider_snowflake_batch.local.server_process import LocalServer

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"


def block(language: str, part: str) -> str:
    """The page's only block in a language with this part in it."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (one,) = [each for each in found if part in each]
    return str(one)


def run_page(directory: Path) -> None:
    """Write the page's files and run its commands; the job must be done in the end."""
    for name, content in {
        "dags/nightly_scores.py": block("python", "def nightly_scores"),
        "setup.sql": block("sql", "CREATE STAGE"),
        "prepare.py": block("python", "def prepare"),
    }.items():
        assert f"`{name}`" in PAGE.read_text(encoding="utf-8")
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(content, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHONPATH"))}

    with LocalServer(directory / ".local-snowflake"):
        done = subprocess.run(
            ["bash", "-euc", block("bash", "dags test")],
            cwd=directory, env=environment, capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"BATCH_NIGHTLY_SCORES_SCORE_\w+ DONE @ML.PUBLIC.RESULTS/digits/", done.stdout + done.stderr)
