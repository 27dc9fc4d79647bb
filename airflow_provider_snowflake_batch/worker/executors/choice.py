"""How the replicas of a job share its work. Every replica comes to the same answer by itself."""

from __future__ import annotations

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.vocabulary import Sharing
from airflow_provider_snowflake_batch.worker.errors import Refused

CANNOT_MEET = "replicas meet in the folder of the job file, which cannot be written to"


def choose(job: Job, count: int, *, ray: bool, can_meet: bool) -> tuple[Sharing, str | None]:
    """How the replicas of a job share its work, and a remark on it for the log.

    :param count: of replicas. :param ray: Ray is installed. :param can_meet: the replicas can find each other.
    :raises Refused: the job file asks for what cannot be had.
    """
    if count == 1:
        return Sharing.STATIC, None
    why = None
    if job.executor is Sharing.STATIC:
        return Sharing.STATIC, None
    if not ray:
        why = "Ray is not installed"
    elif not can_meet:
        why = CANNOT_MEET
    if why is None:
        return Sharing.RAY, None
    if job.executor is Sharing.RAY or job.min_replicas is not None:
        field = "executor 'ray'" if job.executor is Sharing.RAY else "min_replicas"
        raise Refused(f"inference.{field} cannot be had: {why}")
    return Sharing.STATIC, f"{why}: each of the {count} replicas does a fixed share of the tasks"
