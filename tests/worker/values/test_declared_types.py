"""A signature's type holds a value as it is, or the value is refused: whether it is given to the model or returned."""

from __future__ import annotations

import datetime
import math
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.signature import ARROW_TYPES, Feature, Signature
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.results import to_table
from tests.worker.batches import Batch
from tests.worker.in_process import score

NAN = float("nan")
MOMENT = datetime.datetime(2020, 1, 1, 5)
ZONED = MOMENT.replace(tzinfo=datetime.timezone.utc)
BERLIN = pd.Timestamp(MOMENT).tz_localize("Europe/Berlin")
DAY = datetime.date(2020, 1, 1)
UUIDS = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=7).bytes], pa.binary(16)))
INTEGERS = ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"]
NUMBERS = [*INTEGERS, "FLOAT", "DOUBLE"]
#: A value of each kind, in each of the forms in which it may come.
FLAGS = [True, np.True_, pa.scalar(True)]
TEXTS = ["1", np.str_("1"), "true", "2020-01-01", "0x1F"]
TIMES = [MOMENT, pd.Timestamp(MOMENT), np.datetime64(MOMENT), DAY]
OTHERS = [datetime.timedelta(1), pd.Timedelta(1), datetime.time(1), np.timedelta64(1, "s"), [1], {"a": 1}]


def returned(dtype: str, *values: Any, shape: tuple[int, ...] | None = None) -> list[Any]:
    """What is written of values that a model returns, in every form that keeps them as they are."""
    signature = Signature((), (Feature("y", dtype, shape),))
    column = pd.Series(list(values), dtype=object)
    found = []
    for form in (pd.DataFrame({"y": column}), {"y": list(values)}, [{"y": value} for value in values]):
        table = to_table(form, len(values), signature)
        assert table.schema.field("y").type == signature.outputs[0].arrow_type()
        found.append(table.column("y").to_pylist())
    assert all(str(one) == str(found[0]) for one in found)
    return found[0]


def given_as(dtype: str, column: pa.Array, shape: tuple[int, ...] | None = None) -> list[Any]:
    """What the model gets for a column."""
    table = pa.table({"C": column})
    seen = [
        InputConverter(["C"], Signature((Feature("C", dtype, shape),), ()), "pandas")(table)["C"].tolist(),
        InputConverter(["C"], Signature((Feature("C", dtype, shape),), ()), "arrow")(table)["C"].to_pylist(),
    ]
    return seen[0]


