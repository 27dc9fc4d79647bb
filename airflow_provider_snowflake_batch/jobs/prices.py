"""What a job's nodes may cost: an estimate, from a table that has a date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_snowflake_batch.jobs.json_values import number

PRICES_OF = "2026-01-13"
"""The Service Consumption Table that these numbers are of (https://www.snowflake.com/legal-files/CreditConsumptionTable.pdf),
as others have copied it. A region or a contract may have other ones."""
CREDITS_PER_HOUR: Mapping[str, float] = {
    "CPU_X64_XS": 0.06,
    "CPU_X64_S": 0.11,
    "CPU_X64_M": 0.22,
    "CPU_X64_SL": 0.41,
    "CPU_X64_L": 0.83,
    "HIGHMEM_X64_S": 0.28,
    "HIGHMEM_X64_M": 1.11,
    "HIGHMEM_X64_SL": 2.93,
    "HIGHMEM_X64_L": 4.44,
    "GPU_NV_XS": 0.25,
    "GPU_NV_S": 0.57,
    "GPU_NV_SM": 1.70,
    "GPU_NV_M": 2.68,
    "GPU_NV_L": 14.12,
}
"""Credits for an hour of one node, by instance family."""
MINIMUM_SECONDS = 300
"""What each node that is started costs at least, however soon it is stopped."""


def readable_prices(stored: Any) -> dict[str, float]:
    """Credits per hour by instance family, as a user has written them; what is none is left out."""
    told = stored.items() if isinstance(stored, Mapping) else ()
    found = {str(family).upper(): number(credits) for family, credits in told}
    return {family: float(credits) for family, credits in found.items() if credits is not None and credits >= 0}


def estimated_cost(card: Mapping[str, Any], now: float, own: Mapping[str, float]) -> dict[str, Any] | None:
    """The node time of a job and what it may cost, if each replica has a node of its own.

    :param card: a job card, its values of the types that they should have.
    :param now: seconds since the epoch; up to then a job counts that has not ended.
    :param own: credits per hour by instance family that take precedence over :data:`CREDITS_PER_HOUR`.
    :returns: ``node_seconds``; and where the price of the family is known ``credits``, ``least_credits`` (if the nodes
        were started for the job alone) and ``prices_of`` (None for a price of the user's own). None if the job was not
        seen to run.
    """
    started, replicas = card.get("started_at"), card.get("replicas")
    if started is None or replicas is None or replicas <= 0:
        return None
    ended = card.get("ended_at")
    seconds = max((now if ended is None else ended) - started, 0.0)
    cost: dict[str, Any] = {"node_seconds": seconds * replicas}
    family = str(card.get("instance_family") or "").upper()
    price = own.get(family, CREDITS_PER_HOUR.get(family))
    if price is not None:
        cost["credits"] = price * seconds * replicas / 3600
        cost["least_credits"] = price * max(seconds, MINIMUM_SECONDS) * replicas / 3600
        cost["prices_of"] = None if family in own else PRICES_OF
    return cost
