"""Metrics of jobs, as a real Airflow sends them to StatsD."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.airflow_stack import AirflowStack
from tests.stack.statsd import StatsD

pytestmark = pytest.mark.slow
DONE = {"job.submitted", "job.done", "rows", "rows_per_second"}


def test_a_job_that_succeeds_and_one_that_fails(airflow: AirflowStack, metrics: StatsD) -> None:
    before = len(metrics.received())
    good, bad = airflow.trigger("crash_in_slot", conf()), airflow.trigger("raises")
    assert airflow.wait_for_run(good) == "success", airflow.failures(good)
    assert airflow.wait_for_run(bad) == "failed"
    ours = until(
        lambda: [one for one in metrics.received()[before:] if one.startswith("airflow.snowflake_batch.")],
        lambda found: {*map(name_of, found)} >= DONE | {"job.failed"},
    )
    told = {name_of(one): one.partition(":")[2] for one in ours}
    assert told["rows"] == "1|c"
    assert told["job.done"] == told["job.failed"] == "1|c"
    assert float(told["rows_per_second"].removesuffix("|g")) > 0


def name_of(line: str) -> str:
    return line.partition(":")[0].removeprefix("airflow.snowflake_batch.")


def conf() -> dict[str, object]:
    return {"prefix": "METRICS", "seconds": 0}


def until(look: Callable[[], list[str]], good: Callable[[list[str]], bool], timeout: float = 60) -> list[str]:
    deadline = time.monotonic() + timeout
    while not good(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)
    return seen