@pytest.mark.parametrize("shape", [None, (-1,)], ids=["scalar", "list"])
@pytest.mark.parametrize(
    ("dtypes", "values"),
    [
        (NUMBERS, [*FLAGS, *TEXTS, *TIMES, *OTHERS, b"1"]),
        (["BOOL"], [*TEXTS, *TIMES, *OTHERS, 2, 0.5]),
        (["STRING"], [*FLAGS, 1, 0.5, Decimal(1), *TIMES, *OTHERS[:4]]),
        (["BYTES"], [*FLAGS, 1, 0.5, Decimal(1), *TIMES, *OTHERS]),
        (["TIMESTAMP_NTZ"], [*FLAGS, *TEXTS, 1, 0.5, np.int64(1), Decimal(1), ZONED, BERLIN, *OTHERS]),
    ],
    ids=["numbers", "flags", "text", "bytes", "times"],
)
def test_a_value_of_another_kind_is_refused(
    dtypes: list[str], values: list[Any], shape: tuple[int, ...] | None
) -> None:
    for dtype in dtypes:
        for value in values:
            with pytest.raises(DataError, match="the model's output 'y' cannot be stored as"):
                returned(dtype, value if shape is None else [value], shape=shape)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("FLOAT", [0.1, NAN, None, math.inf, 1], [np.float32(0.1), NAN, None, math.inf, 1.0]),
        ("FLOAT", [Decimal("0.1")], [np.float32(0.1)]),
        ("DOUBLE", [0.1, 2**53], [0.1, 2.0**53]),
        ("DOUBLE", [Decimal("0.1"), 2**60], [0.1, 2.0**60]),
        ("INT64", [2**53 + 1, None], [2**53 + 1, None]),
        ("INT64", [Decimal(7), 1], [7, 1]),
        ("INT8", [1.0, NAN], [1, None]),
        ("BOOL", [1, 0, None], [True, False, None]),
        ("BOOL", [0.0, NAN], [False, None]),
        ("STRING", ["a", b"b", None], ["a", "b", None]),
        ("STRING", [uuid.UUID(int=7)], [str(uuid.UUID(int=7))]),
        ("STRING", [{"a": 1}], ['{"a": 1}']),
        ("BYTES", [b"\xff", None], [b"\xff", None]),
        ("TIMESTAMP_NTZ", [DAY, MOMENT, pd.NaT], [pd.Timestamp(DAY), pd.Timestamp(MOMENT), None]),
    ],
)  # fmt: skip
def test_a_value_of_its_kind_is_as_it_is(dtype: str, values: list[Any], expected: list[Any]) -> None:
    for found, wanted in zip(returned(dtype, *values), expected, strict=True):
        assert found == wanted or (found != found and wanted != wanted)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("FLOAT", 1e300, r"1e\+300 is too large for float"),
        ("FLOAT", np.float64(-1e39), "-1e\\+39 is too large for float"),
        ("FLOAT", 2**24 + 1, "16777217 has more digits than float holds"),
        ("DOUBLE", 2**53 + 1, "9007199254740993 has more digits than double holds"),
        ("DOUBLE", -(2**63) + 1, "has more digits than double holds"),
        ("DOUBLE", 2**64 - 1, "cannot be stored"),
        ("INT64", 0.5, "truncated"),
        ("INT64", math.inf, "truncated"),
        ("INT64", Decimal("0.5"), "truncated|cause data loss"),
        ("INT8", 128, "not in range"),
        ("UINT8", -1, "not in range"),
        ("UINT64", -1, "not in range|cannot be stored"),
        ("STRING", b"\xff", "UTF8"),
        ("TIMESTAMP_NTZ", datetime.datetime(9999, 1, 1), "out of bounds"),
        ("TIMESTAMP_NTZ", datetime.date(9999, 1, 1), "out of bounds"),
    ],
)
def test_a_value_that_the_type_does_not_hold_is_refused(dtype: str, value: Any, message: str) -> None:
    for shape in (None, (-1,)):
        with pytest.raises(DataError, match=message) as caught:
            returned(dtype, *([value] if shape is None else [[], [value]]), shape=shape)
        # It is found among others.
        assert getattr(caught.value, "row", None) == (0 if shape is None else 1)


def test_keys_that_the_signature_does_not_state_are_refused() -> None:
    group = Feature("y", "GROUP", specs=(Feature("a", "INT64"), Feature("b", "STRING")))

    assert to_table([{"y": {"a": 1}}], 1, Signature((), (group,)))["y"].to_pylist() == [{"a": 1, "b": None}]
    with pytest.raises(DataError, match="an object has the key 'A', which the signature does not state"):
        to_table([{"y": {"A": 1}}], 1, Signature((), (group,)))


def test_objects_as_json_keep_what_they_hold() -> None:
    output = Signature((), (Feature("y", "OBJECT"),))

    def stored(value: Any) -> Any:
        return to_table([{"y": value}], 1, output)["y"].to_pylist()[0]

    assert stored({"a": Decimal("1.50"), "b": Decimal(2**60), "c": MOMENT}) == (
        '{"a": 1.5, "b": 1152921504606846976, "c": "2020-01-01 05:00:00"}'
    )
    for value, message in (
        ({"a": b"x"}, "JSON has no bytes"),
        ({"a": Decimal("1.23456789012345678901")}, "more digits than a number in JSON keeps"),
        ({"a": object()}, "JSON has nothing for object"),
        ({"a": 1j}, "JSON has nothing for complex"),
    ):
        with pytest.raises(DataError, match=message):
            stored(value)


@pytest.mark.parametrize(
    ("dtype", "column", "message"),
    [
        ("FLOAT", pa.array([0.0, 1e300]), "too large for float"),
        ("FLOAT", pa.array([[1e300]]), "too large for float"),
        ("FLOAT", pa.array(["[1e300]"]), "too large for float"),
        ("DOUBLE", pa.array(["1e400"]), "too large for double"),
        ("DOUBLE", pa.array(["[0.5, true]"]), "have no common type"),
        ("INT64", pa.array(["0x1F"]), "'0x1F' is not a number"),
        ("INT64", pa.array([b"12"]), "bytes .binary. is not taken for a number"),
        ("INT64", pa.array([MOMENT]), "a time .timestamp.us.. is not taken for a number"),
        ("INT64", pa.array([DAY]), "is not taken for a number"),
        ("INT64", pa.array(["[0.5]"]), "truncated"),
        ("BOOL", pa.array([2]), "2 is neither 0 nor 1"),
        ("TIMESTAMP_NTZ", pa.array([1]), "a number .int64. is not taken for a time"),
        ("TIMESTAMP_NTZ", pa.array([datetime.datetime(9999, 1, 1)]), "out of bounds"),
        ("STRING", pa.array([datetime.timedelta(1)]), "is not taken for text"),
    ],
)
def test_a_column_of_another_kind_is_not_given(dtype: str, column: pa.Array, message: str) -> None:
    nested = pa.types.is_list(column.type) or str(column[0]).startswith("[")
    with pytest.raises(DataError, match=f"input column 'C' .*{message}"):
        given_as(dtype, column, (-1,) if nested else None)


