"""A few rows of a job's results, which its page shows if the task asks for them: an XCom of its own, written once.

Rows are data of users, and whoever may read the task's XComs can read them. So none are kept unless the task asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.json_values import json_value

_T = TypeVar("_T")

EXAMPLE_ROWS_KEY = "snowflake_batch_example_rows"

MOST_EXAMPLE_ROWS = 10
MOST_EXAMPLE_COLUMNS = 20
LONGEST_EXAMPLE = 100
"""Characters of a value that are kept."""
MOST_EXAMPLE_BYTES = 16 * 1024
"""Of the values together, in UTF-8. Rows that do not fit in are left out."""
_LONGEST_REASON = 1_000


def check_example_rows(count: object) -> None:
    """:raises InvalidJobError: if it is no number of rows, or more than :data:`MOST_EXAMPLE_ROWS`."""
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MOST_EXAMPLE_ROWS:
        raise InvalidJobError(
            "example_rows", f"expected a whole number from 0 to {MOST_EXAMPLE_ROWS}, got {str(count)[:40]!r}."
        )


def example_columns(columns: Sequence[_T]) -> list[_T]:
    """Those of many columns of which values are kept: the first, which tell what a row is, and the last, which are the
    model's."""
    if len(columns) <= MOST_EXAMPLE_COLUMNS:
        return list(columns)
    first = MOST_EXAMPLE_COLUMNS // 2
    return [*columns[:first], *columns[first - MOST_EXAMPLE_COLUMNS :]]


def told_example_rows(
    columns: Sequence[str], rows: Sequence[Sequence[str | None]], *, columns_left_out: int = 0
) -> dict[str, Any]:
    """What is kept of rows: ``columns``, ``rows``, ``columns_left_out``.

    :param rows: a value for each column, as text; None for NULL.
    :param columns_left_out: columns that the results have beside these.
    """
    told: list[list[str | None]] = []
    room = MOST_EXAMPLE_BYTES
    for row in rows[:MOST_EXAMPLE_ROWS]:
        short = [None if value is None else _short(value) for value in row[:MOST_EXAMPLE_COLUMNS]]
        room -= sum(len(value.encode("utf-8", "replace")) for value in short if value is not None)
        if room < 0:
            break
        told.append(short)
    return {
        "columns": [_short(name) for name in columns[:MOST_EXAMPLE_COLUMNS]],
        "rows": told,
        "columns_left_out": columns_left_out + max(len(columns) - MOST_EXAMPLE_COLUMNS, 0),
    }


def readable_example_rows(stored: Any, job_name: str | None) -> dict[str, Any] | None:
    """Rows as they were stored, or None for what is none: the XCom is open to everybody.

    :param job_name: of the job that is shown; rows of another one are none of its.
    :returns: ``columns``, ``rows``, ``columns_left_out``, and ``no_rows``, why there are none.
    """
    if not isinstance(stored, Mapping) or stored.get("job_name") != job_name:
        return None
    why, columns, rows, left_out = (stored.get(name) for name in ("no_rows", "columns", "rows", "columns_left_out"))
    if isinstance(why, str):
        return _sendable(told_example_rows([], []) | no_example_rows(why))
    if not _is_row(columns) or not isinstance(rows, list):
        return None
    names = [name for name in columns if name is not None]
    if not all(_is_row(row) and len(row) == len(names) == len(columns) for row in rows):
        return None
    known = left_out if type(left_out) is int and 0 <= left_out < 2**31 else 0
    return _sendable(told_example_rows(names, rows, columns_left_out=known) | {"no_rows": None})


def _sendable(told: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = json_value(told)
    return values


def no_example_rows(why: str) -> dict[str, Any]:
    """What is kept where rows were asked for and there are none.

    :param why: one sentence or more.
    """
    return {"no_rows": why[:_LONGEST_REASON]}


def _is_row(values: Any) -> TypeGuard[list[str | None]]:
    return isinstance(values, list) and all(isinstance(each, (str, type(None))) for each in values)


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_EXAMPLE else f"{value[: LONGEST_EXAMPLE - 1]}…"
