"""``partition_column``: each group whole, in one call.

Also tests ``worker/input/categories.py``, ``worker/input/spread.py``.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snowflake.ml.model import custom_model, model_signature

from airflow_provider_snowflake_batch.worker.input import partitions, plan, spread
from tests.worker import packed_models
from tests.worker.batches import LONGEST_WAIT, Batch
from tests.worker.registry_models import pack, registry


def stores(count: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    names = np.array([f"s{number}" for number in range(7)] + [None], dtype=object)
    return pd.DataFrame(
        {"ID": range(count), "STORE": random.choice(names, count), "X": random.standard_normal(count).round(6)}
    )


def write(batch: Batch, frame: pd.DataFrame, files: int = 3) -> None:
    edges = np.linspace(0, len(frame), files + 1, dtype=int)
    parts = [frame[a:b] for a, b in itertools.pairwise(edges)]
    batch.rows(*(pa.Table.from_pandas(part, preserve_index=False) for part in parts), row_group_size=50)


def test_each_group_is_one_call_and_null_is_a_group(batch: Batch) -> None:
    frame = stores(1000)
    write(batch, frame)
    batch.job("Ranks", input={"partition_column": "store"}, inference={"max_batch_rows": 10, "num_workers": 2})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result().to_pandas()
    assert result.columns.tolist() == ["ID", "STORE", "X", "RANK", "SIZE"]
    groups = frame.groupby("STORE", dropna=False)["X"]
    assert result["ID"].tolist() == list(range(1000))
    assert result["STORE"].tolist() == frame["STORE"].tolist()
    assert result["RANK"].tolist() == groups.rank().tolist()
    assert result["SIZE"].tolist() == groups.transform("size").tolist()
    assert batch.verify().code == 0


def test_a_function_of_groups_returns_what_it_likes(batch: Batch) -> None:
    frame = pd.concat([stores(500), pd.DataFrame({"ID": [500], "STORE": ["alone"], "X": [1.0]})])
    write(batch, frame)
    batch.job("Summaries", input={"partition_column": "STORE"})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result().to_pandas()
    assert result.columns.tolist() == ["STORE", "WHAT", "VALUE"]
    assert len(result) == batch.manifest()["rows"] == 16
    counts = result[result["WHAT"] == "count"].set_index("STORE")["VALUE"]
    expected = frame[frame["STORE"] != "alone"].groupby("STORE", dropna=False)["X"].size()
    assert counts.sort_index().tolist() == expected.sort_index().tolist()
    assert outcome.progress[-1]["rows_done"] == 501
    assert batch.verify().code == 0
    assert batch.run().code == 0


@pytest.mark.slow
def test_a_registry_model_that_is_partitioned(batch: Batch, tmp_path: Path) -> None:
    frame = stores(300)
    write(batch, frame)
    signature = model_signature.ModelSignature(
        inputs=[model_signature.FeatureSpec(name="X", dtype=model_signature.DataType.DOUBLE)],
        outputs=[model_signature.FeatureSpec(name="total", dtype=model_signature.DataType.DOUBLE)],
    )
    pack(tmp_path / "m", packed_models.Totals(custom_model.ModelContext()), signatures={"predict": signature})

    batch.job(registry(tmp_path / "m"))
    assert "works on partitions: input.partition_column is needed" in batch.run().last
    batch.job(registry(tmp_path / "m"), input={"partition_column": "STORE"})
    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result().to_pandas()
    assert result.columns.tolist() == ["STORE", "total"]
    found = {None if pd.isna(key) else key: value for key, value in zip(result["STORE"], result["total"], strict=True)}
    expected = frame.groupby("STORE", dropna=False)["X"].sum()
    assert found == {None if pd.isna(key) else key: pytest.approx(value) for key, value in expected.items()}


@pytest.mark.slow
def test_replicas_share_the_groups(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = stores(2000)
    # Rows heavy enough that the input is worth several buckets.
    frame["PADDING"] = [np.random.default_rng(one).bytes(70_000) for one in range(len(frame))]
    write(batch, frame)
    batch.job("Ranks", input={"partition_column": "STORE"})
    processes = [batch.start(replica=(index, 2)) for index in (0, 1)]

    outcomes = [process.communicate(timeout=LONGEST_WAIT) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outcomes
    assert len(batch.manifest()["files"]) == 3
    result = batch.result().to_pandas()
    assert result["RANK"].tolist() == frame.groupby("STORE", dropna=False)["X"].rank().tolist()


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        ("ReturnsTheKey", 1, "the model returned the partition column 'STORE', which the result has already"),
        ("RaisesForAGroup", 1, "ModelError: ValueError: closed (STORE = 's3', "),
        ("Short", 1, "rows given (output 'output_feature_0') (STORE = 's0', "),
    ],
)
def test_errors_name_the_group(batch: Batch, model: str, code: int, message: str) -> None:
    write(batch, stores(200), files=1)
    batch.job(model, input={"partition_column": "STORE"})

    outcome = batch.run()

    assert outcome.code == code
    assert message in outcome.last
    assert "of file data_000.parquet)" in outcome.last


def test_what_makes_no_groups_is_refused(batch: Batch) -> None:
    batch.rows({"ID": [1], "LIST": [[1]]})
    batch.job("Short", input={"partition_column": "LIST"})
    assert "groups are made of plain values only" in batch.run().last
    batch.job("Short", input={"partition_column": "STORE"})
    outcome = batch.run()
    assert outcome.code == 2
    assert "partition column 'STORE' is not among the input columns: ID, LIST" in outcome.last
    batch.rows({"ID": [1], "__SOURCE_ROW": [1]})
    batch.job("Short", input={"partition_column": "ID"})
    assert "Refused: partition_column needs the name __SOURCE_ROW for itself" in batch.run().last


keys: dict[str, Any] = {
    "strings": (pa.string(), st.sampled_from(["", "a", "A", "é", "\0"])),
    "numbers": (pa.int64(), st.integers(-3, 3)),
    "decimals": (pa.decimal128(10, 2), st.sampled_from([decimal.Decimal("1.50"), decimal.Decimal("-2.00")])),
    "floats": (pa.float64(), st.sampled_from([0.5, -1.0, 0.0, -0.0, float("inf"), float("nan")])),
    "dates": (pa.date32(), st.sampled_from([datetime.date(2024, 1, 1), datetime.date(1969, 1, 1)])),
    "times": (pa.timestamp("ns"), st.integers(0, 2)),
    "categories": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["a", "b", ""])),
    "booleans": (pa.bool_(), st.booleans()),
}


def group(value: Any) -> str:
    """What is the same for two values of one group, and for no others."""
    return str(value + 0.0 if isinstance(value, float) else value)


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    kind=st.sampled_from(list(keys)),
    buckets=st.integers(1, 6),
    pending=st.sampled_from([1, 200, 10**9]),
    taken=st.sampled_from([1, 200, 10**9]),
)
def test_every_row_is_in_one_group_and_every_group_in_one_batch(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str, buckets: int, pending: int, taken: int
) -> None:
    arrow, values = keys[kind]
    column = data.draw(st.lists(st.none() | values, min_size=1, max_size=60))
    batch = Batch(tmp_path_factory.mktemp("groups"))
    table = pa.table({"K": pa.array(column, arrow), "ID": range(len(column))})
    batch.rows(table.slice(0, len(column) // 2), table.slice(len(column) // 2), row_group_size=7)
    made = plan.make_plan(batch.input, ".*")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitions, "BUCKET_BYTES", max(made.bytes // buckets, 1))
        patch.setattr(spread, "PENDING_BYTES", pending)
        patch.setattr(partitions, "TAKEN_BYTES", taken)
        made_buckets = partitions.Buckets(batch.input, made, "K", lambda bucket: True)
        filled = made_buckets.fill()
    reader = partitions.PartitionReader("K")
    found: list[list[int]] = []
    groups: list[str] = []
    for task in filled.tasks:
        for rows in reader.batches(task):
            (name,) = {group(value) for value in rows.table["K"].to_pylist()}
            groups.append(name)
            found.append(rows.table["ID"].to_pylist())
    made_buckets.close()

    assert len(groups) == len(set(groups))
    assert all(ids == sorted(ids) for ids in found)
    assert sorted(one for ids in found for one in ids) == list(range(len(column)))
    assert sum(task.rows for task in filled.tasks) == len(column)


def test_groups_whose_rows_name_files(batch: Batch) -> None:
    stage = batch.root / "stage"
    stage.mkdir()
    for number in range(30):
        (stage / f"{number}.txt").write_bytes(b"x" * number)
    rows: dict[str, Any] = {
        "ID": list(range(31)),
        "STORE": [["a", "b", None][number % 3] for number in range(31)],
        "FILE": [f"@DB.SCHEMA.FILES/{number}.txt" for number in range(30)] + [None],
    }
    batch.rows(rows)
    column_handling = {"FILE": {"convert_to": "raw_bytes"}}
    batch.job(
        "GroupSizes",
        input={"partition_column": "STORE", "column_handling": column_handling},
        stages={"DB.SCHEMA.FILES": str(stage)},
    )

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result()
    assert result["FILE"].to_pylist() == rows["FILE"]
    total = {store: sum(range(first, 30, 3)) for first, store in enumerate(["a", "b", None])}
    assert result["TOTAL"].to_pylist() == [total[store] for store in rows["STORE"]]


def test_a_file_that_a_group_lacks(batch: Batch) -> None:
    (batch.root / "stage").mkdir()
    batch.rows({"ID": [0, 1], "STORE": ["a", "b"], "FILE": [None, "@DB.SCHEMA.FILES/gone.txt"]})
    batch.job(
        "GroupSizes",
        input={"partition_column": "STORE", "column_handling": {"FILE": {"convert_to": "raw_bytes"}}},
        stages={"DB.SCHEMA.FILES": str(batch.root / "stage")},
    )

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last == (
        "DataError: file '@DB.SCHEMA.FILES/gone.txt' does not exist (column 'FILE', row 1 of file data_000.parquet)"
    )


@pytest.mark.parametrize(("rows", "buckets"), [(None, 1), (250, 4), (1, 512)])
def test_rows_of_a_task_that_are_stated_hold_for_groups_too(batch: Batch, rows: int | None, buckets: int) -> None:
    batch.ids(1000)

    assert partitions.bucket_count(batch.input, plan.make_plan(batch.input, ".*", task_rows=rows)) == buckets


def test_rare_values_do_not_hold_on_to_the_rows_they_came_with(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "BUCKET_BYTES", 8 * 1024 * 1024)
    monkeypatch.setattr(spread, "PENDING_BYTES", 8 * 1024 * 1024)
    rows = 20_000
    for number in range(24):
        columns = {f"F{column}": np.random.default_rng(column).random(rows) for column in range(32)}
        # All rows of a file have one value, but for one row: 120 MB of one bucket, and crumbs of the others.
        keys = np.where(np.arange(rows) == 7, number, 1_000)
        batch.input.mkdir(exist_ok=True)
        pq.write_table(pa.table({"KEY": keys, **columns}), batch.input / f"{number:02}.parquet")
    made = plan.make_plan(batch.input, ".*")
    assert made.bytes > 100 * 1024 * 1024
    most = 0
    flush = spread.BucketFiles._flush

    def flush_and_measure(self: spread.BucketFiles) -> None:
        nonlocal most
        most = max(most, pa.total_allocated_bytes())
        flush(self)

    monkeypatch.setattr(spread.BucketFiles, "_flush", flush_and_measure)
    before = pa.total_allocated_bytes()
    made_buckets = partitions.Buckets(batch.input, made, "KEY", lambda bucket: True)
    filled = made_buckets.fill()
    made_buckets.close()

    assert sum(task.rows for task in filled.tasks) == 24 * rows
    assert most - before < 50 * 1024 * 1024
