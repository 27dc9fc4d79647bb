"""Manifest and progress tell how many rows were kept from an earlier attempt; the records are the judge."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.worker.batches import LONGEST_WAIT, Batch, Outcome

pytestmark = pytest.mark.slow


def told(outcome: Outcome) -> list[int]:
    """What each of the worker's progress lines says."""
    return [line["rows_reused"] for line in outcome.progress]


def records(batch: Batch) -> dict[int, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in (batch.output / "_tasks").glob("*.json")]
    return {record["task"]: record for record in found}


def unfinish(batch: Batch, *lost: int) -> None:
    """As if the attempt had died when it had recorded all tasks but some."""
    for name in ("_SUCCESS", "_manifest.json"):
        (batch.output / name).unlink()
    for path in (batch.output / "_tasks").glob("*.json"):
        if json.loads(path.read_text())["task"] in lost:
            path.unlink()


def test_what_an_earlier_attempt_has_recorded_is_counted(batch: Batch) -> None:
    batch.ids(300_000, files=3)
    batch.job("Linear", job_name="DB.SCHEMA.FIRST")
    first = batch.run()
    assert (first.code, batch.manifest()["rows_reused"], max(told(first))) == (0, 0, 0)
    done = records(batch)
    unfinish(batch, 1)

    batch.job("Linear", job_name="DB.SCHEMA.SECOND")
    second = batch.run()

    kept = sum(record["input_rows"] for task, record in done.items() if task != 1)
    assert (second.code, batch.manifest()["rows_reused"], told(second)[-1]) == (0, kept, kept)
    assert {task: record["job"] for task, record in records(batch).items()} == {
        task: "DB.SCHEMA.SECOND" if task == 1 else "DB.SCHEMA.FIRST" for task in done
    }

    # A third one finds everything done, and leaves the manifest of the second.
    batch.job("Linear", job_name="DB.SCHEMA.THIRD")
    third = batch.run()
    assert (third.code, told(third)[-1]) == (0, 300_000)
    assert batch.manifest()["job_name"] == "DB.SCHEMA.SECOND"


def test_what_does_not_count_any_more_is_not_told_of(batch: Batch) -> None:
    batch.ids(300_000, files=3)
    batch.job("Linear")
    assert batch.run().code == 0
    damaged = records(batch)[2]
    unfinish(batch, 1)
    (batch.output / damaged["part"]["name"]).write_bytes(b"damaged")

    outcome = batch.run()

    assert (outcome.code, batch.manifest()["rows_reused"], told(outcome)[-1]) == (0, 100_000, 100_000)


@pytest.mark.parametrize("first_begins_last", [True, False])
def test_what_another_replica_of_the_same_job_has_done_is_not_reused(batch: Batch, first_begins_last: bool) -> None:
    batch.ids(400_000, files=4)
    batch.job("Linear", job_name="DB.SCHEMA.FIRST")
    assert batch.run().code == 0
    unfinish(batch, 1, 2)

    batch.job("Linear", job_name="DB.SCHEMA.SECOND")
    if first_begins_last:
        other = batch.run(replica=(1, 2))
        outcome = batch.run(replica=(0, 2))
    else:
        waiting = batch.start(replica=(0, 2))
        other = batch.run(replica=(1, 2))
        outcome = Outcome(0, *waiting.communicate(timeout=LONGEST_WAIT))

    assert batch.succeeded()
    assert batch.manifest()["rows_reused"] == 200_000
    assert (told(outcome)[-1], told(other)[-1]) == (100_000, 100_000)
    again = [batch.run(replica=(index, 2)) for index in (0, 1)]
    assert [told(one)[-1] for one in again] == [200_000, 200_000], "each tells of its share"
