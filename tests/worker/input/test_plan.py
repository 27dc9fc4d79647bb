"""Every row in exactly one task, the same tasks every time."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError, Refused
from airflow_provider_snowflake_batch.worker.input import footers, plan
from tests.worker.batches import Batch

row_groups = st.lists(
    st.tuples(st.integers(0, 1_000_000), st.integers(1, 4000)).map(lambda one: (one[0], one[0] * one[1])), max_size=12
)
layouts = st.lists(row_groups, max_size=12)


def layouts_of(layout: list[list[tuple[int, int]]]) -> list[plan.Layout]:
    return [(f"{number}.parquet", tuple(groups)) for number, groups in enumerate(layout)]


@given(layouts, st.booleans(), st.none() | st.integers(1, 100_000))
def test_every_row_is_in_exactly_one_task(
    layout: list[list[tuple[int, int]]], reads_files: bool, task_rows: int | None
) -> None:
    tasks = plan.make_tasks(layouts_of(layout), reads_files=reads_files, task_rows=task_rows)

    position = {f"{n}.parquet": (0, 0, 0) for n in range(len(layout))}
    for task in tasks:
        assert task.rows == sum(one.rows for one in task.ranges) > 0
        for one in task.ranges:
            groups = layout[int(one.path.removesuffix(".parquet"))]
            row, group, skip = position[one.path]
            while skip == groups[group][0]:
                group, skip = group + 1, 0
            assert (one.first_row, one.row_group, one.skip) == (row, group, skip)
            assert skip + one.rows <= groups[group][0]
            position[one.path] = (row + one.rows, group, skip + one.rows)
    for number, groups in enumerate(layout):
        assert position[f"{number}.parquet"][0] == sum(rows for rows, _ in groups)
    assert [task.index for task in tasks] == list(range(len(tasks)))


@given(layouts)
def test_tasks_are_alike_in_size_whatever_the_files(layout: list[list[tuple[int, int]]]) -> None:
    tasks = plan.make_tasks(layouts_of(layout))
    total_rows = sum(rows for groups in layout for rows, _ in groups)
    total_bytes = sum(size for groups in layout for _, size in groups)

    for task in tasks:
        assert task.rows <= 2 * max(plan.TASK_ROWS, -(-total_rows // plan.MOST_TASKS)) + 1
        assert task.bytes <= 4 * max(plan.TASK_BYTES, -(-total_bytes // plan.MOST_TASKS)) + 4000


@given(layouts, st.integers(1, 100_000))
def test_no_task_has_more_rows_than_are_stated_unless_there_were_too_many(
    layout: list[list[tuple[int, int]]], task_rows: int
) -> None:
    tasks = plan.make_tasks(layouts_of(layout), task_rows=task_rows)
    total_rows = sum(rows for groups in layout for rows, _ in groups)

    assert all(task.rows <= max(task_rows, -(-total_rows // plan.MOST_TASKS)) for task in tasks)


def test_of_a_whole_number_of_stated_tasks_each_is_full() -> None:
    """One row group, which would be one task otherwise."""
    layout = layouts_of([[(100_000, 800_000)]])

    assert [task.rows for task in plan.make_tasks(layout)] == [100_000]
    assert [task.rows for task in plan.make_tasks(layout, task_rows=25_000)] == [25_000] * 4


def test_a_plan_is_the_same_when_made_again_and_another_when_a_file_changes(tmp_path: Path) -> None:
    for name, first in (("b/2.parquet", 0), ("a/1.parquet", 100)):
        (tmp_path / name).parent.mkdir()
        pq.write_table(pa.table({"ID": range(first, first + 10)}), tmp_path / name, row_group_size=4)
    made = plan.make_plan(tmp_path, r".*\.parquet$")

    assert made == plan.make_plan(tmp_path, r".*\.parquet$")
    assert [one.path for task in made.tasks for one in task.ranges] == ["a/1.parquet"] * 3 + ["b/2.parquet"] * 3
    assert (made.rows, made.files) == (20, 2)

    pq.write_table(pa.table({"ID": range(101, 111)}), tmp_path / "a/1.parquet", row_group_size=4)
    changed = plan.make_plan(tmp_path, r".*\.parquet$")
    assert changed.tasks == made.tasks
    assert changed.input_fingerprint != made.input_fingerprint


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(0, 60), group=st.integers(1, 20), strings=st.booleans())
def test_footers_are_read_as_pyarrow_reads_them(
    tmp_path_factory: pytest.TempPathFactory, rows: int, group: int, strings: bool
) -> None:
    path = tmp_path_factory.mktemp("footer") / "x.parquet"
    table = pa.table({"ID": pa.array(range(rows), pa.int64())})
    if strings:
        table = table.append_column("S", pa.array([f"é{n}" * n for n in range(rows)]))
    pq.write_table(table, path, row_group_size=group)

    read = footers.read_footer("x", str(path))

    metadata = pq.read_metadata(path)
    assert read.size == path.stat().st_size
    assert read.schema == table.schema
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    assert list(read.row_groups) == [(one.num_rows, one.total_byte_size) for one in groups]


def test_a_footer_longer_than_the_first_read(tmp_path: Path) -> None:
    wide = pa.table({f"COLUMN_{number}": [1, 2] for number in range(3000)})
    pq.write_table(wide, tmp_path / "wide.parquet", row_group_size=1)

    assert footers.read_footer("wide", str(tmp_path / "wide.parquet")).row_groups[0][0] == 1
    assert (tmp_path / "wide.parquet").stat().st_size > footers.FOOTER_READ_BYTES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a Parquet file"),
        (b"ID,X\n1,2\n3,4\n5,6\n", "not a Parquet file"),
        (b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1", "cut off"),
        (b"PAR1" + b"garbage!" + b"\x08\x00\x00\x00" + b"PAR1", "unreadable Parquet footer"),
    ],
)
def test_files_that_are_no_parquet_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "odd.parquet").write_bytes(content)

    with pytest.raises(DataError, match=rf"odd\.parquet.*{message}"):
        plan.make_plan(tmp_path, r".*\.parquet$")


def test_names_that_begin_with_an_underscore_or_a_dot_are_no_data(tmp_path: Path) -> None:
    for name in ("x.parquet", "_hidden.parquet", ".x.parquet", "_tmp/x.parquet", "sub/y.parquet", "sub/z.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert plan.list_files(tmp_path, r".*\.parquet$") == ["sub/y.parquet", "x.parquet"]
    assert plan.list_files(tmp_path, r"sub/.*") == ["sub/y.parquet", "sub/z.csv"]
    (tmp_path / "latest").symlink_to("sub")
    assert plan.list_files(tmp_path, r"(x|latest/y)[.]parquet") == ["latest/y.parquet", "x.parquet"]


def test_a_missing_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not exist"):
        plan.make_plan(tmp_path / "nowhere", ".*")


def test_a_row_of_a_task_is_named_by_file_and_number() -> None:
    task = plan.Task(1, (plan.RowRange("a", 2, 70, 0, 3), plan.RowRange("b", 0, 0, 0, 5)), 8, 1)
    assert [task.row(number) for number in (0, 2, 3, 7)] == [
        "row 70 of file a", "row 72 of file a", "row 0 of file b", "row 4 of file b"
    ]  # fmt: skip
    # Groups lie in a temporary file, in another order.
    groups = plan.Task(4, (plan.RowRange("/tmp/x", 0, 0, 0, 9),), 9, 1, grouped=True)
    assert groups.row(3) == groups.place == "task 4, 9 rows in groups"


def test_files_share_the_widest_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ID": pa.array([1], pa.int32()), "S": pa.nulls(1)}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"S": ["x"], "ID": pa.array([2], pa.int64())}), tmp_path / "2.parquet")

    assert plan.make_plan(tmp_path, ".*").schema == pa.schema([("ID", pa.int64()), ("S", pa.string())])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"ID": [1]}, "do not have the same columns: X only in one"),
        ({"ID": [1], "X": [1.0], "Y": [1]}, "do not have the same columns: Y only in one"),
        ({"ID": ["a"], "X": [1.0]}, "do not go together"),
    ],
)
def test_files_that_do_not_go_together_are_named(tmp_path: Path, second: dict[str, list[object]], message: str) -> None:
    pq.write_table(pa.table({"ID": [1], "X": [1.0]}), tmp_path / "1.parquet")
    pq.write_table(pa.table(second), tmp_path / "2.parquet")

    with pytest.raises(DataError, match=rf"1\.parquet and 2\.parquet {message}"):
        plan.make_plan(tmp_path, ".*")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_column_that_is_twice_in_any_of_the_files_is_refused(tmp_path: Path, which: int) -> None:
    for number in range(3):
        names = ["A", "B", "B"] if number == which else ["A", "B"]
        columns = [pa.array([number]), pa.array([2]), pa.array([3])][: len(names)]
        pq.write_table(pa.Table.from_arrays(columns, names), tmp_path / f"{number}.parquet")
    with pytest.raises(DataError, match=rf"input file {which}\.parquet has columns of the same name: B$"):
        plan.make_plan(tmp_path, ".*")


@pytest.mark.parametrize("which", [0, 1])
def test_a_column_name_that_is_no_text_is_refused(tmp_path: Path, which: int) -> None:
    for number in range(2):
        memory = io.BytesIO()
        pq.write_table(pa.table({"NAME": [number]}), memory, store_schema=False)
        named = memory.getvalue().replace(b"NAME", b"N\xc9ME" if number == which else b"NAME")
        (tmp_path / f"{number}.parquet").write_bytes(named)
    message = rf"input file {which}\.parquet has a column whose name is not valid UTF-8: b'N\\xc9ME'; rename it$"
    with pytest.raises(DataError, match=message):
        plan.make_plan(tmp_path, ".*")


def test_a_file_whose_name_no_record_can_hold_is_refused(batch: Batch) -> None:
    batch.ids(10)
    batch.job()
    (batch.input / "data_000.parquet").rename(batch.input / os.fsdecode(b"caf\xe9.parquet"))

    outcome = batch.run()

    assert outcome.code == 2
    assert outcome.last.startswith("Refused: the name of the input file b'caf\\xe9.parquet' is not UTF-8")
    assert not batch.output.exists()
