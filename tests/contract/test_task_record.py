"""A task record comes back as it was written, whoever wrote it.

Also tests ``contract/part_file.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord, parse_record

RECORD = TaskRecord(
    task=1,
    fingerprint="f",
    part=PartFile("part-1.parquet", 10, 100, "sha256:00"),
    input_rows=12,
    seconds=0.5,
    schema="00",
    warnings=("w",),
    quarantine=PartFile("1.pq", 2, 9, "sha256:01"),
    attempt="0a",
    passed=("ID",),
)


def test_a_record_comes_back_as_it_was_written() -> None:
    read = parse_record(RECORD.to_json())

    assert read == RECORD
    assert read.quarantined_rows == 2


@pytest.mark.parametrize("state", ["finished", "killed"])
def test_records_of_version_0_1_are_read(state: str) -> None:
    (path,) = (Path(__file__).parents[1] / f"stored/0.1/{state}/results/_tasks").iterdir()

    record = parse_record(path.read_text())

    assert record is not None
    assert (record.attempt, record.model, record.passed) == (None, None, None)


@pytest.mark.parametrize("field", ["input_rows", "seconds", "fingerprint", "warnings", "part"])
def test_a_field_of_another_kind_makes_no_record(field: str) -> None:
    assert parse_record(json.dumps({**json.loads(RECORD.to_json()), field: {}})) is None
