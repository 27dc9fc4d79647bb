"""An index of all jobs in the API server's memory, which finds, counts and sorts them without reading every card.

It knows nothing of Airflow's database: what is in it is put there, and can be put there again. It holds no card.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import threading
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from airflow_provider_snowflake_batch.monitoring.entries import ROW, Entry, JobGroup, Key, folded, microseconds
from airflow_provider_snowflake_batch.monitoring.order import COLUMNS, Order, Place

_TABLE = """
CREATE TABLE job (
    number INTEGER PRIMARY KEY,
    dag_run_id INTEGER NOT NULL, task_id TEXT NOT NULL, map_index INTEGER NOT NULL,
    job_group INTEGER NOT NULL, watched INTEGER NOT NULL,
    dag_id TEXT NOT NULL, run_id TEXT NOT NULL,
    status TEXT NOT NULL, model TEXT NOT NULL, pool TEXT NOT NULL,
    recency INTEGER NOT NULL, sent INTEGER NOT NULL, shortness INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    ended INTEGER NOT NULL, began REAL NOT NULL, nodes REAL NOT NULL, node_seconds REAL NOT NULL,
    rows_done REAL NOT NULL, rows_total REAL NOT NULL, speed REAL NOT NULL, fresh_until INTEGER NOT NULL,
    UNIQUE (dag_run_id, task_id, map_index)
);
CREATE INDEX of_run ON job (dag_id, run_id, job_group);
CREATE INDEX watched ON job (number) WHERE watched;
CREATE INDEX by_end ON job (ended, job_group, dag_id, node_seconds) WHERE ended;
"""
_IS = "dag_run_id = ? AND task_id = ? AND map_index = ?"
_PUT = f"INSERT OR REPLACE INTO job ({', '.join(ROW)}) VALUES ({', '.join('?' * len(ROW))})"
_FEW = 5_000
"""Up to so many jobs are sorted. Of more, the first ones are looked for in the order of all, which is faster."""
_SMALL_PART = 10
"""Up to this part of all jobs the database chooses before a text is looked for; of more, that takes longer."""
_GROUPS = tuple(JobGroup)
_MOST_WORDS = 10
"""Of a text that somebody has typed; more tell no more."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are looked for.

    :param readable: ids of the Dags that the user may read; of others nothing is found.
    :param text: words, each of which is a part of something that the list shows of the job, in any case.
    """

    readable: Collection[str]
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """Jobs that have something in common, taken together.

    :param task_id: None if that is not what they have in common.
    :param fresh: of how many what their cards say counts as what is so now.
    :param rows_done: of those whose cards tell of rows.
    :param rows_total: rows that they are to do, as far as that is known.
    :param rows_per_second: of those that run, and are fresh.
    :param ran: of how many it is known that they ran, and for how long.
    :param node_seconds: of all their replicas, as far as is known.
    """

    task_id: str | None
    group: JobGroup
    status: str
    count: int
    fresh: int
    rows_done: float
    rows_total: float
    rows_per_second: float
    ran: float
    node_seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """Jobs that have ended within some time.

    :param counts: how many, by what became of them.
    """

    counts: dict[JobGroup, int]
    node_seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """A job of the index, and its place in the order in which it was looked for."""

    key: Key
    mark: int
    place: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """A way through the jobs of one group in an order.

    :param conditions: on the jobs, with the values ``given`` in their places.
    :param beyond: values of the order's columns after which it begins; True for its first job.
    :param limit: most jobs that are wanted of it.
    :param sorts: whether what the conditions hold for is found and then sorted; otherwise it goes through all jobs.
    """

    group: JobGroup
    order: Order
    conditions: list[str]
    given: list[Any]
    beyond: tuple[Any, ...] | bool
    limit: int
    descending: bool
    sorts: bool = False

    def sorting(self) -> Walk:
        return replace(self, sorts=True)

    def among(self, numbers: list[int]) -> Walk:
        """The same through these jobs alone."""
        chosen = ["number IN (SELECT value FROM json_each(?))"]
        return replace(self, conditions=chosen, given=[json.dumps(numbers)], sorts=True)

    def statement(self, columns: list[str], *, limit: int) -> tuple[str, list[Any]]:
        """:param limit: most rows; -1 for all."""
        # With a sign before it, the column leads into none of the indexes of an order.
        conditions, given = (
            [*self.conditions, f"{'+' if self.sorts else ''}job_group = ?"],
            [*self.given, self.group.number],
        )
        names = self.order.columns
        if isinstance(self.beyond, tuple):
            conditions.append(f"({', '.join(names)}) {'<' if self.descending else '>'} ({', '.join('?' * len(names))})")
            given += self.beyond
        by = "" if self.sorts else f"INDEXED BY by_{self.order.sort.value}"
        way = "DESC" if self.descending else "ASC"
        ordered = ", ".join(f"{name} {way}" for name in names)
        told = f"SELECT {', '.join(columns)} FROM job {by} {_where(conditions)} ORDER BY {ordered} LIMIT ?"
        return told, [*given, limit]


class JobsIndex:
    """Safe for threads, which take turns: no look takes longer than some tens of milliseconds."""

    def __init__(self) -> None:
        self.version = 0
        """Another one after each change."""
        self._lock = threading.RLock()
        self._dag_ids: list[str] | None = None
        # Of each group, by number: what the list shows, and the Dag. Python looks through all of them in a fifth of the
        # time that SQLite needs.
        self._told: tuple[dict[int, tuple[str, str]], ...] = tuple({} for _ in _GROUPS)
        # Of each Dag, how many jobs there are of each group.
        self._of_dag: dict[str, list[int]] = {}
        self._database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._database.executescript(_TABLE)
        for sort, columns in COLUMNS.items():
            self._database.execute(f"CREATE INDEX by_{sort.value} ON job (job_group, {', '.join(columns)})")

    def __len__(self) -> int:
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM job").fetchone()[0])

    def marks(self) -> dict[Key, int]:
        """Those of all jobs."""
        with self._lock:
            found = self._database.execute("SELECT dag_run_id, task_id, map_index, mark FROM job")
            return {row[:3]: row[3] for row in found}

    def mark(self, key: Key) -> int | None:
        """That of a job, if there is such a job."""
        with self._lock:
            found = self._database.execute(f"SELECT mark FROM job WHERE {_IS}", key).fetchone()
        return found[0] if found else None

    def watched(self) -> list[Key]:
        """Jobs whose task may write its card at any time."""
        with self._lock:
            return self._database.execute("SELECT dag_run_id, task_id, map_index FROM job WHERE watched").fetchall()

    def put(self, entries: Iterable[Entry]) -> None:
        """Put jobs into the index, in place of what it holds of them."""
        given = list(entries)
        with self._lock:
            self._database.execute("BEGIN")
            try:
                for each in given:
                    self._forget(each.key)
                    number = self._database.execute(_PUT, tuple(map(_stored, each.row()))).lastrowid
                    assert number is not None
                    self._remember(number, each.group.number, _stored(each.told), sys.intern(_stored(each.dag_id)))
            finally:
                self._database.execute("COMMIT")
            self._has_changed(len(given))

    def drop(self, keys: Iterable[Key]) -> None:
        """Take jobs out of the index."""
        with self._lock:
            self._has_changed(sum(map(self._forget, keys)))

    def _forget(self, key: Key) -> bool:
        """Take a job out, if it is there."""
        found = self._database.execute(f"SELECT number FROM job WHERE {_IS}", tuple(map(_stored, key))).fetchone()
        if found is None:
            return False
        self._database.execute("DELETE FROM job WHERE number = ?", found)
        for group, told in enumerate(self._told):
            if found[0] in told:
                _, dag_id = told.pop(found[0])
                counts = self._of_dag[dag_id]
                counts[group] -= 1
                if not any(counts):
                    del self._of_dag[dag_id]
        return True

    def _remember(self, number: int, group: int, told: str, dag_id: str) -> None:
        self._told[group][number] = (told, dag_id)
        self._of_dag.setdefault(dag_id, [0] * len(_GROUPS))[group] += 1

    def _has_changed(self, jobs: int) -> None:
        if jobs > 0:
            self._dag_ids = None
            self.version += 1

    def dags(self) -> list[str]:
        """Ids of the Dags of which there are jobs, in alphabetical order."""
        with self._lock:
            if self._dag_ids is None:
                self._dag_ids = sorted(self._of_dag)
            return self._dag_ids

    def find(
        self,
        wanted: Wanted,
        order: Order,
        groups: Collection[JobGroup] = tuple(JobGroup),
        *,
        limit: int,
        place: Place | None = None,
        backwards: bool = False,
    ) -> tuple[list[Found], dict[JobGroup, int]]:
        """Some jobs of some groups, and how many are wanted of each group there is.

        :returns: the first jobs after a place, or the last ones before it, which come in the opposite order then.
        :raises InvalidPlace: for a place that is not one of this order.
        """
        descending = order.reverse != backwards
        beyond = {
            group: order.beyond(group, place, descending=descending) if place is not None else True for group in groups
        }
        with self._lock:
            conditions, given = self._conditions(wanted)
            words = _words(wanted.text)
            hits = self._hits(wanted, words) if words else None
            counted = list(map(len, hits)) if hits is not None else self._count(wanted)
            found: list[Found] = []
            for group in groups:
                if counted[group.number] and beyond[group] is not False:
                    walk = Walk(group, order, conditions, given, beyond[group], limit, descending)
                    if hits is not None:
                        walk = walk.among(self._first_hits(walk, words, hits[group.number]))
                    elif counted[group.number] <= _FEW < len(self._told[group.number]):
                        walk = walk.sorting()
                    found += self._in_order(walk)
            counts = dict(zip(_GROUPS, counted, strict=True))
        found.sort(key=lambda each: each.place, reverse=descending)
        return found[:limit], counts

    def sums(self, wanted: Wanted, now: float, *, active: bool = False, by_task: bool = False) -> list[Sum]:
        """Jobs by what became of them and by their status, whatever text is wanted.

        :param now: seconds since the epoch.
        :param active: only those that may still change.
        :param by_task: and by their tasks.
        """
        by = ["task_id" if by_task else "NULL", "job_group", "status"]
        # Not sum(), which may overflow.
        figures = [
            "count(*)",
            "total(fresh_until > ?1)",
            "total(rows_done)",
            "total(rows_total)",
            "total(CASE WHEN fresh_until > ?1 THEN speed END)",
            "total(nodes > 0 OR node_seconds > 0)",
            "total(node_seconds + nodes * max(min(?2, fresh_until / 1e6) - began, 0))",
        ]
        with self._lock:
            conditions, given = self._conditions(wanted)
            if active:
                conditions.append(f"job_group = {JobGroup.ACTIVE.number}")
            statement = f"SELECT {', '.join(by + figures)} FROM job {_where(conditions)} GROUP BY {', '.join(by)}"
            rows = self._database.execute(statement, [microseconds(now), now, *given]).fetchall()
        return [Sum(row[0], _GROUPS[row[1]], row[2], row[3], int(row[4]), *row[5:]) for row in rows]

    def ended(self, wanted: Wanted, begin: float, end: float) -> Ended:
        """Jobs that have ended within some time, in seconds since the epoch, whatever text is wanted."""
        with self._lock:
            conditions, given = self._conditions(wanted)
            within = ["ended >= ?", "ended < ?", *conditions]
            statement = (
                "SELECT job_group, count(*), total(node_seconds) FROM job INDEXED BY by_end "
                f"{_where(['ended', *within])} GROUP BY job_group"
            )
            rows = self._database.execute(statement, [microseconds(begin), microseconds(end), *given]).fetchall()
        return Ended({_GROUPS[row[0]]: row[1] for row in rows}, sum(row[2] for row in rows))

    def _count(self, wanted: Wanted) -> list[int]:
        """How many jobs there are of each group, whatever text is wanted."""
        if wanted.run_id is None and wanted.task_id is None:
            of_dags = [self._of_dag[dag_id] for dag_id in self._wanted_dags(wanted)]
            return [sum(counts[group] for counts in of_dags) for group in range(len(_GROUPS))]
        conditions, given = self._conditions(wanted)
        statement = f"SELECT job_group, count(*) FROM job {_where(conditions)} GROUP BY job_group"
        counted = dict(self._database.execute(statement, given).fetchall())
        return [counted.get(group, 0) for group in range(len(_GROUPS))]

    def _hits(self, wanted: Wanted, words: list[str]) -> list[list[int]]:
        """The numbers of the jobs of each group that have all words."""
        dags = set(self._wanted_dags(wanted))
        few = sum(sum(self._of_dag[dag_id]) for dag_id in dags) <= sum(map(len, self._told)) / _SMALL_PART
        if few or wanted.run_id is not None or wanted.task_id is not None:
            conditions, given = self._conditions(wanted)
            chosen = self._database.execute(f"SELECT number, job_group FROM job {_where(conditions)}", given).fetchall()
            return [
                [number for number, its in chosen if its == group and _has(told[number][0], words)]
                for group, told in enumerate(self._told)
            ]
        # The longest word first, since fewest jobs have it.
        first, *others = sorted(words, key=len, reverse=True)
        found = []
        for told in self._told:
            if len(dags) == len(self._of_dag):
                hits = [number for number, (text, _) in told.items() if first in text]
            else:
                hits = [number for number, (text, dag_id) in told.items() if dag_id in dags and first in text]
            for word in others:
                hits = [number for number in hits if word in told[number][0]]
            found.append(hits)
        return found

    def _first_hits(self, walk: Walk, words: list[str], hits: list[int]) -> list[int]:
        """Numbers among which the first jobs are that have all words. Mostly a few steps through all jobs lead there,
        which takes less than to sort those that have them."""
        if len(hits) <= walk.limit:
            return hits
        told, many = self._told[walk.group.number], len(hits) > _FEW
        with closing(self._database.execute(*walk.statement(["number"], limit=-1 if many else _FEW))) as rows:
            first = list(islice((number for (number,) in rows if _has(told[number][0], words)), walk.limit))
        return first if many or len(first) == walk.limit else hits

    def _in_order(self, walk: Walk) -> list[Found]:
        columns = ["dag_run_id", "task_id", "map_index", "mark", *walk.order.columns]
        rows = self._database.execute(*walk.statement(columns, limit=walk.limit)).fetchall()
        return [Found(row[:3], row[3], walk.order.place(walk.group, row[4:])) for row in rows]

    def _wanted_dags(self, wanted: Wanted) -> list[str]:
        """Those of which there are jobs, which are wanted and may be read."""
        dags = self.dags() if wanted.dag_id is None else [_stored(wanted.dag_id)]
        readable = {_stored(dag_id) for dag_id in wanted.readable}
        return [dag_id for dag_id in dags if dag_id in readable and dag_id in self._of_dag]

    def _conditions(self, wanted: Wanted) -> tuple[list[str], list[Any]]:
        """All that is wanted but the text."""
        conditions: list[str] = []
        given: list[Any] = []
        dags = self._wanted_dags(wanted)
        if len(dags) < len(self._of_dag):
            conditions.append("dag_id IN (SELECT value FROM json_each(?))")
            given.append(json.dumps(dags))
        for name in ("run_id", "task_id"):
            if (value := getattr(wanted, name)) is not None:
                conditions.append(f"{name} = ?")
                given.append(_stored(value))
        return conditions, given


def _has(told: str, words: Collection[str]) -> bool:
    return all(word in told for word in words)


def _where(conditions: list[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _stored(value: Any) -> Any:
    # JSON can spell half of a surrogate pair, which UTF-8 cannot.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _words(text: str | None) -> list[str]:
    # The list shows "dag · task", which counts as one word.
    told = re.sub(r"\s*·\s*", "·", (text or "").strip())
    words = [word.replace("·", " · ").strip() for word in told.split() if word != "·"][:_MOST_WORDS]
    return [_stored(folded(word)) for word in words]
