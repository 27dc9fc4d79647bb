"""What a job's nodes may cost."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.instance_families import FAMILIES
from airflow_provider_snowflake_batch.jobs.prices import (
    CREDITS_PER_HOUR,
    PRICES_OF,
    estimated_cost,
    readable_prices,
)

CARD: dict[str, Any] = {"started_at": 1000.0, "ended_at": 4600.0, "replicas": 2, "instance_family": "CPU_X64_S"}


def test_an_hour_of_two_nodes() -> None:
    assert estimated_cost(CARD, 9999, {}) == {
        "node_seconds": 7200, "credits": pytest.approx(0.22), "least_credits": pytest.approx(0.22),
        "prices_of": PRICES_OF,
    }  # fmt: skip


def test_a_node_costs_five_minutes_at_least() -> None:
    cost = estimated_cost({**CARD, "ended_at": 1060.0}, 9999, {})
    assert cost is not None
    assert cost["credits"] == pytest.approx(2 * 0.11 / 60)
    assert cost["least_credits"] == pytest.approx(2 * 0.11 / 12)


def test_a_job_that_runs_counts_up_to_now() -> None:
    cost = estimated_cost({**CARD, "ended_at": None}, 1010, {})
    assert cost is not None
    assert cost["node_seconds"] == 20


def test_a_price_of_ones_own_takes_precedence() -> None:
    cost = estimated_cost(CARD, 9999, {"CPU_X64_S": 1.0})
    assert cost is not None
    assert (cost["credits"], cost["prices_of"]) == (2.0, None)


@pytest.mark.parametrize("family", [None, "", "NEW_FAMILY"])
def test_without_a_price_there_is_node_time_alone(family: str | None) -> None:
    assert estimated_cost({**CARD, "instance_family": family}, 9999, {}) == {"node_seconds": 7200}


@pytest.mark.parametrize("missing", [{"started_at": None}, {"replicas": None}, {"replicas": 0}])
def test_a_job_that_nobody_saw_run_has_no_cost(missing: dict[str, Any]) -> None:
    assert estimated_cost(CARD | missing, 9999, {}) is None


def test_what_is_no_price_is_left_out() -> None:
    told = {"cpu_x64_s": 1, "B": "x", "C": float("nan"), "D": -1, "E": True}
    assert readable_prices(told) == {"CPU_X64_S": 1.0}
    assert readable_prices(["no"]) == readable_prices(None) == {}


def test_prices_are_of_known_families() -> None:
    assert set(CREDITS_PER_HOUR) <= set(FAMILIES)
