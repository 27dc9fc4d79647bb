"""The partitions of a table as jobs of one mapped task, capped and gated, on a real Airflow."""

from __future__ import annotations

from datetime import datetime

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.status import JobInfo
from tests.airflow_stack import AirflowStack
from tests.models import predict_digits_directly

pytestmark = pytest.mark.slow

DAYS = 6
CAP = 2


def test_every_partition_is_scored_by_a_job_of_its_own(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    assert airflow.wait_for_run(airflow.trigger("digits")) == "success"

    run = airflow.trigger("digits_partitions")
    assert airflow.wait_for_run(run, timeout=300) == "success", airflow.failures(run)

    results = [airflow.xcom(run, f"score[{index}]") for index in range(DAYS)]
    assert len({result["output_location"] for result in results}) == DAYS
    assert [result["rows"] for result in results] == [150] * DAYS
    assert airflow.xcom(run, "complete") == [result["output_location"] for result in results]
    assert [airflow.xcom(run, f"load[{index}]")["rows"] for index in range(DAYS)] == [150] * DAYS

    jobs = [hook.status(result["job_name"]) for result in results]
    assert most_at_once(jobs) <= CAP

    expected, _ = predict_digits_directly()
    scores = hook.get_records('SELECT "SCAN", "PREDICTION" FROM DIGITS_SCORES_BY_DAY ORDER BY "SCAN"')
    assert [int(prediction) for _, prediction in scores] == expected


def most_at_once(jobs: list[JobInfo]) -> int:
    """The greatest number of jobs that were there and had not ended at one time."""
    spans = [(datetime.fromisoformat(job.created_on), datetime.fromisoformat(job.updated_on)) for job in jobs]
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
