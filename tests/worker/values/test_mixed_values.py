"""Values of several types in one batch are what they are in batches of their own, in whatever order.

Also tests ``worker/values/only_nan.py``.
"""

from __future__ import annotations

import datetime
import itertools
import re
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.scoring.results import to_table
from airflow_provider_snowflake_batch.worker.values import schemas
from tests.worker.batches import Batch

NAN = float("nan")
MOMENT = datetime.datetime(2020, 1, 1, 5)
VALUES = [
    True, 1, 0, -1, 2**53 + 1, 2**63, 2**64 - 1, 0.5, np.float32(0.1), np.int8(1), np.uint64(2**63), "a", b"a",
    Decimal("1.5"), Decimal(2), MOMENT.date(), MOMENT, MOMENT.replace(tzinfo=datetime.timezone.utc),
    np.datetime64("2020-01-01T00"), datetime.timedelta(1), datetime.time(1), pd.Timestamp(1), pd.Timedelta(1),
    10**30, -(10**30), 10**30 + 1,
    [1], [0.5], [True], ["a"], [None], [], [[1]], [2**63], [-1], [Decimal("1.5")], [MOMENT], np.array([1]),
    np.array([0.5]), np.array([True]), [{"a": 1}], [{"a": 0.5}], [{"a": "x"}], [{"a": {"b": True}}], [{}],
]  # fmt: skip


def stored(*batches: list[Any], rows: bool = False) -> Any:
    """What is written of some batches: type and values, or nothing if they are refused.

    :param rows: whether they come as a list of rows, and not as a column.
    """
    try:
        tables = [to_table(batch if rows else {"y": batch}, len(batch), None) for batch in batches]
        schema = tables[0].schema
        for table in tables[1:]:
            schema = schemas.join(schema, table.schema)
        table = pa.concat_tables(schemas.fit(table, schema) for table in tables)
        if rows:
            return table.schema.remove_metadata(), repr(table.to_pylist())
        whole = table.column("y")
    except DataError:
        return None
    return whole.type, [repr(value) for value in whole.to_pylist()]


@pytest.mark.parametrize("first", VALUES, ids=repr)
def test_a_value_does_not_depend_on_those_beside_it(first: Any) -> None:
    for second in VALUES:
        apart = stored([first], [second])
        for batch in ([first, second], [first, None, second], [second, first]):
            together = stored(batch)
            if apart is None or together is None:
                assert together is apart, batch
                continue
            kind, values = together
            assert kind == apart[0], batch
            shown = [value for value in values if value != "None"]
            assert shown == (apart[1][::-1] if batch[0] is second and first is not second else apart[1]), batch


def test_nan_beside_what_has_no_nan_is_missing_in_any_order() -> None:
    for values in ([True, NAN], ["x", NAN], [b"x", NAN], [Decimal("1.5"), NAN], [MOMENT, NAN], [["x"], NAN]):
        for batch in itertools.permutations(values):
            found = to_table(list(batch), 2, None).column(0).to_pylist()
            assert found == [None if value is NAN else value for value in batch]


# Values of which two alone do not show what three do.
TOGETHER = [
    None, NAN, np.float64(NAN), pd.NA, np.datetime64("NaT"), 1, 2**63, 0.5, Decimal("1.5"), Decimal(2), "a", MOMENT,
    pd.Timestamp(1), [1], [NAN], [2**63, NAN], [1, NAN], [None], [], [Decimal("1.5")], ["a", NAN], [[NAN]],
    np.array([]), np.array([], np.int8), np.array([1], np.int8), np.array([0.5], np.float32), np.array([NAN]),
    np.array(["a"]), {"a": 1}, {"a": NAN}, {"a": Decimal(2)}, {"a": "x"}, {"a": [1, NAN]}, {"a": [Decimal(2)]}, {},
    10**30, [10**30], {"a": 10**30},
]  # fmt: skip


