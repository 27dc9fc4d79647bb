"""The recipe for a statement in docs/extending.md, done to a copy of the package."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import snowflake.connector

import airflow_provider_snowflake_batch
from airflow_provider_snowflake_batch.local.server_process import LocalServer

PACKAGE = Path(airflow_provider_snowflake_batch.__path__[0])
PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_one_file_makes_a_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (section,) = re.findall(
        r"^## A statement of the local Snowflake\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    code, test = _BLOCK.findall(section)
    (file,) = re.findall(r"`(local/[\w/]+\.py)`:\n", section)
    copied = tmp_path / "copy"
    shutil.copytree(PACKAGE, copied / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    with (copied / PACKAGE.name / file).open("a", encoding="utf-8") as module:
        module.write(f"\n\n{code}")
    # The server is started with -m, which looks into the current folder first.
    monkeypatch.chdir(copied)
    names: dict[str, object] = {}
    exec(compile(test, str(PAGE), "exec"), names)
    (run,) = (names[name] for name in names if name.startswith("test_"))
    with (
        LocalServer(tmp_path / "state") as server,
        snowflake.connector.connect(**server.connection_kwargs) as connection,
    ):
        run(connection)  # type: ignore[operator]
