"""The quickstart's own Dag, as its page has it pasted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"


def block(text: str, language: str, part: str) -> str:
    """The page's only block in a language with this part in it."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (one,) = [each for each in found if part in each]
    return str(one)


@pytest.mark.slow
def test_the_page_runs_as_pasted(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, content in {
        "dags/nightly_scores.py": block(text, "python", "def nightly_scores"),
        "setup.sql": block(text, "sql", "CREATE STAGE"),
        "prepare.py": block(text, "python", "def prepare"),
    }.items():
        assert f"`{name}`" in text
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}

    with LocalServer(tmp_path / ".local-snowflake"):
        done = subprocess.run(
            ["bash", "-euc", block(text, "bash", "dags test")],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"BATCH_NIGHTLY_SCORES_SCORE_\w+ DONE @ML.PUBLIC.RESULTS/digits/", done.stdout + done.stderr)
