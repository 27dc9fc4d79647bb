"""Runs of the Dags in ``dags/crash.py``, each held at one point of its task's life, so that a test can strike there.

The local Snowflake's faults do the holding: nothing in Airflow or in this package knows of it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psutil

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_stack import AirflowStack, cmdline
from tests.local_faults import LocalFaults, faults_of

WHOLE_MATRIX = os.environ.get("CRASH_MATRIX") == "whole"
"""Whether everything is killed everywhere: see the Makefile's test-crash-matrix."""
JOB_CARD = "snowflake_batch_job"
BEFORE_SUBMIT = "before submit"
UNLOADING = "unloading"
NOT_SENT = "recorded, not submitted"
JUST_AFTER_SUBMIT = "just after submit"
WAITING = "waiting"
AFTER_DONE = "after DONE"
COLLECTING = "collecting"
POINTS = (BEFORE_SUBMIT, NOT_SENT, JUST_AFTER_SUBMIT, WAITING, AFTER_DONE, COLLECTING)
OWN_POINTS = (UNLOADING, *POINTS)
"""Of a job with a model of one's own: "recorded, not submitted" is when all that it needs has been uploaded."""
# How the faults below tell the looks of a task or trigger from those of a test, which lists by LIKE.
_LOOKS = "DESCRIBE SERVICE|STARTS WITH"
_FOR_LONG = 600.0

_T = TypeVar("_T")


@dataclass
class Run:
    """One Dag run with the one task ``score``.

    :param mode: ``deferred`` or ``in_slot``.
    :param point: where it is held.
    :param seconds: how long its job takes; where the task waits, long enough for a test to strike.
    :param own: whether its model is one's own, in no registry.
    """

    mode: str
    point: str
    seconds: float = 0
    own: bool = False
    prefix: str = field(default_factory=lambda: f"CRASH_{secrets.token_hex(4).upper()}")
    id: str = ""

    def __post_init__(self) -> None:
        self.seconds = self.seconds or (40 if self.point == WAITING else 1)

    def __str__(self) -> str:
        return f"{'own model' if self.own else 'registry'}, {self.mode}, {self.point}"

    @property
    def waiting_state(self) -> str:
        return "deferred" if self.mode == "deferred" else "running"


