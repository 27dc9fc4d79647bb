"""A timed sample of a batch: the real thing, into a folder that is removed, until the time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.vocabulary import SaveMode
from airflow_provider_snowflake_batch.worker.errors import Refused, Terminated
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.replicas import ReplicaExecutor
from airflow_provider_snowflake_batch.worker.forecast import Sample
from airflow_provider_snowflake_batch.worker.input.plan import make_plan
from airflow_provider_snowflake_batch.worker.job import Replica
from airflow_provider_snowflake_batch.worker.processes.limits import device_shares
from airflow_provider_snowflake_batch.worker.processes.memory import bytes_with_descendants
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.run import Run
from airflow_provider_snowflake_batch.worker.stage_files.loaders import column_loaders

# Rows in one call of the model, beside what the job says or the worker chooses.
BATCH_ROWS = (128, 1024, 8192, 65536)
# A sample ends with an error if the model has scored no row within so many times the sample's time.
_PATIENCE = 3.0
_MEMORY_SECONDS = 0.25


class _Over(Terminated):
    """The sample's time is up."""


class _Watch(Progress):
    """Notes how far the batch is, and ends it.

    :param seconds: from the first rows on.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._looked = 0.0
        self.points: list[tuple[float, int]] = []
        self.memory: int | None = None
        self.most_workers = 0

    @property
    def start_seconds(self) -> float:
        """Until the model was loaded."""
        return (self._running_since or time.monotonic()) - self._begun

    def complete(self) -> None:
        self._note(time.monotonic())
        super().complete()

    def tick(self) -> None:
        if self._running_since is None:
            return
        now = time.monotonic()
        self.most_workers = max(self.most_workers, self.workers)
        if now - self._looked > _MEMORY_SECONDS:
            self._looked = now
            held = bytes_with_descendants()
            self.memory = max((one for one in (self.memory, held) if one is not None), default=None)
        self._note(now)
        first = self._running_since + self.points[0][0] if self.points else None
        if now > (self._running_since + _PATIENCE * self._seconds if first is None else first + self._seconds):
            raise _Over("the sample is over")

    def _note(self, now: float) -> None:
        seen = self.points[-1][1] if self.points else 0
        if self._running_since is not None and self.rows_done > seen:
            self.points.append((now - self._running_since, self.rows_done))


def task_rows(job: Job) -> list[int]:
    """The rows of each task of a job, in order.

    :raises Refused: it has groups of rows, or there is no input.
    """
    if job.input.partition_column is not None:
        raise Refused("with partition_column all of the input is read before the first row is scored: no sample of it")
    plan = make_plan(
        job.input.path,
        job.input.pattern,
        lambda schema: bool(column_loaders(job, schema)),
        apart_from=job.output.path,
        task_rows=job.max_task_rows,
    )
    if not plan.rows:
        raise Refused(f"the input {job.input.path} has no rows: nothing can be said of it")
    return [task.rows for task in plan.tasks]


def samples(
    job: Job, seconds: float, rows: int, folder: Path, make_launcher: Callable[[], Launcher]
) -> Iterator[Sample]:
    """Score some of the input with one batch size after the other.

    :param job: with its model prepared. :param seconds: for all of them together.
    :param rows: of the whole input. :param folder: for what is written.
    :raises WorkerError: the model or the input has failed, as the job would.
    :raises Refused: the model has scored nothing within the time.
    """
    share = seconds / (1 + len(BATCH_ROWS))
    first = _take(job, share, folder / "output-0", make_launcher)
    yield first
    for number, size in enumerate(BATCH_ROWS, start=1):
        # Larger sizes are left out: one call would take all of the time, or would get no more rows than a smaller one.
        longest = first.rows_per_second * share / max(first.workers, 1)
        if size != job.max_batch_rows and size <= min(longest, rows):
            changed = replace(job, max_batch_rows=size)
            yield _take(changed, share, folder / f"output-{number}", make_launcher)


def _take(job: Job, seconds: float, output: Path, make_launcher: Callable[[], Launcher]) -> Sample:
    job = replace(job, output=replace(job.output, path=output, mode=SaveMode.ERROR))
    watch, launcher = _Watch(seconds), make_launcher()
    whole = True
    try:
        # Early, as a job starts it, so that libraries load meanwhile.
        launcher.start_early(next(iter(device_shares(job.num_workers)), None))
        Run(job, Replica(), ReplicaExecutor(Replica(), launcher), watch)()
    except _Over:
        whole = False
    finally:
        launcher.close()
    if not watch.points:
        raise Refused(f"the model has scored nothing in {_PATIENCE * seconds:.3g} s: take a longer sample (--seconds)")
    return Sample(job.max_batch_rows, tuple(watch.points), watch.start_seconds, watch.memory, watch.most_workers, whole)
