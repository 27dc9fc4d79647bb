"""What a job has waited for while it was pending."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.card import JobCard
from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo
from airflow_provider_snowflake_batch.jobs.waits import readable_waits, waited

CARD = JobCard("D.S.J", "SUBMITTED", "P", 2, "@D.S.R/J/", 10.0, 1)
NODE, IMAGE = "Compute pool node(s) are being provisioned", "Failed to pull image"


def said(*messages: str, status: str = "PENDING") -> list[dict[str, Any]]:
    return [{"status": status, "message": message} for message in messages]


def test_it_tells_since_when_and_only_what_is_new() -> None:
    waits = waited(None, 5.4, said(NODE))
    assert waits == [[5, NODE]]
    assert waited(waits, 25, said(NODE)) == waits
    assert waited(waits, 25, ()) == waits
    assert waited(waits, 45, said(IMAGE)) == [[5, NODE], [45, IMAGE]]


def test_what_containers_say_counts_once_in_whichever_order() -> None:
    waits = waited(None, 5, said(NODE, IMAGE, NODE, ""))
    assert waits == [[5, f"{NODE} · {IMAGE}"]]
    assert waited(waits, 25, said(IMAGE, NODE)) == waits


def test_containers_that_have_begun_wait_for_nothing() -> None:
    assert waited(None, 5, said("Running", status="READY")) is None


def test_what_is_no_container_says_nothing() -> None:
    assert waited(None, 5, ["x", None, {"status": "PENDING"}, *said(NODE)]) == [[5, NODE]]


def test_it_stays_small() -> None:
    waits = None
    for at in range(100):
        waits = waited(waits, at, said(f"{at} " + "x" * 1000))
    assert waits is not None
    assert (len(waits), waits[0][0], len(waits[0][1])) == (8, 92, 200)
    assert readable_waits(waits) == waits


@pytest.mark.parametrize("stored", [None, "a", {"a": 1}, [], [1, ["a", "b"], [True, "a"], [1, None]]])
def test_what_cannot_be_read_is_none(stored: Any) -> None:
    assert readable_waits(stored) is None


def test_a_card_keeps_it_when_the_job_runs() -> None:
    def info(status: str) -> JobInfo:
        return JobInfo.from_row({"database_name": "D", "schema_name": "S", "name": "J", "status": status})

    def container(status: str, message: str) -> list[ContainerInfo]:
        return [ContainerInfo(0, "main", status, message)]

    pending = CARD.seen(info("PENDING"), 12, containers=container("PENDING", NODE)).seen(info("PENDING"), 20)
    running = pending.seen(info("RUNNING"), 70, containers=container("READY", "Running"))
    # A container of a job that runs may be pending again.
    again = running.seen(info("RUNNING"), 80, containers=container("PENDING", IMAGE))
    assert pending.waits == running.waits == again.waits == [[2, NODE]]
    assert JobCard.read(again.to_dict()) == again
