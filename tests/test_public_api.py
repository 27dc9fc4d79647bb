"""What is public stays, and what the pages use is public."""

from __future__ import annotations

import ast
import inspect
import json
import re
from enum import Enum
from pathlib import Path

from tests.public_api import PACKAGE, ROOT, STORED, documented, signatures
from tests.typed_dag import dag as typed_dag

# Told of on a page of its own: what starts a local Snowflake from a script.
ELSEWHERE = {f"{PACKAGE}.local.server_process.LocalServer"}
PUBLIC = dict(documented())


def test_what_is_public_stays() -> None:
    """What is given up is told first: docs/versions.md."""
    now = signatures()
    broken = []
    for name, before in json.loads(STORED.read_text(encoding="utf-8")).items():
        if name not in now:
            broken.append(f"{name} is gone")
            continue
        parameters = set(now[name])
        broken += [f"{name} takes no {one}" for one in before if not {one, f"{one}?"} & parameters]
        known = {one.rstrip("?") for one in before}
        enum = inspect.isclass(PUBLIC[name]) and issubclass(PUBLIC[name], Enum)
        broken += [
            f"{name} needs {one}" for one in parameters if not enum and not one.endswith("?") and one not in known
        ]
    assert broken == []


def test_what_is_new_is_held_too() -> None:
    """What is not stored could go again unseen, and what nobody meant to be public is seen here first: it is not for
    docs/reference then. The rest is stored by ``python -m tests.public_api``."""
    before = json.loads(STORED.read_text(encoding="utf-8"))
    new = {name: [one for one in now if one not in before.get(name, ())] for name, now in signatures().items()}
    assert {name: parameters for name, parameters in new.items() if parameters or name not in before} == {}


def test_what_is_public_is_described() -> None:
    assert len(PUBLIC) > 100
    assert [name for name, value in PUBLIC.items() if not value.__doc__] == []


def imported_by_pages() -> list[str]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found: set[str] = set()
    for page in [*pages, *sorted((ROOT / "example_dags").glob("*.py"))]:
        text = page.read_text(encoding="utf-8")
        code = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if page.suffix == ".md" else [text]
        nodes = [node for each in code for node in ast.walk(ast.parse(each)) if isinstance(node, ast.ImportFrom)]
        # How to write a kind of model of one's own is a page of its own, too.
        if page.name != "extending.md":
            found |= {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
    return sorted(name for name in found if name.startswith(f"{PACKAGE}."))


def test_what_the_pages_and_examples_import_is_public() -> None:
    public = {id(value) for value in PUBLIC.values()}
    modules = {name.rpartition(".")[0] for name in PUBLIC}
    wrong = []
    for name in imported_by_pages():
        module, _, last = name.rpartition(".")
        value = getattr(__import__(module, fromlist=[last]), last)
        if id(value) not in public and name not in ELSEWHERE | modules:
            wrong.append(name)
    assert wrong == []


def test_the_page_tells_of_the_helper() -> None:
    page = Path(ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    assert "renamed_parameters" in page
    assert "SnowflakeBatchDeprecationWarning" in page


def test_a_dag_that_is_typed_is_parsed() -> None:
    """What `make lint` looks at is right when it runs, too: what tasks return reaches the operators."""
    upstream = {task.task_id: task.upstream_task_ids for task in typed_dag.tasks}
    assert upstream["score"] == {"query"}
    assert upstream["score_with_plain_values"] == {"location"}
    assert upstream["wait"] == {"location__1", "name"}
    assert upstream["verify"] == {"location__2", "rows", "rows__1"}
    assert upstream["load"] == {"location__3", "name__1"}
    assert upstream["cancel"] == {"name__2"}
    assert upstream["delete"] == {"name__3", "location__4"}
