"""Whatever dies, and whenever: one job for each run, the run succeeds, and no process is left.

Each test holds one run at each point, in both modes, and then kills one thing under all of them. Left out are the
cells that would mean nothing:

- A killed task process needs a task process: a deferred task that waits, or whose job is DONE unseen, has none.
- A killed triggerer takes part only where a trigger waits, or ought to: a deferred task that is being submitted finds
  no triggerer when it defers, and one whose job is DONE unseen is seen by the next triggerer.

Runs whose model is in the registry stand everywhere. Of those with a model of one's own, which unload rows and upload
files first, the tests hold the ones that differ; ``make test-crash-matrix`` holds them everywhere as well.
"""

from __future__ import annotations

from collections.abc import Iterable

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
    OWN_POINTS,
    POINTS,
    UNLOADING,
    WAITING,
    WHOLE_MATRIX,
    Run,
    assert_nothing_left,
    holding,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900 if WHOLE_MATRIX else 600)]

EVERYWHERE = [(mode, point) for mode in ("deferred", "in_slot") for point in POINTS]
TASK_PROCESS = [
    *(("deferred", point) for point in (BEFORE_SUBMIT, NOT_SENT, JUST_AFTER_SUBMIT, COLLECTING)),
    *(("in_slot", point) for point in POINTS),
]
# The first has to defer before its job is done, also where much else goes on.
TRIGGERER = [
    ("deferred", JUST_AFTER_SUBMIT, 90 if WHOLE_MATRIX else 30),
    ("deferred", WAITING),
    ("deferred", AFTER_DONE),
]
LIVE_ON = [("deferred", JUST_AFTER_SUBMIT, 60), ("in_slot", JUST_AFTER_SUBMIT, 60), ("in_slot", WAITING, 60)]
OWN_EVERYWHERE = [(mode, point) for mode in ("deferred", "in_slot") for point in OWN_POINTS]
OWN_TASK_PROCESS = [("deferred", UNLOADING), *TASK_PROCESS, ("in_slot", UNLOADING)]

Cell = tuple[str, str] | tuple[str, str, int]


def matrix(registry: Iterable[Cell], own: Iterable[Cell], differing: Iterable[Cell]) -> pytest.MarkDecorator:
    """The runs of a test.

    :param registry: where runs with a registered model stand. :param own: where those with a model of one's own do.
    :param differing: which of the latter are held beside the former; the others are a test of their own, on demand.
    """
    first = [*(Run(*cell) for cell in registry), *(Run(*cell, own=True) for cell in differing)]
    sets = {"both": first}
    if WHOLE_MATRIX:
        sets["own model"] = [Run(*cell, own=True) for cell in own]
    return pytest.mark.parametrize("runs", sets.values(), ids=sets.keys())


@matrix(
    TASK_PROCESS, OWN_TASK_PROCESS, [("deferred", UNLOADING), ("in_slot", NOT_SENT), ("deferred", JUST_AFTER_SUBMIT)]
)
def test_a_killed_worker(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer, runs: list[Run]
) -> None:
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


@matrix(EVERYWHERE, OWN_EVERYWHERE, [("in_slot", UNLOADING), ("deferred", NOT_SENT), ("deferred", WAITING)])
def test_a_killed_scheduler_with_all_its_tasks(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer, runs: list[Run]
) -> None:
    with holding(airflow, hook, local_server) as held:
        held.hold(runs)
        airflow.kill("scheduler")
        held.release()
        airflow.age_heartbeats("SchedulerJob")
        airflow.start("scheduler")
        held.assert_one_job_each(runs)
    assert_nothing_left(airflow, local_server)


@matrix(LIVE_ON, [*LIVE_ON, ("deferred", UNLOADING, 60), ("in_slot", UNLOADING, 60)], [("deferred", UNLOADING, 60)])
def test_a_killed_scheduler_whose_tasks_live_on(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer, runs: list[Run]
) -> None:
    """The next scheduler starts new tries; the old ones are told to end, and must not take the job with them."""
    with holding(airflow, hook, local_server) as held:
        held.hold(runs)
        airflow.kill("scheduler", alone=True)
        airflow.age_heartbeats("SchedulerJob")
        airflow.start("scheduler")
        for run in runs:
            held.wait(lambda run=run: airflow.try_number(run.id, "score") == 2, f"{run}: no second try")
        held.release()
        held.assert_one_job_each(runs)
    assert_nothing_left(airflow, local_server)


@matrix(TRIGGERER, TRIGGERER, [("deferred", WAITING)])
def test_a_killed_triggerer(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer, runs: list[Run]
) -> None:
    with holding(airflow, hook, local_server) as held:
        held.hold(runs)
        airflow.kill("triggerer")
        held.release()
        for run in runs:
            airflow.wait_for_task(run.id, "score", "deferred")
        airflow.start("triggerer")
        held.assert_one_job_each(runs)
    assert_nothing_left(airflow, local_server)


@matrix(EVERYWHERE, OWN_EVERYWHERE, [("deferred", UNLOADING), ("in_slot", JUST_AFTER_SUBMIT)])
def test_a_killed_snowflake(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer, runs: list[Run]
) -> None:
    with holding(airflow, hook, local_server) as held:
        held.hold(runs)
        # Its faults die with it.
        local_server.kill()
        local_server.start()
        held.assert_one_job_each(runs)
    assert_nothing_left(airflow, local_server)
