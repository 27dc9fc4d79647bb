"""What a try does about its job when Airflow tells it to end.

Airflow calls ``on_kill`` in its handler of SIGTERM, and then lets the interrupted code go on for a few seconds. At that
moment this code may be sending the job's statement, or asking Airflow something. So the handler decides in a thread
whether the job is cancelled, and the interrupted code waits for that thread before it goes on.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowTaskTimeout

from airflow_provider_snowflake_batch.operators.newer_try import Question

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.operators.job_record import JobRecord

# Airflow gives a task five seconds to end. Its signal handler waits this long for Airflow's answer, and then lets the
# interrupted code go on.
_HANDLER_SECONDS = 1.0
# In all, the answer may take so long. The rest of the five seconds is for cancelling the job.
_ANSWER_SECONDS = 3.5

log = logging.getLogger(__name__)


class Reaction(Enum):
    """What a try does first when it is told to end."""

    LEAVE = auto()
    """Leave the job alone: there is none, or the user wants it to go on."""
    CANCEL = auto()
    """Cancel the job at once: no other try can go on with it."""
    ASK = auto()
    """Ask Airflow whether another try goes on with the job."""


def reaction(*, has_job: bool, may_cancel: bool, others_find_job: bool, timed_out: bool) -> Reaction:
    """The first decision.

    :param has_job: the try has begun a job, or goes on with one.
    :param may_cancel: the operator's ``cancel_on_kill``.
    :param others_find_job: other tries of the task would find the job and go on with it.
    :param timed_out: the task has missed its ``execution_timeout``. Airflow calls ``on_kill`` for that, too.
    """
    if not has_job or not may_cancel:
        return Reaction.LEAVE
    return Reaction.ASK if others_find_job and not timed_out else Reaction.CANCEL


def belongs_to_next_try(*, answer: bool | None, replaced: bool) -> bool:
    """The second decision: whether the job is left to another try.

    :param answer: of Airflow, whether the task goes on in another try; None if there was no answer in time.
    :param replaced: Airflow has refused a request of this try since another one has taken its place.
    """
    return replaced if answer is None else answer


class JobCanceller:
    """Cancels the job of a try that is told to end, unless another try goes on with it.

    :param open_hook: opens a session of its own. The task's session may be in the middle of a statement.
    :param tell: is called, in a thread of its own, once the job is cancelled; it gets that session.
    :param enabled: False leaves every job alone (``cancel_on_kill=False``).
    """

    def __init__(
        self,
        open_hook: Callable[[], SnowflakeBatchHook],
        tell: Callable[[SnowflakeBatchHook], None] = lambda hook: None,
        *,
        enabled: bool,
    ) -> None:
        self._open_hook = open_hook
        self._tell = tell
        self._enabled = enabled
        self._instance: Any = None
        self._replaced = False
        self._cancelled = False
        self._thread: threading.Thread | None = None
        self.job: JobRecord | None = None
        """The job of this try, as far as it has one: set before its statement is sent."""
        self.name_may_be_taken = False
        """Whether a job of that name may be somebody else's, as long as Snowflake has not taken the statement."""

    def ask_before(self, instance: Any) -> None:
        """Ask Airflow about the task before its job is cancelled, since other tries would find the job.

        :param instance: the task instance of this try.
        """
        self._instance = instance

    def note_replaced(self) -> None:
        """Note that Airflow has told this try that another one has taken its place."""
        self._replaced = True

    @property
    def has_cancelled(self) -> bool:
        """Whether the job was cancelled because the task was killed. Call :meth:`wait` before."""
        return self._cancelled

    def wait(self) -> None:
        """Wait until a signal that came has been dealt with, for a few seconds at most."""
        if self._thread is not None:
            self._thread.join(_ANSWER_SECONDS)

    def on_kill(self) -> None:
        """Decide about the job, and cancel it if that is decided. For the handler of a signal.

        Without an answer from Airflow within a second it returns, and the decision is made in the background.
        """
        job = self.job
        first = reaction(
            has_job=job is not None,
            may_cancel=self._enabled,
            others_find_job=self._instance is not None,
            timed_out=isinstance(sys.exception(), AirflowTaskTimeout),
        )
        if job is None or first is Reaction.LEAVE:
            return
        if first is Reaction.CANCEL:
            with self._open_hook() as hook:
                self._cancel(hook, job)
                # In a thread, since Airflow answers one question at a time and may be answering the interrupted code.
                self._thread = threading.Thread(target=self._tell, args=(hook,), name="tell-of-the-end", daemon=True)
                self._thread.start()
                self._thread.join(_HANDLER_SECONDS)
            return
        question = Question(self._instance)
        self._thread = threading.Thread(
            target=self._cancel_if_nobody_goes_on, args=(job, question), name="end-the-task", daemon=True
        )
        self._thread.start()
        if question.ended(within=_HANDLER_SECONDS):
            self._thread.join()
        # Otherwise Airflow is probably answering the interrupted code, which can only go on after this handler.

    def _cancel_if_nobody_goes_on(self, job: JobRecord, question: Question) -> None:
        try:
            with self._open_hook() as hook:
                # Now, to use the time until Airflow answers.
                hook.log_in()
                answer = question.goes_on(within=_ANSWER_SECONDS)
                if belongs_to_next_try(answer=answer, replaced=self._replaced):
                    log.info("This try ends, but not the task: job %s is left to the next try.", job.job_name)
                else:
                    self._cancel(hook, job)
                    self._tell(hook)
        except Exception as error:
            log.error("Job %s could not be cancelled and may still run: %s", job.job_name, error)

    def _cancel(self, hook: SnowflakeBatchHook, job: JobRecord) -> None:
        log.info("The task was killed: cancelling job %s", job.job_name)
        # Set before the request: the interrupted code may be sending the job's statement, and then looks at it.
        self._cancelled = True
        self.end(hook, job)

    def end(self, hook: SnowflakeBatchHook, job: JobRecord) -> None:
        """Stop the job, as far as there is one and it is this try's."""
        (hook.kill_own if self.name_may_be_taken else hook.kill)(job.name, job.query_id)
