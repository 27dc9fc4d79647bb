"""Bad rows are set aside, all others scored; what is wrong as a whole still fails, and soon.

Also tests ``worker/bad_rows.py``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.worker.bad_rows import Quarantine
from airflow_provider_snowflake_batch.worker.errors import TooManyBadRows
from tests.worker.batches import Batch, Outcome
from tests.worker.kills import kill_until_done, tasks_called

QUARANTINE = {"on_error": "quarantine", "num_workers": 1}


def set_aside(batch: Batch) -> list[dict[str, Any]]:
    """The rows in the quarantine, by file and row."""
    files = sorted((batch.output / "_quarantine").glob("*.pq"))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: (row["QUARANTINE_FILE"], row["QUARANTINE_ROW"]))


def check(batch: Batch, outcome: Outcome, rows: int, bad: list[int]) -> None:
    """All IDs below ``rows`` are written, but the bad ones, which are set aside."""
    assert outcome.code == 0, outcome.stderr
    assert batch.result()["ID"].to_pylist() == [one for one in range(rows) if one not in bad]
    assert sorted(row["ID"] for row in set_aside(batch)) == sorted(bad)
    manifest = batch.manifest()
    assert (manifest["rows"], manifest["quarantined_rows"]) == (rows - len(bad), len(bad))
    assert batch.verify().code == 0


def test_bad_rows_are_set_aside_with_their_error(batch: Batch) -> None:
    batch.ids(300, files=3)
    marks = batch.root / "marks"
    bad = [7, 150, 151, 299]
    batch.job("Picky", init={"bad": bad, "marks": str(marks)}, inference={**QUARANTINE, "max_batch_rows": 100})

    outcome = batch.run()

    check(batch, outcome, 300, bad)
    assert set_aside(batch)[1] == {
        "ID": 150,
        "X": 450.0,
        "QUARANTINE_FILE": "data_001.parquet",
        "QUARANTINE_ROW": 50,
        "QUARANTINE_ERROR": "ValueError: cannot score 150",
    }
    assert outcome.progress[-1]["quarantined_rows"] == 4
    told = outcome.progress[-1]["first_bad_rows"]
    assert len(told) == 3
    texts = [f"ValueError: cannot score {one} (row {one % 100} of file data_00{one // 100}.parquet)" for one in bad]
    assert set(told) < set(texts)
    assert outcome.progress[-1]["batch_rows"] == 100
    assert outcome.progress[-1]["rows_done"] == 300
    # Halving 100 rows down to one takes 7 steps of two calls; 16 rows are tried before anything has been scored.
    assert len(tasks_called(marks)) <= 3 + 16 + 4 * 2 * 7
    # A reader that takes all Parquet files below the directory finds the results only.
    assert len(list(batch.output.rglob("*.parquet"))) == len(batch.manifest()["files"])


@pytest.mark.parametrize(
    ("inference", "reason"),
    [({}, "on_error is fail"), ({**QUARANTINE, "max_quarantined": 1}, "max_quarantined is 1")],
)
def test_a_finished_result_with_more_bad_rows_than_allowed_is_not_this_jobs(
    batch: Batch, inference: dict[str, Any], reason: str
) -> None:
    batch.ids(300)
    batch.job("Picky", init={"bad": [7, 150]}, inference=QUARANTINE)
    assert batch.run().code == 0
    batch.job("Picky", init={"bad": [7, 150]}, inference=inference)

    outcome = batch.run()

    assert outcome.code == 2
    assert f"a finished result, and mode is error: 2 rows were set aside as bad, and {reason}" in outcome.last
    assert batch.verify().code == 0


@pytest.mark.parametrize("size", [1, 5, 100])
def test_a_model_that_fails_for_everything_fails_the_job_soon(batch: Batch, size: int) -> None:
    batch.ids(2000, files=2)
    marks = batch.root / "marks"
    batch.job("Picky", init={"marks": str(marks)}, inference={**QUARANTINE, "max_batch_rows": size})

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last.startswith("ModelError: ValueError: cannot score ")
    assert "no row has been scored, and 16 tried alone all failed" in outcome.last
    assert len(tasks_called(marks)) <= 45
    assert not batch.succeeded()


def test_a_few_rows_that_all_fail_fail_the_job(batch: Batch) -> None:
    batch.ids(3)
    batch.job("Picky", inference=QUARANTINE)

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last.startswith("ModelError: every row failed, so none is set aside; ValueError: cannot score 0 (")
    assert not batch.succeeded()


def test_bad_rows_of_all_tasks_count() -> None:
    quarantine = Quarantine(most=3, recorded=1)
    quarantine.set_aside(0, 1, "the second")
    quarantine.task(0, 1)
    quarantine.set_aside(1, 1, "the third")
    assert quarantine.room == 0
    with pytest.raises(TooManyBadRows, match="the latest: the fourth"):
        quarantine.set_aside(0, 1, "the fourth")


def test_a_limit_that_is_raised_goes_on_where_it_stopped(batch: Batch) -> None:
    batch.ids(400_000, files=4)
    marks = batch.root / "marks"
    # The last task alone has more than there may be: it may have begun before those of the others were counted, and
    # could be done with fewer.
    bad = [5, 150_000, 250_000, *range(399_996, 400_000)]
    init = {"bad": bad, "marks": str(marks)}
    batch.job("Picky", init=init, inference={**QUARANTINE, "max_quarantined": 3})

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last.startswith(
        "TooManyBadRows: more rows failed than max_quarantined (in inference, or in job_spec of an operator) allows; "
        "those of finished tasks are in _quarantine of the output directory; the latest: ValueError: cannot score "
    )
    assert not batch.succeeded()
    # The record of the task before is written beside the call that fails, so it may be there, or not, or cut off.
    records = [path.read_text() for path in (batch.output / "_tasks").glob("*.json")]
    recorded = {json.loads(text)["task"] for text in records if text.endswith("}")}
    assert {0, 1} <= recorded <= {0, 1, 2}
    first = len(tasks_called(marks))
    batch.job("Picky", init=init, inference={**QUARANTINE, "max_quarantined": 7})

    check(batch, batch.run(), 400_000, bad)
    assert {one // 100_000 for one in tasks_called(marks)[first:]} == {0, 1, 2, 3} - recorded


def test_a_model_that_leaves_rows_out(batch: Batch) -> None:
    batch.ids(50)
    batch.job("Picky", init={"bad": [20], "leaves_out": True}, inference=QUARANTINE)

    check(batch, batch.run(), 50, [20])
    assert set_aside(batch)[0]["QUARANTINE_ERROR"] == "the model returned 0 rows for 1 rows given (output 'Y')"


def test_a_task_of_bad_rows_only_has_no_part(batch: Batch) -> None:
    batch.ids(200, files=2)
    for path in sorted(batch.input.iterdir()):
        padding = pa.array([random.randbytes(400 * 1024) for _ in range(100)])
        pq.write_table(pq.read_table(path).append_column("PADDING", padding), path, compression="none")
    batch.job("Picky", init={"bad": list(range(100, 200))}, inference={**QUARANTINE, "max_batch_rows": 10})

    check(batch, batch.run(), 200, list(range(100, 200)))
    assert len(batch.manifest()["files"]) == 1


def test_rows_whose_files_cannot_be_had(batch: Batch) -> None:
    stage = batch.root / "stage"
    stage.mkdir()
    for number in range(0, 60, 2):
        (stage / f"{number}.bin").write_bytes(bytes(number + 1))
    (stage / "4.bin").unlink()
    (stage / "4.bin").mkdir()
    paths = [f"@DB.SCHEMA.FILES/{number}.bin" for number in range(60)]
    batch.rows({"ID": list(range(60)), "FILE": paths})
    batch.job(
        "Sizes",
        input={"column_handling": {"FILE": {"convert_to": "raw_bytes"}}},
        inference=QUARANTINE,
        stages={"DB.SCHEMA.FILES": str(stage)},
    )

    outcome = batch.run()

    missing = [one for one in range(60) if one % 2 or one == 4]
    check(batch, outcome, 60, missing)
    assert batch.result()["SIZE"].to_pylist() == [one + 1 for one in range(60) if one not in missing]
    errors = {row["ID"]: row["QUARANTINE_ERROR"] for row in set_aside(batch)}
    assert errors[1] == "file '@DB.SCHEMA.FILES/1.bin' does not exist (column 'FILE')"
    assert errors[4] == "file '@DB.SCHEMA.FILES/4.bin' cannot be read: Is a directory (column 'FILE')"
    assert set_aside(batch)[0]["FILE"] == "@DB.SCHEMA.FILES/1.bin"


def test_a_group_is_set_aside_whole(batch: Batch) -> None:
    stores = [f"s{number % 5}" for number in range(40)]
    batch.rows({"ID": list(range(20)), "STORE": stores[:20]}, {"ID": list(range(20, 40)), "STORE": stores[20:]})
    batch.job("PickyGroups", input={"partition_column": "STORE"}, inference=QUARANTINE)

    check(batch, batch.run(), 40, list(range(3, 40, 5)))
    rows = set_aside(batch)
    assert [(row["QUARANTINE_FILE"], row["QUARANTINE_ROW"]) for row in rows[:5]] == [
        *(("data_000.parquet", number) for number in (3, 8, 13, 18)),
        ("data_001.parquet", 3),
    ]


def test_back_to_fail_the_bad_row_ends_the_job(batch: Batch) -> None:
    batch.ids(20)
    batch.job("Picky", init={"bad": [11, 12]}, inference={**QUARANTINE, "max_quarantined": 1})
    assert batch.run().code == 1
    batch.job("Picky", init={"bad": [11, 12]})

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last.startswith("ModelError: ValueError: cannot score 11 (rows 0–19")


@pytest.mark.parametrize(
    ("inference", "message"),
    [
        ({"on_error": "ignore"}, "inference.on_error 'ignore' is not one of fail, quarantine"),
        ({"max_quarantined": 5}, "inference.max_quarantined needs inference.on_error to be quarantine"),
        ({"on_error": "quarantine", "max_quarantined": 0}, "inference.max_quarantined must be at least 1, not 0"),
    ],
)
def test_what_is_refused(batch: Batch, inference: dict[str, Any], message: str) -> None:
    batch.ids(1)
    batch.job("Picky", inference=inference)

    outcome = batch.run()

    assert (outcome.code, outcome.last) == (2, f"Refused: JOB.json: {message}")


def test_an_input_with_a_column_of_the_quarantine(batch: Batch) -> None:
    batch.rows({"ID": [1], "quarantine_row": [1]})
    batch.job("Picky", inference=QUARANTINE)

    outcome = batch.run()

    assert outcome.code == 2
    assert "adds a column QUARANTINE_ROW" in outcome.last
    assert not batch.output.exists()


@pytest.mark.slow
def test_kill_at_any_moment_with_bad_rows(batch: Batch) -> None:
    bad = [number * 7_919 for number in range(100)]
    batch.ids(800_000, files=8)
    marks: Path = batch.root / "marks"
    batch.job("Picky", init={"bad": bad, "marks": str(marks), "seconds": 0.002}, inference={"on_error": "quarantine"})

    kill_until_done(batch, random.Random(5), kills=20, marks=marks, task_rows=100_000)

    check(batch, batch.run(), 800_000, bad)
