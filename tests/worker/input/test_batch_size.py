"""The automatic batch size against models whose cost is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.executors.processes import STOP_SECONDS
from airflow_provider_snowflake_batch.worker.input.batch_size import (
    LONG_SECONDS,
    LONG_SECONDS_SORTED,
    MOST_BYTES,
    MOST_ROWS,
    PATIENCE,
    BatchSize,
)


def settle(cost: Callable[[int], float], width: float = 8.0, *, reads_files: bool = False, sorts: bool = False) -> int:
    size = BatchSize(None, reads_files=reads_files, sorts=sorts)
    for _ in range(200):
        rows = size.rows(width)
        size.called(rows, cost(rows))
    return size.rows(width)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (lambda rows: 1e-6 * rows, MOST_ROWS),  # fast: as large as it gets
        (lambda rows: 0.05 + 1e-5 * rows, MOST_ROWS),  # a fixed cost that is worth spreading
        (lambda rows: 1.0 * rows, 2),  # slow and even: no use in making anybody wait
        (lambda rows: 1e-2 * rows, 128),
        (lambda rows: 1.2, MOST_ROWS),  # waits for something else, however many rows there are
        (lambda rows: 30.0, MOST_ROWS),
        (lambda rows: 5.0 + 1e-3 * rows, 8192),  # longer calls only as far as their fixed cost explains it
        (lambda rows: 1e-3 * rows, 256),  # even: nothing to gain
        (lambda rows: 0.5 + 1e-4 * rows, 16_384),  # larger is faster, but calls stay short
        (lambda rows: 0.002 + (1e-5 if rows <= 2048 else 3e-5) * rows, 2048),  # falls out of a cache
    ],
)
def test_it_finds_the_size(cost: Callable[[int], float], expected: int) -> None:
    found = settle(cost)

    assert expected / 2 <= found <= expected * 2
    assert cost(found) <= 2 * LONG_SECONDS + 3 * cost(0)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (lambda rows: 8.5e-4 * rows, 32),  # even: nothing to gain
        (lambda rows: 8.5e-4 * rows if rows <= 16 else 1e-3 * rows, 16),  # falls out of a cache
        (lambda rows: 0.05 + 1e-4 * rows, 16_384),  # a device: a fixed cost that is worth spreading
    ],
)
def test_with_files_it_grows_only_as_long_as_that_is_worth_it(cost: Callable[[int], float], expected: int) -> None:
    assert expected / 2 <= settle(cost, reads_files=True) <= expected


def test_a_model_that_sorts_its_rows_gets_more_of_them_and_yet_stops_in_time() -> None:
    # The more texts it chooses from, the less padding there is.
    def cost(rows: int) -> float:
        return rows * (1e-3 + 1e-2 * rows**-0.5)

    found = settle(cost, sorts=True)

    assert found >= 2 * settle(cost)
    assert cost(found) <= LONG_SECONDS_SORTED < STOP_SECONDS


@given(st.floats(0, 1e9), st.floats(0, 10), st.floats(0, 1))
def test_it_stays_within_rows_and_bytes(width: float, fixed: float, each: float) -> None:
    found = settle(lambda rows: fixed + each * rows, width)

    assert 1 <= found <= MOST_ROWS
    assert found == 1 or found * width <= MOST_BYTES


@given(st.floats(0, 1e-4), st.integers(0, 40), st.floats(1, 100))
def test_a_busy_machine_does_not_decide_for_good(each: float, busy: int, slower: float) -> None:
    size = BatchSize(None)
    for call in range(2_000):
        rows = size.rows(8.0)
        seconds = 0.1 + each * rows
        # While it is busy, larger calls look no faster.
        size.called(rows, max(seconds, rows * slower * 1e-3) if call < busy else seconds)

    found = size.rows(8.0)
    assert found >= 8192
    assert 0.1 + each * found <= 2 * LONG_SECONDS


def test_what_is_asked_for_is_kept_as_far_as_there_is_memory() -> None:
    size = BatchSize(7)
    size.called(7, 0.0001)
    assert size.rows(1e9) == 7

    size.too_large(7)
    assert size.rows(1e9) == 3


def test_one_large_row_does_not_make_all_calls_small() -> None:
    size = BatchSize(256)
    for rows in (256, 128, 64, 32, 16, 8, 4, 2):
        size.too_large(rows)
    assert size.rows(8) == 1

    calls = 0
    while size.rows(8) < 256:
        size.called(size.rows(8), 0.01)
        calls += 1
    assert calls <= 8 * PATIENCE


def test_a_lasting_lack_of_memory_is_tried_ever_more_rarely() -> None:
    size = BatchSize(256)
    failed = 0
    for _ in range(10_000):
        rows = size.rows(8)
        if rows > 100:
            size.too_large(rows)
            failed += 1
        else:
            size.called(rows, 0.01)

    assert failed <= 12


def test_what_is_returned_counts_as_memory_too() -> None:
    size = BatchSize(None)
    size.called(256, 0.01, 256 * 65_536)

    assert size.rows(8) == MOST_BYTES // 65_536


def test_a_call_without_memory_is_not_repeated() -> None:
    size = BatchSize(None)
    for _ in range(8):
        size.called(size.rows(8), 0.001)
    rows = size.rows(8)
    assert rows > 1000

    size.too_large(rows)
    for _ in range(8):
        size.called(size.rows(8), 0.001)

    assert size.rows(8) == rows // 2
