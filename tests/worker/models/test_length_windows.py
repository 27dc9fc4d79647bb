"""Which texts go through a model together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.models.length_windows import in_windows, length_windows

lengths = st.lists(st.integers(0, 600), max_size=200)


@given(lengths, st.integers(1, 4000), st.integers(0, 50))
def test_every_text_is_in_one_window_and_windows_are_bounded(lengths: list[int], most: int, extra: int) -> None:
    windows = list(length_windows(lengths, most, extra))
    assert sorted(place for window in windows for place in window) == list(range(len(lengths)))
    for window in windows:
        padded = max(lengths[place] + extra for place in window)
        assert len(window) * padded <= most or len(window) == 1


@given(lengths, st.integers(1, 4000))
def test_results_come_in_the_order_of_the_values(lengths: list[int], most: int) -> None:
    values = list(range(len(lengths)))
    seen: list[list[int]] = []

    def call(places: list[int], window: list[int]) -> list[int]:
        assert places == window
        seen.append(window)
        return [-value for value in window]

    assert in_windows(values, lengths, most, call) == [-value for value in values]
    assert [max(lengths[place] for place in window) for window in seen] == sorted(
        (max(lengths[place] for place in window) for window in seen), reverse=True
    )


def test_little_of_a_batch_is_padding() -> None:
    # As texts are: many short ones, some long ones.
    lengths = [3 + (number * 37 % 100) ** 2 // 20 for number in range(2000)]
    windows = list(length_windows(lengths, 8192))
    padded = sum(len(window) * max(lengths[place] for place in window) for window in windows)
    in_order = sum(32 * max(lengths[start : start + 32]) for start in range(0, 2000, 32))
    assert padded < 1.15 * sum(lengths) < 0.5 * in_order
    assert len(windows) < 2000 / 16


def test_without_a_budget_each_text_goes_alone() -> None:
    assert list(length_windows([1, 3, 2], 0)) == [[1], [2], [0]]
    assert list(length_windows([], 10)) == []


def test_only_texts_of_the_same_length_together() -> None:
    assert list(length_windows([3, 5, 3, 5, 4], 100, same=True)) == [[1, 3], [4], [0, 2]]
