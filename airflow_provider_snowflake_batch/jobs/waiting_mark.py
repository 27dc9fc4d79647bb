"""Which job a deferred task waits for, told to a trigger that Airflow asks to end it.

The job card tells it, too, but people and callbacks may write into cards. Nothing else writes or reads this mark.
"""

from __future__ import annotations

from typing import Any

# The XCom under which the operator keeps it, written before the task defers and gone when a new try starts.
WAITS_KEY = "snowflake_batch_waits"


def waiting_mark(job_name: str, output_location: str, submitted_at: float) -> dict[str, Any]:
    """The value of that XCom.

    :param submitted_at: seconds since the epoch.
    """
    return {"job_name": job_name, "output_location": output_location, "submitted_at": submitted_at}


def still_waits(job_name: str, *, state: str | None, mark: Any, card: Any) -> bool:
    """Whether a task still waits for a job, so that it must not be cancelled.

    Jobs are told apart by their names, since Snowflake has only one job of a name: a job is not cancelled if the task
    waits for a job of its name. A mark or a card counts only if it has every field that the operator writes.

    :param state: of the task instance. It alone does not tell: after a clear, a new try may wait for a job of its own.
    :param mark: the XCom :data:`WAITS_KEY`, or None; versions before it wrote none.
    :param card: the job card, or None; believed only where there is no mark.
    """
    if state not in ("running", "deferred"):
        return False
    for stored in (mark, card):
        if _names_a_job(stored):
            return bool(stored["job_name"] == job_name)
    # Mark and card are missing. A new try begins without XComs and writes both before it defers, so a deferred task is
    # one that has waited all along.
    return state == "deferred"


def _names_a_job(stored: Any) -> bool:
    if not isinstance(stored, dict):
        return False
    texts = (stored.get("job_name"), stored.get("output_location"))
    return all(isinstance(text, str) and text for text in texts) and type(stored.get("submitted_at")) in (int, float)
