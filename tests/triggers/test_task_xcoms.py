"""XComs of a trigger's task, through Airflow's own XCom class: only what it sends to the supervisor is a stand-in."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetXCom, SetXCom, XComResult

from airflow_provider_snowflake_batch.triggers import task_xcoms
from airflow_provider_snowflake_batch.triggers.task_xcoms import LOG_POSITION_KEY, TaskXComs

POSITIONS = {"0/main": (12, 345, 678), "1/main": (0,)}


class Supervisor:
    """Answers as the triggerer's supervisor does, from a table of XComs."""

    def __init__(self) -> None:
        self.stored: dict[tuple[Any, ...], Any] = {}

    def send(self, message: Any) -> Any:
        where = (message.dag_id, message.run_id, message.task_id, message.map_index, message.key)
        if isinstance(message, SetXCom):
            # It goes over a line and into a database as JSON.
            self.stored[where] = json.loads(json.dumps(message.value))
            return None
        assert isinstance(message, GetXCom)
        return XComResult(key=message.key, value=self.stored.get(where))

    async def asend(self, message: Any) -> Any:
        return self.send(message)


@pytest.fixture(params=["3.3", "3.2"])
def supervisor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """With the XCom class of this Airflow, and with one that has blocking methods only."""
    found = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", found, raising=False)
    known = task_xcoms._load_class()
    if request.param == "3.3" and not hasattr(known, "aget_one"):
        pytest.skip("this Airflow has blocking methods only")
    if request.param == "3.2":
        blocking = SimpleNamespace(get_one=known.get_one, set=known.set)
        monkeypatch.setattr(task_xcoms, "_load_class", lambda: blocking)
    return found


def xcoms(**changes: Any) -> TaskXComs:
    given = {"dag_id": "dag", "run_id": "run", "task_id": "score", "map_index": -1}
    return TaskXComs(SimpleNamespace(**(given | changes)))


def run(awaitable: Awaitable[Any]) -> Any:
    return asyncio.run(asyncio.wait_for(awaitable, 30))


def test_the_next_trigger_reads_what_this_one_has_saved(supervisor: Supervisor) -> None:
    async def scenario() -> None:
        assert await xcoms().load() is None
        await xcoms().save(POSITIONS)
        assert await xcoms().load() == {"0/main": [12, 345, 678], "1/main": [0]}
        await xcoms().set("other", {"a": [1]})
        assert await xcoms().get("other") == {"a": [1]}
        assert await xcoms().get("missing") is None

    run(scenario())
    assert ("dag", "run", "score", -1, LOG_POSITION_KEY) in supervisor.stored


@pytest.mark.parametrize("other", [{"map_index": 3}, {"task_id": "other"}, {"run_id": "other"}, {"dag_id": "other"}])
def test_each_task_instance_has_its_own(supervisor: Supervisor, other: dict[str, Any]) -> None:
    async def scenario() -> None:
        await xcoms().save(POSITIONS)
        assert await xcoms(**other).load() is None

    run(scenario())


def test_a_task_that_is_not_mapped(supervisor: Supervisor) -> None:
    run(xcoms(map_index=None).save(POSITIONS))
    assert run(xcoms(map_index=-1).load()) is not None


@pytest.mark.parametrize("stored", ["12", [1, 2], 7])
def test_a_position_that_somebody_else_has_written(supervisor: Supervisor, stored: Any) -> None:
    async def scenario() -> None:
        await xcoms().set(LOG_POSITION_KEY, stored)
        assert await xcoms().load() is None

    run(scenario())


def test_a_blocking_method_leaves_the_event_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def get_one(**_: Any) -> bool:
        return answer.wait(20)

    monkeypatch.setattr(task_xcoms, "_load_class", lambda: SimpleNamespace(get_one=get_one))

    async def scenario() -> Any:
        asking = asyncio.create_task(xcoms().get("key"))
        await asyncio.sleep(0.1)
        answer.set()
        return await asking

    assert run(scenario()) is True
