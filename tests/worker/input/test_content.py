"""Content is told apart by its bytes: neither size, footer, name nor time stand for it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.input import content, footers, plan, reader, sources
from airflow_provider_snowflake_batch.worker.input.batch_size import BatchSize
from airflow_provider_snowflake_batch.worker.input.content import Identity
from airflow_provider_snowflake_batch.worker.input.read_ahead import freely
from airflow_provider_snowflake_batch.worker.output.kept_tasks import RecordCheck, input_digest

ROWS = 200_000


def write(path: Path, values: np.ndarray) -> None:
    """Two files of as many rows have the same size and footer."""
    table = pa.table({"ID": np.arange(len(values)), "X": values})
    pq.write_table(table, path, row_group_size=20_000, compression="none", use_dictionary=False, write_statistics=False)


def read(root: Path, made: plan.Plan) -> list[TaskRecord]:
    """Records of all tasks, with what a reader says that it has read."""
    assert made.schema is not None
    source = reader.TaskReader(footers.opener(root), made.schema, BatchSize(5000), None, use_threads=False)
    records = []
    for task in made.tasks:
        rows = sum(batch.table.num_rows for batch in source.batches(task))
        found = source.content()
        assert found.seen == content.seen_by_plan(task, made.seen)
        records.append(TaskRecord(task.index, "f", None, rows, 0.0, None, input=found.digest, seen=found.seen))
    return records


def faults(root: Path, made: plan.Plan, records: list[TaskRecord]) -> list[int]:
    check = RecordCheck(root, root, root, made, lambda: Identity("m"))
    return [record.task for record in records if check.content(record) is not None]


@pytest.mark.parametrize("whole", [0, sources.WHOLE_FILE_BYTES], ids=["mapped", "whole"])
@pytest.mark.parametrize("rows", [ROWS, 30_000], ids=["large file", "small file"])
def test_the_tasks_that_read_a_changed_value_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, whole: int
) -> None:
    monkeypatch.setattr(sources, "WHOLE_FILE_BYTES", whole)
    values = np.random.default_rng(1).random(rows)
    write(tmp_path / "x.parquet", values)
    made = plan.make_plan(tmp_path, ".*")
    records = read(tmp_path, made)
    assert faults(tmp_path, made, records) == []

    values[rows - 1] = np.nextafter(values[rows - 1], 1.0)
    write(tmp_path / "x.parquet", values)
    again = plan.make_plan(tmp_path, ".*")

    assert again.input_fingerprint == made.input_fingerprint
    changed = faults(tmp_path, again, records)
    assert changed == ([made.tasks[-1].index] if rows == ROWS else [task.index for task in made.tasks])
    assert input_digest(tmp_path, again) == input_digest(tmp_path, made)


def test_files_written_anew_with_the_same_bytes_are_the_same(tmp_path: Path) -> None:
    values = np.arange(ROWS) * 0.5
    write(tmp_path / "x.parquet", values)
    made = plan.make_plan(tmp_path, ".*")
    records = read(tmp_path, made)
    write(tmp_path / "x.parquet", values)
    os.utime(tmp_path / "x.parquet", (1, 1))

    assert faults(tmp_path, plan.make_plan(tmp_path, ".*"), records) == []


def test_what_was_read_stays_in_use_after_the_file_is_closed(tmp_path: Path) -> None:
    values = np.arange(ROWS) * 0.5
    write(tmp_path / "x.parquet", values)
    source = sources.Source(str(tmp_path / "x.parquet"), freely)
    parquet = pq.ParquetReader()
    parquet.open(source.native)
    source.load(parquet.metadata, 3)
    table = parquet.read_row_group(3)
    source.close()
    del parquet, source

    assert table["X"].to_numpy().tolist() == values[60_000:80_000].tolist()


def test_a_file_that_is_cut_off_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", np.arange(ROWS) * 0.5)
    source = sources.Source(str(tmp_path / "x.parquet"), freely)
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    os.truncate(tmp_path / "x.parquet", 1000)

    with pytest.raises(OSError, match="before a row group does"):
        source.load(metadata, 2)


def test_every_file_that_code_can_read_counts(tmp_path: Path) -> None:
    (tmp_path / "code" / "data").mkdir(parents=True)
    (tmp_path / "code" / "m.py").write_text("x = 1")
    (tmp_path / "code" / "data" / "weights.bin").write_bytes(bytes(3_000_000))
    out = tmp_path / "out"

    def digest() -> str:
        return content.files_digest(content.code_files([tmp_path / "code"], out))

    before = digest()
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "m.cpython.pyc").write_text("x")
    os.mkfifo(tmp_path / "code" / "pipe")
    (tmp_path / "code" / "pipe").unlink()
    assert digest() == before

    (tmp_path / "code" / "data" / "weights.bin").write_bytes(bytes(2_999_999) + b"\1")
    assert digest() != before
    before = digest()
    # A module without its source.
    (tmp_path / "code" / "compiled.pyc").write_text("x")
    assert digest() != before


def test_a_file_that_is_given_its_old_size_and_time_is_seen_to_have_changed(tmp_path: Path) -> None:
    path, lock = tmp_path / "weights", tmp_path / "lock"
    path.write_text("2")
    lock.touch()
    files = [("weights", path), ("lock", lock)]
    os.utime(path, (1, 1))
    one, all_of_them = content.seen(path.stat()), content.files_seen(files)
    deadline = time.monotonic() + 60
    while content.seen(path.stat()) == one and time.monotonic() < deadline:
        # Until the clock of the file system has gone on.
        path.write_text("3")
        os.utime(path, (1, 1))

    assert content.seen(path.stat()) != one
    assert content.files_seen(files) != all_of_them
    # What an empty file holds is known.
    all_of_them = content.files_seen(files)
    os.utime(lock, (2, 2))
    assert content.files_seen(files) == all_of_them


def test_what_the_job_reads_and_writes_is_no_code(tmp_path: Path) -> None:
    for name in ("code.py", "out/part.parquet", "in/rows.parquet", "stage/a.png", ".venv/lib/package.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "again").symlink_to("in")

    found = content.code_files([tmp_path], tmp_path / "out", [tmp_path / "in", tmp_path / "stage", tmp_path / "none"])
    within = content.code_files([tmp_path / "stage"], tmp_path / "out", [tmp_path])

    assert found == [("0/code.py", tmp_path / "code.py")]
    assert within == [("0/a.png", tmp_path / "stage" / "a.png")]


def test_a_token_is_of_its_own_for_each_attempt() -> None:
    assert len({Attempt("f").token for _ in range(100)}) == 100


@pytest.mark.parametrize("files", [0, 1, 3, 9])
def test_the_input_is_hashed_file_by_file_in_order_however_many_at_a_time(tmp_path: Path, files: int) -> None:
    hashes = b""
    for number in range(files):
        write(tmp_path / f"{number}.parquet", np.arange(ROWS) * float(number))
        hashes += hashlib.sha256((tmp_path / f"{number}.parquet").read_bytes()).digest()
    made = plan.make_plan(tmp_path, ".*")

    assert input_digest(tmp_path, made) == f"sha256:{hashlib.sha256(hashes).hexdigest()}"
