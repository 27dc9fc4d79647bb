"""When a waiting task writes its job's card."""

from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY, JobCard
from airflow_provider_snowflake_batch.jobs.logs import Progress
from airflow_provider_snowflake_batch.operators import job_card
from airflow_provider_snowflake_batch.operators.job_card import TaskCard
from tests.job_infos import info
from tests.operators.task_instances import TaskInstance


@pytest.fixture
def instance() -> TaskInstance:
    return TaskInstance()


@pytest.fixture
def card(instance: TaskInstance) -> TaskCard:
    return TaskCard({"ti": instance}, JobCard("D.S.J", "SUBMITTED", "P", 1, "@D.S.R/J/", 10.0, 1))


def test_a_status_at_once_progress_now_and_then_and_nothing_for_nothing(
    instance: TaskInstance, card: TaskCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written() -> bool:
        return instance.xcoms.pop(JOB_CARD_KEY, None) is not None

    card.look(info("RUNNING"), Progress(0, "running", 1, 9))
    assert written()
    card.look(info("RUNNING"), Progress(0, "running", 2, 9))
    assert not written(), "too soon"
    monkeypatch.setattr(job_card, "CARD_SECONDS", 0)
    card.look(info("RUNNING"), Progress(0, "running", 2, 9))
    assert written()
    card.look(info("RUNNING"), Progress(0, "running", 2, 9))
    assert not written(), "nothing new"
    card.look(info("DONE"))
    assert written()


def test_what_ends_the_task_is_the_message(instance: TaskInstance, card: TaskCard) -> None:
    with pytest.raises(ValueError, match="no"), card:
        raise ValueError("no")
    assert instance.xcoms[JOB_CARD_KEY]["message"] == "no"
    with pytest.raises(KeyboardInterrupt), card:
        raise KeyboardInterrupt("the process ends")
    assert instance.xcoms[JOB_CARD_KEY]["message"] == "no"


def test_a_card_that_cannot_be_written_does_not_end_the_wait(card: TaskCard, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: TaskInstance, key: str, value: object) -> None:
        raise ConnectionError("the API server is away")

    monkeypatch.setattr(TaskInstance, "xcom_push", fail)
    card.look(info("RUNNING"))
    assert card.card.status == "RUNNING"
