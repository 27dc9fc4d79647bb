"""What the coordinator and its model processes say to each other, over a local socket.

Imports nothing heavy, so that a process can call before it has loaded anything.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_snowflake_batch.contract.job_file import Job
    from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
    from airflow_provider_snowflake_batch.worker.attempt import Attempt
    from airflow_provider_snowflake_batch.worker.input.content import Identity
    from airflow_provider_snowflake_batch.worker.input.plan import Task


@dataclass(frozen=True)
class Hello:
    """First word of a process: which one it is."""

    worker: int
    pid: int


@dataclass(frozen=True)
class Limit:
    """The first order: the most threads that numeric libraries may start in the process.

    It comes by itself, because reading the next order loads such libraries.
    """

    threads: int


@dataclass(frozen=True)
class Load:
    """Load the model.

    :param fork: whether further processes may be forked from this one.
    :param later: load what the work needs besides the model, and wait for `LoadNow`.
    """

    job: Job
    schema: pa.Schema
    attempt: Attempt
    fork: bool
    later: bool = False


@dataclass(frozen=True)
class LoadNow:
    """Load the model that was named before."""


@dataclass(frozen=True)
class Loaded:
    """The model is in memory.

    :param seconds: time it took.
    :param resident: memory of the process in bytes.
    :param forkable: whether the process may be forked: it has one thread only.
    """

    seconds: float
    resident: int
    forkable: bool


@dataclass(frozen=True)
class Fork:
    """Fork a process that works as the given worker."""

    worker: int


@dataclass(frozen=True)
class Exited:
    """A forked process ended. :param status: exit code, or minus the signal."""

    worker: int
    status: int


@dataclass(frozen=True)
class Begin:
    """Work on assignments from now on."""


@dataclass(frozen=True)
class Assignment:
    """A task to do.

    :param schema: the schema that the parts written so far share; this part is written no narrower.
    :param proven: some row of the batch has been scored, so the model does not fail for everything.
    :param quarantine_room: rows that may still be set aside as bad.
    :param identity: what the model and, for groups, the input are; for the record.
    """

    task: Task
    identity: Identity
    schema: pa.Schema | None = None
    proven: bool = False
    quarantine_room: int = 0


@dataclass(frozen=True)
class Stop:
    """End after the batch at hand."""


@dataclass(frozen=True)
class Finished:
    """A task is written and recorded."""

    record: TaskRecord


@dataclass(frozen=True)
class Widened:
    """A task must be done again with a wider schema."""

    task: Task
    schema: pa.Schema


@dataclass(frozen=True)
class NotWritten:
    """What a task wrote has not arrived. :param passing: it may, if the task is done again."""

    task: Task
    message: str
    passing: bool


@dataclass(frozen=True)
class Rows:
    """Rows predicted since the last such message. :param batch: the most with which the model was called meanwhile."""

    count: int
    batch: int


@dataclass(frozen=True)
class SetAside:
    """Bad rows of a task that is not done yet. :param latest: one of them with its error, in words."""

    count: int
    latest: str


@dataclass(frozen=True)
class Failed:
    """The batch cannot go on. :param kind: name of the error class in `errors`."""

    kind: str
    message: str
    details: str


def connect(address: Path) -> Connection:
    """Connect to the coordinator."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(address))
        return Connection(client.detach())
