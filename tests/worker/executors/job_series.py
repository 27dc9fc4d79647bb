"""Several jobs one after the other, by the same replicas: a Ray cluster takes longer to start than a small job to run.

``python -m tests.worker.executors.job_series alone|static|ray FOLDER JOB.json…``, as the replica that the environment
says. Tasks are small. With ``ray`` this is replica 0; the others are workers as usual, with the job file ``JOB.json``
in the folder, whose content changes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.worker.cluster.leader import Leader
from airflow_provider_snowflake_batch.worker.cluster.place import place_from_environment
from airflow_provider_snowflake_batch.worker.cluster.ray_node import RayNode
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Rendezvous, RunEnd, Timeouts
from airflow_provider_snowflake_batch.worker.executors import ray_cluster, ray_executor, shared_buckets
from airflow_provider_snowflake_batch.worker.executors.host import Order, Report
from airflow_provider_snowflake_batch.worker.executors.hosts import Hosts
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.ray_executor import RayExecutor
from airflow_provider_snowflake_batch.worker.executors.replicas import ReplicaExecutor
from airflow_provider_snowflake_batch.worker.executors.shared_buckets import Reader, SharedBuckets
from airflow_provider_snowflake_batch.worker.input import partitions, plan
from airflow_provider_snowflake_batch.worker.job import read_job, replica_from_environment
from airflow_provider_snowflake_batch.worker.models import prepare_model
from airflow_provider_snowflake_batch.worker.processes.descendants import Descendants
from airflow_provider_snowflake_batch.worker.run import Run
from airflow_provider_snowflake_batch.worker.temporary import JobFolder

TASK_ROWS = 100
CURRENT = "JOB.json"


class AllTakePart(Hosts):
    """Hosts that each do a task before any does a second one, however fast it is."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._loaded: set[int] = set()
        self._did = Counter[int]()

    def join(self, replica: int, ask: Callable[[Order], Report]) -> None:
        count = replica_from_environment().count

        def asked(order: Order) -> Report:
            report = ask(order)
            self._did[replica] += len(report.records)
            if report.workers:
                self._loaded.add(replica)
            waits = len(self._loaded) < count or (self._did[replica] and len(+self._did) < count)
            return replace(report, room=0) if waits else report

        super().join(replica, asked)


class AllRead(SharedBuckets):
    """Groups of rows that are not read before all replicas can."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._employed = 0

    def employ(self, reader: Reader) -> threading.Thread:
        self._employed += 1
        return super().employ(reader)

    def fill(self) -> plan.Plan:
        while self._employed < replica_from_environment().count - 1:
            self._step()
            time.sleep(0.05)
        return super().fill()


def _prepared(path: Path, folder: Path) -> Job:
    """A job with a folder of its own for copies of the model."""
    return prepare_model(read_job(path), Path(tempfile.mkdtemp(dir=folder)))


def static(jobs: Sequence[Path], folder: Path) -> None:
    replica = replica_from_environment()
    for path in jobs:
        job = _prepared(path, folder)
        Run(job, replica, ReplicaExecutor(replica, Launcher()))()


def ray(jobs: Sequence[Path], folder: JobFolder, current: Path) -> None:
    replica = replica_from_environment()
    versions = {"Python": sys.version.split()[0], "Ray": ray_cluster.ray_version()}
    leader = Leader(place_from_environment(), Rendezvous(current.parent), replica.count, versions, Timeouts())
    heads: list[RayNode] = []

    def head(*arguments: Any) -> RayNode:
        heads[:] = heads or [RayNode(*arguments)]
        return heads[0]

    ray_cluster.RayNode = head  # type: ignore[assignment, misc]
    ray_executor.Hosts = AllTakePart  # type: ignore[misc]
    ray_executor.SharedBuckets = AllRead  # type: ignore[misc]
    end = RunEnd("ClusterError", "the series has broken off")
    try:
        for path in jobs:
            shutil.copy(path, current.with_suffix(".new"))
            os.replace(current.with_suffix(".new"), current)
            job = _prepared(current, folder.path)
            Run(job, replica, RayExecutor(leader, Launcher(), job, folder.short(30)))()
        end = RunEnd()
    finally:
        leader.end(end)


def main(how: str, shared: Path, jobs: Sequence[Path]) -> None:
    for module, name in ((plan, "TASK_ROWS"), (plan, "TASK_ROWS_WITH_FILES"), (partitions, "TASK_ROWS")):
        setattr(module, name, TASK_ROWS)
    # So that each row group of the input is read for itself.
    shared_buckets.CHUNK_BYTES, shared_buckets.CHUNKS_EACH = 1, 1000
    folder = JobFolder()
    folder.use()
    descendants = Descendants(folder.path)
    try:
        if how == "ray":
            ray(jobs, folder, shared / CURRENT)
        else:
            static(jobs, folder.path)
    finally:
        descendants.kill()
        folder.remove()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [Path(one) for one in sys.argv[3:]])
