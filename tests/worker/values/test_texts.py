"""Bytes that are no UTF-8, in columns that are taken for text: found, told by row, and in no file that is written."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.values.texts import as_bytes, check_texts, readable, valid_categories
from tests.worker.batches import Batch
from tests.worker.in_process import score

COUNT = 6
WRONG = 4


def texts(*of: bytes | None, kind: pa.DataType | None = None) -> pa.Array:
    """Texts of whatever bytes."""
    kind = kind or pa.string()
    stored = pa.array(of, pa.large_binary() if pa.types.is_large_string(kind) else pa.binary())
    return pa.Array.from_buffers(kind, len(stored), stored.buffers())


SIX = [b"a", "ä".encode(), b"", b"d", b"e\xff", b"f"]
ONE = texts(*SIX)
EDGES = pa.array(range(COUNT + 1), pa.int32())
# The fifth of six rows is, or holds, no text.
COLUMNS: dict[str, pa.Array] = {
    "text": ONE,
    "large": texts(*SIX, kind=pa.large_string()),
    # Not in pyarrow 18.
    **({"json": pa.ExtensionArray.from_storage(pa.json_(), ONE)} if hasattr(pa, "json_") else {}),
    "category": pa.DictionaryArray.from_arrays(pa.array(range(COUNT), pa.int32()), ONE),
    "list": pa.ListArray.from_arrays(EDGES, ONE),
    "lists of one length": pa.FixedSizeListArray.from_arrays(ONE, 1),
    "object": pa.StructArray.from_arrays([ONE], ["a"]),
    "keys": pa.MapArray.from_arrays(EDGES, ONE, pa.array(range(COUNT))),
    "objects in lists": pa.ListArray.from_arrays(EDGES, pa.StructArray.from_arrays([ONE], ["a"])),
}


def ones(rows: Any) -> Any:
    return {"Y": [1] * len(rows)}


def model(form: str) -> LoadedModel:
    """A model that takes the column with the text, or in ``pandas`` another one."""
    if form == "arrow":
        return LoadedModel(ones, "arrow")
    if form == "signature":
        # It is given the bytes, and the text is passed through beside.
        inputs = (Feature("ID", "INT64"), Feature("T", "BYTES"))
        return LoadedModel(ones, "pandas", signature=Signature(inputs, (Feature("Y", "INT64"),)))
    return LoadedModel(ones, "pandas", columns=["ID"])


def put(batch: Batch, column: pa.Array) -> None:
    batch.rows(pa.table({"ID": range(COUNT), "G": [0, 1, 2, 0, 1, 2], "T": column}), row_group_size=4)


@pytest.mark.parametrize("form", ["pandas", "arrow", "signature"])
@pytest.mark.parametrize("kind", COLUMNS)
def test_a_text_of_the_input_that_is_no_utf_8_is_refused_with_its_row(batch: Batch, kind: str, form: str) -> None:
    if form == "signature" and kind not in ("text", "large", "json", "category"):
        return
    put(batch, COLUMNS[kind])
    use = "passed through" if form == "pandas" else "given to the model"
    with pytest.raises(DataError, match=rf"^input column 'T' \(.*\) cannot be {use}: a text is not.*\(row 4 of file"):
        score(batch.job(), model(form))


@pytest.mark.parametrize("form", ["pandas", "arrow"])
@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("most", [1, 3, None])
def test_quarantine_sets_its_row_aside_and_every_file_can_be_read(
    batch: Batch, kind: str, form: str, most: int | None
) -> None:
    put(batch, COLUMNS[kind])
    score(batch.job(inference={"on_error": "quarantine", "max_batch_rows": most}), model(form))
    found, (aside,) = batch.result(), [pq.read_table(path) for path in (batch.output / "_quarantine").glob("*.pq")]
    assert found["ID"].to_pylist() == [0, 1, 2, 3, 5]
    assert found["T"].to_pylist() == COLUMNS[kind].take(pa.array([0, 1, 2, 3, 5])).to_pylist()
    assert aside["QUARANTINE_ROW"].to_pylist() == [WRONG]
    assert "e\ufffd" in str(aside["T"].to_pylist())
    for table in (found, aside):
        table.validate(full=True)


@pytest.mark.parametrize("kind", [kind for kind in ("text", "large", "json", "category") if kind in COLUMNS])
@pytest.mark.parametrize("by", ["G", "T"])
def test_of_groups_it_is_the_group_that_has_it(batch: Batch, kind: str, by: str) -> None:
    put(batch, COLUMNS[kind])
    changes: dict[str, Any] = {"input": {"partition_column": by}}
    with pytest.raises(DataError, match=r"^input column 'T' .*: a text is not valid UTF-8.* of file data_000"):
        score(batch.job(**changes), model("pandas"))

    score(batch.job(**changes, inference={"on_error": "quarantine"}), model("pandas"))
    found = batch.result().sort_by("ID")
    found.validate(full=True)
    assert found["ID"].to_pylist() == ([0, 2, 3, 5] if by == "G" else [0, 1, 2, 3, 5])


def test_a_category_that_is_no_text_fails_no_row_that_has_another(batch: Batch) -> None:
    put(batch, COLUMNS["category"])
    seen: list[Any] = []

    def model(rows: pd.DataFrame) -> Any:
        seen.extend(rows["T"].tolist())
        return ones(rows)

    score(batch.job(inference={"on_error": "quarantine", "max_batch_rows": 6}), LoadedModel(model, "pandas"))
    assert seen == ["a", "ä", "", "d", "f"]
    for part in batch.output.glob("*.parquet"):
        pq.ParquetFile(part).read(columns=["T"])["T"].chunk(0).dictionary.validate(full=True)


def test_a_column_that_nobody_needs_is_refused_by_nobody(batch: Batch) -> None:
    put(batch, ONE)
    score(batch.job(output={"columns": ["ID"]}), model("pandas"))
    assert batch.result()["ID"].to_pylist() == list(range(COUNT))


@pytest.mark.parametrize("kind", COLUMNS)
def test_what_is_readable_differs_in_the_wrong_text_alone(kind: str) -> None:
    column = COLUMNS[kind]
    table = readable(pa.table({"T": column, "N": range(COUNT)}))
    assert table.schema.field("T").type == column.type
    table.validate(full=True)
    right = pa.array([0, 1, 2, 3, 5])
    assert table["T"].take(right).to_pylist() == column.take(right).to_pylist()
    assert "e\ufffd" in str(table["T"][WRONG].as_py())
    sliced = readable(pa.table({"T": column[3:]}))
    assert sliced["T"].to_pylist() == table["T"][3:].to_pylist()


def test_texts_that_are_such_stay_where_they_are() -> None:
    table = pa.table({"T": ["ä", None, ""], "C": pa.array(["x", None, "x"]).dictionary_encode(), "N": [1, 2, 3]})
    assert readable(table) is table
    for column in table.columns:
        check_texts(column)
        assert valid_categories(column).equals(column)


def test_categories_keep_their_places_without_the_wrong_ones() -> None:
    values = texts(b"\xff", b"b", b"\xfe", b"d")
    kind = pa.dictionary(pa.uint8(), pa.string(), ordered=True)
    places = pa.array([3, None, 1, 3], pa.uint8())
    array = pa.DictionaryArray.from_arrays(places, values, ordered=True)
    found = valid_categories(pa.chunked_array([array]))
    assert (found.type, found.to_pylist()) == (kind, ["d", None, "b", "d"])
    assert found.chunk(0).dictionary.to_pylist() == ["b", "d"]
    with pytest.raises(ValueError, match="no UTF-8"):
        valid_categories(pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([1, 2]), values)]))


def test_bytes_of_texts_are_theirs() -> None:
    assert as_bytes(ONE).to_pylist() == SIX
    assert as_bytes(COLUMNS["large"])[WRONG].as_py() == SIX[WRONG]
    assert as_bytes(ONE).buffers()[2].address == ONE.buffers()[2].address
