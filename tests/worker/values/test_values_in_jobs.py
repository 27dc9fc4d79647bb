"""Values through the worker as the process that it is: alike in every mode, or refused with column, file and row."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.worker.input.plan import TASK_ROWS
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from tests.worker.batches import Batch
from tests.worker.in_process import score

MODES: dict[str, dict[str, Any]] = {
    "plain": {"inference": {"num_workers": 1}},
    "row by row": {"inference": {"num_workers": 1, "max_batch_rows": 1}},
    "quarantine": {"inference": {"num_workers": 1, "on_error": "quarantine"}},
    "groups": {"inference": {"num_workers": 1}, "input": {"partition_column": "K"}},
}
ROWS = pa.table(
    {
        "ID": [0, 1, 2],
        "K": ["a", "b", "a"],
        "OBJECT": pa.array([{"id": 2**53 + 1}, {"id": 5}, {"id": None}], pa.struct([("id", pa.int64())])),
        "LIST": [[2**53 + 1], [None, 1], None],
        "NUMBER": pa.array([Decimal(2**53 + 1), Decimal(1), Decimal(-1)], pa.decimal128(38, 0)),
        "CATEGORY": pa.array(["x", "y", "x"]).dictionary_encode(),
        "LATE": pa.array([datetime.datetime(9999, 12, 31), datetime.datetime(1, 1, 1), None], pa.timestamp("us")),
        "FLOAT": [float("nan"), None, -0.0],
    }
)


@pytest.mark.parametrize("model", ["Seen", "SeenInArrow"])
def test_a_model_sees_the_same_in_every_mode(make_batch: Callable[[str], Batch], model: str) -> None:
    results = {}
    for mode, changes in MODES.items():
        batch = make_batch(mode.replace(" ", "_"))
        batch.rows(ROWS)
        batch.job(model, **changes)
        outcome = batch.run()
        assert outcome.code == 0, outcome.stderr
        results[mode] = batch.result()

    assert {table.schema.remove_metadata() for table in results.values()} == {results["plain"].schema.remove_metadata()}
    assert {str(table.to_pylist()) for table in results.values()} == {str(results["plain"].to_pylist())}
    passed = results["plain"].select(ROWS.column_names)
    assert str(passed.to_pylist()) == str(ROWS.to_pylist())
    assert pa.types.is_dictionary(passed.schema.field("CATEGORY").type)


def test_values_of_several_processes_are_as_they_were(batch: Batch) -> None:
    count = 90_000
    once = ROWS.drop_columns(["ID", "FLOAT"])
    rows = pa.concat_tables([once] * (count // 3)).combine_chunks().append_column("ID", pa.array(range(count)))
    batch.rows(rows[: count // 2], rows[count // 2 :])
    batch.job("SameInArrow", inference={"num_workers": 2})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert len(list(batch.output.glob("*.parquet"))) > 1
    found = batch.result()
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        for again in (name, f"{name}_AGAIN"):
            assert pa.concat_arrays(found[again].cast(column.type).chunks).equals(column.combine_chunks()), again


def test_a_time_that_python_lacks_is_named_or_set_aside(batch: Batch) -> None:
    batch.rows(pa.table({"ID": [0, 1, 2], "T": pa.array([0, 36_000_123_456_789, 0], pa.time64("ns"))}))
    batch.job("Seen")

    outcome = batch.run()

    assert outcome.code == 1
    assert "input column 'T' (time64[ns]) cannot be given to the model" in outcome.last
    assert outcome.last.endswith("(row 1 of file data_000.parquet)")

    batch.job("Seen", inference={"on_error": "quarantine"})
    outcome = batch.run()
    assert outcome.code == 0, outcome.stderr
    assert batch.result()["ID"].to_pylist() == [0, 2]
    (bad,) = (batch.output / "_quarantine").iterdir()
    assert pq.read_table(bad).select(["ID", "T", "QUARANTINE_ROW"]).to_pydict()["QUARANTINE_ROW"] == [1]


def test_a_value_that_the_type_of_all_files_lacks_is_named(batch: Batch) -> None:
    batch.rows({"ID": [0, 1], "X": [1, 2**53 + 1]}, {"ID": [2], "X": [0.5]})
    batch.job("Seen")

    outcome = batch.run()

    assert outcome.code == 1
    assert "input column 'X' is double for all rows, and a value cannot be had as that" in outcome.last
    assert outcome.last.endswith("(row 1 of file data_000.parquet)")


def test_an_output_that_the_type_of_all_batches_lacks_is_named(batch: Batch) -> None:
    batch.rows({"ID": [0, 1, 2, 3, 4, 5]})
    batch.job("WideThenFractions", inference={"num_workers": 1, "max_batch_rows": 2})

    outcome = batch.run()

    assert outcome.code == 1
    assert "output column 'Y' is double for all rows, and a value cannot be had as that" in outcome.last
    assert outcome.last.endswith("(row 1 of file data_000.parquet)")


def test_an_output_that_the_type_of_all_tasks_lacks_is_named(batch: Batch) -> None:
    batch.rows({"ID": [0]}, {"ID": [index % 4 for index in range(TASK_ROWS - 1)]}, {"ID": [9]})
    batch.job("WideThenFractions", inference={"num_workers": 1})

    outcome = batch.run()

    assert outcome.code == 1
    assert "output column 'Y' is double for all rows, and a value cannot be had as that" in outcome.last
    assert outcome.last.endswith("(row 1 of file data_001.parquet)")


@pytest.mark.parametrize("form", ["pandas", "arrow"])
@pytest.mark.parametrize("mode", ["plain", "quarantine"])
def test_rows_that_a_model_scores_in_another_order_are_not_mixed_up(batch: Batch, form: str, mode: str) -> None:
    batch.ids(1000)
    batch.job("PartByPart", init={"form": form}, **MODES[mode])

    outcome = batch.run()

    assert outcome.code == 1
    assert "the model returned the rows in another order than it was given them" in outcome.last
    assert ".sort_index()" in outcome.last
    assert "of file data_000.parquet" in outcome.last


def test_ordered_categories_in_another_order_make_no_groups(batch: Batch) -> None:
    def ordered(*values: str) -> pa.Array:
        places = pa.array([0] * 2, pa.int8())
        return pa.DictionaryArray.from_arrays(places, pa.array(values), ordered=True)

    batch.rows({"K": [0, 1], "C": ordered("low", "high")}, {"K": [0, 1], "C": ordered("high", "low")})
    batch.job("Seen", input={"partition_column": "K"})

    outcome = batch.run()

    assert outcome.code == 1
    assert "input column 'C' has ordered categories ['high', 'low'] in file data_001.parquet" in outcome.last


@pytest.mark.parametrize("index", [pa.int8(), pa.uint8(), pa.int16()], ids=str)
@pytest.mark.parametrize("form", ["pandas", "arrow"])
@pytest.mark.parametrize("most", [150, None])
@pytest.mark.parametrize("where", ["row groups", "files"])
def test_categories_may_be_more_together_than_each_file_can_number(
    batch: Batch, index: pa.DataType, form: Any, most: int | None, where: str
) -> None:
    texts = [f"v{place:05d}" for place in range(300)]
    pieces = [
        pa.table(
            {"C": pa.array(texts[first : first + 100]).dictionary_encode().cast(pa.dictionary(index, pa.string()))}
        )
        for first in (0, 100, 200)
    ]
    if where == "files":
        batch.rows(*pieces)
    else:
        batch.input.mkdir()
        with pq.ParquetWriter(batch.input / "f.parquet", pieces[0].schema) as writer:
            for piece in pieces:
                writer.write_table(piece)

    def model(rows: Any) -> Any:
        return {"Y": rows["C"].to_pylist() if form == "arrow" else rows["C"].astype(object).tolist()}

    score(batch.job(inference={"max_batch_rows": most}), LoadedModel(model, form))
    found = batch.result()
    assert found["C"].to_pylist() == found["Y"].to_pylist() == texts
    assert found.schema.field("C").type == pa.dictionary(pa.int32(), pa.string())
