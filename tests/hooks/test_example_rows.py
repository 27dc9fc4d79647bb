"""A few rows of a result file, read by the local Snowflake."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.log import mask_secret

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.example_rows import read_example_rows
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath

DIRECTORY = StagePath.parse("@EXAMPLE_ROWS/out/JOB/", field="stage_location")


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run("CREATE OR REPLACE STAGE EXAMPLE_ROWS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
        yield opened


def read(hook: SnowflakeBatchHook, columns: dict[str, Any], count: int = 3) -> dict[str, Any]:
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    hook.write_file(DIRECTORY.child("part-0.parquet"), content.getvalue())
    return read_example_rows(hook, DIRECTORY, "part-0.parquet", count)


def test_values_of_every_type_become_texts(hook: SnowflakeBatchHook) -> None:
    columns = {
        "ID": [1, None, 3],
        "not a number": [float("nan"), float("-inf"), 0.1],
        "price": [Decimal("1.10"), None, Decimal("-3.25")],
        "bytes": [b"\x00\xff", b"", None],
        "on": [date(2026, 1, 2), None, None],
        "at": [datetime(2026, 1, 2, 3, 4, 5), None, None],
        "vector": pa.array([[1.5, 2.0], None, []], pa.list_(pa.float32())),
        "parts": pa.array([{"a": 1}, None, {"a": None}]),
        "good": [True, None, False],
    }
    told = read(hook, columns)
    assert (told["columns"], told["columns_left_out"]) == (list(columns), 0)
    assert told["rows"] == [
        ["1", "NaN", "1.10", "00FF", "2026-01-02", "2026-01-02 03:04:05.000", "[1.5,2.0]", '{"a":1}', "true"],
        [None, "-inf", None, "", None, None, None, None, None],
        ["3", "0.1", "-3.25", None, None, None, "[]", '{"a":null}', "false"],
    ]
    assert len(read(hook, {"AT": [datetime(2026, 1, 2, tzinfo=UTC)] * 5}, count=2)["rows"]) == 2


def test_long_values_and_many_columns_are_cut(hook: SnowflakeBatchHook) -> None:
    long = {"TEXT": ["ü" * 100_000], "EXACT": ["x" * 100], "FLOATS": pa.array([[0.25] * 50_000])}
    told = read(hook, long | {f"C{number}": [number] for number in range(20)})
    assert [len(value) for value in told["rows"][0][:3]] == [100, 100, 100]
    assert [value[-1] for value in told["rows"][0][:3]] == ["…", "x", "…"]
    assert (told["columns"][9:11], told["columns"][-1]) == (["C6", "C10"], "C19")
    assert (len(told["columns"]), told["columns_left_out"], told["rows"][0][-1]) == (20, 3, "19")


def test_columns_whose_names_no_query_can_hold_are_left_out(hook: SnowflakeBatchHook) -> None:
    assert read(hook, {'a "b"': [1], "it's": [2], "$$": [3], "": [4]}) == {
        "columns": ["it's", "$$"],
        "rows": [["2", "3"]],
        "columns_left_out": 2,
    }
    assert read(hook, {'"': [1]}) == {"columns": [], "rows": [], "columns_left_out": 1}


def test_a_file_of_no_rows(hook: SnowflakeBatchHook) -> None:
    assert read(hook, {"A": pa.array([], pa.int64())}) == {"columns": ["A"], "rows": [], "columns_left_out": 0}


def test_only_the_one_file_is_read(hook: SnowflakeBatchHook) -> None:
    hook.write_file(DIRECTORY.child("part-1.parquet"), b"no Parquet file")
    assert read(hook, {"A": [1]})["rows"] == [["1"]]


def test_what_airflow_masks_is_masked(hook: SnowflakeBatchHook) -> None:
    mask_secret("correct-horse-battery")
    assert read(hook, {"A": ["a correct-horse-battery b"]})["rows"] == [["a *** b"]]
