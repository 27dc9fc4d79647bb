"""The actor that replica 0 starts on the Ray node of each other replica: a host, driven from there.

There is one actor for each node and not for each model process. So the processes of a machine share what they have
loaded. And if one dies, by a fault in native code or for lack of memory, the others go on, and its exit status explains
why.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.bad_rows import Quarantine
from airflow_provider_snowflake_batch.worker.cluster.follower import NodeFacts
from airflow_provider_snowflake_batch.worker.errors import DataError, WorkerError
from airflow_provider_snowflake_batch.worker.executors.base import Work
from airflow_provider_snowflake_batch.worker.executors.bucket_files import BucketReceiver, Piece, Wanted
from airflow_provider_snowflake_batch.worker.executors.host import Failure, Host, Order, Report
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.input.content import Identity
from airflow_provider_snowflake_batch.worker.job import read_job
from airflow_provider_snowflake_batch.worker.model_files import ModelFiles, unreadable
from airflow_provider_snowflake_batch.worker.models import prepare_model
from airflow_provider_snowflake_batch.worker.processes.limits import THREAD_VARIABLES
from airflow_provider_snowflake_batch.worker.temporary import JobFolder

# Seconds for a piece of a file from another node.
FETCH_SECONDS = 30.0


@dataclass(frozen=True)
class Setup:
    """What a host on another machine has to know of the batch; the rest is in the job file that it reads there.

    :param schema: of the input rows. :param fingerprint: of the batch. :param found: see `Attempt`.
    :param token: the attempt that it is to write as.
    :param known_schema: of parts that are there already. :param share: how many tasks may come.
    :param input: hash of the whole input, where each task is made of all of it; None where tasks are of files.
    """

    schema: pa.Schema
    fingerprint: str
    found: str | None
    token: str
    known_schema: pa.Schema | None
    share: int
    input: str | None


@dataclass(frozen=True)
class Fetched:
    """What has come of files that a host has asked another actor for.

    :param left: what is still to be fetched. :param failure: why nothing has come.
    :param gone: that actor has ended, so that asking again is of no use.
    """

    left: Wanted
    failure: str | None = None
    gone: bool = False


class RayHost:
    """The class of the actor."""

    def __init__(self) -> None:
        self._host: Host | None = None
        self._buckets: BucketReceiver | None = None
        self._failure: Failure | None = None

    def begin(self, setup: Setup) -> None:
        """Start model processes. The next report tells an error."""
        try:
            folder = JobFolder()
            if setup.input is not None:
                self._buckets = BucketReceiver(Path(tempfile.mkdtemp(prefix="sfbatch-buckets-", dir=folder.path)))
            self._host = _host(setup, folder)
        except WorkerError as error:
            self._failure = Failure(type(error).__name__, error.message, error.details)

    def exchange(self, order: Order) -> Report:
        """See `Host.exchange`."""
        if self._host is None or self._failure is not None:
            return Report(failure=self._failure, ended=True)
        if self._buckets is None:
            return self._host.exchange(order)
        report = self._host.exchange(self._buckets.order(order))
        self._buckets.forget(report)
        return report

    def receive(self, pieces: Sequence[Piece]) -> None:
        """Keep pieces of the files of the next tasks. The next report tells an error."""
        self._keep(lambda buckets: buckets.receive(pieces))

    def link(self, folder: str, names: Sequence[str]) -> None:
        """Take files over that this machine has already. The next report tells an error."""
        self._keep(lambda buckets: buckets.link(Path(folder), names))

    def fetch(self, reader: Any, wanted: Wanted) -> Fetched:
        """Ask another actor for the next bytes of files. They come from its node, past replica 0.

        :param reader: the handle of a `RayReader`.
        """
        import ray
        from ray import exceptions

        self.heard()
        try:
            pieces = ray.get(reader.read.remote(wanted), timeout=FETCH_SECONDS)
        except (exceptions.RayError, exceptions.GetTimeoutError) as error:
            gone = isinstance(error, (exceptions.ActorDiedError, exceptions.RayTaskError))
            return Fetched(wanted, first_line(str(error)), gone)
        self.receive(pieces)
        return Fetched(wanted.after(pieces))

    def heard(self) -> None:
        """See `Host.heard`."""
        if self._host is not None:
            self._host.heard()

    def _keep(self, keep: Callable[[BucketReceiver], None]) -> None:
        if self._host is None or self._buckets is None:
            return
        self._host.heard()
        try:
            keep(self._buckets)
        except WorkerError as error:
            self._failure = Failure(type(error).__name__, error.message, error.details)
            self._host.stop()

    def stop(self) -> None:
        """See `Host.stop`."""
        if self._host is not None:
            self._host.stop()


def _host(setup: Setup, folder: JobFolder) -> Host:
    facts = NodeFacts.here()
    for name in set(THREAD_VARIABLES) - set(facts.threads):
        os.environ.pop(name, None)
    streams = os.open(facts.out, os.O_WRONLY), os.open(facts.err, os.O_WRONLY)
    sys.stderr = os.fdopen(os.dup(streams[1]), "w", buffering=1)
    job = prepare_model(read_job(Path(facts.job_file)), folder.path)
    files = ModelFiles(job)
    work = Work(
        job,
        setup.schema,
        Attempt(setup.fingerprint, setup.token, setup.found, job.name),
        _identity(files, setup.input),
        files.check_unchanged,
        setup.known_schema,
        Quarantine(job.max_quarantined),
    )
    return Host(work, Launcher(streams), setup.share)


def _identity(files: ModelFiles, input_digest: str | None) -> Callable[[], Identity]:
    def identity() -> Identity:
        try:
            return Identity(files.digest(), input_digest)
        except OSError as error:
            raise DataError(unreadable(error)) from None

    return identity


def first_line(text: str) -> str:
    """The first line of a text that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "it has ended")
