"""Several readers bring together what one does, whoever of them is lost.

Also tests ``worker/executors/bucket_reader.py``.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError, OutputError, Refused
from airflow_provider_snowflake_batch.worker.executors import bucket_files, shared_buckets
from airflow_provider_snowflake_batch.worker.executors.bucket_reader import Chunk, Spread
from airflow_provider_snowflake_batch.worker.executors.host import Order
from airflow_provider_snowflake_batch.worker.executors.hosts import HostLost
from airflow_provider_snowflake_batch.worker.executors.shared_buckets import SharedBuckets, cut
from airflow_provider_snowflake_batch.worker.input import partitions
from airflow_provider_snowflake_batch.worker.input.partitions import Buckets, PartitionReader
from airflow_provider_snowflake_batch.worker.input.plan import Plan, Task, make_plan
from airflow_provider_snowflake_batch.worker.input.row_batch import RowBatch
from tests.worker.executors.readers import Copies, There

ROWS, FILES, ROW_GROUP = 3_000, 3, 250

Groups = list[tuple[int, list[str]]]


def write(folder: Path, table: pa.Table, files: int = FILES, row_group: int = ROW_GROUP) -> Path:
    folder.mkdir()
    for number in range(files):
        first, last = (len(table) * one // files for one in (number, number + 1))
        pq.write_table(table.slice(first, last - first), folder / f"{number}.parquet", row_group_size=row_group)
    return folder


def table() -> pa.Table:
    """Groups of every kind: a large one, NULL, NaN, both zeros, many small ones; and categories."""
    values: list[float | None] = [float(one % 97) for one in range(ROWS)]
    values[: ROWS // 4] = [1000.5] * (ROWS // 4)
    values[ROWS // 4 : ROWS // 4 + 300] = [None, math.nan, -0.0] * 100
    order = np.random.default_rng(0).permutation(ROWS)
    return pa.table(
        {
            "ID": pa.array(np.arange(ROWS)),
            "G": pa.array([values[one] for one in order], pa.float64()),
            "C": pa.array([f"c{one // 400}" for one in range(ROWS)]).dictionary_encode(),
            "T": pa.array([None if one % 5 == 0 else f"text {one}" for one in range(ROWS)]),
        }
    )


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "BUCKET_BYTES", table().nbytes // 6)
    # Each row group is a chunk, and each file takes several pieces.
    monkeypatch.setattr(shared_buckets, "CHUNK_BYTES", 1)
    monkeypatch.setattr(shared_buckets, "CHUNKS_EACH", 1_000_000)
    monkeypatch.setattr(bucket_files, "PIECE_BYTES", 2_000)


def groups_of(task: Task, column: str) -> list[str]:
    """All that a pipeline gets of a task, in words, in which NaN is NaN and -0.0 is not 0.0."""
    return [
        repr((one.table.schema, one.table.to_pylist(), _categories(one), _sources(one), one.where()))
        for one in PartitionReader(column).batches(task)
    ]


def _categories(rows: RowBatch) -> list[list[Any]]:
    columns = [one.combine_chunks() for one in rows.table.columns if pa.types.is_dictionary(one.type)]
    return [(one.chunk(0) if isinstance(one, pa.ChunkedArray) else one).dictionary.to_pylist() for one in columns]


def _sources(rows: RowBatch) -> list[list[Any]]:
    assert rows.sources is not None
    return [column.to_pylist() for column in rows.sources]


def alone(root: Path, column: str) -> Groups:
    made = Buckets(root, make_plan(root, ".*"), column, lambda _: True)
    try:
        return [(task.index, groups_of(task, column)) for task in made.fill().tasks]
    finally:
        made.close()


class Together:
    """A reader of this machine, and one that is elsewhere. The latter begins with a chunk.

    :param reads: the input as that one sees it. :param leaves: when it is lost. :param kind: its class.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        column: str,
        reads: Path | None = None,
        leaves: Mapping[str, int] | None = None,
        kind: type[There] = There,
    ) -> None:
        self.notes: list[str] = []
        self._column = column
        self.plan = make_plan(root, ".*")
        self.buckets = SharedBuckets(root, self.plan, column, 2, self._step, self.notes.append)
        for name in ("reader", "host"):
            (folder / name).mkdir()
        self.there = kind(reads or root, self.buckets.spreading, folder / "reader", leaves or {})
        self.copies = Copies(folder / "host")
        self._employed = False

    def _step(self) -> None:
        if not self._employed:
            self._employed = True
            self.buckets.employ(self.there)
            assert self.there.begun.wait(60)

    def groups(self) -> Groups:
        filled: Plan = self.buckets.fill()
        try:
            return [(task.index, self.delivered(task)) for task in filled.tasks]
        finally:
            self.buckets.close()

    def delivered(self, task: Task) -> list[str]:
        order = Order(1, (task,))
        self.buckets.deliver(self.copies, order)
        return groups_of(self.copies.receiver.order(order).tasks[0], self._column)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "input", table())


