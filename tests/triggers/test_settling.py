"""A trigger fires only when Airflow has had the time to hear that the task's first part has ended."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.triggers import batch_inference
from airflow_provider_snowflake_batch.triggers.batch_inference import BatchSuccessSensorTrigger

# As far as the triggerer's assignment looks at it.
INSTANCE = SimpleNamespace(task_id="complete")


@pytest.fixture
def finished(snowflake_connection: str) -> str:
    """A directory whose job is complete already."""
    with SnowflakeBatchHook(snowflake_connection) as hook:
        hook.run("CREATE STAGE IF NOT EXISTS SETTLING ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
        directory = str(hook.qualify_location("@SETTLING/job/"))
        hook.write_file(f"{directory}_SUCCESS", b"")
    return directory


# Far more seconds for the one that does not wait: all else takes long on a busy machine.
@pytest.mark.parametrize(("instance", "settling"), [(INSTANCE, 1.5), (None, 120)], ids=["triggerer", "dag.test"])
def test_a_trigger_lets_airflow_settle_before_it_fires(
    finished: str, instance: Any, settling: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_inference, "_SETTLING_SECONDS", settling)
    trigger = BatchSuccessSensorTrigger(
        stage_location=finished,
        deadline=time.time() + 60,
        poll_interval=1,
        snowflake_conn_id="snowflake_default",
    )
    if instance is not None:
        trigger.task_instance = instance

    async def fire() -> tuple[float, dict[str, Any]]:
        started = time.monotonic()
        [event] = [event async for event in trigger.run()]
        return time.monotonic() - started, event.payload

    seconds, payload = asyncio.run(fire())
    assert payload["status"] == "success"
    assert (seconds >= settling) is (instance is not None)
