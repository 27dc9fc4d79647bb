"""What lies in an output directory has its names from one module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_snowflake_batch
from airflow_provider_snowflake_batch.contract import output_layout

ROOT = Path(airflow_provider_snowflake_batch.__file__).parent
NAMES = {*output_layout.RECORDS, *output_layout.CLIENT_FOLDERS, output_layout.SUCCESS, output_layout.MANIFEST}
# Also where it is a part of something longer, such as a pattern or a message; _tasks and the like are common words.
TELLING = re.compile(f"{output_layout.SUCCESS}|{output_layout.MANIFEST}|{output_layout.STAGED_INPUT}")


def modules() -> list[Path]:
    return sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.name != "output_layout.py")


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Every text in a module but docstrings, and those beneath a constant that tell of it."""
    tree = ast.parse(source)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value


def retyped(source: str) -> list[str]:
    return [f"line {line}: {text!r}" for line, text in literals(source) if text in NAMES or TELLING.search(text)]


def test_nobody_types_a_name_again() -> None:
    found = {str(module): retyped((ROOT / module).read_text(encoding="utf-8")) for module in modules()}

    assert len(found) > 400
    assert {module: lines for module, lines in found.items() if lines} == {}


def test_a_name_that_is_typed_again_is_found() -> None:
    source = (
        '"""Of _SUCCESS."""\nA = "x"\n"""Of _manifest.json."""\nB = f"{A}/_SUCCESS"\nC = (A, "_tasks", "my_tasks")\n'
    )

    assert retyped(source) == ["line 4: '/_SUCCESS'", "line 5: '_tasks'"]


@pytest.mark.parametrize(
    ("path", "is_data"),
    [
        ("part-1.parquet", True),
        ("@s/r/J/data_0_0.snappy.parquet", True),
        ("_part.parquet", False),
        ("r/_x.parquet", False),
        ("_SUCCESS", False),
        ("_manifest.json", False),
        ("part-1.pq", False),
    ],
)
def test_data_files_are_told_by_their_names(path: str, is_data: bool) -> None:
    assert output_layout.is_data_file(path) is is_data
    assert bool(re.fullmatch(f"(.*/)?{output_layout.DATA_FILE_PATTERN}", path)) is is_data
