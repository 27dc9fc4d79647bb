"""What is wrong with a directory, by its manifest and its list of files."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.contract.manifest import Column, Manifest, parse_manifest
from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.contract.result_faults import (
    listed_files,
    manifest_faults,
    may_be_results,
    size_faults,
)

ONE, TWO = PartFile("part-1.parquet", 3, 9, "sha256:0"), PartFile("part-2.parquet", 2, 8, "sha256:1")
BAD = PartFile("1.pq", 1, 7, "sha256:2")
SIZES = {"part-1.parquet": 9, "part-2.parquet": 8, "_quarantine/1.pq": 7, "_manifest.json": 99, "_SUCCESS": 0}


def manifest(**changes: Any) -> Any:
    given = {"rows": 5, "files": [ONE, TWO], "quarantine": [BAD]} | changes
    written = Manifest("J", "f", "i", schema=[Column("ID", "int64", True)], seconds=1.0, **given)
    return parse_manifest(written.to_json())


def test_a_directory_that_is_what_its_manifest_says() -> None:
    assert [path for path, _ in listed_files(manifest())] == ["part-1.parquet", "part-2.parquet", "_quarantine/1.pq"]
    assert manifest_faults(manifest(), SIZES) == []
    assert size_faults(manifest(), SIZES) == []


@pytest.mark.parametrize(
    ("changes", "sizes", "fault"),
    [
        ({}, {"part-3.parquet": 1}, "part-3.parquet is not in the manifest"),
        ({}, {"day=1/part-1.parquet": 9}, "day=1/part-1.parquet is not in the manifest"),
        ({}, {"_quarantine/2.pq": 1}, "_quarantine/2.pq is not in the manifest"),
        ({"files": [ONE, ONE, TWO], "rows": 8}, {}, "part-1.parquet is in the manifest twice"),
        ({"rows": 6}, {}, "the manifest states 6 rows, its files 5"),
        ({}, {"part-2.parquet": None}, "part-2.parquet is missing"),
        ({}, {"_quarantine/1.pq": None}, "_quarantine/1.pq is missing"),
        ({}, {"part-1.parquet": 4}, "part-1.parquet has 4 bytes, not 9"),
    ],
)
def test_each_fault_is_told(changes: dict[str, Any], sizes: dict[str, int | None], fault: str) -> None:
    found = {path: size for path, size in (SIZES | sizes).items() if size is not None}
    assert manifest_faults(manifest(**changes), found) + size_faults(manifest(**changes), found) == [fault]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.parquet", True),
        ("a", True),
        ("_hidden.parquet", True),
        ("_SUCCESS", False),
        ("_manifest.json", False),
        ("_tasks/1.json", False),
        ("_tasks/a.parquet", False),
        ("_replicas/a-0", False),
        ("_snowflake_temporary/JOB/1/a.parquet", False),
        ("x/_tasks/a.parquet", True),
    ],
)
def test_which_files_a_reader_may_take_for_results(path: str, expected: bool) -> None:
    assert may_be_results(path) is expected
