"""Groups of rows that several machines read, and score: here two readers and two hosts of this machine."""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.errors import OutputError
from airflow_provider_snowflake_batch.worker.executors import bucket_files, shared_buckets
from airflow_provider_snowflake_batch.worker.executors.base import Groups
from airflow_provider_snowflake_batch.worker.executors.bucket_files import BucketReceiver, Piece, Wanted, read_pieces
from airflow_provider_snowflake_batch.worker.executors.host import Host, Order, Report
from airflow_provider_snowflake_batch.worker.executors.hosts import HostLost
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.replicas import ReplicaExecutor
from airflow_provider_snowflake_batch.worker.executors.shared_buckets import HostHere, SharedBuckets
from airflow_provider_snowflake_batch.worker.input import partitions
from airflow_provider_snowflake_batch.worker.input.plan import Plan, RowRange, Task
from airflow_provider_snowflake_batch.worker.job import Replica, read_job
from airflow_provider_snowflake_batch.worker.run import Run
from tests.worker.batches import Batch
from tests.worker.executors.readers import Copies, There
from tests.worker.executors.two_hosts import TwoHosts

ROWS, GIANT = 40_000, 10_000


class Apart(TwoHosts):
    """Two readers and two hosts, each with files of its own; each does some, however fast the other is.

    :param dies: the second host is lost once it has done a task.
    :param ends_after: so many tasks have to be done until whoever gives them out fails.
    """

    def __init__(
        self,
        folder: Path,
        *,
        dies: bool = False,
        ends_after: int | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.dies, self.ends_after = folder, dies, ends_after
        for path in (folder, folder / "host", folder / "reader"):
            path.mkdir(exist_ok=True)
        self.done: dict[int, list[int]] = {0: [], 1: []}
        self.most_kept = 0
        self.there: There | None = None
        self._loaded: set[int] = set()

    def group(self, job: Job, plan: Plan, column: str) -> Groups:
        self.buckets = SharedBuckets(job.input.path, plan, column, 2, self._step, self.notes.append)
        self._root = job.input.path
        return self.buckets

    def _step(self) -> None:
        if self.there is None:
            self.there = There(self._root, self.buckets.spreading, self.folder / "reader")
            self.buckets.employ(self.there)
            # The other one has not begun yet.
            assert self.there.begun.wait(60)

    def asking(self, number: int, host: Host) -> Callable[[Order], Report]:
        return self._counting(number, self._sending(host) if number else HostHere(host, self.buckets))

    def _sending(self, host: Host) -> Callable[[Order], Report]:
        copies = Copies(self.folder / "host")

        def sent(order: Order) -> Report:
            self.buckets.deliver(copies, order)
            kept = {path.name[:4] for path in copies.receiver.folder.iterdir()} - {"cate"}
            self.most_kept = max(self.most_kept, len(kept))
            report = host.exchange(copies.receiver.order(order))
            copies.receiver.forget(report)
            if self.dies and self.done[1]:
                host.kill()
                raise HostLost("killed")
            return report

        return sent

    def _counting(self, number: int, ask: Callable[[Order], Report]) -> Callable[[Order], Report]:
        def counted(order: Order) -> Report:
            report = ask(order)
            self.done[number] += [record.task for record in report.records]
            if self.ends_after is not None and len(self.done[0]) + len(self.done[1]) >= self.ends_after:
                raise OutputError("no more")
            if report.workers:
                self._loaded.add(number)
            waits = len(self._loaded) < 2 or (len(self.done[number]) >= 3 and not self.done[1 - number])
            return replace(report, room=0) if waits else report

        return counted


@pytest.fixture
def grouped(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """Groups of every kind: one of a quarter of the rows, NULL, NaN, both zeros, many small ones; and categories."""
    values: list[float | None] = [float(one % 97) for one in range(ROWS)]
    values[:GIANT] = [1000.5] * GIANT
    values[GIANT : GIANT + 300] = [None, math.nan, -0.0] * 100
    order = np.random.default_rng(0).permutation(ROWS)
    table = pa.table(
        {
            "ID": pa.array(np.arange(ROWS)),
            "X": pa.array(np.arange(ROWS) * 0.5),
            "G": pa.array([values[one] for one in order], pa.float64()),
            "C": pa.array([f"c{one % 5}" for one in range(ROWS)]).dictionary_encode(),
        }
    )
    batch.rows(table.slice(0, ROWS // 2), table.slice(ROWS // 2), row_group_size=7_000)
    monkeypatch.setattr(partitions, "BUCKET_BYTES", table.nbytes // 12)
    # So that each row group is a chunk.
    monkeypatch.setattr(shared_buckets, "CHUNK_BYTES", 1)
    monkeypatch.setattr(shared_buckets, "CHUNKS_EACH", 1000)
    # Small, so that each bucket is sent in several pieces.
    monkeypatch.setattr(bucket_files, "PIECE_BYTES", 50_000)
    return batch


def run(batch: Batch, executor: Any, model: str, output: str) -> dict[str, Any]:
    path = batch.job(
        model, input={"partition_column": "G"}, output={"path": output}, inference={"num_workers": 1, "executor": None}
    )
    Run(read_job(path), Replica(), executor)()
    manifest: dict[str, Any] = json.loads((batch.root / output / "_manifest.json").read_text())
    return manifest


def what_counts(manifest: dict[str, Any]) -> Any:
    files = [(re.sub(r"\.[0-9a-f]{8}", "", one["name"]), one["rows"], one["checksum"]) for one in manifest["files"]]
    return files, {name: manifest[name] for name in ("rows", "schema", "fingerprint", "input_fingerprint", "model")}


def test_two_hosts_write_what_one_writes(grouped: Batch) -> None:
    apart = Apart(grouped.root / "copies")
    together = run(grouped, apart, "Summaries", "results/TOGETHER")
    alone = run(grouped, ReplicaExecutor(Replica(), Launcher()), "Summaries", "results/ALONE")

    assert what_counts(together) == what_counts(alone)
    assert len(together["files"]) == len(apart.done[0]) + len(apart.done[1]) >= 10
    assert apart.done[0]
    assert apart.done[1]
    # No more than it works on, and one more; in the end only what all have in common.
    assert apart.most_kept <= 3
    assert [path.name for path in (apart.folder / "host").iterdir()] == ["categories.arrow"]
    # Both have read, and have sent what they had.
    assert apart.there is not None
    assert 0 < apart.there.did["chunks"] < len(apart.buckets.chunks) == 6
    assert apart.there.did["pieces"] > 0
    assert apart.notes == []


def test_the_buckets_of_a_lost_host_are_done_by_the_other(grouped: Batch) -> None:
    apart = Apart(grouped.root / "copies", dies=True)
    manifest = run(grouped, apart, "Ranks", "results/JOB")

    assert apart.notes
    assert apart.notes[0].startswith("replica 1 is lost: killed")
    assert len(apart.done[0]) > len(apart.done[1])
    result = pa.concat_tables(pq.read_table(grouped.output / one["name"]) for one in manifest["files"]).sort_by("ID")
    assert result["ID"].to_pylist() == list(range(ROWS))
    sizes = {repr(value): size for value, size in zip(result["G"].to_pylist(), result["SIZE"].to_pylist(), strict=True)}
    assert (sizes["1000.5"], sizes["None"], sizes["nan"]) == (GIANT, 100, 100)
    # Both zeros are one group.
    assert sizes["0.0"] == sizes["-0.0"] > 100
    assert grouped.verify().code == 0


def test_the_next_attempt_does_the_buckets_that_are_left(grouped: Batch) -> None:
    with pytest.raises(OutputError, match="no more"):
        run(grouped, Apart(grouped.root / "copies", ends_after=4), "Ranks", "results/JOB")
    left = {path.name for path in (grouped.output / "_tasks").iterdir()}

    apart = Apart(grouped.root / "copies")
    manifest = run(grouped, apart, "Ranks", "results/JOB")
    done = len(apart.done[0]) + len(apart.done[1])
    assert len(left) >= 4
    assert done == len(manifest["files"]) - len(left)
    assert left <= {path.name for path in (grouped.output / "_tasks").iterdir()}
    assert manifest["rows_reused"] > 0
    assert grouped.verify().code == 0


def task(name: str, index: int = 0) -> Task:
    return Task(index, (RowRange(name, 0, 0, 0, 1),), 1, 1)


@pytest.fixture
def sent(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    return tmp_path / "here", tmp_path / "there"


SIZES = [0, 1, bucket_files.PIECE_BYTES, 2 * bucket_files.PIECE_BYTES + 5]


@pytest.mark.parametrize("sizes", [SIZES, *([size] for size in SIZES), [0, 0, 7, 0]])
def test_files_arrive_as_they_are_also_if_pieces_come_twice(sent: tuple[Path, Path], sizes: list[int]) -> None:
    here, there = sent
    contents = {f"{number}.arrow": np.random.default_rng(number).bytes(size) for number, size in enumerate(sizes)}
    for name, content in contents.items():
        (here / name).write_bytes(content)
    receiver, wanted = BucketReceiver(there), Wanted(list(contents))
    while wanted.names:
        pieces = read_pieces(here, wanted)
        assert sum(len(piece.data) for piece in pieces) <= bucket_files.PIECE_BYTES
        receiver.receive([*pieces, pieces[-1]])
        wanted = wanted.after(pieces)

    assert {path.name: path.read_bytes() for path in there.iterdir()} == contents
    order = Order(1, (task("0.arrow"),))
    assert receiver.order(order).tasks == (task(str(there / "0.arrow")),)


def test_files_of_this_machine_are_taken_over(sent: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = sent
    (here / "a").write_bytes(b"rows")
    receiver = BucketReceiver(there)
    for _ in range(2):
        receiver.link(here, ["a"])
        assert (there / "a").samefile(here / "a")

    def no_links(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    receiver.link(here, ["a"])
    (here / "a").unlink()
    assert (there / "a").read_bytes() == b"rows"


def test_what_is_recorded_is_removed_and_only_that(sent: tuple[Path, Path]) -> None:
    _, there = sent
    receiver = BucketReceiver(there)
    tasks = tuple(task(f"{index:04d}-0000.arrow", index) for index in range(2))
    for one in tasks:
        receiver.receive([Piece(one.ranges[0].path, 0, b"rows", last=True)])
    receiver.order(Order(1, tasks))
    report = Report((TaskRecord(1, "f", None, 1, 0.1, None),))
    for _ in range(2):
        receiver.forget(report)
        assert [path.name for path in there.iterdir()] == ["0000-0000.arrow"]


def test_a_disk_without_room_is_named(sent: tuple[Path, Path]) -> None:
    here, there = sent
    receiver = BucketReceiver(there / "gone")
    with pytest.raises(OutputError, match="cannot keep the groups of rows in .*TMPDIR says where"):
        receiver.receive([Piece("0000.arrow", 0, b"rows", last=True)])
    with pytest.raises(OutputError, match="cannot keep the groups of rows in .*TMPDIR says where"):
        receiver.link(here, ["0000.arrow"])
    with pytest.raises(OutputError, match="cannot read the groups of rows in .* again"):
        read_pieces(here, Wanted(["0000.arrow"]))
