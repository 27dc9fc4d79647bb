"""What is written to standard output and error, whoever reads them, and whatever models print."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX
from airflow_provider_snowflake_batch.worker.console import Console
from tests.worker.batches import LONGEST_WAIT, WORKER, Batch

PREFIX = PROGRESS_PREFIX.encode()
PIECES = [
    PREFIX,
    PREFIX[:7],
    b"SNOWFLAKE_",
    b"{}",
    b"\n",
    b"\r",
    b"\xff\xfe",
    b"x" * 70_000,
    b"S",
]


@given(
    printed=st.lists(
        st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), min_size=1, max_size=4).map(b"".join), max_size=6
    ),
    own=st.lists(st.integers(0, 5), max_size=3),
)
def test_what_a_model_prints_is_neither_lost_nor_taken_for_progress(printed: list[bytes], own: list[int]) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    console, seen = Console(writing), b""

    def read() -> bytes:
        try:
            return os.read(reading, 1 << 20)
        except BlockingIOError:
            return b""

    for number, data in enumerate(printed):
        for start in range(0, len(data), 30_000):
            console._foreign(data[start : start + 30_000])
            seen += read()
        if number in own:
            console.line(PROGRESS_PREFIX + '{"own": 1}')
            seen += read()
    console.line("the end")
    seen += read()
    os.close(reading)
    os.close(writing)

    lines = seen.split(b"\n")
    assert lines[-2:] == [b"the end", b""]
    ours = [line for line in lines if PREFIX in line]
    assert ours == [PREFIX + b'{"own": 1}'] * sum(number in own for number in range(len(printed)))
    others = seen.replace(PREFIX + b'{"own": 1}', b"").replace(b"the end", b"").replace(b"\n", b"")
    marked = b"".join(printed).replace(PREFIX, PREFIX.strip() + b": ").replace(b"\n", b"")
    assert others == marked or PREFIX in b"".join(printed).replace(b"\n", b"")


def test_a_line_that_nobody_takes_is_left() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writing, True)

    Console(writing).line_if_taken("progress")

    os.close(reading)
    Console(writing).line("nobody is there")
    os.close(writing)


def test_the_last_line_that_came_while_a_model_was_printing_is_written(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        console = Console(out.fileno())
        console.pipe()
        with console._lock:
            for line in ("first", "second", "done"):
                console.line_if_taken(line)
        console.close()
    assert (tmp_path / "out").read_text() == "done\n"


@pytest.mark.parametrize("printed", ["printed\n", "printed"])
def test_it_is_written_when_that_is_copied(tmp_path: Path, printed: str) -> None:
    reading, writing = os.pipe()
    console = Console(writing)
    with console._lock:
        os.write(console.pipe(), printed.encode())
        console.line_if_taken("progress")
    with os.fdopen(reading) as lines:
        assert [lines.readline() for _ in range(2)] == ["printed\n", "progress\n"]
    console.close()
    os.close(writing)


@pytest.mark.parametrize("how", [">/dev/full", ">&-", "| true", "2>/dev/full", "2>&-", ">&- 2>&- <&-"])
def test_nobody_has_to_read_what_is_printed(batch: Batch, tmp_path: Path, how: str) -> None:
    batch.ids(5_000)
    batch.job("untidy_models:Prints", inference={"num_workers": 1, "max_batch_rows": 100})
    worker = f"{' '.join(WORKER)} {batch.root / 'JOB.json'}"

    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{worker} {how}"], capture_output=True, timeout=LONGEST_WAIT, check=False
    )

    assert done.returncode == 0, done.stderr
    assert batch.succeeded()
    assert batch.result().num_rows == 5_000


def test_what_models_print_is_no_progress(batch: Batch) -> None:
    batch.ids(1_000)
    batch.job("untidy_models:Prints", inference={"num_workers": 1, "max_batch_rows": 100})
    process = batch.start()
    output, _ = process.communicate(timeout=LONGEST_WAIT)

    assert process.returncode == 0
    assert output.count("SNOWFLAKE_BATCH_PROGRESS: ") == 10
    assert all('"phase": "fake"' not in line for line in output.splitlines() if line.startswith(PROGRESS_PREFIX))
    assert next(line for line in output.splitlines() if '"phase": "done"' in line).startswith(PROGRESS_PREFIX)


def test_the_cause_of_a_failure_is_a_line_of_its_own(batch: Batch) -> None:
    batch.ids(10)
    batch.job("untidy_models:Prints", init={"fails": True})

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last == "ModelError: ValueError: no (rows 0–9 of file data_000.parquet)"