@settings(max_examples=150)
@given(
    values=st.lists(st.sampled_from(range(len(TOGETHER))), min_size=2, max_size=4),
    cuts=st.lists(st.booleans(), min_size=3, max_size=3),
    rows=st.booleans(),
)
def test_a_type_does_not_depend_on_how_rows_are_divided_into_batches(
    values: list[int], cuts: list[bool], rows: bool
) -> None:
    batches: list[list[Any]] = [[]]
    for place, number in enumerate(values):
        if place and cuts[place - 1]:
            batches.append([])
        batches[-1].append(TOGETHER[number])
    together, apart = (stored(*each, rows=rows) for each in ([[TOGETHER[one] for one in values]], batches))
    # One may be refused: a value may have no room beside those of its own batch.
    assert together is None or apart is None or together == apart


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[1], np.array([])], pa.list_(pa.int64())),
        ([["a"], np.array([])], pa.list_(pa.string())),
        ([np.array([]), NAN], pa.list_(pa.float64())),
        ([np.array([1], np.int8), NAN], pa.list_(pa.int8())),
        ([np.array([1], np.int8), np.array([1], np.int16)], pa.list_(pa.int16())),
        ([1, NAN, Decimal("1.5")], pa.decimal128(21, 1)),
        ([[1, NAN], [Decimal("1.5")]], pa.list_(pa.decimal128(21, 1))),
        ([-1, 2**63, NAN], pa.decimal128(20, 0)),
        ([10**30, NAN, 1], pa.decimal128(31, 0)),
        ([-(10**30), 10**38], pa.decimal256(39, 0)),
        ([pd.Timestamp(1), NAN], pa.timestamp("ns")),
    ],
)
def test_what_stands_beside_what_has_no_such_type_is_what_it_would_be_in_another_batch(
    values: list[Any], kind: pa.DataType
) -> None:
    for batches in ([values], [[value] for value in values], [[value] for value in reversed(values)]):
        found = stored(*batches)
        assert found is not None
        assert found[0] == kind


def test_nan_is_not_missing_among_decimals_and_a_number_among_others() -> None:
    first, second = (to_table({"y": values}, len(values), None).schema for values in ([Decimal(2), NAN], [0.5]))
    with pytest.raises(DataError, match="column 'y': NaN is missing among decimals, and a number among others"):
        schemas.join(first, second)
    assert stored([Decimal(2)], [0.5, NAN]) == (pa.float64(), ["2.0", "0.5", "nan"])
    assert stored([Decimal(2), None], [0.5]) == (pa.float64(), ["2.0", "None", "0.5"])


@pytest.mark.parametrize("nothing", [None, NAN, pd.NA, pd.NaT, np.datetime64("NaT"), Decimal("NaN")], ids=repr)
def test_rows_that_are_objects_may_be_missing(nothing: Any) -> None:
    for batches in ([[{"a": 1}, nothing]], [[{"a": 1}], [nothing]], [[nothing], [{"a": 1}]]):
        tables = [to_table(batch, len(batch), None) for batch in batches]
        assert reduce(schemas.join, (table.schema for table in tables)).names == ["a"]


@pytest.mark.parametrize("rows_a_call", [1, 2, None])
def test_objects_and_other_values_are_no_column_in_any_batch(batch: Batch, rows_a_call: int | None) -> None:
    batch.rows({"ID": list(range(4))})
    batch.job("ObjectsAndText", inference={"num_workers": 1, "max_batch_rows": rows_a_call})

    outcome = batch.run()

    assert outcome.code == 1
    assert re.search(r"no common type|values without a name for some rows, and a for others", outcome.last)
    assert re.search(r"rows? (0–|2–)?3 of file data_000.parquet", outcome.last), outcome.last


@pytest.mark.parametrize("form", [list, np.array, pd.Series], ids=lambda form: form.__name__)
def test_nan_alone_in_a_batch_is_as_the_other_batches_are(form: Any) -> None:
    nothing = form([NAN])
    for others, expected in (
        ([["x"]], [None, "x"]),
        ([[True], nothing], [None, True, None]),
        ([[Decimal("1.5")]], [None, Decimal("1.5")]),
        ([[MOMENT], [None]], [None, MOMENT, None]),
        ([[{"a": 1}]], [None, {"a": 1}]),
        ([[1], nothing, [None]], [NAN, 1.0, NAN, None]),
        ([[0.5], ["x"]], None),
        ([nothing], [NAN, NAN]),
    ):
        for batches in itertools.permutations([nothing, *others]):
            found = stored(*batches)
            assert (found is None) == (expected is None)
            if found is not None and expected is not None:
                assert sorted(found[1]) == sorted(map(repr, expected))


