"""How replicas share the work: decided by each for itself, and by all alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.contract.job_file import Job, JobInput, JobOutput
from airflow_provider_snowflake_batch.contract.model_sources import PythonModel
from airflow_provider_snowflake_batch.contract.vocabulary import SaveMode, Sharing
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.executors.choice import choose


def job(executor: Sharing | None = None, *, column: str | None = None, least: int | None = None) -> Job:
    return Job(
        "J",
        JobInput(Path("in"), partition_column=column),
        JobOutput(Path("out"), SaveMode.ERROR),
        PythonModel("a:B", "f"),
        executor=executor,
        min_replicas=least,
    )


def test_several_replicas_share_over_ray_where_it_is_installed() -> None:
    assert choose(job(), 3, ray=True, can_meet=True) == (Sharing.RAY, None)
    assert choose(job(Sharing.RAY), 3, ray=True, can_meet=True) == (Sharing.RAY, None)
    assert choose(job(column="G"), 3, ray=True, can_meet=True) == (Sharing.RAY, None)


@pytest.mark.parametrize("executor", [None, *Sharing])
def test_one_replica_needs_no_ray(executor: Sharing | None) -> None:
    assert choose(job(executor), 1, ray=False, can_meet=False) == (Sharing.STATIC, None)


def test_a_fixed_share_is_what_was_asked_for() -> None:
    assert choose(job(Sharing.STATIC), 3, ray=True, can_meet=True) == (Sharing.STATIC, None)


@pytest.mark.parametrize(
    ("column", "ray", "meeting", "why"),
    [
        (None, False, True, "Ray is not installed"),
        (None, True, False, "the folder of the job file, which cannot be written to"),
        ("G", False, True, "Ray is not installed"),
    ],
)
def test_without_a_cluster_the_share_is_fixed_and_the_log_says_so(
    column: str | None, ray: bool, meeting: bool, why: str
) -> None:
    sharing, remark = choose(job(column=column), 3, ray=ray, can_meet=meeting)
    assert sharing is Sharing.STATIC
    assert remark is not None
    assert why in remark
    assert remark.endswith("each of the 3 replicas does a fixed share of the tasks")
    with pytest.raises(Refused, match=f"^inference.executor 'ray' cannot be had: .*{why}"):
        choose(job(Sharing.RAY, column=column), 3, ray=ray, can_meet=meeting)
    with pytest.raises(Refused, match=f"^inference.min_replicas cannot be had: .*{why}"):
        choose(job(column=column, least=2), 3, ray=ray, can_meet=meeting)
