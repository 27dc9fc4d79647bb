"""What is kept of a job's results for its page, and what is taken from an XCom that anybody may have written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.example_rows import (
    MOST_EXAMPLE_BYTES,
    check_example_rows,
    example_columns,
    no_example_rows,
    readable_example_rows,
    told_example_rows,
)


def test_rows_are_few_and_short() -> None:
    told = told_example_rows([f"COLUMN_{number}" for number in range(25)], [["x" * 101] * 25] * 12, columns_left_out=2)
    assert (len(told["rows"]), len(told["columns"]), told["columns_left_out"]) == (8, 20, 7)
    assert {len(row) for row in told["rows"]} == {20}
    assert told["rows"][0][0] == "x" * 99 + "…"
    assert told_example_rows(["A"], [["x" * 100]])["rows"] == [["x" * 100]]
    assert len(told_example_rows(["A"], [["x"]] * 12)["rows"]) == 10


def test_of_many_columns_the_first_and_the_last_are_kept() -> None:
    assert example_columns(range(20)) == list(range(20))
    assert example_columns(range(21)) == [*range(10), *range(11, 21)]
    assert example_columns([]) == []


@pytest.mark.parametrize("character", ["x", "ü", "€", "🙂", "\ud800"])
def test_of_any_characters_no_more_bytes_are_kept_than_it_says(character: str) -> None:
    told = told_example_rows(["A"] * 20, [[character * 500] * 20] * 10)
    kept = sum(len(value.encode("utf-8", "replace")) for row in told["rows"] for value in row)
    assert 0 < kept <= MOST_EXAMPLE_BYTES


TOLD = {"columns": ["ID", "<b>"], "rows": [["1", None]], "columns_left_out": 3}
STORED: dict[str, Any] = {"job_name": "D.S.J", **TOLD}


def test_rows_that_were_kept_are_read() -> None:
    assert told_example_rows(TOLD["columns"], TOLD["rows"], columns_left_out=3) == TOLD  # type: ignore[arg-type]
    assert readable_example_rows(STORED, "D.S.J") == TOLD | {"no_rows": None}
    nothing = {"columns": [], "rows": [], "columns_left_out": 0, "no_rows": "no warehouse"}
    assert readable_example_rows({"job_name": "D.S.J", **no_example_rows("no warehouse")}, "D.S.J") == nothing


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "rows",
        ["rows"],
        {},
        STORED | {"job_name": "D.S.ANOTHER"},
        STORED | {"columns": None},
        STORED | {"columns": ["ID", None]},
        STORED | {"columns": ["ID", 3]},
        STORED | {"rows": None},
        STORED | {"rows": {"a": ["1", "2"]}},
        STORED | {"rows": [["1"]]},
        STORED | {"rows": [["1", 2]]},
        STORED | {"rows": ["12"]},
    ],
)
def test_what_are_no_rows_of_the_job_is_not_shown(stored: Any) -> None:
    assert readable_example_rows(stored, "D.S.J") is None


def test_what_is_shown_is_as_short_as_what_is_kept_and_can_be_sent() -> None:
    stored = STORED | {"rows": [["\ud800" + "x" * 500, "a\0b"]] * 50, "columns_left_out": 10**400}
    shown = readable_example_rows(stored, "D.S.J")
    assert shown is not None
    assert (len(shown["rows"]), len(shown["rows"][0][0]), shown["columns_left_out"]) == (10, 100, 0)
    json.dumps(shown, ensure_ascii=False, allow_nan=False).encode()
    why = readable_example_rows({"job_name": "D.S.J", "no_rows": "w" * 5_000}, "D.S.J")
    assert why is not None
    assert len(why["no_rows"]) == 1_000


@pytest.mark.parametrize("count", [-1, 11, 1.0, True, "3", None, 10**400])
def test_what_is_no_number_of_rows(count: object) -> None:
    with pytest.raises(InvalidJobError, match="^example_rows: expected a whole number from 0 to 10, got "):
        check_example_rows(count)
    check_example_rows(0)
    check_example_rows(10)
