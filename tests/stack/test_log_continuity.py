"""The job's log in the task's log: as it grows, and every line once, also when the triggerer dies on the way."""

from __future__ import annotations

import re
import secrets
import zlib

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.triggers.task_xcoms import LOG_POSITION_KEY
from tests.airflow_stack import AirflowStack
from tests.stack.holding import Holding

pytestmark = pytest.mark.slow

LINES = 300


def test_a_new_triggerer_goes_on_at_the_line_at_which_the_old_one_died(
    airflow: AirflowStack, hook: SnowflakeBatchHook
) -> None:
    run = airflow.trigger("counts", {"prefix": f"COUNTS_{secrets.token_hex(4)}", "lines": LINES})

    def shown() -> list[int]:
        return [int(number) for number in re.findall(r"^counted (\d+)$", airflow.task_log(run, "score"), re.MULTILINE)]

    def saved() -> list[int]:
        """The lines, of the last few, which the trigger remembers to have shown."""
        positions = airflow.xcom(run, "score", LOG_POSITION_KEY) or {}
        return [number for number in range(LINES) for _, *sums in positions.values() if checksum(number) in sums]

    def written() -> bool:
        """Airflow has written the lines to the task's log: it gets them another way than the position."""
        known = saved()
        return len(known) > 5 and shown()[-1:] >= known[-1:]

    Holding.wait(written, "no line is shown")
    airflow.kill("triggerer")
    before, remembered = shown(), saved()[-1]
    assert before == [*range(len(before))]
    assert airflow.task_states(run)["score"] == "deferred"
    airflow.start("triggerer")

    assert airflow.wait_for_run(run) == "success", airflow.failures(run)
    # The position is saved just after the lines are shown: those that were shown in between come twice.
    assert sorted(shown()) == sorted([*range(LINES), *range(remembered + 1, len(before))])
    assert "some are missing here" not in airflow.task_log(run, "score")


def checksum(number: int) -> int:
    return zlib.crc32(f"counted {number}".encode())
