"""How the states of containers make the state of an instance, and those of instances the state of a job.

Rules: https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services (batch jobs),
messages: …/monitoring-services.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.spcs.records import Container

WAITING = "Waiting to start"
RUNNING = "Running"
COMPLETED = "Completed successfully"
CANCELLED = "Terminated: the job was cancelled"
OTHER_FAILED = "Terminated: another instance of the job failed"
USER_ERROR = "User application error, check container logs"
NODE_LOST = "The compute pool node that ran the instance was lost"
FAILED_TO_START = "Encountered fatal error while starting container"


def instances(containers: Iterable[Container]) -> dict[int, list[Container]]:
    grouped: dict[int, list[Container]] = {}
    for container in containers:
        grouped.setdefault(container.instance, []).append(container)
    return grouped


def instance_status(containers: Iterable[Container]) -> str:
    """PENDING, READY, FAILED, TERMINATING or SUCCEEDED."""
    states = {container.status for container in containers}
    if "FAILED" in states:
        return "FAILED"
    if "TERMINATING" in states:
        return "TERMINATING"
    if states == {"DONE"}:
        return "SUCCEEDED"
    return "PENDING" if "PENDING" in states else "READY"


def job_status(containers: Iterable[Container]) -> JobStatus:
    """The state of a job that nobody cancelled."""
    states = {instance_status(group) for group in instances(containers).values()}
    if "FAILED" in states:
        return JobStatus.FAILED
    if states == {"SUCCEEDED"}:
        return JobStatus.DONE
    return JobStatus.RUNNING if "READY" in states else JobStatus.PENDING


def terminated_message(status: JobStatus) -> str:
    """Why an instance was ended that had not ended by itself.

    :param status: of the job then.
    """
    return OTHER_FAILED if status is JobStatus.FAILED else CANCELLED


def job_message(status: JobStatus, containers: Iterable[Container]) -> str:
    """What GET_JOB_HISTORY says of the job; for a failed one with what its first failed container said."""
    if status is JobStatus.FAILED:
        ended = [container for container in containers if container.status == "FAILED"]
        # Those that were ended for it tell nothing.
        failed = next((container for container in ended if container.message != OTHER_FAILED), None)
        return "Job has failed." if failed is None else f"Job has failed. {failed.message}"
    return {
        JobStatus.PENDING: "Job is pending.",
        JobStatus.RUNNING: "Job is running.",
        JobStatus.DONE: "Job completed successfully.",
        JobStatus.CANCELLING: "Job is being canceled.",
        JobStatus.CANCELLED: "Job has been canceled.",
    }.get(status, "Job has encountered an error.")
