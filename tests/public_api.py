"""What docs/reference documents is public. ``python -m tests.public_api`` stores it anew in stored/public_api.json."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

PACKAGE = "airflow_provider_snowflake_batch"
ROOT = Path(__file__).parent.parent
STORED = Path(__file__).parent / "stored" / "public_api.json"
_DIRECTIVE = re.compile(r"^\.\. auto(module|class):: ([\w.]+)\n((?:   .*\n)*)", re.MULTILINE)


def documented() -> Iterator[tuple[str, Any]]:
    """Each documented class, function and constant: its dotted name, and the object.

    :raises AttributeError: there is no such name.
    """
    for page in sorted((ROOT / "docs" / "reference").glob("*.md")):
        module: Any = None
        for kind, name, options in _DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if kind == "class":
                path, _, last = name.rpartition(".")
                # Without a path it is of the module that the page has named last.
                home = importlib.import_module(path) if path else module
                yield f"{home.__name__}.{last}", getattr(home, last)
                continue
            module = importlib.import_module(name)
            listed = re.search(r":members: *(.*)", options)
            for member in re.split(r", *", listed[1]) if listed and listed[1] else _members(module):
                yield f"{name}.{member}", getattr(module, member)


def _members(module: Any) -> list[str]:
    """What Sphinx shows of a whole module: what ``__all__`` lists, or else what is defined there, with a docstring."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__ and value.__doc__
    ]


def signatures() -> dict[str, list[str]]:
    """Each public name with its parameters, an enum's with its members; ``?`` is one that need not be given."""
    return {name: parameters(value) for name, value in sorted(documented())}


def parameters(value: Any) -> list[str]:
    if inspect.isclass(value) and issubclass(value, Enum):
        return [each.name for each in value]
    if not callable(value) or (inspect.isclass(value) and not _has_own_parameters(value)):
        return []
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        each.name + ("" if each.default is each.empty else "?")
        for each in found
        if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    ]


def _has_own_parameters(cls: type) -> bool:
    """Whether this package says what a class is made of: what Airflow or Python says may be other in other versions."""
    maker = next(each for each in cls.__mro__ if "__init__" in vars(each))
    return maker.__module__.startswith(f"{PACKAGE}.") and not issubclass(cls, Exception)


if __name__ == "__main__":
    STORED.write_text(json.dumps(signatures(), indent=1) + "\n", encoding="utf-8")
