"""Who goes on with a job when a try is told to end. That Airflow answers so: ``tests/stack``."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_snowflake_batch.operators.newer_try import goes_on_elsewhere, was_replaced


@dataclass
class Asked:
    """A task instance whose Airflow answers with these states."""

    states: dict[str, str | None]
    try_number: int = 1
    max_tries: int = 3
    map_index: int = -1
    card: Any = None
    dag_id: str = "dag"
    task_id: str = "score"
    run_id: str = "run"

    def get_task_states(self, **which: Any) -> dict[str, dict[str, str | None]]:
        assert which["map_index"] == (self.map_index if self.map_index >= 0 else None)
        return {"run": self.states} if self.states else {}

    def xcom_pull(self, **which: Any) -> Any:
        return self.card


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "restarting", "removed", "upstream_failed"])
def test_what_a_user_has_ended_goes_on_nowhere(state: str) -> None:
    assert not goes_on_elsewhere(Asked({"score": state}))


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "up_for_retry", "deferred"])
def test_a_next_try_on_its_way_goes_on(state: str | None) -> None:
    assert goes_on_elsewhere(Asked({"score": state}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"try_number": 3}, True),
        ({"try_number": 4}, False),
        ({"try_number": 4, "card": {"attempt": 4}}, False),
        ({"try_number": 4, "card": {"attempt": 5}}, True),
    ],
    ids=["tries left", "the last try", "its own card", "a newer try's card"],
)
def test_a_running_task_is_this_try_or_a_newer_one(given: dict[str, Any], expected: bool) -> None:
    assert goes_on_elsewhere(Asked({"score": "running"}, **given)) is expected


def test_mapped_tasks_are_told_apart() -> None:
    assert goes_on_elsewhere(Asked({"score_0": "failed", "score_1": "queued"}, map_index=1))
    assert not goes_on_elsewhere(Asked({"score_0": "queued", "score_1": "failed"}, map_index=1))


def test_a_task_that_is_gone_goes_on_nowhere() -> None:
    assert not goes_on_elsewhere(Asked({}))


@pytest.mark.parametrize("replaced", [False, True])
def test_no_answer_is_a_no_unless_the_try_is_known_to_be_replaced(replaced: bool) -> None:
    class Deaf(Asked):
        def get_task_states(self, **which: Any) -> Any:
            answered.wait(30)
            return super().get_task_states(**which)

    answered = threading.Event()
    assert goes_on_elsewhere(Deaf({"score": "queued"}), replaced=replaced, patience=0.1) is replaced
    answered.set()


def test_an_answer_counts_for_more_than_being_replaced() -> None:
    assert not goes_on_elsewhere(Asked({"score": "failed"}), replaced=True)


@pytest.mark.parametrize(("status", "expected"), [(404, True), (409, False), (503, False)])
def test_a_try_that_airflow_knows_no_more_was_replaced(status: int, expected: bool) -> None:
    answer = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status, "message": "Server error"})
    assert was_replaced(AirflowRuntimeError(answer)) is expected


@pytest.mark.parametrize(
    "error", [ConnectionError("gone"), AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))]
)
def test_a_failure_that_says_nothing_of_the_try(error: Exception) -> None:
    assert not was_replaced(error)


def test_the_time_until_the_answer_is_used() -> None:
    used: list[str] = []
    assert goes_on_elsewhere(Asked({"score": "queued"}), meanwhile=lambda: used.append("yes"))
    assert used == ["yes"]