CHUNKS = 12


def test_two_readers_bring_together_what_one_does(root: Path, tmp_path: Path) -> None:
    together = Together(root, tmp_path, "G")

    assert together.groups() == alone(root, "G")
    assert len(together.buckets.chunks) == CHUNKS
    assert 0 < together.there.did["chunks"] < CHUNKS
    assert together.there.did["pieces"] > 1
    assert together.notes == []
    assert not together.buckets.folder.exists()


@pytest.mark.parametrize("leaves", [{"chunks": 0}, {"chunks": 1}, {"pieces": 0}, {"pieces": 1}])
def test_what_a_lost_reader_had_is_read_again(root: Path, tmp_path: Path, leaves: dict[str, int]) -> None:
    together = Together(root, tmp_path, "G", leaves=leaves)

    assert together.groups() == alone(root, "G")
    (noted,) = together.notes
    assert noted.startswith("replica 1 is lost as a reader: killed")
    read = together.there.did["chunks"]
    assert (f"; {read} of {CHUNKS} parts of the input are read again by others" in noted) is (read > 0)


def test_a_reader_that_sees_other_files_reads_nothing(root: Path, tmp_path: Path) -> None:
    # The same content, of another time: nothing here tells that it is the same.
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(root, elsewhere)
    together = Together(root, tmp_path, "G", reads=elsewhere)

    assert together.groups() == alone(root, "G")
    assert list((tmp_path / "reader").iterdir()) == []
    (noted,) = together.notes
    assert noted.startswith("replica 1 reads no more of the input: by size and times, ")
    assert noted.endswith(".parquet is another file there")


