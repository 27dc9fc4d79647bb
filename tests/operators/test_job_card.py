"""When a waiting task writes its job's card.

Also tests ``hooks/masking.py``, ``operators/earlier_tries.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.log import mask_secret

from airflow_provider_snowflake_batch.exceptions import JobCancelledError, JobInputError, JobSubmissionError
from airflow_provider_snowflake_batch.hooks.results import JobResult
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY, JobCard
from airflow_provider_snowflake_batch.jobs.job import RegistryJob
from airflow_provider_snowflake_batch.jobs.logs import Progress
from airflow_provider_snowflake_batch.jobs.sent_statement import STATEMENT_KEY
from airflow_provider_snowflake_batch.jobs.status import ContainerInfo
from airflow_provider_snowflake_batch.operators import job_card
from airflow_provider_snowflake_batch.operators.earlier_tries import earlier_tries
from airflow_provider_snowflake_batch.operators.job_card import TaskCard
from airflow_provider_snowflake_batch.operators.job_record import JobRecord
from tests.job_infos import info
from tests.operators.task_instances import Store, TaskInstance


@pytest.fixture
def instance() -> TaskInstance:
    return TaskInstance()


@pytest.fixture
def card(instance: TaskInstance) -> TaskCard:
    return TaskCard({"ti": instance}, JobCard("D.S.J", "SUBMITTED", "P", 1, "@D.S.R/J/", 10.0, 1))


def test_a_status_at_once_and_all_else_now_and_then(
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
    assert written(), "it tells that somebody has looked"
    card.card = replace(card.card, confirmed_every=600)
    card.look(info("RUNNING"), Progress(0, "running", 3, 9))
    assert not written(), "as seldom as somebody looks"
    card.look(info("DONE"))
    assert written()


def test_what_ends_the_task_is_the_message(instance: TaskInstance, card: TaskCard) -> None:
    with pytest.raises(ValueError, match="no"), card:
        raise ValueError("no")
    assert instance.xcoms[JOB_CARD_KEY]["message"] == "no"
    with pytest.raises(KeyboardInterrupt), card:
        raise KeyboardInterrupt("the process ends")
    assert instance.xcoms[JOB_CARD_KEY]["message"] == "no"


@pytest.mark.parametrize(
    ("error", "before", "status"),
    [
        (JobInputError("no such pool"), "SUBMITTED", "REFUSED"),
        (JobSubmissionError("not finished"), "SUBMITTED", "NOT_SUBMITTED"),
        (JobInputError("rows changed"), "DONE", "DONE"),
        (ValueError("else"), "SUBMITTED", "SUBMITTED"),
    ],
)
def test_a_job_that_was_refused_in_the_end_is_not_shown_as_submitted(
    instance: TaskInstance, card: TaskCard, error: Exception, before: str, status: str
) -> None:
    card.card = replace(card.card, status=before)
    with pytest.raises(type(error)), card:
        raise error
    assert (instance.xcoms[JOB_CARD_KEY]["status"], instance.xcoms[JOB_CARD_KEY]["message"]) == (status, str(error))


class Hook:
    """Tells one status after another, the last one for ever."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)

    def status(self, name: str) -> Any:
        if not self.statuses:
            raise ConnectionError("no network")
        return info(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


@pytest.mark.parametrize(
    ("statuses", "status", "message"),
    [
        (["CANCELLED"], "CANCELLED", "Told to end. Snowflake said then: CANCELLED."),
        (["RUNNING", "CANCELLING", "CANCELLED"], "CANCELLED", "Told to end. Snowflake said then: CANCELLED."),
        (["CANCELLING"], "CANCELLING", "Told to end. Snowflake said then: CANCELLING."),
        ([], "SUBMITTED", "Told to end."),
    ],
)
def test_a_cancelled_job_is_shown_as_what_snowflake_says_then(
    instance: TaskInstance,
    card: TaskCard,
    monkeypatch: pytest.MonkeyPatch,
    statuses: list[str],
    status: str,
    message: str,
) -> None:
    monkeypatch.setattr(job_card, "_CANCELLED_PAUSE", 0)
    card.cancelled(Hook(*statuses), "Told to end.")  # type: ignore[arg-type]
    shown = instance.xcoms[JOB_CARD_KEY]
    assert (shown["status"], shown["message"]) == (status, message)
    assert (shown["ended_at"] is not None) == (status == "CANCELLED")
    # What the interrupted code makes of it tells less.
    with pytest.raises(JobCancelledError), card:
        raise JobCancelledError("was cancelled in Snowflake")
    assert instance.xcoms[JOB_CARD_KEY]["message"] == message


RECORD = JobRecord("D.S.J", "@D.S.R/J/", 10.0)


@pytest.mark.parametrize(
    ("error", "record", "status"),
    [
        (JobInputError("no such pool"), None, "REFUSED"),
        (JobInputError("no such pool"), RECORD, "REFUSED"),
        (JobSubmissionError("not finished"), RECORD, "NOT_SUBMITTED"),
        (ConnectionError("no network"), None, "NOT_SUBMITTED"),
        (ConnectionError("no network"), RECORD, "UNKNOWN"),
        (JobCancelledError("the task was killed"), RECORD, "CANCELLED"),
    ],
)
def test_a_task_without_a_job_has_a_card_that_says_why(
    instance: TaskInstance, error: Exception, record: JobRecord | None, status: str
) -> None:
    job_card.tell_of_no_job({"ti": instance}, error, record, model="M", compute_pool="P")  # type: ignore[typeddict-item]
    shown = JobCard.read(instance.xcoms[JOB_CARD_KEY])
    assert shown is not None
    assert (shown.status, shown.message, shown.model, shown.compute_pool) == (status, str(error), "M", "P")
    assert shown.job_name == ("" if record is None else "D.S.J")


@pytest.mark.parametrize(
    ("statement", "told", "why"),
    [
        ("EXECUTE JOB SERVICE", "EXECUTE JOB SERVICE", None),
        ("EXECUTE JOB SERVICE 'one-that-is-masked'", None, "It holds something that Airflow masks in logs."),
        ("S" * 9000, None, "It has 9,000 bytes, and 8,192 are kept at most."),
        (None, None, "An earlier try of the task has sent it."),
    ],
)
def test_it_tells_the_statement_or_why_it_does_not(
    instance: TaskInstance, statement: str | None, told: str | None, why: str | None
) -> None:
    mask_secret("one-that-is-masked")
    job = RegistryJob.parse(
        name="D.S.J", model_name="D.S.M", X="D.S.T", compute_pool="P", output_spec={"stage_location": "@D.S.R/"}
    )
    TaskCard.begin({"ti": instance}, job, RECORD, poll_interval=5, statement=statement)  # type: ignore[typeddict-item]
    told_of = {"statement": told} if told else {"no_statement": why}
    assert instance.xcoms[STATEMENT_KEY] == {"job_name": "D.S.J", **told_of}
    card = instance.xcoms[JOB_CARD_KEY]
    assert (card["statement"], card["no_statement"]) == (None, None), "it would be written again at each look"


def test_a_card_that_cannot_be_written_does_not_end_the_wait(card: TaskCard, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: TaskInstance, key: str, value: object) -> None:
        raise ConnectionError("the API server is away")

    monkeypatch.setattr(TaskInstance, "xcom_push", fail)
    card.look(info("RUNNING"))
    assert card.card.status == "RUNNING"


def test_a_later_try_tells_how_the_ones_before_have_failed(instance: TaskInstance) -> None:
    store = Store()
    context: Any = {"ti": instance, "task_state_store": store}
    done = {"rows_done": 7, "rows_reused": 2}
    for attempt in range(1, 13):
        instance.try_number = attempt
        found = earlier_tries(context)
        shown = JobCard("D.S.J", "FAILED", "P", 1, "@D.S.R/J/", 10.0, attempt, progress=done, earlier_tries=found)
        with pytest.raises(ValueError, match="no"), TaskCard(context, shown):
            raise ValueError("no")
    told = earlier_tries(context)
    assert told is not None
    assert [one["attempt"] for one in told] == list(range(3, 13))
    assert {name: told[-1][name] for name in ("job_name", "status", "rows_done", "rows_reused", "message")} == {
        "job_name": "D.S.J", "status": "FAILED", "rows_done": 7, "rows_reused": 2, "message": "no",
    }  # fmt: skip
    instance.try_number = 13
    job_card.tell_of_no_job(context, JobInputError("no pool"), None, model="M", compute_pool="P")
    assert instance.xcoms[JOB_CARD_KEY]["earlier_tries"] == told
    assert (earlier_tries(context) or [])[-1]["status"] == "REFUSED"


def test_the_first_try_and_a_store_that_fails_tell_of_no_earlier_one(instance: TaskInstance) -> None:
    class Away(Store):
        def get(self, key: str, default: Any = None) -> Any:
            raise ConnectionError(key)

        def set(self, key: str, value: Any) -> None:
            raise ConnectionError(key)

    context: Any = {"ti": instance, "task_state_store": Away()}
    assert earlier_tries(context) is None
    instance.try_number = 2
    assert earlier_tries(context) is None
    with (
        pytest.raises(ValueError, match="no"),
        TaskCard(context, JobCard("D.S.J", "FAILED", "P", 1, "@D.S.R/J/", 1.0, 2)),
    ):
        raise ValueError("no")
    assert instance.xcoms[JOB_CARD_KEY]["message"] == "no"


def test_it_holds_nothing_that_airflow_masks(instance: TaskInstance, card: TaskCard) -> None:
    mask_secret("one-that-is-masked")
    with pytest.raises(ValueError, match="masked"), card:
        raise ValueError("Cannot log in with one-that-is-masked")
    assert instance.xcoms[JOB_CARD_KEY]["message"] == "Cannot log in with ***"
    job_card.tell_of_no_job({"ti": instance}, ValueError("one-that-is-masked"), None, model="M", compute_pool="P")  # type: ignore[typeddict-item]
    assert instance.xcoms[JOB_CARD_KEY]["message"] == "***"


def test_it_tells_the_last_lines_of_the_log_until_the_job_is_done(instance: TaskInstance, card: TaskCard) -> None:
    card.tell_lines(["epoch 1", "epoch 2"])
    card.look(info("RUNNING"))
    assert instance.xcoms[JOB_CARD_KEY]["log"] == ["epoch 1", "epoch 2"]
    card.tell_lines([])
    card.look(info("DONE"))
    assert instance.xcoms[JOB_CARD_KEY]["log"] == ["epoch 1", "epoch 2"]
    card.done(JobResult("D.S.J", "DONE", "@D.S.R/J/", rows=1, files=1))
    assert instance.xcoms[JOB_CARD_KEY]["log"] is None


def test_it_tells_what_the_containers_of_a_failed_job_report(instance: TaskInstance, card: TaskCard) -> None:
    failed = ContainerInfo(1, "main", "FAILED", "x" * 1000, 137, 2)
    card.tell_containers([ContainerInfo(index, "main", "DONE", "") for index in range(20)] + [failed])
    with pytest.raises(ValueError, match="no"), card:
        raise ValueError("no")
    told = instance.xcoms[JOB_CARD_KEY]["containers"]
    assert len(told) == 8
    assert told[0] == {
        "replica": 1, "name": "main", "status": "FAILED", "message": "x" * 300, "exit_code": 137, "restarts": 2,
    }  # fmt: skip
