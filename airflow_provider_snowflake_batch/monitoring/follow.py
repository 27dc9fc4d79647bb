"""Keeps the index of jobs in step with Airflow's database, which tells nobody of its changes."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from airflow.utils.session import create_session

from airflow_provider_snowflake_batch.monitoring.entries import Key
from airflow_provider_snowflake_batch.monitoring.index import JobsIndex
from airflow_provider_snowflake_batch.monitoring.queries import (
    ReadJob,
    all_entries,
    all_marks,
    changed_marks,
    count_cards,
    read_jobs,
    task_marks,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

LOOK_EVERY = 0.25
"""Seconds between looks at the tasks that run, each of which a request makes. Pages ask every 1.25 seconds, and are to
show a change within two."""
MOST_WAIT = 1.0
"""Seconds for which a request waits for another's look; after that it is answered with what is known."""
LATE = 60.0
"""Seconds for which a job whose task is over is looked at after it has changed: who cancels it writes its card then."""
_MOST_LATE = 25
SHORTEST_PAUSE = 2.0
"""Seconds between comparisons with all cards, for which no request waits."""
_PAUSES = 20
"""A pause is so many times as long as the comparison was, so that comparing takes 5 % of a core at most."""
WHOLE_EVERY = 600.0
"""Seconds between comparisons that rely on no time in the database."""
IDLE = 600.0
"""Seconds after the last request during which the index is kept in step."""
# Seconds by which times in the database may be late: for clocks that differ, and for long transactions.
_MARGIN = 600.0
_AT_ONCE = 100
_MANY = 1_000


class Follower:
    """The index, and what was last seen of the database.

    Three ways lead from a change to the index. A task that has begun and not ended is looked at by a request, at most
    every 0.25 seconds, and with it a few that have just ended: an index of Airflow's finds those. All cards and their
    tasks are compared by a thread while pages are open: by the times at which Airflow writes that it has changed a row,
    and by their number, from time to time one by one. And whatever is to be shown is read again first (:meth:`read`).

    :param background: whether a thread compares. Otherwise each request does.
    """

    def __init__(self, *, background: bool = True) -> None:
        self.index = JobsIndex()
        self.background = background
        # Whoever compares and whoever looks do not wait for each other: each reads what is so now.
        self._following, self._looking = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._thread_lock = threading.Lock()
        self._asked = self._begun = self._looked = self._whole = self._compared = float("-inf")
        self._compared_at = 0.0
        self._late: deque[tuple[Key, float]] = deque(maxlen=_MOST_LATE)
        self._pause = SHORTEST_PAUSE
        self._without_task = 0

    def current(self, session: Session) -> JobsIndex:
        """The index, after a look at what may have changed since the last one."""
        asked = self._asked = time.monotonic()
        if self._is_behind():
            with self._following:
                # Another request may have looked while this one waited for the lock.
                if self._is_behind():
                    self.compare(session)
        elif self._may_have_changed():
            self._look_for_all(session, asked)
        if self.background:
            self._keep_comparing()
        return self.index

    def _look_for_all(self, session: Session, asked: float) -> None:
        """Look, or wait for who looks. A page asks several things at once, and all of them are answered with what this
        look finds: one that did not wait for it would tell of the change a whole pause later.

        :param asked: when the request came. It does not look itself where a look has begun since: where the database is
            slow or away, requests would queue.
        """
        # Each of them holds a connection meanwhile, so none waits for ever.
        if self._looking.acquire(timeout=MOST_WAIT):
            try:
                if self._begun < asked and self._may_have_changed():
                    self._look(session)
            finally:
                self._looking.release()

    def read(self, session: Session, keys: Collection[Key]) -> dict[Key, ReadJob]:
        """Jobs as they are now; the index learns of what is another than it held."""
        stored = {read.key: read for read in read_jobs(session, keys)}
        changed = [read.entry() for key, read in stored.items() if self.index.mark(key) != read.mark]
        self.index.put(changed)
        until = time.monotonic() + LATE
        self._late.extend((each.key, until) for each in changed if not each.watched)
        self.index.drop(set(keys) - stored.keys())
        return stored

    def _is_behind(self) -> bool:
        return not self.background or time.monotonic() - self._compared > 3 * self._pause

    def _may_have_changed(self) -> bool:
        return time.monotonic() - self._looked >= LOOK_EVERY

    def _look(self, session: Session) -> None:
        begun = self._begun = time.monotonic()
        marks = dict(task_marks(session))
        changed = {key for key, mark in marks.items() if self.index.mark(key) != mark}
        ended = set(self.index.watched()) - marks.keys()
        late = {key for key, until in list(self._late) if until > begun}
        self._read_all(session, changed | ended | late)
        self._looked = begun

    def compare(self, session: Session) -> None:
        """Compare the index with all cards and their tasks."""
        begun, begun_at = time.monotonic(), time.time()
        if begun - self._whole > WHOLE_EVERY:
            self._compare_whole(session)
        else:
            since = datetime.fromtimestamp(self._compared_at - _MARGIN, UTC)
            changed = [key for key, mark in changed_marks(session, since) if self.index.mark(key) != mark]
            self._read_all(session, changed)
            if count_cards(session) != len(self.index) + self._without_task:
                self._compare_whole(session)
        self._compared_at = begun_at
        self._looked, self._compared = begun, time.monotonic()
        self._pause = max(SHORTEST_PAUSE, _PAUSES * (self._compared - begun))

    def _compare_whole(self, session: Session) -> None:
        begun, known = time.monotonic(), self.index.marks()
        if not known:
            self._build(session)
        else:
            seen = dict(all_marks(session))
            self.index.drop(known.keys() - seen.keys())
            changed = [key for key, mark in seen.items() if known.get(key) != mark]
            if len(changed) > _MANY:
                self._build(session)
            else:
                self._read_all(session, changed)
        self._without_task = count_cards(session) - len(self.index)
        self._whole = begun

    def _build(self, session: Session) -> None:
        begun, entries = time.monotonic(), all_entries(session)
        while some := list(islice(entries, _MANY)):
            self.index.put(some)
        log.info("Index of %d batch jobs built in %.1f s", len(self.index), time.monotonic() - begun)

    def _read_all(self, session: Session, keys: Iterable[Key]) -> None:
        left = iter(keys)
        while some := list(islice(left, _AT_ONCE)):
            self.read(session, some)

    def _keep_comparing(self) -> None:
        with self._thread_lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="batch-jobs-index", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while time.monotonic() - self._asked < IDLE:
            time.sleep(self._pause)
            try:
                with self._following, create_session() as session:
                    self.compare(session)
            except Exception:
                # The next request that needs the index compares by itself, and raises the error.
                log.warning("The index of batch jobs could not be compared with the database", exc_info=True)


FOLLOWER = Follower()
"""That of this process."""
