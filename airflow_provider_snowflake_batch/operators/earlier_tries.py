"""How tries of a task have failed, kept for the job cards of later ones: Airflow clears XComs when a try starts."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.jobs.card import JobCard, ended_try, with_try

if TYPE_CHECKING:
    from airflow.sdk import Context

# In Airflow's task state store (Airflow 3.3 and later), which survives retries and clears.
TRIES_KEY = "snowflake_batch_tries"

log = logging.getLogger(__name__)


def earlier_tries(context: Context) -> list[dict[str, Any]] | None:
    """The tries before this one that have failed, oldest first; None for the first try, and where nothing is kept."""
    store: Any = context.get("task_state_store")
    if store is None or context["ti"].try_number <= 1:
        return None
    try:
        found = store.get(TRIES_KEY)
    except Exception:
        # The card only informs people, so the job goes on without it.
        log.debug("The earlier tries could not be read", exc_info=True)
        return None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else None


def remember_try(context: Context, card: JobCard) -> None:
    """Keep how this try has failed.

    :param card: as it stands at the end of the try.
    """
    store: Any = context.get("task_state_store")
    if store is None:
        return
    try:
        store.set(TRIES_KEY, with_try(card.earlier_tries or [], ended_try(card, time.time())))
    except Exception:
        log.debug("The try could not be remembered", exc_info=True)
