"""What a task shows of its job while the job runs: one small record that pages and callbacks can read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# The XCom under which the operator keeps it, written before the task defers.
JOB_CARD_KEY = "snowflake_batch_job"


@dataclass(frozen=True, slots=True)
class JobCard:
    """Holds no secret and no data.

    :param job_name: ``database.schema.name``.
    :param status: the job's status when the card was written.
    :param compute_pool: where it runs.
    :param replicas: containers asked for.
    :param output_location: the job's own directory.
    :param submitted_at: seconds since the epoch.
    :param attempt: which try of the Airflow task, from 1.
    """

    job_name: str
    status: str
    compute_pool: str
    replicas: int
    output_location: str
    submitted_at: float
    attempt: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
