"""The thread that moves jobs on: places instances, starts their processes, notices how they end.

Every step is in the control database before anything else depends on it, so that a server that was killed finds its
jobs again.

What a job costs does not depend on how many wait: a new one is looked at by itself. All are only where room may have
come up for any of them: an instance has ended, a compute pool or a fault has changed.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.faults.faults import Faults
from airflow_provider_snowflake_batch.local.spcs import processes, scheduling, secrets, status
from airflow_provider_snowflake_batch.local.spcs.container_runtime import is_container_runtime
from airflow_provider_snowflake_batch.local.spcs.instance_families import missing_gpus
from airflow_provider_snowflake_batch.local.spcs.logs import last_words
from airflow_provider_snowflake_batch.local.spcs.platform_variables import Platform
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job
from airflow_provider_snowflake_batch.local.spcs.runtime_environment import BeingMade, NotMade, RuntimeEnvironment
from airflow_provider_snowflake_batch.local.spcs.scheduling import DueJobs
from airflow_provider_snowflake_batch.local.spcs.slow_nodes import SlowNodes
from airflow_provider_snowflake_batch.local.spcs.store import Store

_log = logging.getLogger(__name__)
GRACE_VARIABLE = "LOCAL_SNOWFLAKE_GRACE_SECONDS"
POLL_SECONDS = 0.05
LOST = "The process disappeared while nobody watched it"
STOPPED = "The local Snowflake was stopped while the job was running"


class JobRunner:
    """:param store: the control database. :param folder: where the folders of the jobs lie.
    :param account: what containers get as ``SNOWFLAKE_ACCOUNT``. :param faults: what shall go wrong.

    The time between SIGTERM and SIGKILL is Snowflake's 30 seconds, or that of the environment variable
    ``LOCAL_SNOWFLAKE_GRACE_SECONDS``:
    https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services

    Hold ``lock`` from reading a job to writing it.
    """

    def __init__(self, store: Store, folder: Path, platform: Platform, faults: Faults) -> None:
        self.store = store
        self.folder = folder
        self.lock = threading.RLock()
        self._platform = platform
        self._faults = faults
        self._runtime = RuntimeEnvironment(self.wake)
        self._grace_seconds = float(os.environ.get(GRACE_VARIABLE, "30"))
        self._supervisors: dict[int, subprocess.Popen[bytes]] = {}
        self._slow_nodes = SlowNodes()
        self._without_node: set[tuple[str, int]] = set()
        """Job ids and instances that a lost node took along."""
        self._due = DueJobs()
        self._occupancy = scheduling.Occupancy()
        self._room_came_up = False
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping = False
        for _, containers in self._active():
            # A server that was killed may have left some of them stopped.
            self._slow_nodes.let_go(item.pid for item in _running(containers) if processes.is_alive(item))
        self.wake()
        self._thread = threading.Thread(target=self._run, name="spcs", daemon=True)
        self._thread.start()

    def stop(self, patience_seconds: float) -> None:
        """End every running process, first politely, then by force. Waiting jobs stay waiting."""
        self._stopping = True
        self._runtime.stop()
        self.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._slow_nodes.release()
        with self.lock:
            ending = [(job, containers) for job, containers in self._active() if _running(containers)]
            for number, patience in ((signal.SIGTERM, patience_seconds), (signal.SIGQUIT, 5.0)):
                running = [item for _, containers in ending for item in containers if item.pid is not None]
                for container in running:
                    processes.send(container, number)
                self._await_end(running, patience)
            self._reap()
            for job, containers in ending:
                self._settle(job, containers, lost=STOPPED)

    def wake(self, job_id: str | None = None) -> None:
        """Look at once what can be moved on.

        :param job_id: the one job that is new, or is to end; None if it may be any: a compute pool has changed.
        """
        self._due.add(job_id)

    def job_folder(self, job_id: str) -> Path:
        return self.folder / job_id

    def instance_folder(self, job_id: str, instance: int) -> Path:
        return self.job_folder(job_id) / f"instance-{instance}"

    def cancel(self, job: Job) -> None:
        """Begin to end the job's processes."""
        containers = self.store.containers(job.id)
        self._set_status(job, JobStatus.CANCELLING, containers)
        self._end_containers(job, containers)
        self.wake(job.id)

    def destroy(self, job: Job) -> None:
        """End the job's processes by force, whatever they do, and remove its folder."""
        containers = self.store.containers(job.id)
        for container in containers:
            processes.send(container, signal.SIGQUIT)
        self._await_end(containers, 10.0)
        for container in containers:
            if container.pid is not None:
                processes.kill_left(container, self.instance_folder(job.id, container.instance))
        now = time.time()
        if not job.status.is_terminal:
            for container in containers:
                if not container.ended:
                    container.status, container.message, container.ended_on = "FAILED", status.CANCELLED, now
                    self.store.save_container(container)
            job.status, job.completed_on = JobStatus.CANCELLED, now
            job.message = status.job_message(job.status, containers)
        job.deleted_on = job.updated_on = now
        job.settled = True
        self.store.save_job(job)
        self._remove_scratch(job)
        shutil.rmtree(self.job_folder(job.id), ignore_errors=True)
        self._announce()

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

    def _run(self) -> None:
        while not self._stopping:
            # Without processes there is nothing to watch until a statement brings something.
            self._due.wait(POLL_SECONDS if self._supervisors or self._due.strangers else None)
            try:
                with self.lock:
                    self._reap()
                    self._move_on()
            except Exception:
                # One job's trouble (a full disk, a lost folder) must not stop the others for good.
                _log.exception("The job services could not be moved on; trying again")
                self.wake()
                time.sleep(1)

    def _move_on(self) -> None:
        """Take in what happened to the jobs that are due, and start what can start."""
        everything = self._due.take_all()
        jobs = self._active() if everything else self._due_jobs()
        for job, containers in jobs:
            self._settle(job, containers)
        if everything:
            self._occupancy, self._room_came_up = scheduling.Occupancy(jobs), False
        self._start_waiting(jobs)
        self._due.strangers = {job.id for job, containers in jobs if self._has_strangers(job, containers)}
        if self._room_came_up:
            self._room_came_up = False
            self.wake()

    def _has_strangers(self, job: Job, containers: list[Container]) -> bool:
        return not job.settled and any(item.pid not in self._supervisors for item in _running(containers))

    def _active(self) -> list[tuple[Job, list[Container]]]:
        """Jobs that have not ended, or have processes left, with their containers."""
        jobs = self.store.active_jobs()
        containers = self.store.containers_of(jobs)
        return [(job, containers[job.id]) for job in jobs]

    def _due_jobs(self) -> list[tuple[Job, list[Container]]]:
        found = [self.store.job_by_id(identity) for identity in self._due.take()]
        jobs = [job for job in found if job is not None and not job.settled and job.deleted_on is None]
        return [(job, self.store.containers(job.id)) for job in sorted(jobs, key=lambda job: job.number)]

    def _settle(self, job: Job, containers: list[Container], lost: str = LOST) -> None:
        """Take in what happened to the job's processes and derive its state."""
        for container in containers:
            if container.pid is None or container.ended or container.pid in self._supervisors:
                continue
            folder = self.instance_folder(job.id, container.instance)
            outcome = processes.exit_of(container, folder)
            if outcome is not None:
                self._record_exit(job, container, outcome, lost)
        if job.status is JobStatus.CANCELLING and all(container.ended for container in containers):
            self._set_status(job, JobStatus.CANCELLED, containers)
        elif job.status is not JobStatus.CANCELLING and not job.status.is_terminal:
            derived = status.job_status(containers)
            if derived is not job.status:
                self._set_status(job, derived, containers)
            if derived is JobStatus.FAILED:
                # The other instances would wait for one that never answers; nobody reads their output.
                self._end_containers(job, containers)
        if job.status.is_terminal and all(container.ended for container in containers):
            job.settled = True
            self._without_node = {lost for lost in self._without_node if lost[0] != job.id}
            self._remove_scratch(job)
            self.store.save_job(job)

    def _record_exit(self, job: Job, container: Container, outcome: processes.Exit, lost: str) -> None:
        folder = self.instance_folder(job.id, container.instance)
        self._slow_nodes.slow([container.pid] if container.pid is not None else [], 1)
        container.ended_on = outcome.ended or time.time()
        container.exit_code = outcome.exit_code
        if (job.id, container.instance) in self._without_node:
            container.exit_code = None
            container.status, container.message = "FAILED", status.NODE_LOST
        elif outcome.exit_code is None:
            processes.kill_left(container, folder)
            container.status, container.message = "FAILED", lost
        elif outcome.error is not None:
            container.status, container.message = "FAILED", f"{status.FAILED_TO_START}: {outcome.error}"
        elif outcome.exit_code == 0:
            container.status, container.message = "DONE", status.COMPLETED
        elif lost == STOPPED:
            container.status, container.message = "FAILED", STOPPED
        elif container.status == "TERMINATING":
            container.status, container.message = "FAILED", status.terminated_message(job.status)
        else:
            words = last_words(processes.log_path(folder, container.name))
            container.status = "FAILED"
            container.message = f"{status.USER_ERROR}: {words}" if words else status.USER_ERROR
        self.store.save_container(container)
        self._room_came_up = True

    def _start_waiting(self, jobs: list[tuple[Job, list[Container]]]) -> None:
        """Give nodes to instances that wait, oldest job first, and start their containers."""
        pools = {pool.name: pool for pool in self.store.pools()}
        for job, containers in jobs:
            pool = pools.get(job.compute_pool)
            ending = job.status is JobStatus.CANCELLING or job.status.is_terminal
            if pool is None or ending or not any(item.pid is None for item in containers):
                continue
            held = self._faults.pending_reason(job.id, job.full_name)
            tried = False
            for group in status.instances(containers).values():
                if any(item.pid is not None or item.ended for item in group):
                    continue
                late = held or self._faults.late_reason(job.id, job.full_name, group[0].instance)
                if late is not None:
                    self._say(group, late)
                    continue
                node = self._occupancy.place(pool, job.resources)
                if isinstance(node, scheduling.Waiting):
                    self._say(group, node.message)
                    continue
                tried = True
                self._start_on(job, containers, group, node)
                if all(item.pid is None for item in group):
                    self._occupancy.give_back(pool, node, job.resources)
                if any(item.ended for item in group):
                    break
            if tried:
                self._settle(job, containers)

    def _start_on(self, job: Job, containers: list[Container], group: list[Container], node: int) -> None:
        """Start an instance on a node. What keeps it from that, its containers say."""
        try:
            self._start_instance(job, group, node)
        except BeingMade as reason:
            self._say(group, str(reason))
        except (NotMade, SnowflakeError) as reason:
            self._fail_to_start(group, str(reason))
        except OSError as exc:
            self._give_up(job, containers, group, exc)

    def _say(self, group: list[Container], message: str) -> None:
        for container in group:
            if container.message != message:
                container.message = message
                self.store.save_container(container)

    def _interpreter(self, job: Job, container: Container) -> Path | None:
        """The Python of the container's image, if it has one of its own."""
        return self._runtime.python(job.id) if is_container_runtime(container.image) else None

    def _start_instance(self, job: Job, group: list[Container], node: int) -> None:
        # None of an instance's containers starts before the images and secrets of all are there.
        needed = [
            (container, self._interpreter(job, container), secrets.variables(container, self.store))
            for container in group
        ]
        for container, interpreter, from_secrets in needed:
            container.node = node
            folder = self.instance_folder(job.id, container.instance)
            for path in container.mounts.values():
                Path(path).mkdir(parents=True, exist_ok=True)
            if not processes.adopt(container, folder):
                secrets.write_files(container, self.store)
                platform = self._platform.variables(job, container, folder) | from_secrets
                notice = missing_gpus(job.resources.get("gpu", 0))
                supervisor = processes.start(container, folder, platform, self._grace_seconds, interpreter, notice)
                container.pid = supervisor.pid
                container.pid_created = processes.created(supervisor.pid) or time.time()
                self._supervisors[supervisor.pid] = supervisor
            container.started_on = time.time()
            container.status, container.message = "READY", status.RUNNING
            self.store.save_container(container)
        self._befall(job, group)

    def faults_changed(self) -> None:
        """Look whom the faults befall now: jobs that wait and replicas that run."""
        for job, containers in self._active():
            for group in status.instances(_running(containers)).values():
                self._befall(job, group)
        self.wake()

    def _befall(self, job: Job, group: list[Container]) -> None:
        started = min(container.started_on or time.time() for container in group)

        def kill(with_node: bool) -> bool:
            alive = [container for container in group if processes.is_alive(container)]
            if with_node and alive:
                self._without_node.add((job.id, group[0].instance))
            for container in alive:
                processes.send(container, signal.SIGQUIT)
            return bool(alive)

        first = group[0]
        slowness = self._faults.slowness(job.id, job.full_name, first.instance, first.node)
        self._slow_nodes.slow([container.pid for container in group if container.pid is not None], slowness)
        self._faults.on_replica(job.id, job.full_name, first.instance, first.node, time.time() - started, kill)

    def _give_up(self, job: Job, containers: list[Container], group: list[Container], reason: OSError) -> None:
        """This machine, not the job, is at fault: no room on the disk, no more processes."""
        _log.error("Job %s could not be started: %s", job.full_name, reason)
        self._fail_to_start(group, str(reason))
        self._set_status(job, JobStatus.INTERNAL_ERROR, containers)
        self._end_containers(job, containers)

    def _fail_to_start(self, group: list[Container], reason: str) -> None:
        for container in group:
            if container.pid is None:
                container.status, container.ended_on = "FAILED", time.time()
                container.message = f"{status.FAILED_TO_START}: {reason}"
                self.store.save_container(container)

    def _end_containers(self, job: Job, containers: list[Container]) -> None:
        """SIGTERM to what runs (the supervisors see to the rest), and nothing more starts."""
        for container in containers:
            if container.ended or container.status == "TERMINATING":
                continue
            if container.pid is None:
                why = status.terminated_message(job.status)
                container.status, container.message, container.ended_on = "FAILED", why, time.time()
            else:
                processes.send(container, signal.SIGTERM)
                container.status, container.message = "TERMINATING", "Terminating"
            self.store.save_container(container)

    def _set_status(self, job: Job, new: JobStatus, containers: list[Container]) -> None:
        job.status = new
        job.message = status.job_message(new, containers)
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
        of_instances = [path for name in ("volumes", "secrets") for path in folder.glob(f"instance-*/{name}")]
        for path in (job.scratch, folder / "input", folder / "model", *of_instances):
            if path is not None:
                shutil.rmtree(path, ignore_errors=True)
        for launch in folder.glob("instance-*/*.launch.json"):
            # Secrets are among the environment variables in it.
            launch.unlink(missing_ok=True)

    def _await_end(self, containers: list[Container], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(processes.is_alive(item) for item in containers):
            self._reap()
            time.sleep(0.02)

    def _reap(self) -> None:
        for pid, supervisor in list(self._supervisors.items()):
            processes.kill_session_of_child(pid)
            if supervisor.poll() is not None:
                del self._supervisors[pid]
                self.wake()


def _running(containers: list[Container]) -> list[Container]:
    return [item for item in containers if item.pid is not None and not item.ended]
