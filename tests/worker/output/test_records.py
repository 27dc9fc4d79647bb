"""Records: older and newer ones are read, everything else is told from them.

Also tests ``worker/output/verify.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.contract import task_record
from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.errors import OutputError
from airflow_provider_snowflake_batch.worker.output.records import encode_schema, parse_record
from airflow_provider_snowflake_batch.worker.output.verify import verify

PART = PartFile("part-0123456789ab-000001.0a0b0c0d.parquet", 10, 100, "sha256:00")
RECORD = TaskRecord(
    task=1,
    fingerprint="f" * 64,
    part=PART,
    input_rows=10,
    seconds=0.5,
    schema=encode_schema(pa.schema([("ID", pa.int64())])),
    warnings=("w",),
    attempt="0a0b0c0d",
    model="sha256:11",
    input="sha256:22",
    seen="33",
)
# As version 0.1 wrote it.
OLD: dict[str, Any] = {
    "task": 1,
    "fingerprint": "f" * 64,
    "part": {"name": "part-0123456789ab-000001.parquet", "rows": 10, "bytes": 100, "checksum": "sha256:00"},
    "input_rows": 10,
    "seconds": 0.5,
    "schema": RECORD.schema,
    "warnings": ["w"],
    "quarantine": None,
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_a_record_comes_back_as_it_was_written() -> None:
    assert parse_record(RECORD.to_json()) == RECORD


def test_records_of_older_and_newer_versions_are_read() -> None:
    old = parse_record(json.dumps(OLD))
    assert old is not None
    assert (old.part, old.attempt, old.model, old.input) == (PartFile(**OLD["part"]), None, None, None)
    assert parse_record(json.dumps({**json.loads(RECORD.to_json()), "colour": "red"})) == RECORD


@given(field=st.sampled_from(sorted(OLD)), value=json_values)
def test_a_record_with_anything_in_a_field_is_read_or_does_not_count(field: str, value: Any) -> None:
    record = parse_record(json.dumps({**OLD, field: value}))

    assert record is None or json.loads(record.to_json())[field] == value


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "3", "{", "{}", "[" * 100_000, '{"part": []}', json.dumps({**OLD, "part": {"name": "a/b"}})],
    ids=lambda text: text[:12],
)
def test_what_is_no_record_does_not_count(text: str) -> None:
    assert parse_record(text) is None


def test_a_schema_that_arrow_cannot_read_makes_no_record() -> None:
    assert task_record.parse_record(json.dumps({**OLD, "schema": "00"})) is not None
    assert parse_record(json.dumps({**OLD, "schema": "00"})) is None


@pytest.mark.parametrize("content", [b"\xff", b"[]"], ids=["not UTF-8", "no object"])
def test_a_manifest_that_is_none_is_told_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "_manifest.json").write_bytes(content)
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(OutputError, match="is not a manifest that can be read"):
        verify(tmp_path)