def test_files_do_not_say_that_a_column_has_nan_alone(batch: Batch) -> None:
    batch.rows({"ID": list(range(40))})
    batch.job("NanThenTexts", inference={"num_workers": 1, "max_batch_rows": 7})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["TEXT"].to_pylist() == [None] * 30 + ["x"] * 10
    assert str(batch.result()["NUMBER"].to_pylist()) == str([NAN] * 40)
    (part,) = batch.output.glob("*.parquet")
    assert not pq.read_schema(part).field("NUMBER").metadata


@pytest.mark.parametrize("batch", [[MOMENT, 1], [0.5, True], [["x"], [1]], [[0.5], [True]], [[MOMENT], [1]]])
def test_what_arrow_would_take_for_something_else_is_refused(batch: list[Any]) -> None:
    with pytest.raises(DataError, match="have no common type"):
        to_table({"y": batch}, 2, None)


@pytest.mark.parametrize(
    ("feature", "value", "message"),
    [
        (Feature("y", "INT64", (-1,)), [0.5], "truncated"),
        (Feature("y", "INT8", (-1,)), [300], "not in range"),
        (Feature("y", "", (-1,), specs=(Feature("a", "INT64"),)), [{"a": 0.5}], "truncated"),
        (Feature("y", "BOOL"), 2, "2 is neither 0 nor 1"),
        (Feature("y", "BOOL"), 0.5, "0.5 is neither 0 nor 1"),
    ],
)
def test_a_signature_does_not_cut_values_off(feature: Feature, value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_table([{"y": value}], 1, Signature((), (feature,)))


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (Feature("y", "INT64", (-1,)), [[1], [], None, [None]]),
        (Feature("y", "DOUBLE", (-1,)), [[1.0], [], None, [2.5]]),
        (Feature("y", "", specs=(Feature("a", "INT64"),)), [{"a": 1}, None, {"a": None}]),
        (Feature("y", "", (-1,), specs=(Feature("a", "INT64"),)), [[{"a": 1}], [], None]),
        (Feature("y", "BOOL"), [True, False, None]),
    ],
)
def test_a_signatures_types_hold_what_fits(feature: Feature, values: list[Any]) -> None:
    for batch in (values, [None] * len(values)):
        table = to_table(pd.DataFrame({"y": pd.Series(batch, dtype=object)}), len(batch), Signature((), (feature,)))
        assert table.column("y").type == feature.arrow_type()
        assert table.column("y").to_pylist() == batch


def test_periods_are_text_in_every_form() -> None:
    periods = pd.Series(pd.period_range("2020-01", periods=2, freq="M"))
    frame = pd.DataFrame({"y": periods})
    categories = pd.DataFrame({"y": periods.astype("category")})
    for returned in (frame, categories, list(periods), {"y": pa.array(periods)}, pa.Table.from_pandas(frame)):
        assert to_table(returned, 2, None).column(0).to_pylist() == ["2020-01", "2020-02"]


@pytest.mark.parametrize("rows_a_call", [1, 7, None])
@pytest.mark.parametrize("order", [1, -1], ids=["nothing first", "nothing last"])
def test_batches_with_nothing_for_any_row_add_no_column(batch: Batch, rows_a_call: int | None, order: int) -> None:
    batch.rows(*({"ID": list(range(first, first + 20))} for first in (0, 20, 40)[::order]))
    batch.job("Sparse", inference={"num_workers": 1, "max_batch_rows": rows_a_call})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result().column_names == ["ID", "A"]
    assert batch.result()["A"].to_pylist() == [None] * 30 + [{"id": one} for one in range(30, 60)]
    assert [column["name"] for column in batch.manifest()["schema"]] == ["ID", "A"]


def test_nothing_for_any_row_at_all_is_a_column() -> None:
    nothing = to_table([None, {}], 2, None).schema
    named = pa.schema([("a", pa.int64())])

    assert schemas.join(nothing, nothing).names == ["output_feature_0"]
    assert schemas.join(nothing, pa.schema([("output_feature_0", pa.int64())])).types == [pa.int64()]
    assert schemas.join(nothing, named) == schemas.join(named, nothing) == named
