"""The executor of a planned batch, as the code that plans the batch knows it: who does the tasks, and where.

Planning says which tasks there are, and keeps those that are left in a `Backlog`. An executor pulls from it when one
of its processes has room, so that fast ones do more than slow ones. It decides how a batch is divided among replicas,
and where groups of rows are brought together, since both depend on where the tasks are done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.bad_rows import Quarantine
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.content import Identity
from airflow_provider_snowflake_batch.worker.input.plan import Plan
from airflow_provider_snowflake_batch.worker.progress import Progress


@dataclass(frozen=True)
class Work:
    """What all tasks of an attempt have in common.

    :param schema: of the input rows.
    :param identity: tells what the model and, for groups, the input are; asked when the first model is loaded.
    :param model_loaded: to be called each time that a process has loaded the model, before it gets a task; raises
        `OutputError` if the model's files may have been others by then than those that `identity` tells of.
    :param known_schema: the schema of parts that an earlier attempt wrote, None if there are none.
    :param quarantine: counts the bad rows of the batch.
    """

    job: Job
    schema: pa.Schema
    attempt: Attempt
    identity: Callable[[], Identity]
    model_loaded: Callable[[], None]
    known_schema: pa.Schema | None
    quarantine: Quarantine


class Groups(Protocol):
    """Rows that share a value, being brought together."""

    def fill(self) -> Plan:
        """Read the whole input once.

        :return: the plan with tasks of whole groups.
        :raises WorkerError: a file cannot be read, or there is no room for the groups.
        """

    def close(self) -> None:
        """Give up the room that they take."""


class Executor(Protocol):
    """Does the tasks of batches, on this machine or on others."""

    def owner(self, task: int) -> int:
        """The number of the replica that is responsible for a task."""

    def group(self, job: Job, plan: Plan, column: str) -> Groups:
        """Prepare to bring the rows together that share a value.

        :param column: of which column, in the input's own spelling.
        :raises Refused: its values make no groups.
        """

    def run(self, work: Work, backlog: Backlog, progress: Progress, done: Callable[[TaskRecord], None]) -> None:
        """Do tasks until the backlog is empty and will stay so.

        :param done: told of each task when it is recorded.
        :raises WorkerError: what ended the batch early.
        """

    def stop(self) -> None:
        """End in order: batches of rows that are with a model are finished, nothing else is begun."""

    def kill(self) -> None:
        """End now. Nothing is written after this. May be called at any time, also twice."""
