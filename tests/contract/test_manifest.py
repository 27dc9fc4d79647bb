"""A manifest comes back as it was written; what is none is told in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.contract.manifest import (
    Column,
    Manifest,
    ResultManifest,
    parse_manifest,
    parse_result_manifest,
)
from airflow_provider_snowflake_batch.contract.part_file import PartFile

FILE = {"name": "part-1.parquet", "rows": 3, "bytes": 9, "checksum": "sha256:0"}


def test_a_manifest_of_any_version_is_read() -> None:
    old = {"version": 1, "rows": 3, "files": [FILE], "schema": [], "warnings": ["w"]}

    assert parse_result_manifest(json.dumps(old)) == ResultManifest(3, ("part-1.parquet",), 0, ("w",), bytes=9)
    new = {**old, "attempt": "0a", "quarantined_rows": 2, "warnings": None}
    assert parse_result_manifest(json.dumps(new).encode()) == ResultManifest(3, ("part-1.parquet",), 2, bytes=9)


@pytest.mark.parametrize(
    ("told", "size", "columns"),
    [
        ({"files": [FILE, FILE], "schema": [{"name": "ID", "type": "int64"}]}, 18, (("ID", "int64"),)),
        ({"files": []}, 0, None),
        ({"files": [{"name": "x"}], "schema": [{"name": "ID"}]}, None, None),
        ({"files": [FILE | {"bytes": True}], "schema": [["ID", "int64"]]}, None, None),
        ({"schema": {"ID": "int64"}}, None, None),
    ],
)
def test_size_and_columns_are_told_where_all_of_them_are(
    told: dict[str, Any], size: int | None, columns: tuple[tuple[str, str], ...] | None
) -> None:
    found = parse_result_manifest(json.dumps({"rows": 3, **told}))
    assert (found.bytes, found.columns) == (size, columns)


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
        {"rows": 1, "files": [], "original_types": ["DATE"]},
        {"rows": 1, "files": [], "original_types": {"A": 1}},
        b"\xff",
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_manifest_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_result_manifest(json.dumps(value) if isinstance(value, dict) else value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "it holds a list and no object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"version": 7}', "manifest version 7 is not supported"),
        ('{"version": 1, "files": {}}', "its 'files' is no list"),
        ('{"version": 1, "files": [[]], "schema": [], "rows": 1}', "does not describe a file"),
        ('{"version": 1, "files": [], "schema": [{"name": 1}], "rows": 1}', "does not describe a column"),
        ('{"version": 1, "files": [], "schema": [], "rows": NaN}', "is no number of rows"),
        (json.dumps({"version": 1, "files": [{**FILE, "name": "../x"}], "rows": 1, "schema": []}), "a file"),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_manifest_of_this_version_is_told_in_words(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_manifest(text)


def test_a_manifest_comes_back_as_it_was_written() -> None:
    file, aside = PartFile("part-1.parquet", 3, 9, "sha256:0"), PartFile("1.pq", 2, 5, "sha256:1")
    written = Manifest(
        job_name="J",
        fingerprint="f",
        input_fingerprint="i",
        rows=3,
        files=[file],
        schema=[Column("ID", "int64", True)],
        seconds=1.23456,
        warnings=["w"],
        quarantine=[aside],
        attempt="0a",
        model="sha256:2",
        rows_reused=1,
    )

    stored = parse_manifest(written.to_json())

    assert (stored.rows, stored.files, stored.quarantine) == (3, (file,), (aside,))
    assert (stored.quarantined_rows, stored.schema) == (2, {"ID": "int64"})
    assert (stored.fingerprint, stored.attempt, stored.document["seconds"]) == ("f", "0a", 1.235)
    assert parse_result_manifest(written.to_json()) == ResultManifest(
        3, ("part-1.parquet",), 2, ("w",), 1, "J", bytes=9, columns=(("ID", "int64"),)
    )


def test_a_manifest_of_version_0_1_is_read() -> None:
    text = (Path(__file__).parents[1] / "stored/0.1/finished/results/_manifest.json").read_text()

    assert parse_manifest(text).rows == parse_result_manifest(text).rows == 10


def test_a_manifest_tells_the_types_that_columns_had_where_there_are_any() -> None:
    plain = Manifest("J", "f", "i", 0, [], [], 1.0)
    assert "original_types" not in json.loads(plain.to_json())
    with_types = replace(plain, original_types={"AT": "TIMESTAMP_TZ(9)"})
    assert parse_result_manifest(with_types.to_json()).original_types == {"AT": "TIMESTAMP_TZ(9)"}
    assert parse_manifest(with_types.to_json()).rows == 0
