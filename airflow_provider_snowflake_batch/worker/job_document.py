"""The text of a job file: JSON, and nothing that Python takes for it besides."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.worker.errors import Refused

# Far more than params have; it is given to other processes in ways that end at some hundreds.
DEEPEST = 100


def load_document(path: Path) -> Any:
    """Read a job file.

    :raises Refused: it cannot be read, is not UTF-8 or not JSON: NaN, infinities and keys that come twice are not.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise Refused(f"cannot read the job file {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise Refused(f"the job file {str(path)!r} is not UTF-8: {error}") from None
    try:
        document = json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object)
    except RecursionError:
        raise Refused(f"{path} is nested too deeply") from None
    except ValueError as error:
        raise Refused(f"{path} is not JSON: {error}") from None
    if _depth(document) > DEEPEST:
        raise Refused(f"{path} is nested too deeply")
    return document


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
