"""The control plane of the local Snowpark Container Services: what statements do with jobs and compute pools."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.local.errors import already_exists, does_not_exist
from airflow_provider_snowflake_batch.local.spcs import processes
from airflow_provider_snowflake_batch.local.spcs.compute_pools import ComputePools
from airflow_provider_snowflake_batch.local.spcs.platform_variables import Platform
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.spcs.runner import JobRunner
from airflow_provider_snowflake_batch.local.spcs.store import Store

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.faults.faults import Faults
    from airflow_provider_snowflake_batch.local.state import StateDirectory

RETENTION_SECONDS = 30 * 86400
"""How long an ended job stays known: https://docs.snowflake.com/en/sql-reference/sql/execute-job-service"""


class SpcsControlPlane:
    """:param state: holds the job folders and the control database.

    :param account: its name, which jobs are told.
    :param faults: what befalls jobs on demand.
    """

    def __init__(self, state: StateDirectory, account: str, faults: Faults) -> None:
        self.store = Store(state.connect)
        self.pools = ComputePools(self.store)
        self.platform = Platform(account, state.secret)
        self.runner = JobRunner(self.store, state.path / "jobs", self.platform, faults)
        faults.on_change.append(self.runner.faults_changed)

    def start(self) -> None:
        """Find the jobs of an earlier server again and begin to move jobs on."""
        self.runner.folder.mkdir(parents=True, exist_ok=True)
        self._forget_old_jobs()
        self.runner.start()

    def stop(self, patience_seconds: float = 5.0) -> None:
        """End every running process: first politely, after ``patience_seconds`` by force. Waiting jobs stay waiting."""
        self.runner.stop(patience_seconds)

    def submit(self, job: Job, containers: list[Container]) -> None:
        """Make the job known; its processes start as soon as the pool has room.

        :raises SnowflakeError: 2002 if the name is taken, also by a job that has ended and was not dropped.
        """
        with self.runner.lock:
            job.number = self.store.next_number()
            try:
                self.store.add_job(job, containers)
            except sqlite3.IntegrityError:
                raise already_exists(job.full_name) from None
            pool = self.pools.get(job.compute_pool)
            resumed = pool.suspended and pool.auto_resume
            if resumed:
                self.pools.resume(pool.name)
        self.runner.wake(None if resumed else job.id)

    def knows_token(self, token: str) -> bool:
        """Whether it is that of a container of a job that has not ended."""
        job_id = self.platform.job_of(token)
        return job_id is not None and any(job.id == job_id for job in self.store.active_jobs())

    def wake(self) -> None:
        """Look at once what can be moved on: a compute pool has changed."""
        self.runner.wake()

    def name_is_free(self, full_name: str) -> bool:
        return self.store.find_job(full_name) is None

    def get(self, full_name: str) -> Job:
        """:raises SnowflakeError: 2003 if there is none, or no more."""
        job = self.store.find_job(full_name)
        if job is None:
            raise does_not_exist("Service", full_name)
        return job

    def wait(self, job_id: str, until: Callable[[Job], bool], seconds: float) -> Job:
        """Wait until the job satisfies the condition, at most so many seconds; returns the job as it is then."""
        return self.runner.wait(job_id, until, seconds)

    def job_folder(self, job_id: str) -> Path:
        return self.runner.job_folder(job_id)

    def instance_folder(self, job_id: str, instance: int) -> Path:
        return self.runner.instance_folder(job_id, instance)

    def log_path(self, container: Container) -> Path:
        return processes.log_path(self.instance_folder(container.job_id, container.instance), container.name)

    def cancel(self, full_name: str) -> Job:
        """Begin to end the job's processes; an ended job stays as it is."""
        with self.runner.lock:
            job = self.get(full_name)
            if not job.status.is_terminal:
                self.runner.cancel(job)
        return job

    def drop(self, full_name: str) -> None:
        """End the job's processes by force and forget the job, its logs and its folder. The history keeps it."""
        with self.runner.lock:
            self.runner.destroy(self.get(full_name))

    def drop_all(self, database: str, schema: str | None = None) -> None:
        """Drop the jobs, image repositories and secrets of a database or schema that is itself dropped."""
        for job in self.store.existing_jobs():
            if job.database == database and schema in (None, job.schema):
                self.drop(job.full_name)
        dropped = ".".join(part for part in (database, schema) if part) + "."
        for full_name in self.store.image_repositories():
            if full_name.startswith(dropped):
                self.store.drop_image_repository(full_name)
        for secret in self.store.secrets():
            if secret.database == database and schema in (None, secret.schema):
                self.store.drop_secret(secret.full_name)

    def stop_all(self, pool_name: str) -> None:
        """ALTER COMPUTE POOL … STOP ALL: cancel the pool's jobs."""
        for job in self.store.active_jobs():
            if job.compute_pool == pool_name:
                self.cancel(job.full_name)

    def _forget_old_jobs(self) -> None:
        limit = time.time() - RETENTION_SECONDS
        for job in self.store.all_jobs():
            if max(job.completed_on or 0, job.deleted_on or 0) < limit and (job.completed_on or job.deleted_on):
                shutil.rmtree(self.job_folder(job.id), ignore_errors=True)
                self.store.forget_job(job.id)
        known = {job.id for job in self.store.existing_jobs()}
        for folder in self.runner.folder.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
