"""The executor of replica 0 where the replicas are a Ray cluster: whoever has room gets the next task.

Its own model processes begin at once. If there are more tasks than they can have at the same time, the cluster is
started meanwhile, and every node that comes gets a host. So nothing waits for a replica that comes late, or never.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.contract.vocabulary import Sharing
from airflow_provider_snowflake_batch.worker.attempt import TOKEN_BYTES
from airflow_provider_snowflake_batch.worker.cluster.leader import Leader
from airflow_provider_snowflake_batch.worker.errors import ClusterError
from airflow_provider_snowflake_batch.worker.executors.base import Groups, Work
from airflow_provider_snowflake_batch.worker.executors.host import Host
from airflow_provider_snowflake_batch.worker.executors.hosts import Hosts
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.processes import STOP_SECONDS
from airflow_provider_snowflake_batch.worker.executors.ray_cluster import RayCluster
from airflow_provider_snowflake_batch.worker.executors.ray_host import Setup
from airflow_provider_snowflake_batch.worker.executors.share import note
from airflow_provider_snowflake_batch.worker.executors.shared_buckets import HostHere, SharedBuckets
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.plan import Plan
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.processes import limits
from airflow_provider_snowflake_batch.worker.progress import Progress

# Seconds in which hosts hear that nothing more will come, since each is asked more often than that.
FINISH_SECONDS = 2.0


class RayExecutor:
    """Shares a batch among replicas that come to the leader.

    :param launcher: starts the model processes of this machine; the executor closes it.
    :param job: says whether there has to be a cluster, and how many replicas have to take part.
    :param folder: for files of the cluster.
    """

    def __init__(self, leader: Leader, launcher: Launcher, job: Job, folder: Path) -> None:
        self._leader, self._launcher, self._folder = leader, launcher, folder
        self._least = job.min_replicas
        self._needed = job.executor is Sharing.RAY or job.min_replicas is not None
        self._cluster: RayCluster | None = None
        self._host: Host | None = None
        self._hosts: Hosts | None = None
        self._buckets: SharedBuckets | None = None
        # Nodes that came while the input was read, and have no host yet.
        self._waiting: list[tuple[int, str]] = []
        self._tokens: set[str] = set()
        self._all_there = self._without = False

    @property
    def children(self) -> set[int]:
        """Processes that are waited for here."""
        return self._cluster.children if self._cluster is not None else set()

    def owner(self, task: int) -> int:
        return 0

    def group(self, job: Job, plan: Plan, column: str) -> Groups:
        step = functools.partial(self._let_read, job)
        self._buckets = SharedBuckets(job.input.path, plan, column, self._leader.count, step, note)
        return self._buckets

    def _let_read(self, job: Job) -> None:
        """Have the nodes that have come read a part of the input."""
        assert self._buckets is not None
        if len(self._buckets.chunks) > 1:
            self._start_cluster(job, self._buckets.spreading.count)
        if self._cluster is not None:
            for replica, node in self._newcomers(self._cluster):
                self._employ(self._cluster, replica, node)
                self._waiting.append((replica, node))
            self._look_who_is_missing()

    def _employ(self, cluster: RayCluster, replica: int, node: str) -> None:
        note(f"replica {replica} takes part")
        if self._buckets is not None:
            # Also where all is read: it may have to read what a lost one has read.
            self._buckets.employ(cluster.reader(replica, node, self._buckets.spreading))

    def _start_cluster(self, job: Job, tasks: int) -> None:
        if self._cluster is None and tasks > limits.process_count(job.num_workers, tasks):
            self._cluster = RayCluster(self._leader, self._folder, note)

    def run(self, work: Work, backlog: Backlog, progress: Progress, done: Callable[[TaskRecord], None]) -> None:
        directory = OutputDirectory(work.job.output.path, work.attempt)
        hosts = self._hosts = Hosts(work, backlog, progress, done, functools.partial(self._recorded, directory), note)
        tasks = len(backlog)
        progress.phase("loading")
        self._host = Host(work, self._launcher, tasks)
        hosts.join(0, self._host.exchange if self._buckets is None else HostHere(self._host, self._buckets))
        self._start_cluster(work.job, tasks)
        loaded = False
        while hosts.open:
            hosts.step()
            if not loaded and progress.workers:
                loaded = True
                progress.phase("running")
            if self._cluster is not None:
                self._let_in(self._cluster, hosts, work)
        hosts.finish(FINISH_SECONDS)

    def _let_in(self, cluster: RayCluster, hosts: Hosts, work: Work) -> None:
        waiting, self._waiting = self._waiting, []
        for replica, node in waiting:
            self._join(cluster, hosts, work, replica, node)
        for replica, node in self._newcomers(cluster):
            self._employ(cluster, replica, node)
            self._join(cluster, hosts, work, replica, node)
        self._look_who_is_missing()

    def _join(self, cluster: RayCluster, hosts: Hosts, work: Work, replica: int, node: str) -> None:
        # The host writes under a token of its own, since an earlier host that seems to be lost may still write.
        token = secrets.token_hex(TOKEN_BYTES)
        self._tokens.add(token)
        setup = Setup(
            work.schema,
            work.attempt.fingerprint,
            work.attempt.found,
            token,
            hosts.schema,
            hosts.tasks_left,
            work.identity().input,
        )
        hosts.join(replica, cluster.host(replica, node, setup, self._buckets))

    def _look_who_is_missing(self) -> None:
        if not self._all_there:
            self._all_there = self._leader.missing(self._least, note)

    def _newcomers(self, cluster: RayCluster) -> Iterator[tuple[int, str]]:
        if not self._without:
            try:
                yield from cluster.newcomers()
            except ClusterError as error:
                if self._needed:
                    raise
                self._without = True
                note(f"{error}; replica 0 goes on without the others")

    def stop(self) -> None:
        if self._host is not None:
            self._host.stop()
        if self._cluster is not None:
            self._cluster.stop()
        if self._hosts is not None:
            self._hosts.end(STOP_SECONDS)

    def kill(self) -> None:
        if self._cluster is not None:
            self._cluster.close()
        if self._host is not None:
            self._host.kill()
        self._launcher.close()

    def _recorded(self, directory: OutputDirectory, tasks: Collection[int]) -> Mapping[int, TaskRecord]:
        """The records of some tasks that hosts have written."""
        found = directory.read_records() if tasks else {}
        return {index: one for index, one in found.items() if index in tasks and one.attempt in self._tokens}
