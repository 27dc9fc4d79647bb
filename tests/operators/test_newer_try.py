"""Who goes on with a job when a try is told to end. That Airflow answers so: ``tests/stack``."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_snowflake_batch.operators.newer_try import Question, was_replaced


def goes_on(ti: Any) -> bool | None:
    return Question(ti).goes_on(within=30)


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
    assert goes_on(Asked({"score": state})) is False


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "up_for_retry", "deferred"])
def test_a_next_try_on_its_way_goes_on(state: str | None) -> None:
    assert goes_on(Asked({"score": state})) is True


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
    assert goes_on(Asked({"score": "running"}, **given)) is expected


def test_mapped_tasks_are_told_apart() -> None:
    assert goes_on(Asked({"score_0": "failed", "score_1": "queued"}, map_index=1)) is True
    assert goes_on(Asked({"score_0": "queued", "score_1": "failed"}, map_index=1)) is False


def test_a_task_that_is_gone_goes_on_nowhere() -> None:
    assert goes_on(Asked({})) is False


def test_an_answer_is_not_waited_for_longer_than_said() -> None:
    class Slow(Asked):
        def get_task_states(self, **which: Any) -> Any:
            answered.wait(30)
            return super().get_task_states(**which)

    answered = threading.Event()
    question = Question(Slow({"score": "queued"}))
    assert not question.ended(within=0.1)
    assert question.goes_on(within=0.1) is None
    answered.set()
    assert question.goes_on(within=30) is True
    assert question.ended(within=0)


def test_a_question_that_fails_has_no_answer() -> None:
    class Unreachable(Asked):
        def get_task_states(self, **which: Any) -> Any:
            raise ConnectionError("gone")

    question = Question(Unreachable({"score": "queued"}))
    assert question.ended(within=30)
    assert question.goes_on(within=30) is None


@pytest.mark.parametrize(("status", "expected"), [(404, True), (409, False), (503, False)])
def test_a_try_that_airflow_knows_no_more_was_replaced(status: int, expected: bool) -> None:
    answer = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status, "message": "Server error"})
    assert was_replaced(AirflowRuntimeError(answer)) is expected


@pytest.mark.parametrize(
    "error", [ConnectionError("gone"), AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))]
)
def test_a_failure_that_says_nothing_of_the_try(error: Exception) -> None:
    assert not was_replaced(error)