class StandsStill(There):
    """It takes a chunk, and does not read it before it may."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.free = threading.Event()

    def spread(self, chunk: Chunk) -> Spread:
        self.begun.set()
        assert self.free.wait(60)
        return super().spread(chunk)


def test_a_reader_that_stands_still_holds_up_nobody(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_buckets, "OVERDUE_SECONDS", 0.1)
    monkeypatch.setattr(shared_buckets, "OVERDUE_TIMES", 0.0)
    together = Together(root, tmp_path, "G", kind=StandsStill)
    there = together.there
    assert isinstance(there, StandsStill)
    filled = together.buckets.fill()
    # What it has read in the end is not needed.
    there.free.set()
    wait_for(lambda: there.did["chunks"] == 1)
    found = [(task.index, together.delivered(task)) for task in filled.tasks]
    together.buckets.close()

    assert found == alone(root, "G")
    assert there.did["pieces"] == 0
    assert together.notes == []


def wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


KEYS: dict[str, Any] = {
    "strings": (pa.string(), st.sampled_from(["", "a", "A", "é"])),
    "floats": (pa.float64(), st.sampled_from([0.5, 0.0, -0.0, float("inf"), float("nan")])),
    "categories": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["a", "b", ""])),
    "ordered": (pa.dictionary(pa.int8(), pa.string(), ordered=True), st.sampled_from(["a"])),
}


@settings(max_examples=25, deadline=None)
@given(data=st.data(), kind=st.sampled_from(list(KEYS)), files=st.integers(1, 3), buckets=st.integers(1, 5))
def test_groups_are_the_same_for_every_input(data: st.DataObject, kind: str, files: int, buckets: int) -> None:
    arrow, values = KEYS[kind]
    column = data.draw(st.lists(st.none() | values, min_size=1, max_size=40))
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        keys = pa.table({"K": pa.array(column, arrow), "ID": range(len(column))})
        source = write(folder / "input", keys, files, row_group=7)
        patch.setattr(partitions, "BUCKET_BYTES", max(make_plan(source, ".*").bytes // buckets, 1))
        found, expected = Together(source, folder, "K").groups(), alone(source, "K")
    assert found == expected


def test_ordered_categories_that_agree_with_all_others_need_not_agree_with_each_other(tmp_path: Path) -> None:
    """Two chunks with some of the categories each, after one with all."""
    root = tmp_path / "input"
    root.mkdir()
    for number, categories in enumerate((["low", "mid", "high"], ["low"], ["high"], ["low"])):
        codes = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), pa.array(categories), ordered=True)
        pq.write_table(pa.table({"K": codes, "ID": [number, number]}), root / f"{number}.parquet")
    together = Together(root, tmp_path, "K")
    assert together.groups() == alone(root, "K")


@pytest.fixture
def broken(root: Path) -> Path:
    """A file whose second half is not what its footer says."""
    path = root / "1.parquet"
    content = bytearray(path.read_bytes())
    content[1000 : len(content) // 2] = bytes(len(content) // 2 - 1000)
    path.write_bytes(content)
    return root


def test_a_file_that_cannot_be_read_ends_it(broken: Path, tmp_path: Path) -> None:
    together = Together(broken, tmp_path, "G")
    with pytest.raises(DataError, match=r"cannot read input file 1\.parquet"):
        together.groups()
    together.buckets.close()


def test_a_disk_without_room_ends_it(root: Path, tmp_path: Path) -> None:
    together = Together(root, tmp_path, "G")
    (tmp_path / "reader").rmdir()
    with pytest.raises(OutputError, match="cannot keep the groups of rows in .*reader .TMPDIR says where"):
        together.groups()
    together.buckets.close()


def test_who_waits_when_the_batch_ends_does_not_wait_for_ever(root: Path, tmp_path: Path) -> None:
    together = Together(root, tmp_path, "G")
    task = together.buckets.fill().tasks[0]
    together.buckets.close()
    with pytest.raises(HostLost, match="the batch is over"):
        together.buckets.deliver(together.copies, Order(1, (task,)))


def test_what_makes_no_groups_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "input", pa.table({"LIST": [[1]]}), files=1)
    with pytest.raises(Refused, match="groups are made of plain values only"):
        Together(root, tmp_path, "LIST")


@pytest.mark.parametrize(("chunk_bytes", "each", "chunks"), [(1, 2, 4), (1, 1000, CHUNKS), (10**9, 1000, 1)])
def test_chunks_hold_each_row_group_once_in_order(
    root: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int, each: int, chunks: int
) -> None:
    monkeypatch.setattr(shared_buckets, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(shared_buckets, "CHUNKS_EACH", each)
    made = make_plan(root, ".*")
    found = cut(made, 2)

    pieces = [(one.path, number) for chunk in found for one in chunk.groups for number in one.numbers]
    assert pieces == [(f"{file}.parquet", number) for file in range(FILES) for number in range(4)]
    assert sum(one.rows for chunk in found for one in chunk.groups) == ROWS
    assert chunks <= len(found) <= chunks + 2
    assert [chunk.number for chunk in found] == list(range(len(found)))
    assert all(
        made.seen[one.path] == seen for chunk in found for one, seen in zip(chunk.groups, chunk.seen, strict=True)
    )
