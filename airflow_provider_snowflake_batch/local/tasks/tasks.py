"""Tasks and their runs: kept in the control database, run by EXECUTE TASK.

Sources: https://docs.snowflake.com/en/user-guide/tasks-intro, https://docs.snowflake.com/en/user-guide/tasks-graphs and
https://docs.snowflake.com/en/sql-reference/functions/task_history. Nothing runs by the clock here.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field, replace

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, already_exists, does_not_exist
from airflow_provider_snowflake_batch.local.protocol.queries import Queries
from airflow_provider_snowflake_batch.local.sessions import Session, Sessions
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.state import StateDirectory

Name = tuple[str, str, str]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    database TEXT, schema TEXT, name TEXT, record TEXT, PRIMARY KEY (database, schema, name));
CREATE TABLE IF NOT EXISTS task_runs (number INTEGER PRIMARY KEY, record TEXT);
"""
_STOPPED = "The local Snowflake was stopped while the task ran."


@dataclass(frozen=True, slots=True)
class Task:
    """A task as CREATE TASK gave it.

    :param after: the qualified names of the tasks that it runs after; a root task has none.
    :param condition: the expression of WHEN, if there is one.
    :param started: whether it was resumed.
    """

    database: str
    schema: str
    name: str
    sql: str
    owner: str
    user: str
    warehouse: str | None = None
    schedule: str | None = None
    after: tuple[Name, ...] = ()
    condition: str | None = None
    comment: str = ""
    started: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)

    @property
    def qualified(self) -> Name:
        return self.database, self.schema, self.name


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a task.

    :param state: SCHEDULED, EXECUTING, SUCCEEDED, FAILED or SKIPPED.
    :param scheduled: seconds since 1970, as the other times.
    """

    task: Name
    sql: str
    condition: str | None
    root: str
    graph: str
    scheduled: float
    state: str = "SCHEDULED"
    query_id: str | None = None
    began: float | None = None
    completed: float | None = None
    error_code: str | None = None
    error: str | None = None
    number: int = 0


class Tasks:
    """All tasks.

    :param queries: runs their statements, each run in a session of its own.
    """

    def __init__(self, state: StateDirectory, sessions: Sessions, queries: Queries, engine: Engine) -> None:
        self._control = state.control(_SCHEMA)
        self._closed = False
        self._sessions, self._queries, self._engine = sessions, queries, engine
        for run in self.runs():
            if run.completed is None:
                self._keep(replace(run, state="FAILED", error=_STOPPED, error_code="000604", completed=time.time()))

    def all(self) -> list[Task]:
        rows = self._control.rows("SELECT record FROM tasks ORDER BY name")
        return [_task(record) for (record,) in rows]

    def get(self, name: Name) -> Task:
        """:raises SnowflakeError: 2003 if there is none."""
        found = next((task for task in self.all() if task.qualified == name), None)
        if found is None:
            raise does_not_exist("Task", ".".join(name))
        return found

    def create(self, task: Task, *, or_replace: bool = False, if_not_exists: bool = False) -> bool:
        """Whether it was created.

        :raises SnowflakeError: 2002 if it is there and neither flag is given, 2003 for a task in AFTER that is not.
        """
        for name in task.after:
            self.get(name)
        verb = "REPLACE" if or_replace else "INSERT OR IGNORE"
        changed = self._control.insert("tasks", *task.qualified, json.dumps(asdict(task)), verb=verb)
        if not changed and not if_not_exists:
            raise already_exists(task.name)
        return changed > 0

    def start(self, name: Name, started: bool) -> None:
        """Resume or suspend a task."""
        self.create(replace(self.get(name), started=started), or_replace=True)

    def drop(self, name: Name) -> None:
        self.get(name)
        self._control.run("DELETE FROM tasks WHERE (database, schema, name) = (?, ?, ?)", *name)

    def drop_all(self, database: str, schema: str | None = None) -> None:
        """Those of a database or schema that is dropped."""
        for task in self.all():
            if task.database == database and schema in (None, task.schema):
                self.drop(task.qualified)

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        rows = self._control.rows("SELECT number, record FROM task_runs ORDER BY number DESC")
        return [_run(number, record) for number, record in rows]

    def execute(self, name: Name) -> None:
        """Run a task now, and those after it that are resumed, beside whatever goes on.

        :raises SnowflakeError: 2003 if there is none.
        """
        root = self.get(name)
        graph = str(uuid.uuid4())
        first = self._new_run(root, root, graph)
        threading.Thread(target=self._run_graph, args=(root, first), name="task", daemon=True).start()

    def _run_graph(self, root: Task, first: Run) -> None:
        ended = {root.qualified: self._run_one(root, first)}
        while True:
            following = next(
                (
                    task
                    for task in self.all()
                    if task.started and task.after and task.qualified not in ended and set(task.after) <= set(ended)
                ),
                None,
            )
            if following is None:
                return
            # A task that was skipped or has failed stops those after it.
            if all(ended[name] == "SUCCEEDED" for name in following.after):
                run = self._new_run(following, root, first.graph)
                ended[following.qualified] = self._run_one(following, run)
            else:
                ended[following.qualified] = "SKIPPED"

    def _new_run(self, task: Task, root: Task, graph: str) -> Run:
        return self._keep(Run(task.qualified, task.sql, task.condition, root.id, graph, time.time()))

    def _run_one(self, task: Task, run: Run) -> str:
        """Run a task's statement; the state in which that ends."""
        session = self._session(task)
        run = self._keep(replace(run, state="EXECUTING", began=time.time()))
        try:
            if task.condition is not None:
                answer = self._engine.run(session, f"SELECT ({task.condition})::BOOLEAN").rows[0][0]
                if answer is not True:
                    return self._keep(replace(run, state="SKIPPED", completed=time.time())).state
            query = self._queries.submit(session, task.sql)
            run = self._keep(replace(run, query_id=query.id))
            assert query.future is not None
            query.future.result()
            if query.error is not None:
                raise query.error
            return self._keep(replace(run, state="SUCCEEDED", completed=time.time())).state
        except SnowflakeError as error:
            failed = replace(
                run, state="FAILED", completed=time.time(), error_code=f"{error.errno:06}", error=str(error)
            )
            return self._keep(failed).state
        finally:
            self._sessions.close(session)

    def _session(self, task: Task) -> Session:
        session = self._sessions.create(task.user, task.owner)
        session.database, session.schema, session.warehouse = task.database, task.schema, task.warehouse
        return session

    def _keep(self, run: Run) -> Run:
        record = json.dumps(asdict(run))
        with self._control.lock:
            if self._closed:
                # The next start says what became of it.
                return run
            if run.number:
                self._control.run("UPDATE task_runs SET record = ? WHERE number = ?", record, run.number)
                return run
            ((number,),) = self._control.rows("INSERT INTO task_runs (record) VALUES (?) RETURNING number", record)
        return replace(run, number=number)

    def close(self) -> None:
        with self._control.lock:
            self._closed = True
            self._control.close()


def _task(record: str) -> Task:
    given = json.loads(record)
    return Task(**given | {"after": tuple(tuple(name) for name in given["after"])})


def _run(number: int, record: str) -> Run:
    given = json.loads(record)
    return Run(**given | {"task": tuple(given["task"]), "number": number})
