"""Replicas that do not know each other: each does every n-th task in model processes of its own machine.

All replicas make the same plan, so that each knows its own tasks by their numbers: nobody gives them out. Each replica
brings its groups of rows together by itself, in temporary files of its machine.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.executors.base import Groups, Work
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.processes import ProcessPool
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.partitions import Buckets
from airflow_provider_snowflake_batch.worker.input.plan import Plan
from airflow_provider_snowflake_batch.worker.job import Replica
from airflow_provider_snowflake_batch.worker.progress import Progress


class ReplicaExecutor:
    """The executor of one replica.

    :param launcher: starts the model processes; the executor closes it.
    """

    def __init__(self, replica: Replica, launcher: Launcher) -> None:
        self._replica = replica
        self._pool = ProcessPool(launcher)

    def owner(self, task: int) -> int:
        return task % self._replica.count

    def group(self, job: Job, plan: Plan, column: str) -> Groups:
        return Buckets(job.input.path, plan, column, lambda bucket: self.owner(bucket) == self._replica.index)

    def run(self, work: Work, backlog: Backlog, progress: Progress, done: Callable[[TaskRecord], None]) -> None:
        self._pool.run(work, backlog, progress, done)

    def stop(self) -> None:
        self._pool.stop()

    def kill(self) -> None:
        self._pool.kill()
