"""A task's rows come back whole, in order and with their places, however files and batches are cut.

Also tests ``worker/input/file_columns.py``, ``worker/input/row_batch.py``, ``worker/input/sources.py``.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding
from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input import footers, plan, reader, sources
from airflow_provider_snowflake_batch.worker.input.batch_size import BatchSize
from airflow_provider_snowflake_batch.worker.input.file_columns import FileColumns, Loader
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.stage_files.files import StageFiles
from tests.worker.batches import Batch
from tests.worker.in_process import score


def write_files(root: Path, sizes: list[int], row_group_size: int) -> None:
    position = 0
    for number, size in enumerate(sizes):
        table = pa.table({"ID": pa.array(range(position, position + size), pa.int64())})
        pq.write_table(table, root / f"{number:03d}.parquet", row_group_size=row_group_size)
        position += size


def task_reader(root: Path, schema: pa.Schema, rows: int) -> reader.TaskReader:
    return reader.TaskReader(footers.opener(root), schema, BatchSize(rows), None, use_threads=False)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=40),
    row_group_size=st.integers(1, 30),
    batch=st.integers(1, 200),
    task_rows=st.integers(1, 60),
    whole=st.sampled_from([0, sources.WHOLE_FILE_BYTES]),
    small=st.sampled_from([0, 5, reader.SMALL_ROWS]),
    ahead=st.booleans(),
    order=st.sampled_from(["forwards", "backwards", "every second one first"]),
    piece=st.sampled_from([8, 24, reader.PIECE_BYTES]),
)
def test_every_row_comes_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    row_group_size: int,
    batch: int,
    task_rows: int,
    whole: int,
    small: int,
    ahead: bool,
    order: str,
    piece: int,
) -> None:
    root = tmp_path_factory.mktemp("input")
    write_files(root, sizes, row_group_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "TASK_ROWS", task_rows)
        patch.setattr(sources, "WHOLE_FILE_BYTES", whole)
        # Row groups that are too large to be decoded whole come in pieces.
        patch.setattr(reader, "WHOLE_ROW_GROUP_BYTES", whole)
        patch.setattr(reader, "PIECE_BYTES", piece)
        patch.setattr(reader, "SMALL_ROWS", small)
        made = plan.make_plan(root, ".*")
        source = task_reader(root, made.schema, batch)
        if ahead:
            # As if files opened slowly, and for longer than this lasts.
            source._sources._pace.at_once, source._sources._pace._until_trial = 3, 1_000_000
        tasks = list(made.tasks)
        if order != "forwards":
            tasks = tasks[::-1] if order == "backwards" else tasks[::2] + tasks[1::2]
        found = {task.index: list(source.batches(task)) for task in tasks}
        batches = [found[task.index] for task in made.tasks]

    read = list(chain.from_iterable(one.table.column("ID").to_pylist() for one in chain.from_iterable(batches)))
    assert read == list(range(sum(sizes)))
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    for task, of_task in zip(made.tasks, batches, strict=True):
        assert sum(one.table.num_rows for one in of_task) == task.rows
        assert all(one.table.num_rows == batch for one in of_task[:-1])
        for one in of_task:
            places = ((int(origin.path[:3]), origin.first_row, origin.rows) for origin in one.origins)
            ids = (range(starts[file] + first, starts[file] + first + rows) for file, first, rows in places)
            assert one.table.column("ID").to_pylist() == list(chain.from_iterable(ids))


@pytest.mark.parametrize("enough", [reader.WHOLE_ROW_GROUP_BYTES, 0], ids=["whole", "in pieces"])
def test_a_row_group_that_tasks_share_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enough: int
) -> None:
    monkeypatch.setattr(plan, "TASK_ROWS", 10)
    monkeypatch.setattr(reader, "WHOLE_ROW_GROUP_BYTES", enough)
    monkeypatch.setattr(reader, "PIECE_BYTES", 8 * 7)
    write_files(tmp_path, [100, 100], 50)
    made = plan.make_plan(tmp_path, ".*")
    decoded = []

    def counted(table: pa.Table) -> pa.Table:
        decoded.append(table.num_rows)
        return table

    source = task_reader(tmp_path, made.schema, 4)
    monkeypatch.setattr(source, "_decoded", counted)

    # Another process does the other half of the tasks.
    for task in made.tasks[1::2]:
        assert [one.table.num_rows for one in source.batches(task)] == [4, 4, 2]

    assert sum(decoded) <= 200


@pytest.mark.parametrize("enough", [reader.WHOLE_ROW_GROUP_BYTES, 0], ids=["whole", "in pieces"])
@pytest.mark.parametrize("nested", [False, True])
def test_only_the_columns_that_are_needed_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enough: int, nested: bool
) -> None:
    monkeypatch.setattr(reader, "WHOLE_ROW_GROUP_BYTES", enough)
    monkeypatch.setattr(reader, "PIECE_BYTES", 24)
    more = {"L": [{"a": [1], "b": "c"}, None, {"a": [], "b": None}]} if nested else {}
    times = pa.array([1, 2, 3], pa.timestamp("ns"))
    rows = {"A.B": ["x", "y", None], **more, "AT": times, "ID": [1, 2, 3], "TEXT": ["p", None, "q"]}
    write = {"use_deprecated_int96_timestamps": True}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet", **write)
    # Another file may have them in another order.
    pq.write_table(pa.table(rows).select([*reversed(rows)]), tmp_path / "b.parquet", **write)
    made = plan.make_plan(tmp_path, ".*")
    wanted = {"ID", "A.B", *more}

    source = reader.TaskReader(
        footers.opener(tmp_path), made.schema, BatchSize(6), None, use_threads=False, columns=wanted
    )
    (batch,) = source.batches(made.tasks[0])

    # Nanoseconds of INT96 would be refused.
    assert batch.table.column_names == [name for name in rows if name in wanted]
    assert batch.table.to_pydict() == {name: [*rows[name], *rows[name]] for name in batch.table.column_names}
    with pytest.raises(DataError, match="column 'AT' has a time with nanoseconds"):
        list(task_reader(tmp_path, made.schema, 6).batches(made.tasks[0]))


def test_what_was_broken_off_is_read_again_from_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "TASK_ROWS", 10)
    write_files(tmp_path, [100], 100)
    made = plan.make_plan(tmp_path, ".*")
    source = task_reader(tmp_path, made.schema, 4)

    broken_off = source.batches(made.tasks[3])
    next(broken_off)
    broken_off.close()

    ids = [row for one in source.batches(made.tasks[3]) for row in one.table.column("ID").to_pylist()]
    assert ids == list(range(30, 40))


def test_many_small_files_are_few_pieces_of_memory(tmp_path: Path) -> None:
    write_files(tmp_path, [10] * 300, 10)
    made = plan.make_plan(tmp_path, ".*")

    (batch,) = task_reader(tmp_path, made.schema, 5000).batches(made.tasks[0])

    assert batch.table.num_rows == 3000
    assert batch.table.column("ID").num_chunks <= reader.MOST_PIECES


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_a_file_that_has_gone_since_planning_is_named(tmp_path: Path, content: bytes | None) -> None:
    write_files(tmp_path, [10, 10], 10)
    made = plan.make_plan(tmp_path, ".*")
    (tmp_path / "001.parquet").unlink()
    if content is not None:
        (tmp_path / "001.parquet").write_bytes(content)

    with pytest.raises(DataError, match=r"cannot read input file 001\.parquet"):
        list(task_reader(tmp_path, made.schema, 100).batches(made.tasks[0]))


def test_a_file_with_fewer_row_groups_than_planned_is_named(tmp_path: Path) -> None:
    write_files(tmp_path, [30], 10)
    made = plan.make_plan(tmp_path, ".*")
    write_files(tmp_path, [10], 10)

    with pytest.raises(DataError, match=r"input file 000\.parquet has changed"):
        list(task_reader(tmp_path, made.schema, 100).batches(made.tasks[0]))


def test_rows_that_name_files_come_in_full_batches(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    for number in range(3):
        (stage / str(number)).write_bytes(bytes([number]))
    (tmp_path / "input").mkdir()
    names = pa.table({"ID": list(range(2500)), "FILE": [f"@D.S.T/{number % 3}" for number in range(2500)]})
    for number, start in enumerate(range(0, 2500, 500)):
        pq.write_table(names.slice(start, 500), tmp_path / "input" / f"{number}.parquet")
    made = plan.make_plan(tmp_path / "input", ".*")
    (task,) = made.tasks
    content = StageFiles({"D.S.T": stage})
    loader = Loader(lambda path, admit: content.load(path, FileEncoding.RAW_BYTES, admit), pa.large_binary())
    files = FileColumns({"FILE": loader}, quarantine=False)
    source = reader.TaskReader(
        footers.opener(tmp_path / "input"), made.schema, BatchSize(600), files, use_threads=False
    )

    batches = list(source.batches(task))

    assert [batch.table.num_rows for batch in batches] == [600, 600, 600, 600, 100]
    assert [number for batch in batches for number in batch.table["ID"].to_pylist()] == list(range(2500))
    assert [one for batch in batches for one in batch.files["FILE"]] == [bytes([number % 3]) for number in range(2500)]
    assert batches[0].where() == "rows 0–499 of file 0.parquet; rows 0–99 of file 1.parquet"


@pytest.mark.parametrize("changes", [{}, {"input": {"partition_column": "K"}}], ids=["rows", "groups"])
def test_a_column_that_cannot_be_read_is_named_and_may_be_left_out(batch: Batch, changes: dict[str, Any]) -> None:
    # It writes NULL arrays of a fixed length in a way that Parquet does not have, as if they had items.
    duckdb = pytest.importorskip("duckdb")
    batch.input.mkdir()
    with duckdb.connect() as connection:
        array = "CASE WHEN i = 3 THEN NULL ELSE array_value(i::FLOAT, 0.5::FLOAT) END"
        connection.execute(
            f"COPY (SELECT i AS ID, 0 AS K, {array} AS A, {{'x': i}} AS S FROM range(4) t(i)) "
            f"TO '{batch.input}/f.parquet' (FORMAT parquet)"
        )

    def model(rows: pa.Table) -> dict[str, Any]:
        return {"Y": rows["ID"]}

    with pytest.raises(DataError, match=r"^cannot read input file f\.parquet: column 'A', in one of the rows 0 to 3: "):
        score(batch.job(**changes), LoadedModel(model, "arrow"))
    if not changes:
        score(batch.job(output={"columns": ["ID", "S"]}), LoadedModel(model, "arrow", columns=["ID"]))
        assert batch.result().to_pylist() == [{"ID": i, "S": {"x": i}, "Y": i} for i in range(4)]
