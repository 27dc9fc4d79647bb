"""A retry policy tells the causes of a failure apart, by class or by the text in which Airflow stores a policy.

Also tests ``exceptions.py``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_snowflake_batch import exceptions
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

policies = pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="new in Airflow 3.3")

# What a rule for the class on the left must not take for its own.
CAUSES = {
    "JobFailedError": ["JobCancelledError", "JobTimeoutError", "JobLostError", "SnowflakeUnreachableError"],
    "JobCancelledError": ["JobFailedError", "JobTimeoutError", "JobLostError"],
    "JobTimeoutError": ["JobFailedError", "JobCancelledError", "JobLostError"],
    "JobLostError": ["JobFailedError", "JobNotFoundError", "JobCancelledError"],
    "PoolCapacityError": ["JobPendingError", "JobTimeoutError"],
    "JobSubmissionError": ["JobInputError", "JobFailedError"],
    "SnowflakeUnreachableError": ["JobLostError", "JobFailedError"],
}


@pytest.mark.parametrize("stored", [False, True], ids=["as written", "as Airflow stores it"])
@pytest.mark.parametrize("name", CAUSES)
def test_a_rule_takes_its_own_cause_only(name: str, stored: bool) -> None:
    rule = policies.RetryRule(
        exception=getattr(exceptions, name), action=policies.RetryAction.RETRY, retry_delay=timedelta(minutes=30)
    )
    policy = policies.ExceptionRetryPolicy(rules=[rule])
    if stored:
        policy = policies.ExceptionRetryPolicy.deserialize(policy.serialize())

    def decide(cause: str) -> Any:
        return policy.evaluate(getattr(exceptions, cause)("why"), try_number=1, max_tries=3)

    assert decide(name).retry_delay == timedelta(minutes=30)
    for other in CAUSES[name]:
        assert decide(other).action is policies.RetryAction.DEFAULT


def test_the_operator_takes_a_policy() -> None:
    policy = policies.ExceptionRetryPolicy(
        rules=[policies.RetryRule(exception=exceptions.JobFailedError, action=policies.RetryAction.FAIL)]
    )
    with DAG("d", schedule=None):
        task = RunBatchOperator(
            task_id="score", model_name="m", X="t", compute_pool="p", output_spec={"stage_location": "@s/x"},
            retries=3, retry_policy=policy,
        )  # fmt: skip
    assert task.retry_policy is policy
