"""Whether another try of a task goes on with its job, when this try is told to end.

Airflow ends a try for two reasons that look alike from inside: a user has ended the task, or the try has lost touch
(its scheduler died, its heartbeats came too late, its worker is shut down) and another one takes its place. In the
second case the job belongs to the other try.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
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


class Question:
    """Asks Airflow whether the task goes on elsewhere. It begins to ask when it is made, in a thread of its own.

    Airflow answers one question at a time. If the signal has interrupted a request to Airflow, the answer comes only
    after the handler has returned and the interrupted request has ended.

    :param ti: the task instance of this try.
    """

    def __init__(self, ti: Any) -> None:
        self._ti = ti
        self._answer: bool | None = None
        self._asked_at = time.monotonic()
        self._thread = threading.Thread(target=self._ask, name="ask-for-the-task", daemon=True)
        self._thread.start()

    def ended(self, within: float) -> bool:
        """Whether there is an answer, or a failure, within so many seconds since it was asked."""
        self._thread.join(max(0.0, self._asked_at + within - time.monotonic()))
        return not self._thread.is_alive()

    def goes_on(self, within: float) -> bool | None:
        """The answer, or None if there is none within so many seconds since it was asked."""
        self.ended(within)
        return self._answer

    def _ask(self) -> None:
        try:
            self._answer = _goes_on(self._ti)
        except Exception as error:
            log.warning("Airflow could not be asked whether the task goes on: %s", error)


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
    # The try that runs is this one, or a newer one. If this one may be retried, the task goes on in either case.
    if ti.try_number <= ti.max_tries:
        return True
    card = ti.xcom_pull(task_ids=ti.task_id, key=JOB_CARD_KEY, map_indexes=ti.map_index)
    return isinstance(card, dict) and card.get("attempt", 0) > ti.try_number
