"""One session and one statement for all triggers of a triggerer that wait on the same connection.

Triggers ask one after the other; what is asked within a moment is answered by one ``SHOW JOB SERVICES``. The blocking
driver runs in a thread of the poller's own, never on the event loop. Logs are read over the same session, one container
at a time, when nobody asks for a status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_snowflake_batch.jobs.connection import ConnectionSettings
from airflow_provider_snowflake_batch.jobs.errors import is_transient
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.triggers.session_thread import Priority, SessionThread, open_hook

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.status import JobInfo

_T = TypeVar("_T")

# Long enough for triggers whose timers fire together to share a statement, short enough to go unnoticed. Thousands take
# longer to ask: as long as more of them come, they are waited for, but no longer than that.
_GATHER_SECONDS = 0.05
_MOST_GATHER_SECONDS = 1.0
# Snowflake may work for minutes on statements that submit jobs. Each needs a question of its own, and meanwhile no
# trigger gets a status. Once a statement has made its job, the common statement shows the job.
_STATEMENTS_A_LOOK = 10
# So many triggers get their answers in one turn of the event loop, so that Airflow's own work comes in between. An
# answer takes some hundredths of a millisecond.
_ANSWERS_A_TURN = 200


@dataclass(slots=True)
class _Question:
    query_id: str | None
    # One for each trigger that asks, so that one that is cancelled leaves the others alone.
    answers: list[asyncio.Future[JobInfo | None]]


@dataclass
class Poller:
    """Asks Snowflake on behalf of many triggers. Get one from :func:`shared_poller`."""

    settings: ConnectionSettings
    users: int = 0
    _questions: dict[QualifiedName, _Question] = field(default_factory=dict)
    _gathering: asyncio.Task[None] | None = None
    # For the session's thread only: it has no lock.
    _asked: dict[QualifiedName, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._thread = SessionThread(partial(open_hook, self.settings))

    async def run(self, action: Callable[[SnowflakeBatchHook], _T], priority: Priority = Priority.STATUS) -> _T:
        """Do something with the shared session, off the event loop."""
        return await self._thread.run(action, priority)

    async def poll(self, name: QualifiedName, query_id: str | None = None) -> JobInfo | None:
        """One look at a job; see :meth:`SnowflakeBatchHook.poll` for what comes back and what is raised."""
        answer: asyncio.Future[JobInfo | None] = asyncio.get_running_loop().create_future()
        question = self._questions.get(name)
        if question is not None:
            question.answers.append(answer)
        else:
            self._questions[name] = _Question(query_id, [answer])
            if self._gathering is None:
                self._gathering = asyncio.create_task(self._answer())
        return await answer

    async def _answer(self) -> None:
        until = time.monotonic() + _MOST_GATHER_SECONDS
        asked = 0
        while len(self._questions) > asked and time.monotonic() < until:
            asked = len(self._questions)
            await asyncio.sleep(_GATHER_SECONDS)
        questions, self._questions, self._gathering = self._questions, {}, None
        try:
            answers = await self.run(
                lambda hook: _look(hook, {name: question.query_id for name, question in questions.items()}, self._asked)
            )
        except Exception as error:
            answers = dict.fromkeys(questions, error)
        for number, (name, question) in enumerate(questions.items(), start=1):
            for waiting in question.answers:
                _tell(waiting, answers[name])
            if number % _ANSWERS_A_TURN == 0:
                await asyncio.sleep(0)

    async def close(self) -> None:
        if self._gathering is not None:
            # A later statement would log in again.
            self._gathering.cancel()
        await self._thread.close()


def _tell(waiting: asyncio.Future[JobInfo | None], answer: JobInfo | Exception | None) -> None:
    if waiting.done():
        # The trigger that asked was cancelled meanwhile.
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
        # Marks the error as seen. Otherwise asyncio logs a warning if the trigger is cancelled before it sees it.
        waiting.exception()
    else:
        waiting.set_result(answer)


def _look(
    hook: SnowflakeBatchHook, jobs: dict[QualifiedName, str | None], asked: dict[QualifiedName, float]
) -> dict[QualifiedName, JobInfo | Exception | None]:
    """One statement for each schema that has several jobs; DESCRIBE for lone ones and for those not listed.

    :param jobs: with the query ids of statements that may still be at work.
    :param asked: when each of those statements was last asked about. They take their turns.
    """
    answers: dict[QualifiedName, JobInfo | Exception | None] = {}
    schemas: dict[tuple[str | None, str | None], list[QualifiedName]] = {}
    for name in jobs:
        schemas.setdefault((name.database, name.schema), []).append(name)
    for (database, schema), names in schemas.items():
        if len(names) > 1:
            prefix = _common_beginning([name.name for name in names])
            try:
                found = hook.list_jobs(database, schema, starts_with=prefix or None)
            except Exception as error:
                if is_transient(error):
                    raise
                # The schema may be gone, for example. Each job is then asked about by itself, which raises its error.
                found = []
            listed = {QualifiedName.parse(info.name, field="job"): info for info in found}
            answers |= {name: listed[name] for name in names if name in listed}
    at_work = [name for name, query_id in jobs.items() if name not in answers and query_id is not None]
    at_work.sort(key=lambda name: asked.get(name, 0))
    answers |= dict.fromkeys(at_work[_STATEMENTS_A_LOOK:])
    for name, query_id in jobs.items():
        if name not in answers:
            asked[name] = time.monotonic()
            try:
                answers[name] = hook.poll(name, query_id)
            except Exception as error:
                answers[name] = error
        if answers[name] is not None:
            asked.pop(name, None)
    return answers


def _common_beginning(names: list[str]) -> str:
    # A beginning that the first and the last name in order share is shared by all names.
    first, last = min(names), max(names)
    shared = (index for index, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1])
    return first[: next(shared, min(len(first), len(last)))]


_pollers: dict[tuple[asyncio.AbstractEventLoop, ConnectionSettings], Poller] = {}


@asynccontextmanager
async def shared_poller(settings: ConnectionSettings) -> AsyncIterator[Poller]:
    """This event loop's poller for these settings; it logs out when its last user has left."""
    key = (asyncio.get_running_loop(), settings)
    poller = _pollers.get(key)
    if poller is None:
        # setdefault would make a poller, and start its thread, each time.
        poller = _pollers[key] = Poller(settings)
    poller.users += 1
    try:
        yield poller
    finally:
        poller.users -= 1
        if poller.users == 0:
            del _pollers[key]
            await poller.close()
