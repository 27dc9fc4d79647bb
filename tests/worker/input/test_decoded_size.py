"""What rows take in memory, told from the file, against what they take once they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input import decoded_size, footers, plan, reader
from airflow_provider_snowflake_batch.worker.input.batch_size import MOST_BYTES, BatchSize
from airflow_provider_snowflake_batch.worker.input.decoded_size import DecodedSize

TEXTS = st.sampled_from([None, "", "short", "long" * 500])
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), TEXTS),
    "bytes": (pa.large_binary(), st.sampled_from([None, b"", b"x" * 3000])),
    "list": (pa.list_(pa.string()), st.none() | st.lists(TEXTS, max_size=5)),
    "struct": (pa.struct([("a", pa.string()), ("n", pa.int64())]), st.none() | st.fixed_dictionaries({"a": TEXTS})),
    "map": (
        pa.map_(pa.string(), pa.string()),
        st.none() | st.lists(st.tuples(st.sampled_from(["k", "key" * 100]), TEXTS), max_size=3),
    ),
    "lists": (pa.list_(pa.list_(pa.string())), st.none() | st.lists(st.none() | st.lists(TEXTS), max_size=3)),
}


def size_of(path: Path, row_group: int = 0, enough: int = 0) -> DecodedSize:
    source = pa.OSFile(str(path))
    opened = pq.ParquetReader()
    opened.open(source)
    return DecodedSize(opened, source, row_group, enough)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("encoding", ["dictionary", "plain", "DELTA_BYTE_ARRAY"])
def test_it_is_what_the_rows_take_once_they_are_read(
    tmp_path_factory: pytest.TempPathFactory, name: str, encoding: str
) -> None:
    kind, values = KINDS[name]
    folder = tmp_path_factory.mktemp("sizes")

    @settings(max_examples=15, deadline=None)
    @given(rows=st.lists(values, min_size=1, max_size=60), step=st.integers(1, 50))
    def check(rows: list[Any], step: int) -> None:
        table = pa.table({"C": pa.array(rows, kind)})
        options: dict[str, Any] = {"use_dictionary": encoding == "dictionary", "store_schema": False}
        if encoding == "DELTA_BYTE_ARRAY":
            pq.write_table(table, folder / "f.parquet", **options)
            schema = pq.ParquetFile(folder / "f.parquet").schema
            texts = [schema.column(number) for number in range(len(schema.names))]
            options["column_encoding"] = {one.path: encoding for one in texts if one.physical_type == "BYTE_ARRAY"}
        pq.write_table(table, folder / "f.parquet", **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoded_size, "_VALUES_AT_ONCE", step)
            found = size_of(folder / "f.parquet")
        read = pq.read_table(folder / "f.parquet")

        # Offsets and bitmaps are counted roughly.
        assert abs(found.bytes - read.nbytes) <= 32 * 60 * 5 + 0.1 * read.nbytes
        limit = 4000
        within = found.rows_within(100, limit)
        pieces = [read.slice(start, within) for start in range(0, len(rows), within)]
        if within > 1 and encoding == "dictionary":
            assert all(piece.nbytes <= limit + 32 * 60 * 5 for piece in pieces)

    check()


def write_shared_text(path: Path, rows: int, short: int, length: int) -> None:
    """Texts that the file holds once; the first ones are short."""
    places = pa.array(np.r_[np.zeros(short, np.int32), np.ones(rows - short, np.int32)])
    text = pa.DictionaryArray.from_arrays(places, pa.array(["s", "w" * length]))
    table = pa.table({"ID": np.arange(rows), "TEXT": text})
    pq.write_table(table, path, row_group_size=rows, store_schema=False)


@pytest.mark.parametrize("short", [0, 300, 1_990])
def test_no_piece_and_no_batch_is_much_larger_than_it_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    monkeypatch.setattr(reader, "WHOLE_ROW_GROUP_BYTES", 1 << 20)
    monkeypatch.setattr(reader, "PIECE_BYTES", 1 << 18)
    write_shared_text(tmp_path / "a.parquet", 2_000, short, 40_000)
    made = plan.make_plan(tmp_path, ".*")
    source = reader.TaskReader(footers.opener(tmp_path), made.schema, BatchSize(None), None, use_threads=False)

    batches = [batch for task in made.tasks for batch in source.batches(task)]

    assert [number for one in batches for number in one.table["ID"].to_pylist()] == list(range(2_000))
    assert max(one.table.nbytes for one in batches) <= MOST_BYTES + (1 << 20)
    assert sum(one.origins[0].rows for one in batches) == 2_000


def test_lists_of_numbers_are_judged_by_their_number_of_values(tmp_path: Path) -> None:
    offsets = pa.array(np.arange(0, 1001, dtype=np.int32) * 1000)
    lists = pa.ListArray.from_arrays(offsets, pa.array(np.zeros(1_000_000, np.int64)))
    pq.write_table(pa.table({"L": lists}), tmp_path / "a.parquet")

    size = size_of(tmp_path / "a.parquet")

    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    assert 8_000_000 <= size.bytes <= 8_100_000
    assert size.rows_within(1000, 1_000_000) <= 125


def test_a_row_for_which_there_is_no_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shared_text(tmp_path / "a.parquet", 100, 50, 400_000)
    monkeypatch.setattr(reader, "WHOLE_ROW_GROUP_BYTES", 100_000)
    monkeypatch.setattr(reader.limits, "free_memory", lambda: 200_000)
    made = plan.make_plan(tmp_path, ".*")
    source = reader.TaskReader(footers.opener(tmp_path), made.schema, BatchSize(None), None, use_threads=False)

    with pytest.raises(DataError, match=r"row 50 of input file a\.parquet takes .* cannot be divided"):
        list(source.batches(made.tasks[0]))
