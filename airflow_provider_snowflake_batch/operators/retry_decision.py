"""What a try does about the job that an earlier one has recorded: the rule alone, see docs/concepts.md, "Retries,
crashes, clears". ``earlier_job.py`` asks Snowflake, and does it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.jobs.status import JobStatus

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.jobs.status import JobInfo
    from airflow_provider_snowflake_batch.operators.job_record import JobRecord

# An earlier job in one of these states gives no result, now or later.
_OF_NO_USE = frozenset(
    {
        JobStatus.FAILED,
        JobStatus.INTERNAL_ERROR,
        JobStatus.CANCELLING,
        JobStatus.CANCELLED,
        JobStatus.DELETING,
        JobStatus.DELETED,
    }
)


class Decision(Enum):
    """What a try does first."""

    START = "There is no earlier job: submit one."
    SEND_AGAIN = "It was perhaps never sent: submit it under its name."
    START_AFTER_LOSS = "It is gone, or Snowflake has refused it: submit a new one."
    START_AFTER_END = "It has ended without a result: submit a new one."
    REPLACE_OTHER = "It is not what the task asks for now: cancel it and submit a new one."
    REPLACE_RESIZED = "It has not begun, and the task asks for another size: cancel it and submit a new one."
    GO_ON = "It is worth waiting for, or done."


def decide(record: JobRecord | None, info: JobInfo | None, job: BatchJob, *, gone: bool = False) -> Decision:
    """The decision of one try.

    :param record: of the earlier job; None if there is none.
    :param info: how it stands; None while its statement is at work, and if it is gone.
    :param job: what this try asks for.
    :param gone: there is no such job (any more), and no statement at work that would make one.
    """
    if record is None:
        return Decision.START
    if gone:
        return Decision.SEND_AGAIN if record.query_id is None else Decision.START_AFTER_LOSS
    if not record.is_of(job):
        return Decision.REPLACE_OTHER
    if info is not None and info.status in _OF_NO_USE:
        return Decision.START_AFTER_END
    has_begun = info is not None and info.status is not JobStatus.PENDING
    if not has_begun and record.sizing is not None and record.sizing != job.sizing:
        return Decision.REPLACE_RESIZED
    return Decision.GO_ON