@pytest.mark.parametrize(
    ("dtype", "column", "expected"),
    [
        ("FLOAT", pa.array([2**24 + 1]), [float(2**24)]),
        ("DOUBLE", pa.array([Decimal("0.07")], pa.decimal128(38, 2)), [0.07]),
        ("DOUBLE", pa.array(["1e3", "inf", "-.5"]), [1000.0, math.inf, -0.5]),
        ("INT64", pa.array(["12", "-7"]), [12, -7]),
        ("STRING", pa.array([7]), ["7"]),
        ("STRING", pa.array(["a"]).dictionary_encode(), ["a"]),
        ("STRING", UUIDS, [str(uuid.UUID(int=7))]),
        ("STRING", pa.array([DAY]), ["2020-01-01"]),
        ("DOUBLE", pa.array([True, False]), [1.0, 0.0]),
        ("INT64", pa.array([True, False]), [1, 0]),
        ("BYTES", UUIDS, [uuid.UUID(int=7).bytes]),
        ("BOOL", pa.array([1, 0]), [True, False]),
        ("TIMESTAMP_NTZ", pa.array([DAY]), [pd.Timestamp(DAY)]),
        ("TIMESTAMP_NTZ", pa.array([ZONED], pa.timestamp("us", "Europe/Berlin")), [pd.Timestamp(MOMENT)]),
    ],
)  # fmt: skip
def test_a_column_that_says_the_same_is_given(dtype: str, column: pa.Array, expected: list[Any]) -> None:
    assert given_as(dtype, column) == expected


@given(
    value=st.one_of(
        st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.text(max_size=4), st.binary(max_size=4)
    )
)
def test_whatever_is_returned_is_read_back_or_refused(value: Any) -> None:
    for dtype in ARROW_TYPES:
        if dtype == "OBJECT":
            continue
        try:
            (found,) = returned(dtype, value)
        except DataError:
            continue
        if dtype == "FLOAT" and isinstance(value, float):
            assert found == np.float32(value) or value != value
        elif isinstance(found, (str, bytes)) and type(found) is not type(value):
            assert (found.encode() if isinstance(found, str) else found.decode()) == value
        elif found is None:
            assert value != value
        else:
            assert found == value or (found != found and value != value)
            assert isinstance(value, bool) == isinstance(found, bool) or dtype == "BOOL"


def test_a_row_that_does_not_fit_is_named_or_set_aside(batch: Batch) -> None:
    batch.rows({"ID": list(range(10)), "X": [0.5] * 7 + [1e300] + [0.5] * 2})
    signature = Signature((Feature("X", "DOUBLE"),), (Feature("Y", "FLOAT"),))
    model = LoadedModel(lambda frame: {"Y": frame["X"]}, signature=signature)

    with pytest.raises(
        DataError, match=r"output 'Y' .*1e\+300 is too large for float \(row 7 of file data_000.parquet\)"
    ):
        score(batch.job(inference={"max_batch_rows": 4}), model)

    score(batch.job(inference={"max_batch_rows": 4, "on_error": "quarantine"}), model)
    assert batch.result()["ID"].to_pylist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_a_column_that_does_not_fit_is_named_with_its_row(batch: Batch) -> None:
    batch.rows({"ID": list(range(10)), "X": [0.5] * 7 + [1e300] + [0.5] * 2})
    model = LoadedModel(lambda frame: {"Y": frame["X"]}, signature=Signature((Feature("X", "FLOAT"),), ()))

    with pytest.raises(DataError, match=r"input column 'X' .*too large for float \(row 7 of file data_000.parquet\)"):
        score(batch.job(), model)
