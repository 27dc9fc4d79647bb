"""What is counted of jobs that have ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from airflow.providers.common.compat import sdk

from airflow_provider_snowflake_batch.jobs.card import JobCard
from airflow_provider_snowflake_batch.operators.metrics import count_begun, count_ended
from tests.operators.task_instances import TaskInstance

CARD = JobCard(
    job_name="ML.PUBLIC.SCORES",
    status="DONE",
    compute_pool="CPU_POOL",
    replicas=2,
    output_location="@ML.PUBLIC.RESULTS/scores/",
    submitted_at=1000.0,
    started_at=1060.5,
    ended_at=1420.5,
    attempt=1,
    instance_family="CPU_X64_S",
)
TIMES = {"job.done": 1, "job.pending_duration": 60_500.0, "job.running_duration": 360_000.0}


class Stats:
    def __init__(self) -> None:
        self.told: dict[str, float] = {}

    def tell(self, name: str, value: float = 1, *, tags: dict[str, str]) -> None:
        assert tags["compute_pool"] == "CPU_POOL"
        self.told[name.removeprefix("snowflake_batch.")] = value

    incr = gauge = timing = tell


@pytest.fixture
def stats(monkeypatch: pytest.MonkeyPatch) -> Stats:
    stats = Stats()
    monkeypatch.setattr(sdk, "Stats", stats, raising=False)
    return stats


def ended(card: JobCard) -> None:
    context: Any = {"ti": TaskInstance()}
    count_ended(context, card)


@pytest.mark.parametrize(
    ("attempt", "resumed", "told"),
    [
        (1, False, {"job.submitted": 1}),
        (2, False, {"job.submitted": 1, "job.retried": 1}),
        (2, True, {"job.resumed": 1}),
    ],
)
def test_a_retry_that_needs_a_job_of_its_own(stats: Stats, attempt: int, resumed: bool, told: dict[str, float]) -> None:
    context: Any = {"ti": TaskInstance()}
    count_begun(context, replace(CARD, attempt=attempt), resumed=resumed)
    assert stats.told == told


def test_times_and_cost(stats: Stats) -> None:
    ended(CARD)
    assert stats.told == TIMES | {"job.node_seconds": 720, "job.credits": pytest.approx(0.11 * 720 / 3600)}


def test_a_price_of_ones_own(stats: Stats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SNOWFLAKE_BATCH__CREDITS_PER_NODE_HOUR", '{"cpu_x64_s": 2}')
    ended(CARD)
    assert stats.told["job.credits"] == pytest.approx(0.4)


@pytest.mark.parametrize("prices", ["not JSON", "[1]"])
def test_prices_that_cannot_be_read_do_not_fail_the_task(
    stats: Stats, monkeypatch: pytest.MonkeyPatch, prices: str
) -> None:
    monkeypatch.setenv("AIRFLOW__SNOWFLAKE_BATCH__CREDITS_PER_NODE_HOUR", prices)
    ended(CARD)
    assert stats.told.items() >= TIMES.items()


def test_nodes_without_a_price(stats: Stats) -> None:
    ended(replace(CARD, instance_family=None))
    assert stats.told == TIMES | {"job.node_seconds": 720}


def test_a_job_that_nobody_saw_run(stats: Stats) -> None:
    ended(replace(CARD, status="CANCELLED", started_at=None))
    assert stats.told == {"job.cancelled": 1}
