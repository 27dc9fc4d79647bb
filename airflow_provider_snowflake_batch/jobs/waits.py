"""What a job has waited for while it was pending, as its containers have said: small, as it is on the job's card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_snowflake_batch.jobs.json_values import number

_MOST, _LONGEST = 8, 200


def waited(waits: list[list[Any]] | None, at: float, containers: Iterable[Any]) -> list[list[Any]] | None:
    """The waits with what containers say now, if that is another thing; the last eight.

    :param waits: since when, in seconds since the submission, and for what; oldest first.
    :param at: when the containers said so, in seconds since the submission.
    :param containers: of a job that is pending, as its card tells them.
    """
    # A card may be somebody else's work.
    pending = (one for one in containers if isinstance(one, Mapping) and one.get("status") == "PENDING")
    # Sorted, since the order of the containers says nothing of what they wait for.
    messages = sorted({str(one["message"]) for one in pending if one.get("message")})
    told = " · ".join(messages)[:_LONGEST]
    known = waits or []
    if not told or (known and known[-1][1] == told):
        return waits
    return [*known, [round(at), told]][-_MOST:]


def readable_waits(stored: Any) -> list[list[Any]] | None:
    """What can be read of stored waits: the XCom is open to everybody."""
    if not isinstance(stored, list):
        return None
    pairs = [one for one in stored[-_MOST:] if isinstance(one, list) and len(one) == 2]
    sound = [[at, told[:_LONGEST]] for at, told in pairs if number(at) is not None and isinstance(told, str)]
    return sound or None
