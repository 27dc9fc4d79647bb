"""JSON documents that somebody else may have written."""

from __future__ import annotations

import json
import math
from typing import Any

# Params are never nested this deeply. Some of the ways in which a job gets to other processes fail at some hundreds.
DEEPEST = 100


def load(text: str | bytes) -> Any:
    """A JSON document.

    :raises ValueError: it is none, or nested too deeply to be one of ours.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def load_strictly(text: str) -> Any:
    """A JSON document. What Python reads besides is refused: NaN, infinity, a key that comes twice.

    :raises ValueError: it is none, in words that follow the file's name.
    """
    try:
        document = json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    if _depth(document) > DEEPEST:
        raise ValueError("is nested too deeply")
    return document


def is_count(value: Any) -> bool:
    """Whether this is a number of rows or bytes, as 64 bits hold it."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _depth(document: Any) -> int:
    depth, level = 0, [document]
    while level:
        depth += 1
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
        ]
    return depth


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"{text[:40]} is larger than any floating-point number")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice[:80]!r} twice")
    return value
