"""Memory depends on the configuration, not on the input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.worker.input.batch_size import MOST_ROWS
from airflow_provider_snowflake_batch.worker.input.file_columns import FILE_BATCH_BYTES
from airflow_provider_snowflake_batch.worker.input.plan import TASK_ROWS
from airflow_provider_snowflake_batch.worker.input.read_ahead import BYTES_AHEAD
from airflow_provider_snowflake_batch.worker.scoring.pipeline import QUEUE_LENGTH, READ_AHEAD_BYTES, WRITE_BEHIND_BYTES
from tests.worker.batches import WORKER, Batch

MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
assert done.returncode == 0
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
ROWS, GROUP_ROWS, COLUMNS = 100_000, 25_000, 17
ROW_BYTES = 8 * COLUMNS
# A row counts with the room that the model's argument takes.
QUEUED_ROW_BYTES = 2 * ROW_BYTES


def peak(batch: Batch, files: int, rows: int, batch_rows: int | None) -> int:
    """Largest resident size of any of the worker's processes, in bytes."""
    columns = {f"F{number}": np.random.default_rng(number).random(rows) for number in range(COLUMNS - 1)}
    batch.rows(*[{"ID": np.arange(rows), **columns}] * files, row_group_size=GROUP_ROWS)
    inference = {"num_workers": 2, "max_batch_rows": batch_rows}
    batch.job("Linear", init={"column": "F0"}, output={"mode": "overwrite"}, inference=inference)
    return measured(batch)


def measured(batch: Batch) -> int:
    """Run the job. :return: as `peak`."""
    command = [sys.executable, "-c", MEASURE, *WORKER, str(batch.root / "JOB.json")]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("batch_rows", [1000, None])
def test_a_large_input_takes_no_more_memory_than_the_queues_hold(batch: Batch, batch_rows: int | None) -> None:
    # How full the queues become depends on the machine, so two inputs do not compare; but no queue is more than full.
    idle = peak(batch, 2, 100, batch_rows)
    large = peak(batch, 96, ROWS, batch_rows)

    full = QUEUE_LENGTH * (batch_rows or MOST_ROWS) * QUEUED_ROW_BYTES
    queues = min(READ_AHEAD_BYTES, full) + min(WRITE_BEHIND_BYTES, full)
    # The task that is read, the one at the model and the one that is written, each with its copy in another form.
    at_hand = 3 * 2 * (TASK_ROWS + GROUP_ROWS) * ROW_BYTES
    # Kept, the rows would be 650 MB in each of the two processes.
    assert large - idle < queues + at_hand


@pytest.mark.slow
@pytest.mark.parametrize("slow", [False, True])
def test_large_files_take_no_more_memory_than_the_queues_hold(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    count, size = 192, 8 * 1024 * 1024
    stage, counts = batch.root / "mounted", batch.root / "counts"
    stage.mkdir()
    counts.mkdir()
    for number in range(count):
        with (stage / str(number)).open("wb") as file:
            file.truncate(size)
    if slow:
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "slow_opens"))
        monkeypatch.setenv("SLOW_OPENS_STAGE", str(stage))
        monkeypatch.setenv("SLOW_OPENS_COUNTS", str(counts))
    peaks = []
    for rows in (1, count):
        batch.rows({"ID": list(range(rows)), "FILE": [f"@DB.SCHEMA.S/{number}" for number in range(rows)]})
        batch.job(
            "Sizes",
            input={"column_handling": {"FILE": {"convert_to": "raw_bytes"}}},
            output={"mode": "overwrite"},
            inference={"num_workers": 1},
            stages={"DB.SCHEMA.S": "mounted"},
        )
        peaks.append(measured(batch))
        assert batch.result()["SIZE"].to_pylist() == [size] * rows

    # One batch each: put together, waiting for the queue, in it, at the model, in the next queue, just written; and
    # what is read ahead. Kept, the files would be 1.6 GB.
    assert peaks[1] - peaks[0] < 6 * (FILE_BATCH_BYTES + size) + BYTES_AHEAD


@pytest.mark.slow
@pytest.mark.parametrize("partition_column", [None, "X"])
def test_text_that_a_file_holds_once_is_not_read_at_once(batch: Batch, partition_column: str | None) -> None:
    """A dictionary makes 1.6 GB of text a file of a few bytes; the file's own figures do not tell."""
    rows = 400_000
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x" * 4000]))
    batch.input.mkdir()
    table = pa.table({"ID": np.arange(rows), "X": np.arange(rows) // 1000, "TEXT": text})
    # Without Arrow's own schema it is read as plain text.
    pq.write_table(table, batch.input / "data.parquet", store_schema=False)
    source = {"partition_column": partition_column}
    output = {} if partition_column else {"columns": ["ID"]}
    batch.job("Linear", input=source, output=output, inference={"num_workers": 1})

    # Read whole it takes 3.5 GB and more. What is left of the text as Python's strings depends on the C library.
    assert measured(batch) < 2_500_000_000
