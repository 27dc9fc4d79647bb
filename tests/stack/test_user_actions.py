"""A task is ended, by a user or by a limit: its job is cancelled, nothing runs on, and a clear begins anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_stack import AirflowStack
from tests.stack.holding import WAITING, Run, assert_nothing_left, holding

pytestmark = pytest.mark.slow

# What is done → the task's final state, the run's final state.
ENDINGS: dict[str, tuple[Callable[[AirflowStack, str], None], str, str]] = {
    "mark failed": (lambda airflow, run: airflow.mark(run, "score", "failed"), "failed", "failed"),
    "mark success": (lambda airflow, run: airflow.mark(run, "score", "success"), "success", "success"),
    "dag run failed": (lambda airflow, run: airflow.mark_run(run, "failed"), "failed", "failed"),
    "dagrun_timeout": (lambda airflow, run: None, "skipped", "failed"),
    "execution_timeout": (lambda airflow, run: None, "failed", "failed"),
}
DAGS = {"dagrun_timeout": "overdue", "execution_timeout": "overtime"}
MODES = ("deferred", "in_slot")


@pytest.mark.parametrize("mode", MODES)
def test_what_is_ended_is_cancelled_and_what_is_cleared_begins_anew(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer, mode: str
) -> None:
    cleared = Run(mode, WAITING, seconds=30)
    # In a worker slot Airflow itself watches the execution_timeout: tests/operators/test_deadlines.py.
    ended = {
        ending: Run(mode, WAITING, seconds=600)
        for ending in ENDINGS
        if (mode, ending) != ("in_slot", "execution_timeout")
    }
    with holding(airflow, hook, local_server) as held:
        held.start(cleared)
        for ending, run in ended.items():
            held.start(run, DAGS.get(ending, "crash"))
        held.wait_until_seen(cleared, "RUNNING")
        (first,) = held.jobs(cleared)
        airflow.clear(cleared.id, "score")
        for ending, run in ended.items():
            held.wait_until_seen(run, "RUNNING", even_if_killed=ending in DAGS)
            ENDINGS[ending][0](airflow, run.id)
        wrong = []
        for ending, run in ended.items():
            held.wait(lambda run=run: set(held.jobs(run).values()) == {"CANCELLED"}, f"{ending}: the job runs on")
            state = airflow.wait_for_run(run.id)
            seen = (airflow.task_states(run.id)["score"], state, list(held.jobs(run).values()))
            if seen != (*ENDINGS[ending][1:], ["CANCELLED"]):
                wrong.append((ending, seen))
        assert not wrong
        # A deferred task's card is written by its trigger, after all else; where the task itself has given the job up,
        # by the task, which does not wait for the job's end.
        for ending, run in ended.items() if mode == "deferred" else ():
            shown = {"CANCELLED", "CANCELLING"} if ending == "execution_timeout" else {"CANCELLED"}
            held.wait(
                lambda run=run, shown=shown: airflow.xcom(run.id, "score", JOB_CARD_KEY)["status"] in shown,
                f"{ending}: the page shows a job that runs",
            )
        assert airflow.wait_for_run(cleared.id) == "success", airflow.task_states(cleared.id)
        jobs, result = held.jobs(cleared), airflow.xcom(cleared.id, "score")
        assert (jobs.pop(result["job_name"]), result["rows"]) == ("DONE", 1)
        # The next try may be faster than the trigger that is to cancel the first job, and then goes on with it.
        assert jobs in ({first: "CANCELLED"}, {})
    assert_nothing_left(airflow, local_server)


def test_a_task_killed_before_a_triggerer_has_seen_it_leaves_its_job_to_the_next_try(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer
) -> None:
    """Airflow asks nobody to cancel such a job: whoever clears the task later goes on with it."""
    runs = {action: Run("deferred", WAITING, seconds=40) for action in ("mark failed", "mark success", "clear")}
    with holding(airflow, hook, local_server) as held:
        airflow.kill("triggerer")
        for run in runs.values():
            held.start(run)
        for run in runs.values():
            airflow.wait_for_task(run.id, "score", "deferred")
            held.wait(lambda run=run: list(held.jobs(run).values()) == ["RUNNING"], f"{run}: does not run")
        for action, state in (("mark failed", "failed"), ("mark success", "success")):
            airflow.mark(runs[action].id, "score", state)
            assert airflow.wait_for_run(runs[action].id) == state
        airflow.start("triggerer")
        for run in runs.values():
            airflow.clear(run.id, "score")
        held.assert_one_job_each(runs.values())
    assert_nothing_left(airflow, local_server)
