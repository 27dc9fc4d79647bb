"""Whatever dies, and whenever: one job for each run, the run succeeds, and no process is left.

Each test holds one run at each point, in both modes, and then kills one thing under all of them. Left out are the
cells that would mean nothing:

- A killed task process needs a task process: a deferred task that waits, or whose job is DONE unseen, has none.
- A killed triggerer takes part only where a trigger waits, or ought to: a deferred task that is being submitted finds
  no triggerer when it defers, and one whose job is DONE unseen is seen by the next triggerer.
"""

from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_stack import AirflowStack
from tests.stack.holding import (
    AFTER_DONE,
    BEFORE_SUBMIT,
    COLLECTING,
    JUST_AFTER_SUBMIT,
    NOT_SENT,
    POINTS,
    WAITING,
    Run,
    assert_nothing_left,
    holding,
)

pytestmark = pytest.mark.slow

EVERYWHERE = [(mode, point) for mode in ("deferred", "in_slot") for point in POINTS]
TASK_PROCESS = [
    *(("deferred", point) for point in (BEFORE_SUBMIT, NOT_SENT, JUST_AFTER_SUBMIT, COLLECTING)),
    *(("in_slot", point) for point in POINTS),
]
TRIGGERER = [("deferred", JUST_AFTER_SUBMIT, 20), ("deferred", WAITING), ("deferred", AFTER_DONE)]


def test_a_killed_worker(airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer) -> None:
    runs = [Run(*cell) for cell in TASK_PROCESS]
    supervised = Run("in_slot", WAITING)
    with holding(airflow, hook, local_server) as held:
        held.hold([*runs, supervised])
        for run in runs:
            for process in airflow.worker(run.id, "score"):
                process.kill()
        supervisor, task = sorted(airflow.worker(supervised.id, "score"), key=lambda process: process.create_time())
        assert task.ppid() == supervisor.pid
        task.kill()
        held.release()
        held.assert_one_job_each([*runs, supervised])
    assert_nothing_left(airflow, local_server)


def test_a_worker_killed_after_it_has_done_all(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer
) -> None:
    """The last that a task does is to log out; Airflow does not know yet that it has succeeded."""
    runs = [Run("deferred", COLLECTING), Run("in_slot", COLLECTING)]
    with holding(airflow, hook, local_server) as held:
        held.hold(runs)
        collecting = {
            run.prefix: fault["id"] for run in runs for fault in held.faults.all() if run.prefix in str(fault)
        }
        for run in runs:
            logout = held.faults.add("delay", seconds=600, path="^/session$")
            held.faults.clear(collecting[run.prefix])
            held.wait(lambda logout=logout: held.faults.fired(logout), f"{run}: no logout")
            for process in airflow.worker(run.id, "score"):
                process.kill()
            held.faults.clear(logout)
        held.assert_one_job_each(runs)
        assert [airflow.try_number(run.id, "score") for run in runs] == [2, 2]
    assert_nothing_left(airflow, local_server)


def test_a_killed_scheduler_with_all_its_tasks(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer
) -> None:
    runs = [Run(*cell) for cell in EVERYWHERE]
    with holding(airflow, hook, local_server) as held:
        held.hold(runs)
        airflow.kill("scheduler")
        held.release()
        airflow.start("scheduler")
        held.assert_one_job_each(runs)
    assert_nothing_left(airflow, local_server)


def test_a_killed_scheduler_whose_tasks_live_on(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer
) -> None:
    """The next scheduler starts new tries; the old ones are told to end, and must not take the job with them."""
    runs = [Run("deferred", JUST_AFTER_SUBMIT, 60), Run("in_slot", JUST_AFTER_SUBMIT, 60), Run("in_slot", WAITING, 60)]
    with holding(airflow, hook, local_server) as held:
        held.hold(runs)
        airflow.kill("scheduler", alone=True)
        airflow.start("scheduler")
        for run in runs:
            held.wait(lambda run=run: airflow.try_number(run.id, "score") == 2, f"{run}: no second try")
        held.release()
        held.assert_one_job_each(runs)
    assert_nothing_left(airflow, local_server)


def test_a_killed_triggerer(airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer) -> None:
    runs = [Run(*cell) for cell in TRIGGERER]
    with holding(airflow, hook, local_server) as held:
        held.hold(runs)
        airflow.kill("triggerer")
        held.release()
        for run in runs:
            airflow.wait_for_task(run.id, "score", "deferred")
        airflow.start("triggerer")
        held.assert_one_job_each(runs)
    assert_nothing_left(airflow, local_server)


def test_a_killed_snowflake(airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer) -> None:
    runs = [Run(*cell) for cell in EVERYWHERE]
    with holding(airflow, hook, local_server) as held:
        held.hold(runs)
        # Its faults die with it.
        local_server.kill()
        local_server.start()
        held.assert_one_job_each(runs)
    assert_nothing_left(airflow, local_server)
