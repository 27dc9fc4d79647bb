"""What a finished job says that it has written: ``_manifest.json``, as far as readers of results need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ResultManifest:
    """A manifest.

    :param rows: rows of the results.
    :param files: the names of their files, beside which nothing is data; None if the manifest does not list them.
    :param quarantined_rows: rows that failed and were put aside. :param warnings: sentences worth reading.
    """

    rows: int
    files: tuple[str, ...] | None
    quarantined_rows: int = 0
    warnings: tuple[str, ...] = ()


def parse_result_manifest(text: str | bytes) -> ResultManifest:
    """Read a manifest of any version of the worker.

    :raises ValueError: it is none.
    """
    try:
        value: Any = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    files, warnings = value.get("files"), value.get("warnings") or []
    names = None if files is None else _names(files)
    rows, bad_rows = value.get("rows"), value.get("quarantined_rows") or 0
    for number in (rows, bad_rows):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ValueError(f"{str(number)[:40]} is no number of rows")
    if not isinstance(warnings, list):
        raise ValueError("its warnings are no list")
    return ResultManifest(int(rows or 0), names, bad_rows, tuple(map(str, warnings)))


def _names(files: Any) -> tuple[str, ...]:
    names = [one.get("name") if isinstance(one, dict) else None for one in files] if isinstance(files, list) else [None]
    found = tuple(name for name in names if isinstance(name, str))
    if len(found) < len(names):
        raise ValueError("it lists no files")
    return found
