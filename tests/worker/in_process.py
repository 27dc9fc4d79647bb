"""A whole run of the worker in the test's own process: everything but the processes that models are in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.errors import OutputError, WorkerError
from airflow_provider_snowflake_batch.worker.executors.base import Groups, Work
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.partitions import Buckets
from airflow_provider_snowflake_batch.worker.input.plan import Plan, Task
from airflow_provider_snowflake_batch.worker.job import Replica, read_job
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.output.records import arrow_schema
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.run import Run
from airflow_provider_snowflake_batch.worker.scoring.assembly import assemble
from airflow_provider_snowflake_batch.worker.scoring.messages import Assignment
from airflow_provider_snowflake_batch.worker.values import schemas


class InProcess:
    """An executor that does one task after the other, each in a pipeline of its own.

    :param model: is called; no model is loaded.
    :param still_of: see `TaskPart`.
    """

    def __init__(self, model: LoadedModel, still_of: Callable[[str], None] = lambda digest: None) -> None:
        self._model, self._still_of = model, still_of
        self._schema: pa.Schema | None = None
        self._again: list[Task] = []
        self._error: WorkerError | None = None
        self._done: Callable[[TaskRecord], None] = lambda record: None

    def owner(self, task: int) -> int:
        return 0

    def group(self, job: Job, plan: Plan, column: str) -> Groups:
        return Buckets(job.input.path, plan, column, lambda bucket: True)

    def run(self, work: Work, backlog: Backlog, progress: Progress, done: Callable[[TaskRecord], None]) -> None:
        self._schema, self._done = work.known_schema, done
        while backlog.open:
            backlog.look()
            while (task := backlog.take()) is not None:
                orders: SimpleQueue[Assignment | None] = SimpleQueue()
                orders.put(Assignment(task, work.identity(), self._schema, quarantine_room=work.quarantine.room))
                orders.put(None)
                assemble(
                    work.job,
                    work.schema,
                    work.attempt,
                    self._model,
                    orders,
                    self,
                    use_threads=False,
                    still_of=self._still_of,
                ).run()
                if self._error is not None:
                    raise self._error
                backlog.give_back(self._again)
                self._again = []

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def done(self, record: TaskRecord) -> None:
        self._join(arrow_schema(record))
        self._done(record)

    def widened(self, task: Task, schema: pa.Schema) -> None:
        self._join(schema)
        self._again.append(task)

    def _join(self, schema: pa.Schema | None) -> None:
        if schema is not None:
            self._schema = schema if self._schema is None else schemas.join(self._schema, schema)

    def rows(self, count: int, batch: int) -> None: ...

    def set_aside(self, count: int, latest: str) -> None: ...

    def not_written(self, task: Task, message: str, *, passing: bool) -> None:
        self._error = OutputError(message)

    def failed(self, error: WorkerError) -> None:
        self._error = error


def score(job: Path, model: LoadedModel) -> None:
    """Do what a job file says, with a model that is there already.

    :raises WorkerError: what ended it.
    """
    Run(read_job(job), Replica(), InProcess(model))()
