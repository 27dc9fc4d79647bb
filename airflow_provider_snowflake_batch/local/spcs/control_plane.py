"""The control plane of the local Snowpark Container Services.

Statements submit, cancel and drop jobs; one thread moves them on: it places waiting instances on nodes, starts their
processes, notices how they end and derives the jobs' states. Every step is in the control database before anything
else depends on it, so that a server that was killed finds its jobs again.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.errors import already_exists, does_not_exist
from airflow_provider_snowflake_batch.local.spcs import processes, scheduling, status
from airflow_provider_snowflake_batch.local.spcs.compute_pools import ComputePools
from airflow_provider_snowflake_batch.local.spcs.logs import last_words
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.spcs.store import Store

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.server import LocalSnowflake

_log = logging.getLogger(__name__)
GRACE_VARIABLE = "LOCAL_SNOWFLAKE_GRACE_SECONDS"
POLL_SECONDS = 0.05
RETENTION_SECONDS = 30 * 86400
"""How long an ended job stays known: https://docs.snowflake.com/en/sql-reference/sql/execute-job-service"""
LOST = "The process disappeared while nobody watched it"
STOPPED = "The local Snowflake was stopped while the job was running"


class SpcsControlPlane:
    """:param server: its state directory holds the job folders and the control database.

    The time between SIGTERM and SIGKILL is Snowflake's 30 seconds, or that of the environment variable
    ``LOCAL_SNOWFLAKE_GRACE_SECONDS``:
    https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services
    """

    def __init__(self, server: LocalSnowflake) -> None:
        self.server = server
        self.store = Store(server.state.connect)
        self.pools = ComputePools(self.store)
        self.folder = server.state.path / "jobs"
        self.termination_grace_seconds = float(os.environ.get(GRACE_VARIABLE, "30"))
        self._supervisors: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Find the jobs of an earlier server again and begin to move jobs on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._forget_old_jobs()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="spcs", daemon=True)
        self._thread.start()

    def stop(self, patience_seconds: float = 5.0) -> None:
        """End every running process: first politely, after ``patience_seconds`` by force. Waiting jobs stay waiting."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._lock:
            for number, patience in ((signal.SIGTERM, patience_seconds), (signal.SIGQUIT, 5.0)):
                running = [item for job in self.store.active_jobs() for item in self._running(job)]
                for container in running:
                    processes.send(container, number)
                self._await_end(running, patience)
            for job in self.store.active_jobs():
                self._settle(job, lost=STOPPED)
            self._reap()

    def submit(self, job: Job, containers: list[Container]) -> None:
        """Make the job known; its processes start as soon as the pool has room.

        :raises SnowflakeError: 2002 if the name is taken, also by a job that has ended and was not dropped.
        """
        with self._lock:
            job.number = self.store.next_number()
            try:
                self.store.add_job(job, containers)
            except sqlite3.IntegrityError:
                raise already_exists(job.full_name) from None
            pool = self.pools.get(job.compute_pool)
            if pool.suspended and pool.auto_resume:
                self.pools.resume(pool.name)
        self._wake.set()

    def name_is_free(self, full_name: str) -> bool:
        return self.store.find_job(full_name) is None

    def get(self, full_name: str) -> Job:
        """:raises SnowflakeError: 2003 if there is none, or no more."""
        job = self.store.find_job(full_name)
        if job is None:
            raise does_not_exist("Service", full_name)
        return job

    def job_folder(self, job_id: str) -> Path:
        return self.folder / job_id

    def instance_folder(self, job_id: str, instance: int) -> Path:
        return self.job_folder(job_id) / f"instance-{instance}"

    def log_path(self, container: Container) -> Path:
        return processes.log_path(self.instance_folder(container.job_id, container.instance), container.name)

    def cancel(self, full_name: str) -> Job:
        """Begin to end the job's processes; an ended job stays as it is."""
        with self._lock:
            job = self.get(full_name)
            if not job.status.is_terminal:
                self._set_status(job, JobStatus.CANCELLING)
                self._end_containers(job)
        self._wake.set()
        return job

    def drop(self, full_name: str) -> None:
        """End the job's processes by force and forget the job, its logs and its folder. The history keeps it."""
        with self._lock:
            job = self.get(full_name)
            containers = self.store.containers(job.id)
            for container in containers:
                processes.send(container, signal.SIGQUIT)
            self._await_end(containers, 10.0)
            for container in containers:
                processes.kill_session(container)
            now = time.time()
            if not job.status.is_terminal:
                for container in containers:
                    if not container.ended:
                        container.status, container.message, container.ended_on = "FAILED", status.CANCELLED, now
                        self.store.save_container(container)
                job.status, job.message, job.completed_on = JobStatus.CANCELLED, "Job has been canceled.", now
            job.deleted_on = job.updated_on = now
            job.settled = True
            self.store.save_job(job)
            self._remove_scratch(job)
            shutil.rmtree(self.job_folder(job.id), ignore_errors=True)
        self._announce()

    def drop_all(self, database: str, schema: str | None = None) -> None:
        """Drop the jobs of a database or schema that is itself dropped."""
        for job in self.store.existing_jobs():
            if job.database == database and schema in (None, job.schema):
                self.drop(job.full_name)

    def stop_all(self, pool_name: str) -> None:
        """ALTER COMPUTE POOL … STOP ALL: cancel the pool's jobs."""
        for job in self.store.active_jobs():
            if job.compute_pool == pool_name:
                self.cancel(job.full_name)

    def wait(self, job_id: str, until: Callable[[Job], bool], seconds: float) -> Job:
        """Wait until the job satisfies the condition, at most so many seconds; returns the job as it is then."""
        deadline = time.monotonic() + seconds
        while True:
            job = self.store.job_by_id(job_id)
            assert job is not None
            left = deadline - time.monotonic()
            if until(job) or left <= 0:
                return job
            with self._changed:
                self._changed.wait(min(left, 0.2))

    # The thread that moves jobs on.

    def _run(self) -> None:
        while not self._stopping:
            try:
                with self._lock:
                    active = self._move_on()
            except Exception:
                # One job's trouble (a full disk, a lost folder) must not stop the others for good.
                _log.exception("The job services could not be moved on; trying again")
                active = True
                time.sleep(1)
            # Without active jobs there is nothing to watch until a statement brings one.
            self._wake.wait(POLL_SECONDS if active or self._supervisors else None)
            self._wake.clear()

    def _move_on(self) -> bool:
        self._reap()
        jobs = self.store.active_jobs()
        for job in jobs:
            self._settle(job)
        self._start_waiting(
            [job for job in jobs if job.status is not JobStatus.CANCELLING and not job.status.is_terminal]
        )
        return bool(jobs)

    def _settle(self, job: Job, lost: str = LOST) -> None:
        """Take in what happened to the job's processes and derive its state."""
        containers = self.store.containers(job.id)
        for container in containers:
            if container.pid is None or container.ended:
                continue
            folder = self.instance_folder(job.id, container.instance)
            outcome = processes.exit_of(container, folder)
            if outcome is not None:
                self._record_exit(job, container, outcome, lost)
        ended = all(container.ended for container in containers)
        if job.status is JobStatus.CANCELLING and ended:
            self._set_status(job, JobStatus.CANCELLED)
        elif job.status is not JobStatus.CANCELLING and not job.status.is_terminal:
            derived = status.job_status(containers)
            if derived is not job.status:
                self._set_status(job, derived)
            if derived is JobStatus.FAILED:
                # The other instances would wait for one that never answers; nobody reads their output.
                self._end_containers(job)
        if job.status.is_terminal and ended:
            job.settled = True
            self._remove_scratch(job)
            self.store.save_job(job)

    def _record_exit(self, job: Job, container: Container, outcome: processes.Exit, lost: str) -> None:
        folder = self.instance_folder(job.id, container.instance)
        container.ended_on = outcome.ended or time.time()
        container.exit_code = outcome.exit_code
        if outcome.exit_code is None:
            processes.kill_session(container)
            container.status, container.message = "FAILED", lost
        elif outcome.error is not None:
            container.status, container.message = "FAILED", f"{status.FAILED_TO_START}: {outcome.error}"
        elif outcome.exit_code == 0:
            container.status, container.message = "DONE", status.COMPLETED
        elif lost == STOPPED:
            container.status, container.message = "FAILED", STOPPED
        elif container.status == "TERMINATING":
            container.status, container.message = "FAILED", status.CANCELLED
        else:
            words = last_words(processes.log_path(folder, container.name))
            container.status = "FAILED"
            container.message = f"{status.USER_ERROR}: {words}" if words else status.USER_ERROR
        self.store.save_container(container)

    def _start_waiting(self, jobs: list[Job]) -> None:
        """Give nodes to instances that wait, oldest job first, and start their containers."""
        waiting = [job for job in jobs if any(item.pid is None for item in self.store.containers(job.id))]
        if not waiting:
            return
        occupancy: dict[str, dict[int, dict[str, float]]] = {}
        for job in waiting:
            pool = self.store.find_pool(job.compute_pool)
            if pool is None:
                continue
            if pool.name not in occupancy:
                others = [other for other in self.store.active_jobs() if other.compute_pool == pool.name]
                running = [(other, item) for other in others for item in self.store.containers(other.id)]
                occupancy[pool.name] = scheduling.occupied(running)
            for group in status.instances(self.store.containers(job.id)).values():
                if any(item.pid is not None or item.ended for item in group):
                    continue
                node = scheduling.place(pool, job.resources, occupancy[pool.name])
                if isinstance(node, scheduling.Waiting):
                    self._say(group, node.message)
                    continue
                try:
                    self._start_instance(job, group, node)
                except OSError as exc:
                    self._give_up(job, group, exc)
                    break
            self._settle(job)

    def _say(self, group: list[Container], message: str) -> None:
        for container in group:
            if container.message != message:
                container.message = message
                self.store.save_container(container)

    def _start_instance(self, job: Job, group: list[Container], node: int) -> None:
        for container in group:
            container.node = node
            folder = self.instance_folder(job.id, container.instance)
            for path in container.mounts.values():
                Path(path).mkdir(parents=True, exist_ok=True)
            if not processes.adopt(container, folder):
                supervisor = processes.start(
                    container, folder, self._platform(job, container), self.termination_grace_seconds
                )
                container.pid = supervisor.pid
                container.pid_created = processes.created(supervisor.pid) or time.time()
                self._supervisors[supervisor.pid] = supervisor
            container.started_on = time.time()
            container.status, container.message = "READY", status.RUNNING
            self.store.save_container(container)

    def _give_up(self, job: Job, group: list[Container], reason: OSError) -> None:
        """This machine, not the job, is at fault: no room on the disk, no more processes."""
        _log.error("Job %s could not be started: %s", job.full_name, reason)
        for container in group:
            if container.pid is None:
                container.status, container.ended_on = "FAILED", time.time()
                container.message = f"{status.FAILED_TO_START}: {reason}"
                self.store.save_container(container)
        self._set_status(job, JobStatus.INTERNAL_ERROR)
        self._end_containers(job)

    def _platform(self, job: Job, container: Container) -> dict[str, str]:
        """What the platform sets in every container: …/snowpark-container-services/working-with-services."""
        return {
            "SNOWFLAKE_HOST": "127.0.0.1",
            "SNOWFLAKE_ACCOUNT": self.server.defaults.account,
            "SNOWFLAKE_DATABASE": job.database,
            "SNOWFLAKE_SCHEMA": job.schema,
            "SNOWFLAKE_SERVICE_NAME": job.name,
            "SNOWFLAKE_JOB_INDEX": str(container.instance),
            "SNOWFLAKE_JOBS_COUNT": str(job.replicas),
        }

    def _end_containers(self, job: Job) -> None:
        """SIGTERM to what runs (the supervisors see to the rest), and nothing more starts."""
        for container in self.store.containers(job.id):
            if container.ended or container.status == "TERMINATING":
                continue
            if container.pid is None:
                container.status, container.message, container.ended_on = "FAILED", status.CANCELLED, time.time()
            else:
                processes.send(container, signal.SIGTERM)
                container.status, container.message = "TERMINATING", "Terminating"
            self.store.save_container(container)

    def _set_status(self, job: Job, new: JobStatus) -> None:
        job.status = new
        job.message = status.job_message(new, self.store.containers(job.id))
        job.updated_on = time.time()
        if new.is_terminal:
            job.completed_on = job.updated_on
        self.store.save_job(job)
        self._announce()

    def _announce(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _remove_scratch(self, job: Job) -> None:
        """What only the run needed. Logs, exit codes and JOB.json stay until the job is dropped."""
        folder = self.job_folder(job.id)
        for path in (job.scratch, folder / "input", folder / "model", *folder.glob("instance-*/volumes")):
            if path is not None:
                shutil.rmtree(path, ignore_errors=True)

    def _running(self, job: Job) -> list[Container]:
        return [item for item in self.store.containers(job.id) if item.pid is not None and not item.ended]

    def _await_end(self, containers: list[Container], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(processes.is_alive(item) for item in containers):
            self._reap()
            time.sleep(0.02)

    def _reap(self) -> None:
        for pid, supervisor in list(self._supervisors.items()):
            if supervisor.poll() is not None:
                del self._supervisors[pid]

    def _forget_old_jobs(self) -> None:
        limit = time.time() - RETENTION_SECONDS
        for job in self.store.all_jobs():
            if max(job.completed_on or 0, job.deleted_on or 0) < limit and (job.completed_on or job.deleted_on):
                shutil.rmtree(self.job_folder(job.id), ignore_errors=True)
                self.store.forget_job(job.id)
        known = {job.id for job in self.store.existing_jobs()}
        for folder in self.folder.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
