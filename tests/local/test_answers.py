"""Whatever registers for a statement or function is answered by the server."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from snowflake.connector import SnowflakeConnection

import airflow_provider_snowflake_batch.local
from airflow_provider_snowflake_batch.local import answers

ROOT = Path(airflow_provider_snowflake_batch.local.__path__[0])
REGISTERING = {
    "statement",
    "scalar_function",
    "expression_function",
    "table_function",
    "method",
    "information_schema_view",
}


def registers(path: Path) -> bool:
    """Whether a module imports one of the decorators, which nothing else is for."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        alias.name in REGISTERING
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith((".statements", ".functions"))
        for alias in node.names
    )


def test_every_module_that_registers_is_listed() -> None:
    registering = {path for path in ROOT.rglob("*.py") if registers(path)}
    listed = {Path(module.__file__ or "") for module in answers.MODULES}
    assert registering == listed, "a module that answers statements belongs into local/answers.py"


@pytest.mark.parametrize(
    "kind",
    [
        "COMPUTE POOL", "DATABASE", "FILE FORMAT", "IMAGE REPOSITORY", "MODEL", "ROLE", "SCHEMA", "SEQUENCE", "SERVICE",
        "STAGE", "STREAM", "TABLE", "TASK", "VIEW", "WAREHOUSE",
    ],
)  # fmt: skip
def test_nothing_to_drop_is_said_the_same_way_for_every_kind(connection: SnowflakeConnection, kind: str) -> None:
    rows = connection.cursor().execute(f"DROP {kind} IF EXISTS nobody").fetchall()  # type: ignore[union-attr]
    assert rows == [("Drop statement executed successfully (NOBODY already dropped).",)]
