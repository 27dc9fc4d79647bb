"""An executor of two hosts on this machine, fed without a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.executors.base import Groups, Work
from airflow_provider_snowflake_batch.worker.executors.host import Host, Order, Report
from airflow_provider_snowflake_batch.worker.executors.hosts import Hosts
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.partitions import Buckets
from airflow_provider_snowflake_batch.worker.input.plan import Plan
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.progress import Progress


class TwoHosts:
    """Each host has its own model processes; what an order takes to get there, and to come back, is :meth:`asking`'s.

    :ivar notes: what whoever reads the log is told.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._hosts: list[Host] = []

    def asking(self, number: int, host: Host) -> Callable[[Order], Report]:
        """How host 0 or 1 is asked."""
        return host.exchange

    def owner(self, task: int) -> int:
        return 0

    def group(self, job: Job, plan: Plan, column: str) -> Groups:
        return Buckets(job.input.path, plan, column, lambda _: True)

    def run(self, work: Work, backlog: Backlog, progress: Progress, done: Callable[[TaskRecord], None]) -> None:
        directory = OutputDirectory(work.job.output.path, work.attempt)

        def recorded(tasks: Any) -> dict[int, TaskRecord]:
            return {index: one for index, one in directory.read_records().items() if index in tasks}

        hosts = Hosts(work, backlog, progress, done, recorded, self.notes.append)
        self._hosts = [Host(work, Launcher(), len(backlog)) for _ in range(2)]
        for number, host in enumerate(self._hosts):
            hosts.join(number, self.asking(number, host))
        while hosts.open:
            hosts.step()
        hosts.finish(5.0)
        hosts.end(10.0)

    def stop(self) -> None:
        for host in self._hosts:
            host.stop()

    def kill(self) -> None:
        for host in self._hosts:
            host.kill()