class Holding:
    """Starts runs and holds each at its point."""

    def __init__(self, airflow: AirflowStack, hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
        self.airflow = airflow
        self.hook = hook
        self.faults = faults
        self._started: list[Run] = []

    def hold(self, runs: Iterable[Run]) -> None:
        """Start the runs and return when each stands at its point."""
        at: dict[str, list[Run]] = {point: [] for point in OWN_POINTS}
        for run in runs:
            at[run.point].append(run)
        struck: list[tuple[Run, int]] = []
        for run in at[BEFORE_SUBMIT]:
            struck.append((run, self.faults.add("delay", seconds=_FOR_LONG, statement=f"LIST.*{run.prefix}")))
        for run in at[UNLOADING]:
            # The rows are in files by then, and nobody has listed them.
            struck.append((run, self.faults.add("delay", seconds=_FOR_LONG, statement=f"(?s)COPY INTO.*{run.prefix}")))
        for run in at[NOT_SENT]:
            struck.append((run, self.hold_submission(run)))
        for run in at[JUST_AFTER_SUBMIT]:
            struck.append((run, self.hold_submission(run)))
        pending = {run.prefix: self.faults.add("pending", job=run.prefix) for run in (*at[AFTER_DONE], *at[COLLECTING])}
        short = [run for point in OWN_POINTS if point != WAITING for run in at[point]]
        for run in short:
            self.start(run)
        for run in at[COLLECTING]:
            self.wait(lambda run=run: self.card(run), f"{run}: not submitted")
            struck.append((run, self.faults.add("delay", seconds=_FOR_LONG, statement=f"LIST.*{run.prefix}")))
            self.faults.clear(pending[run.prefix])
        for run in at[WAITING]:
            self.start(run)
        for run, fault in struck:
            self.wait(lambda fault=fault: self.faults.fired(fault), f"{run}: not there")
        for run in at[JUST_AFTER_SUBMIT]:
            self.wait(lambda run=run: self.jobs(run), f"{run}: no job")
        for run in at[AFTER_DONE]:
            self.wait_until_seen(run, "PENDING")
        for run in at[WAITING]:
            self.wait_until_seen(run, "RUNNING")
        if at[AFTER_DONE]:
            self.faults.add("http-error", status=503, statement=_LOOKS)
            for run in at[AFTER_DONE]:
                self.faults.clear(pending[run.prefix])
            for run in at[AFTER_DONE]:
                self.wait(lambda run=run: set(self.jobs(run).values()) == {"DONE"}, f"{run}: the job is not DONE")

    def hold_submission(self, run: Run) -> int:
        """Hold a run where it sends its job's statement: before, or after, as its point says; the fault's id."""
        if run.point == NOT_SENT:
            return self.faults.add("http-error", status=503, statement=_submission(run))
        return self.faults.add("delay", seconds=_FOR_LONG, statement=_submission(run))

    def start(self, run: Run, dag: str | None = None, conf: Mapping[str, Any] | None = None) -> None:
        """Start a run of ``<dag>_<mode>``. :param conf: what the Dag asks for beside the prefix and the seconds."""
        self._started.append(run)
        dag = dag or ("crash_own" if run.own else "crash")
        run.id = self.airflow.trigger(
            f"{dag}_{run.mode}", {"prefix": run.prefix, "seconds": run.seconds, **(conf or {})}
        )

    def release(self) -> None:
        """Let everything go on."""
        self.faults.clear()

    def abandon(self) -> None:
        """End what still runs of a failed test, so that the next one on the same Airflow is not blamed for it."""
        self.faults.clear()
        for run in self._started:
            if run.id and self.airflow.run_state(run.id) not in ("success", "failed"):
                self.airflow.mark_run(run.id, "failed")
        for run in self._started:
            for name, status in self.jobs(run).items():
                if status not in ("DONE", "FAILED", "CANCELLED"):
                    self.hook.cancel(name)

    def card(self, run: Run) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.airflow.xcom(run.id, "score", JOB_CARD)
        return found

    def jobs(self, run: Run) -> dict[str, str]:
        """Every job that was ever submitted for a run: name → status."""
        return {job.name: job.reported_status for job in self.hook.list_jobs(like=f"{run.prefix}%")}

    def unloaded(self, run: Run) -> list[str]:
        """The rows that were put on the stage for a run's job and are still there."""
        files = self.hook.list_files("@STACK_RESULTS/") if run.own else []
        return [file.path for file in files if f"/_snowflake_temporary/{run.prefix}" in file.path]

    def unloaded_lists(self, run: Run) -> list[str]:
        """The lists of these rows: one for each time that they were put there."""
        return [path for path in self.unloaded(run) if path.endswith("/_unload.json")]

    def wait_until_seen(self, run: Run, status: str, *, even_if_killed: bool = False) -> None:
        """Wait until the task, or its trigger, has seen the job's status and waits for another."""
        if not even_if_killed:
            self.airflow.wait_for_task(run.id, "score", run.waiting_state)
        self.wait(
            lambda: f" is {status}" in self.airflow.task_log(run.id, "score"), f"{run}: the job was not seen {status}"
        )

    def assert_one_job_each(self, runs: Iterable[Run]) -> None:
        """Every run succeeds, with the rows of the one job that was ever submitted for it."""
        wrong = []
        for run in runs:
            state = self.airflow.wait_for_run(run.id)
            jobs = self.jobs(run)
            result = self.airflow.xcom(run.id, "score") or {}
            seen = (state, list(jobs.values()), result.get("job_name"), result.get("rows"), self.unloaded(run))
            if seen != ("success", ["DONE"], next(iter(jobs), None), 1, []):
                tries = self.airflow.try_number(run.id, "score")
                logs = "\n".join(self.airflow.task_log(run.id, "score", number) for number in range(1, tries + 1))
                wrong.append(f"{run}: {seen}, jobs {jobs}\n{logs}")
        assert not wrong, "\n\n".join(wrong)

    @staticmethod
    def wait(look: Callable[[], _T], otherwise: str, timeout: float = 300) -> _T:
        deadline = time.monotonic() + timeout
        while not (seen := look()):
            assert time.monotonic() < deadline, f"{otherwise} within {timeout:g} s"
            time.sleep(0.3)
        return seen


def _submission(run: Run) -> str:
    return f"(?s)EXECUTE (INFERENCE )?JOB SERVICE.*{run.prefix}"


@contextmanager
def holding(airflow: AirflowStack, hook: SnowflakeBatchHook, server: LocalServer) -> Iterator[Holding]:
    with faults_of(server) as faults:
        held = Holding(airflow, hook, faults)
        try:
            yield held
        except BaseException:
            with suppress(Exception):
                held.abandon()
            raise


def assert_nothing_left(airflow: AirflowStack, server: LocalServer) -> None:
    """No process of a job and none of a task outlives its run."""

    def left() -> list[str]:
        return [*job_processes(server), *task_processes(airflow)]

    deadline = time.monotonic() + 120
    while found := left():
        assert time.monotonic() < deadline, f"processes are left: {found}"
        time.sleep(0.5)


def job_processes(server: LocalServer) -> list[str]:
    """The processes of containers: their supervisors name their folder, what they start works in it."""
    jobs = f"{server.state_dir}/"
    own = server.process.pid if server.process is not None else None
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if process.pid != own and (jobs in command or process.cwd().startswith(jobs)):
                found.append(f"{process.pid} {command}")
        except psutil.Error:
            continue
    return found


def task_processes(airflow: AirflowStack) -> list[str]:
    """Processes that run a task, or hang on to one: those of an idle executor say so in their title."""
    titles = [" ".join(cmdline(process)) for process in airflow.processes()]
    return [title for title in titles if title.startswith("airflow worker -- ") and "<idle>" not in title]
