"""The job card: what looks at the job make of it.

Also tests ``jobs/sent_statement.py``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.card import JobCard, told_output
from airflow_provider_snowflake_batch.jobs.logs import Progress
from airflow_provider_snowflake_batch.jobs.sent_statement import MOST_STATEMENT_BYTES, told_statement
from airflow_provider_snowflake_batch.jobs.status import JobInfo

CARD = JobCard("D.S.J", "SUBMITTED", "P", 2, "@D.S.R/J/", 10.0, 1)


def info(status: str, updated_on: datetime | None = None) -> JobInfo:
    row = {"database_name": "D", "schema_name": "S", "name": "J", "status": status, "updated_on": updated_on}
    return JobInfo.from_row(row)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_a_job_from_submission_to_its_end() -> None:
    pending = CARD.seen(info("PENDING"), 11)
    assert (pending.status, pending.started_at, pending.ended_at) == ("PENDING", None, None)
    running = pending.seen(info("RUNNING"), 12, Progress(0, "running", 5, 20, 1.0, 15.0, 2))
    assert (running.status, running.started_at, running.ended_at) == ("RUNNING", 12, None)
    assert running.progress == {
        "phase": "running", "rows_done": 5, "rows_total": 20, "rows_per_second": 1.0, "eta_seconds": 15.0,
        "rows_reused": 2,
    }  # fmt: skip
    ended = running.seen(info("FAILED"), 20, message="no").seen(info("FAILED"), 30)
    assert (ended.started_at, ended.ended_at, ended.updated_at) == (12, 20, 30)
    assert (ended.progress, ended.message) == (running.progress, "no")


def test_the_end_is_when_snowflake_says_if_that_can_be() -> None:
    running = CARD.seen(info("RUNNING"), 12)
    assert running.seen(info("DONE", moment(15)), 20).ended_at == 15
    assert running.seen(info("DONE", moment(11)), 20).ended_at == 20
    assert running.seen(info("DONE", moment(21)), 20).ended_at == 20
    assert running.seen(info("RUNNING", moment(15)), 20).ended_at is None


def test_a_start_that_nobody_saw_is_not_told() -> None:
    unseen = CARD.seen(info("DONE", moment(15)), 20)
    assert (unseen.started_at, unseen.ended_at) == (None, 15)
    assert CARD.seen(info("RUNNING"), 20, running_since=12).started_at == 12
    assert CARD.seen(info("RUNNING"), 14).seen(info("RUNNING"), 20, running_since=12).started_at == 14


def test_it_keeps_how_far_the_job_was() -> None:
    running = CARD.seen(info("RUNNING"), 12, Progress(0, "running", 5, 20)).seen(info("RUNNING"), 22)
    later = running.seen(info("RUNNING"), 32, Progress(0, "running", 15, 20))
    assert later.history == [[2, 5], [22, 15]]
    assert JobCard.read(later.to_dict()) == later
    assert JobCard.read({**later.to_dict(), "history": "no"}) == replace(later, history=None)


def test_the_moment_of_acceptance_is_snowflakes_within_what_we_know() -> None:
    def created(seconds: float) -> JobInfo:
        return replace(info("PENDING"), created_on=moment(seconds).isoformat())

    assert CARD.seen(created(14), 20).accepted_at == 14
    assert CARD.seen(created(9), 20).accepted_at == 10
    assert CARD.seen(created(21), 20).accepted_at == 20
    assert CARD.seen(info("PENDING"), 20).seen(created(14), 30).accepted_at == 20


def test_a_stored_card_comes_back_and_a_newer_versions_too() -> None:
    values: dict[str, Any] = CARD.to_dict()
    assert JobCard.from_dict(values) == CARD
    assert JobCard.from_dict({**values, "of_a_later_version": 1}) == CARD


def test_a_statement_is_kept_whole_or_not_at_all() -> None:
    longest = "S" * (MOST_STATEMENT_BYTES - 2) + "é"
    assert told_statement(longest) == {"statement": longest}
    assert told_statement(longest + "S") == {"no_statement": "It has 8,193 bytes, and 8,192 are kept at most."}
    # As cards did before it had an XCom of its own.
    card = replace(CARD, statement=longest)
    assert JobCard.read(card.to_dict()) == card
    assert card.seen(info("DONE"), 12).statement == longest


def test_of_a_table_of_any_width_a_card_tells_little() -> None:
    told = told_output(3, 10**12, [("C" * 1000, "struct<" * 1000)] * 2000)
    assert (told["files"], told["bytes"], told["columns_left_out"]) == (3, 10**12, 1960)
    assert told["columns"] == [["C" * 59 + "…", ("struct<" * 9)[:59] + "…"]] * 40
    assert len(json.dumps(told)) < 6_000
    card = replace(CARD, output=told)
    assert JobCard.read(card.to_dict()) == card
    assert JobCard.read({**card.to_dict(), "output": "much"}) == CARD


def test_of_a_log_a_card_tells_the_last_lines() -> None:
    card = CARD.seen(info("RUNNING"), 12, lines=[*map(str, range(20)), " ", "x" * 500, ""])
    assert card.log == [*map(str, range(9, 20)), "x" * 199 + "…"]
    assert card.seen(info("RUNNING"), 13).log == card.log
    assert JobCard.read(card.to_dict()) == card
    assert JobCard.read({**card.to_dict(), "log": "much"}) == replace(card, log=None)


@pytest.mark.parametrize("stored", [["SELECT 1"], 1, "S" * (MOST_STATEMENT_BYTES + 1), "\ud800"])
def test_what_is_no_statement_is_not_taken_for_one(stored: Any) -> None:
    assert JobCard.read({**CARD.to_dict(), "statement": stored}) == CARD


def test_replicas_count_together() -> None:
    parts = [Progress(0, "done", 10, 10, 5.0, None), Progress(1, "running", 4, 12, 2.0, 4.0)]
    assert Progress.total(parts) == Progress(0, "running", 14, 22, 7.0, 4.0)
    assert Progress.total(parts[:1]) == Progress(0, "done", 10, 10, 5.0, None)
    assert Progress.total([]) is None
