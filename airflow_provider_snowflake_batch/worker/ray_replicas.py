"""A replica's run where the replicas share the work over Ray: the first leads, the others follow."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.vocabulary import Sharing
from airflow_provider_snowflake_batch.worker.cluster.follower import Follower
from airflow_provider_snowflake_batch.worker.cluster.leader import Leader
from airflow_provider_snowflake_batch.worker.cluster.place import place_from_environment
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Rendezvous, RunEnd, Timeouts
from airflow_provider_snowflake_batch.worker.console import Console
from airflow_provider_snowflake_batch.worker.errors import WorkerError
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.ray_cluster import ray_version
from airflow_provider_snowflake_batch.worker.executors.ray_executor import RayExecutor
from airflow_provider_snowflake_batch.worker.job import Replica
from airflow_provider_snowflake_batch.worker.models import prepare_model
from airflow_provider_snowflake_batch.worker.processes.descendants import Descendants
from airflow_provider_snowflake_batch.worker.processes.limits import device_shares
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.run import Run
from airflow_provider_snowflake_batch.worker.temporary import JobFolder

# Paths of Ray's sockets are about 70 characters longer than its folder's, and limited to 107.
_LONGEST_FOLDER = 30


def run(
    path: Path,
    job: Job,
    replica: Replica,
    folder: JobFolder,
    output: Console,
    errors: Console,
    descendants: Descendants,
) -> None:
    """Do the part of one replica.

    :param path: of the job file. :param folder: for temporary files.
    :raises WorkerError: what ended it.
    """
    place, timeouts = place_from_environment(), Timeouts.from_environment()
    versions = {"Python": sys.version.split()[0], "Ray": ray_version()}
    streams = (output.pipe(), errors.pipe())
    needed = job.executor is Sharing.RAY or job.min_replicas is not None
    if replica.index:
        Follower(path, replica.index, place, folder.path, streams, versions, timeouts, errors.line, needed=needed)()
        return
    leader = Leader(place, Rendezvous(path.resolve().parent), replica.count, versions, timeouts)
    end = RunEnd("ClusterError", "it has not said why")
    try:
        _lead(job, replica, folder, leader, streams, output, descendants)
        end = RunEnd()
    except WorkerError as error:
        end = RunEnd(type(error).__name__, error.message)
        raise
    except BaseException as error:
        end = RunEnd(WorkerError.__name__, f"{type(error).__name__}: {error}")
        raise
    finally:
        leader.end(end)


def _lead(
    job: Job,
    replica: Replica,
    folder: JobFolder,
    leader: Leader,
    streams: tuple[int, int],
    output: Console,
    descendants: Descendants,
) -> None:
    executor: RayExecutor | None = None

    def reap(waited_for: Collection[int]) -> None:
        descendants.reap({*waited_for, *(executor.children if executor is not None else ())})

    launcher = Launcher(streams, reap)
    try:
        launcher.start_early(next(iter(device_shares(job.num_workers)), None))
        job = prepare_model(job, folder.path)
        executor = RayExecutor(leader, launcher, job, folder.short(_LONGEST_FOLDER))
        progress = Progress(replica.index, replica.count, output.line_if_taken)
        Run(job, replica, executor, progress)()
    finally:
        launcher.close()
