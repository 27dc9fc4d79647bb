"""A triggerer that stalls loses its triggers to another one; when it wakes, it must not cancel the jobs.

Airflow tells the trigger of such a triggerer the same as if a user had ended the task (apache/airflow#73454).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.standalone.processes import free_ports
from tests.airflow_stack import AirflowStack
from tests.stack.holding import WAITING, Run, assert_nothing_left, holding

pytestmark = pytest.mark.slow

SECOND = "second-triggerer"
STALLED_SECONDS = 30.0


@pytest.fixture
def second(airflow: AirflowStack) -> Iterator[str]:
    """The name of another triggerer, to be started; it is gone after the test."""
    yield SECOND
    if SECOND in airflow.running:
        airflow.kill(SECOND)


def test_a_stalled_triggerer_does_not_cancel_what_it_has_lost(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer, second: str
) -> None:
    # The job of the second run ends while the triggerer sleeps: there is nothing left to cancel.
    run, short = Run("deferred", WAITING, seconds=80), Run("deferred", WAITING, seconds=15)
    with holding(airflow, hook, local_server) as held:
        held.hold([run, short])
        # Whatever somebody writes into the card, the task still waits for its job. Written before the signal: a process
        # that is stopped may hold the lock of the database.
        airflow.write_xcom(run.id, "score", JOB_CARD_KEY, {"job_name": "x"})
        first = airflow.triggerer(run.id, "score")
        (port,) = free_ports(1)
        airflow.start("triggerer", second, {"AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(port)})
        airflow.signal("triggerer", signal.SIGSTOP)
        waking = time.monotonic() + STALLED_SECONDS
        try:
            held.wait(lambda: airflow.triggerer(run.id, "score") not in (first, None), "no other triggerer took over")
            assert airflow.wait_for_run(short.id) == "success"
            time.sleep(max(0.0, waking - time.monotonic()))
        finally:
            airflow.signal("triggerer", signal.SIGCONT)
        held.wait(
            lambda: "the trigger has only moved. Not cancelling." in airflow.task_log(run.id, "score"),
            "Airflow did not ask the stalled trigger to cancel the job",
        )
        assert airflow.task_states(run.id)["score"] == "deferred"
        held.assert_one_job_each([run, short])
        assert "Cancelling" not in airflow.task_log(short.id, "score")
    assert_nothing_left(airflow, local_server)
