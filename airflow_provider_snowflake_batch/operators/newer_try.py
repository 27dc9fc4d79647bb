"""Whether another try of a task goes on with its job, when this try is told to end.

Airflow ends a try for two reasons that look alike from inside: a user has ended the task, or the try has lost touch
(its scheduler died, its heartbeats came too late, its worker is shut down) and another one takes its place. In the
second case the job belongs to the other try.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY

log = logging.getLogger(__name__)

_ON_THE_WAY = frozenset({None, "scheduled", "queued", "up_for_retry", "up_for_reschedule", "deferred"})


def was_replaced(error: BaseException) -> bool:
    """Whether Airflow refused a request since another try has taken this one's place, under an ID of its own.

    :param error: what the request raised.
    """
    detail = getattr(getattr(error, "error", None), "detail", None)
    return isinstance(detail, Mapping) and detail.get("status_code") == HTTPStatus.NOT_FOUND


def goes_on_elsewhere(
    ti: Any, *, replaced: bool = False, meanwhile: Callable[[], object] = lambda: None, patience: float = 2
) -> bool:
    """Ask Airflow for the task's state.

    :param ti: the task instance of this try.
    :param replaced: what to believe if no answer comes.
    :param meanwhile: what to do until the answer comes: Airflow gives a try five seconds to end.
    :param patience: seconds to wait for the answer. This runs in a signal handler: the interrupted code may itself
        be asking Airflow, and then no answer comes before the handler ends. Without one, and unless this try is known
        to be ``replaced``, it counts as a user's wish.
    """
    answers: list[bool] = []

    def ask() -> None:
        try:
            answers.append(_goes_on(ti))
        except Exception as error:
            log.warning("Airflow could not be asked whether the task goes on: %s", error)

    asking = threading.Thread(target=ask, name="ask-for-the-task", daemon=True)
    asking.start()
    until = time.monotonic() + patience
    meanwhile()
    asking.join(max(0.0, until - time.monotonic()))
    return answers[0] if answers else replaced


def _goes_on(ti: Any) -> bool:
    index = ti.map_index if ti.map_index is not None and ti.map_index >= 0 else None
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=index)
    known = states.get(ti.run_id, {})
    key = ti.task_id if index is None else f"{ti.task_id}_{index}"
    if key not in known:
        return False
    if known[key] in _ON_THE_WAY:
        return True
    if known[key] != "running":
        return False
    # Running: this try itself, which has tries left if its worker ends it, or a newer one.
    if ti.try_number <= ti.max_tries:
        return True
    card = ti.xcom_pull(task_ids=ti.task_id, key=JOB_CARD_KEY, map_indexes=ti.map_index)
    return isinstance(card, dict) and card.get("attempt", 0) > ti.try_number
