"""What readers of results take from a manifest, and what they make of one that is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_snowflake_batch.contract.manifest import ResultManifest, parse_result_manifest

FILE = {"name": "part-1.parquet", "rows": 3, "bytes": 9, "checksum": "sha256:0"}


def test_a_manifest_of_any_version_is_read() -> None:
    old = {"version": 1, "rows": 3, "files": [FILE], "schema": [], "warnings": ["w"]}

    assert parse_result_manifest(json.dumps(old)) == ResultManifest(3, ("part-1.parquet",), 0, ("w",))
    new = {**old, "attempt": "0a", "quarantined_rows": 2, "warnings": None}
    assert parse_result_manifest(json.dumps(new).encode()) == ResultManifest(3, ("part-1.parquet",), 2)


@pytest.mark.parametrize(
    "value",
    [
        "[]",
        "{",
        "[" * 100_000,
        {"files": []},
        {"rows": 1, "files": {}},
        {"rows": None, "files": []},
        {"rows": float("nan"), "files": []},
        {"rows": 1, "files": [3]},
        {"rows": 1, "files": [], "warnings": "w"},
        b"\xff",
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_manifest_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_result_manifest(json.dumps(value) if isinstance(value, dict) else value)
