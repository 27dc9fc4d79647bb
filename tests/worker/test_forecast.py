"""What is reckoned from a sample."""

from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.worker.forecast import Sample, best, forecasts, to_document, to_text


def sample(rates: list[float], size: int | None = None, start: float = 2.0, memory: int | None = 300 * 2**20) -> Sample:
    """One second at each of some speeds."""
    rows = [int(sum(rates[: number + 1])) for number in range(len(rates))]
    points = ((0.5, 10), *((1.5 + second, 10 + done) for second, done in enumerate(rows)))
    return Sample(size, points, start, memory, workers=2)


def test_speed_counts_from_the_first_rows_on() -> None:
    steady = sample([100.0] * 5)
    assert (steady.rows, steady.rows_per_second, steady.uncertainty) == (510, 100.0, 0.0)


def test_uncertainty_is_two_standard_errors() -> None:
    varied = sample([80.0, 120.0, 100.0, 80.0, 120.0])
    assert varied.rows_per_second == 100.0
    # The standard deviation of these five is 20.
    assert varied.uncertainty == pytest.approx(2 * 20 / 5**0.5 / 100)


def test_too_short_a_sample_says_so() -> None:
    short = Sample(None, ((2.0, 50),), 1.0, None, workers=1, whole=True)
    assert (short.rows_per_second, short.uncertainty) == (25.0, None)
    told = to_text(to_document([short], [50]))
    assert "25.0 ±?, too short to tell" in told
    assert "not known here" in told
    assert [one.least for one in forecasts(short, [50])] == [None]


def test_another_batch_size_has_to_be_faster_by_more_than_is_uncertain() -> None:
    chosen = sample([90.0, 110.0, 100.0, 90.0, 110.0])
    assert best([chosen, sample([101.0] * 5, 128)]) is chosen
    assert best([chosen, sample([150.0] * 5, 1024)]).max_batch_rows == 1024
    assert best([chosen, sample([50.0] * 5, 128)]) is chosen


def test_the_replica_with_most_rows_decides() -> None:
    found = forecasts(sample([100.0] * 5), [3000, 1000, 1000, 1000])
    assert [one.replicas for one in found] == [1, 2, 4]
    assert [one.seconds for one in found] == [2 + 60, 2 + 40, 2 + 30]
    assert [one.node_hours for one in found] == [62 / 3600, 2 * 42 / 3600, 4 * 32 / 3600]


def test_the_uncertainty_of_the_speed_is_that_of_the_time() -> None:
    varied = sample([80.0, 120.0, 100.0, 80.0, 120.0], start=0.0)
    (one,) = forecasts(varied, [1000])
    assert varied.uncertainty is not None
    assert one.least == pytest.approx(10 / (1 + varied.uncertainty))
    assert one.most == pytest.approx(10 / (1 - varied.uncertainty))


def test_text_says_when_more_replicas_are_of_no_use() -> None:
    told = to_text(to_document([sample([100.0] * 5), sample([100.0] * 5, 128)], [100_000] * 3))
    assert "300,000 rows in 3 tasks" in told
    assert "chosen by the worker" in told
    assert "More replicas would have nothing to do" in told
    assert "50.0 min (50.0 min to 50.0 min)" in told
