"""Small files that are decoded together give the same rows, places, hashes and errors as each of them alone.

Also tests ``worker/input/files_ahead.py``, ``worker/input/page_places.py``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input import files_ahead, footers, joined_files, plan, reader, sources
from airflow_provider_snowflake_batch.worker.input.batch_size import BatchSize
from airflow_provider_snowflake_batch.worker.input.joined_footers import Alike
from airflow_provider_snowflake_batch.worker.input.page_places import Unlike, find_pages

FILES = 40
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.bool_(): st.booleans(),
    pa.float32(): st.floats(width=32, allow_nan=False),
    pa.string(): st.text(max_size=200),
    pa.binary(): st.binary(max_size=300),
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.decimal128(20, 3): st.integers(-(10**6), 10**6).map(Decimal),
    pa.date32(): st.dates(),
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(timezone.utc)),
    pa.timestamp("ns"): st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    pa.null(): st.none(),
}
OPTIONS = st.fixed_dictionaries(
    {
        "compression": st.sampled_from(["none", "snappy", "zstd", "gzip"]),
        "use_dictionary": st.booleans(),
        "write_statistics": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "row_group_size": st.integers(3, 20),
        "write_page_index": st.booleans(),
        "data_page_size": st.sampled_from([None, 20]),
        "use_deprecated_int96_timestamps": st.booleans(),
    }
)


def stored(table: pa.Table, **options: Any) -> bytes:
    memory = io.BytesIO()
    pq.write_table(table, memory, **options)
    return memory.getvalue()


def numbers(first: int, rows: int = 5) -> pa.Table:
    ids = list(range(first, first + rows))
    return pa.table({"ID": pa.array(ids, pa.int64()), "NAME": [f"row {one}" for one in ids]})


def _footer(content: bytes) -> bytes:
    return content[-int.from_bytes(content[-8:-4], "little") - 8 :]


def write(root: Path, contents: list[bytes]) -> None:
    for number, content in enumerate(contents):
        (root / f"{number:03d}.parquet").write_bytes(content)


@contextmanager
def decoded_alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joined_files, "FEWEST_FILES", 1_000_000)
        yield


def read(root: Path, made: plan.Plan, rows: int | None, columns: set[str] | None = None) -> list[Any]:
    """For each task its rows, where they are from, and what was read; or the error that ends it."""
    assert made.schema is not None
    found: list[Any] = []
    source = reader.TaskReader(
        footers.opener(root), made.schema, BatchSize(rows), None, use_threads=False, columns=columns
    )
    for task in made.tasks:
        tables: list[pa.Table] = []
        places: list[Any] = []
        try:
            for batch in source.batches(task):
                batch.table.validate(full=True)
                tables.append(batch.table)
                places += [(one.path, one.first_row + row) for one in batch.origins for row in range(one.rows)]
                assert rows is None or batch.table.num_rows <= rows
        except DataError as error:
            found.append((pa.concat_tables(tables).to_pylist() if tables else [], places, str(error)))
            break
        found.append((pa.concat_tables(tables).to_pylist(), places, source.content()))
    return found


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files were decoded together, each time that this was tried."""
    counts: list[int] = []
    join = joined_files.Joiner.join

    def counted(self: joined_files.Joiner, files: list[tuple[str, bytes]]) -> dict[str, joined_files.Joined]:
        found = join(self, files)
        counts.append(len(found))
        return found

    monkeypatch.setattr(joined_files.Joiner, "join", counted)
    return counts


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The files whose rows come from a table that holds those of many."""
    paths: set[str] = set()
    rows = joined_files.Joined.rows

    def noted(self: joined_files.Joined, path: str, row_group: int) -> joined_files.JoinedRows | None:
        found = rows(self, path, row_group)
        paths.update([path] if found is not None and found.table.num_rows > found.rows else [])
        return found

    monkeypatch.setattr(joined_files.Joined, "rows", noted)
    return paths


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    kinds=st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4),
    options=OPTIONS,
    others=st.none() | OPTIONS,
    batch=st.sampled_from([None, 7, 64]),
    task_rows=st.sampled_from([10, 60, 65_536]),
    at_once=st.sampled_from([10, 1024]),
    most=st.sampled_from([3000, reader.WHOLE_ROW_GROUP_BYTES]),
    narrow=st.booleans(),
)
def test_the_same_as_each_file_alone(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    kinds: list[pa.DataType],
    options: dict[str, Any],
    others: dict[str, Any] | None,
    batch: int | None,
    task_rows: int,
    at_once: int,
    most: int,
    narrow: bool,
) -> None:
    root = tmp_path_factory.mktemp("input")
    schema = pa.schema([(f"C{number}", kind) for number, kind in enumerate(kinds)])
    pools = [data.draw(st.lists(st.none() | VALUES[kind], min_size=1, max_size=12)) for kind in kinds]
    # Times as INT96 have no zone, so files with and without them do not go together.
    int96 = {"use_deprecated_int96_timestamps": options["use_deprecated_int96_timestamps"]}
    contents = []
    for number in range(FILES):
        rows = (number * 7) % 23
        columns = [[pool[(number * 5 + row) % len(pool)] for row in range(rows)] for pool in pools]
        arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
        odd = others is not None and number % 3 == 0
        contents.append(
            stored(pa.Table.from_arrays(arrays, schema=schema), **(others | int96 if odd and others else options))
        )
    write(root, contents)
    wanted = {"C0"} if narrow else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "TASK_ROWS", task_rows)
        patch.setattr(reader, "WHOLE_ROW_GROUP_BYTES", most)
        patch.setattr(files_ahead, "FILES_AT_ONCE", at_once)
        made = plan.make_plan(root, ".*")
        with decoded_alone():
            alone = read(root, made, batch, wanted)
        patch.setattr(joined_files, "FEWEST_FILES", 3)
        together = read(root, made, batch, wanted)

    assert together == alone


def test_files_of_one_writer_are_decoded_together(tmp_path: Path, joined: list[int], decoded: set[str]) -> None:
    write(tmp_path, [stored(numbers(5 * number)) for number in range(FILES)])
    made = plan.make_plan(tmp_path, ".*")

    ((rows, _, _),) = read(tmp_path, made, 64)

    assert joined == [FILES]
    assert len(decoded) == FILES
    assert [row["ID"] for row in rows] == list(range(5 * FILES))


def test_files_of_several_kinds_are_decoded_together_by_kind(tmp_path: Path, joined: list[int]) -> None:
    kinds = [{"compression": "zstd"}, {"compression": "none"}]
    write(tmp_path, [stored(numbers(5 * number), **kinds[number % 2]) for number in range(2 * FILES)])
    # The first one alone has nothing in common with the others.
    (tmp_path / "000.parquet").write_bytes(stored(numbers(0), use_dictionary=False, write_statistics=False))
    made = plan.make_plan(tmp_path, ".*")

    ((rows, _, _),) = read(tmp_path, made, 64)

    assert joined == [2 * FILES - 1]
    assert [row["ID"] for row in rows] == list(range(10 * FILES))


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"L": [[1, 2], [3]]}),
        pa.table({"C": pa.array(["a", "b"]).dictionary_encode()}),
        pa.table({"S": [{"a": 1}, {"a": 2}]}),
    ],
    ids=["lists", "categories", "objects"],
)
def test_what_is_not_flat_is_decoded_alone(tmp_path: Path, table: pa.Table, joined: list[int]) -> None:
    write(tmp_path, [stored(table)] * FILES)

    ((rows, _, _),) = read(tmp_path, plan.make_plan(tmp_path, ".*"), 64)

    assert joined == []
    assert rows == table.to_pylist() * FILES


def test_a_file_that_has_gone_is_named_after_the_rows_before_it(tmp_path: Path) -> None:
    write(tmp_path, [stored(numbers(5 * number)) for number in range(FILES)])
    made = plan.make_plan(tmp_path, ".*")
    (tmp_path / "035.parquet").unlink()

    ((rows, _, error),) = read(tmp_path, made, 5)

    assert [row["ID"] for row in rows] == list(range(5 * 35))
    assert error.startswith("cannot read input file 035.parquet")


@settings(max_examples=150, deadline=None)
@given(
    which=st.integers(0, FILES - 1),
    place=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 255),
    cut=st.booleans(),
    text=st.booleans(),
)
def test_a_damaged_file_is_told_as_it_is_alone(
    tmp_path_factory: pytest.TempPathFactory, which: int, place: float, change: int, cut: bool, text: bool
) -> None:
    root = tmp_path_factory.mktemp("input")
    tables = [numbers(5 * number) for number in range(FILES)]
    contents = [stored(table if text else table.select(["ID"]), compression="none") for table in tables]
    write(root, contents)
    made = plan.make_plan(root, ".*")
    damaged = bytearray(contents[which])
    # A byte of another value, or all from there on gone.
    at = int(place * len(damaged))
    damaged[at] ^= change
    (root / f"{which:03d}.parquet").write_bytes(damaged[:at] if cut else damaged)

    with decoded_alone():
        alone = read(root, made, 64)
    together = read(root, made, 64)

    # Rows that come before an error may have been put into a batch or not.
    assert [one[2] for one in together] == [one[2] for one in alone]
    assert together[0][:2] == alone[0][:2] or isinstance(alone[0][2], str)


def test_pages_with_more_rows_than_the_file_says_do_not_become_rows_of_the_next_file(tmp_path: Path) -> None:
    # The footer of a file of 5 rows behind pages of 6, of as many bytes.
    six, five = (pa.table({"ID": pa.array(range(rows), pa.int64())}) for rows in (6, 5))
    options: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    long, short = stored(six, **options), stored(five, **options)
    contents = [short] * FILES
    footer = _footer(long).replace(b"\x16\x0c", b"\x16\x0a")
    assert footer != _footer(long)
    contents[7] = long[: -len(footer)] + footer
    write(tmp_path, contents)
    made = plan.make_plan(tmp_path, ".*")

    ((rows, _, content),) = read(tmp_path, made, 64)

    assert [row["ID"] for row in rows] == list(range(5)) * FILES
    with decoded_alone():
        assert read(tmp_path, made, 64)[0][2] == content


@pytest.mark.parametrize("damaged", [b"", b"\xff" * 40, b"\x19\xfc\xff\xff\xff\xff\x0f" + bytes(9), b"\x1c" * 4000])
def test_a_damaged_first_file_is_like_no_other(damaged: bytes) -> None:
    with pytest.raises(Unlike):
        find_pages([damaged, damaged], 1)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6))
def test_any_bytes_have_an_end(data: st.DataObject, changes: list[tuple[int, int]]) -> None:
    whole = stored(numbers(0))
    sound = Alike(_footer(whole)).middle(_footer(whole))
    assert sound is not None
    damaged = bytearray(sound.data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    some = data.draw(st.permutations([sound.data, bytes(damaged), sound.data]))
    try:
        groups, alike = find_pages(some, 1)
    except Unlike:
        # The damaged one came first.
        assert some[0] != sound.data
    else:
        assert len(groups) == 1
        if some[0] == sound.data:
            assert groups[0].rows[0] == 5
        assert all(same for one, same in zip(some, alike.tolist(), strict=True) if one == some[0])


def test_places_are_those_that_pyarrow_tells() -> None:
    tables = [
        pa.table({"A": pa.array(range(rows), pa.int32()), "B": [date(2026, 1, 1 + rows % 9)] * rows})
        for rows in range(1, 300, 13)
    ]
    contents = [stored(table, row_group_size=-(-table.num_rows // 2) or 1) for table in tables if table.num_rows > 1]
    footer = [_footer(content) for content in contents]
    alike = Alike(footer[0])
    middles = [alike.middle(one) for one in footer]

    groups, same = find_pages([one.data for one in middles if one], 2)

    assert same.all()
    for number, content in enumerate(contents):
        metadata = pq.read_metadata(io.BytesIO(content))
        for place, group in enumerate(groups):
            told = metadata.row_group(place)
            assert (group.rows[number], group.size[number]) == (told.num_rows, told.total_byte_size)
            for leaf, column in zip(group.leaves, (told.column(0), told.column(1)), strict=True):
                assert leaf.data[number] == column.data_page_offset
                assert leaf.dictionary is not None
                assert leaf.dictionary[number] == column.dictionary_page_offset
                assert leaf.first[number] == column.dictionary_page_offset
                assert leaf.compressed[number] == column.total_compressed_size
                assert leaf.uncompressed[number] == column.total_uncompressed_size
                assert leaf.values[number] == column.num_values


def test_a_large_file_between_small_ones_is_read_row_group_by_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joined: list[int]
) -> None:
    monkeypatch.setattr(sources, "WHOLE_FILE_BYTES", 20_000)
    contents = [stored(numbers(5 * number)) for number in range(2 * FILES)]
    contents[FILES] = stored(numbers(5 * FILES, 20_000))
    write(tmp_path, contents)
    made = plan.make_plan(tmp_path, ".*")

    ((rows, _, content),) = read(tmp_path, made, 64)

    assert joined == [FILES, FILES - 1]
    assert len(rows) == 20_000 + 5 * (2 * FILES - 1)
    with decoded_alone():
        ((alone, _, same),) = read(tmp_path, made, 64)
    assert (alone, same) == (rows, content)


def with_footer(content: bytes, old: bytes, new: bytes) -> bytes:
    """A file with another footer. :param old: what is there once, and replaced."""
    footer = _footer(content)
    changed = footer[:-8].replace(old, new)
    assert footer.count(old) == 1
    return content[: -len(footer)] + changed + len(changed).to_bytes(4, "little") + b"PAR1"


PLAIN: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
# In a footer: that the first data page is at byte 4, and the header of the next field.
DATA_PAGE_AT_4 = b"\x26\x08\x49"


def test_a_dictionary_page_at_byte_0_is_none(tmp_path: Path, decoded: set[str]) -> None:
    contents = [stored(numbers(5 * number).select(["ID"]), **PLAIN) for number in range(FILES)]
    write(tmp_path, [with_footer(one, DATA_PAGE_AT_4, b"\x26\x08\x26\x00\x29") for one in contents])

    ((rows, _, _),) = read(tmp_path, plan.make_plan(tmp_path, ".*"), 64)

    assert len(decoded) == FILES
    assert [row["ID"] for row in rows] == list(range(5 * FILES))


def test_pages_behind_the_end_of_a_file_are_not_those_of_the_next(tmp_path: Path, joined: list[int]) -> None:
    contents = [stored(numbers(5 * number).select(["ID"]), **PLAIN) for number in range(FILES)]
    place = 2 * (len(contents[7]) + 1 + 4)
    further = bytes([0x26, place & 0x7F | 0x80, place >> 7, 0x49])
    contents[7] = with_footer(contents[7], DATA_PAGE_AT_4, further)
    assert pq.read_metadata(io.BytesIO(contents[7])).row_group(0).column(0).data_page_offset == len(contents[7]) + 4
    write(tmp_path, contents)

    ((rows, _, error),) = read(tmp_path, plan.make_plan(tmp_path, ".*"), 5)

    assert joined == [FILES - 1]
    assert [row["ID"] for row in rows] == list(range(35))
    assert error.startswith("cannot read input file 007.parquet")


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("nulls", [True, False], ids=["optional", "required"])
def test_files_whose_pages_hold_a_row_too_many_and_one_too_few_do_not_make_up_for_each_other(
    tmp_path: Path, version: str, nulls: bool, decoded: set[str]
) -> None:
    # Pages of 6, 5 and 4 rows, each said to hold 5.
    options: dict[str, Any] = {
        "compression": "none",
        "use_dictionary": False,
        "write_statistics": False,
        "data_page_version": version,
    }
    schema = pa.schema([pa.field("ID", pa.int64(), nullable=nulls)])
    long, right, short = (stored(pa.table([list(range(rows))], schema), **options) for rows in (6, 5, 4))
    contents = [right] * FILES
    for number, content, rows in [(7, long, 6), (8, short, 4)]:
        footer = _footer(content).replace(bytes([0x16, 2 * rows]), b"\x16\x0a")
        assert footer.count(b"\x16\x0a") == 3
        contents[number] = content.removesuffix(_footer(content)) + footer
    write(tmp_path, [right] * FILES)
    made = plan.make_plan(tmp_path, ".*")
    write(tmp_path, contents)

    with decoded_alone():
        ((alone, _, error),) = read(tmp_path, made, 5)
    ((rows, _, found),) = read(tmp_path, made, 5)

    assert "008.parquet" in error
    assert (rows, found) == (alone, error)
    assert [row["ID"] for row in rows] == list(range(5)) * 8


def test_columns_and_files_with_other_numbers_and_kinds_of_pages_are_decoded_together(
    tmp_path: Path, joined: list[int], decoded: set[str]
) -> None:
    tables = [numbers(100 * number, 100 if number % 3 else 20) for number in range(FILES)]
    wide = [table.append_column("FLAG", pa.array([None] * table.num_rows, pa.bool_())) for table in tables]
    write(tmp_path, [stored(table, data_page_size=50, write_batch_size=40, use_dictionary=["NAME"]) for table in wide])

    ((rows, _, _),) = read(tmp_path, plan.make_plan(tmp_path, ".*"), 64)

    assert joined == [FILES]
    assert len(decoded) == FILES
    assert rows == pa.concat_tables(wide).to_pylist()
