"""What the model is called with.

Also tests ``worker/models/columns.py``.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError, Refused
from airflow_provider_snowflake_batch.worker.models.columns import match_column, match_columns
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter

# What a column of texts is depends on the version of pandas.
TEXT = str(pd.Series(["x"]).dtype)


def frame(table: pa.Table, *inputs: Feature) -> pd.DataFrame:
    return InputConverter(table.column_names, Signature(inputs, ()), "pandas")(table)


def test_columns_of_one_numeric_type_are_one_block() -> None:
    table = pa.table({"B": [1, 2, 3], "ID": ["x", "y", "z"], "A": pa.array([0.5, None, 2.5], pa.float32())})

    found = frame(table, Feature("a", "DOUBLE"), Feature("b", "DOUBLE"))

    assert list(found.columns) == ["a", "b"]
    matrix = found.to_numpy()
    assert matrix.flags.c_contiguous
    assert np.shares_memory(matrix, found.to_numpy())
    np.testing.assert_array_equal(matrix, [[0.5, 1.0], [np.nan, 2.0], [2.5, 3.0]])


@given(st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), max_size=40), st.integers(1, 10))
def test_the_block_holds_every_value_whatever_the_chunks(rows: list[list[float]], size: int) -> None:
    values = np.array(rows, dtype=np.float32).reshape(-1, 3)
    tables = [
        pa.table(list(values[start : start + size].T), names=["a", "b", "c"]) for start in range(0, len(values), size)
    ]
    table = pa.concat_tables(tables) if tables else pa.table({name: pa.array([], pa.float32()) for name in "abc"})

    found = frame(table, *(Feature(name, "FLOAT") for name in "cab"))

    np.testing.assert_array_equal(found.to_numpy(), values[:, [2, 0, 1]])
    assert set(found.dtypes) == {np.dtype("float32")}


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.int8(), pa.float64()])
def test_chunks_of_columns_may_end_in_different_rows(kind: pa.DataType) -> None:
    def column(values: list[int | None], *ends: int) -> pa.ChunkedArray:
        cuts = [0, *ends, len(values)]
        return pa.chunked_array([pa.array(values[a:b], kind) for a, b in itertools.pairwise(cuts)], kind)

    most = 127 if kind == pa.int8() else 2**53 if kind == pa.float64() else 2**63 - 1
    first: list[int | None] = [1, 2, 3, 4, most]
    second = [None if kind == pa.float64() else 0, 6, 7, 8, 9]

    found = frame(
        pa.table({"a": column(first, 2, 2, 4), "b": column(second, 1)}),
        *(Feature(name, "DOUBLE" if kind == pa.float64() else str(kind).upper()) for name in "ab"),
    )

    assert found["a"].tolist() == first
    np.testing.assert_array_equal(found["b"], np.array(second, dtype=kind.to_pandas_dtype()))
    assert set(found.dtypes) == {np.dtype(kind.to_pandas_dtype())}


def test_whole_numbers_with_nulls_stay_whole() -> None:
    found = frame(pa.table({"a": [1, None], "b": [1, 2]}), Feature("a", "INT64"), Feature("b", "INT64"))

    assert found["a"].dtype == pd.Int64Dtype()
    assert found["b"].dtype == np.dtype("int64")
    assert found["a"].tolist() == [1, pd.NA]


def test_types_follow_the_signature() -> None:
    table = pa.table(
        {
            "N": pa.array([decimal.Decimal("1"), decimal.Decimal("250")], pa.decimal128(38, 0)),
            "D": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2)),
            "S": ["x", None],
            "T": pa.array([datetime.datetime(2024, 1, 1), None], pa.timestamp("us")),
            "F": [True, None],
            "V": ["[1, 2]", None],
            "O": ['{"k": [1]}', None],
            "Y": pa.array([b"\x00", None]),
        }
    )
    found = frame(
        table,
        Feature("n", "INT16"),
        Feature("d", "DOUBLE"),
        Feature("s", "STRING"),
        Feature("t", "TIMESTAMP_NTZ"),
        Feature("f", "BOOL"),
        Feature("v", "INT64", shape=(-1,)),
        Feature("o", "OBJECT"),
        Feature("y", "BYTES"),
    )

    assert found["n"].dtype == np.dtype("int16")
    assert found["n"].tolist() == [1, 250]
    assert found["d"].tolist()[0] == 1.5
    assert np.isnan(found["d"].tolist()[1])
    assert found["s"].dtype == pd.StringDtype()
    assert found["s"].tolist() == ["x", pd.NA]
    assert found["t"].dtype == np.dtype("datetime64[ns]")
    assert found["f"].dtype == pd.BooleanDtype()
    assert found["v"].tolist() == [[1, 2], None]
    assert found["o"].tolist() == [{"k": [1]}, None]
    assert found["y"].tolist() == [b"\x00", None]


@pytest.mark.parametrize(
    ("values", "feature", "message"),
    [
        (pa.array([300]), Feature("a", "INT8"), r"'A' \(int64\) cannot be read as INT8"),
        (pa.array([1.5]), Feature("a", "INT64"), "cannot be read as INT64"),
        (pa.array(["x"]), Feature("a", "DOUBLE"), "cannot be read as DOUBLE"),
        (pa.array(["{"]), Feature("a", "INT64", shape=(-1,)), "is not JSON"),
        (pa.array(["{"]), Feature("a", "OBJECT"), "is not JSON"),
    ],
)
def test_what_cannot_be_had_in_the_signatures_type_is_named(values: pa.Array, feature: Feature, message: str) -> None:
    with pytest.raises(DataError, match=message):
        frame(pa.table({"A": values}), feature)


@pytest.mark.parametrize(
    ("table", "dtypes"),
    [
        ({"a": pa.array([1.0, None]), "b": pa.array([1.0, 2.0])}, ["float64", "float64"]),
        ({"a": pa.array([1, None]), "s": ["x", "y"]}, ["Int64", TEXT]),
        ({"a": pa.array([decimal.Decimal(1)], pa.decimal128(10, 0)), "s": ["x"]}, ["int64", TEXT]),
        ({"a": pa.array([decimal.Decimal("1.5")], pa.decimal128(10, 1)), "s": ["x"]}, ["float64", TEXT]),
    ],
)
def test_without_a_signature_columns_come_as_they_are(table: dict[str, Any], dtypes: list[str]) -> None:
    given_table = pa.table(table)
    found = InputConverter(given_table.column_names, None, "pandas")(given_table)

    assert [str(one) for one in found.dtypes] == dtypes


def test_a_model_without_a_signature_may_name_its_columns() -> None:
    table = pa.table({"ID": ["x"], "A": [1.0], "B": [2.0]})
    found = InputConverter(table.column_names, None, "pandas", ["b", "A"])(table)

    assert list(found.columns) == ["b", "A"]
    np.testing.assert_array_equal(found.to_numpy(), [[2.0, 1.0]])
    with pytest.raises(Refused, match="model input 'C' is not among the input columns: ID, A, B"):
        InputConverter(table.column_names, None, "pandas", ["C"])


@pytest.mark.parametrize(
    ("wanted", "columns", "found"),
    [
        ("a", ["A", "a"], "a"),
        ("a", ["A", "B"], "A"),
        ('"a b"', ["A B"], "A B"),
        ('"a"', ["a", "A"], "a"),
    ],
)
def test_names_match_exactly_then_without_case(wanted: str, columns: list[str], found: str) -> None:
    assert match_column(wanted, columns, "input") == found


def test_names_that_match_twice_are_refused() -> None:
    with pytest.raises(Refused, match="input 'ab' matches more than one input column: Ab, AB"):
        match_column("ab", ["Ab", "AB"], "input")


@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp("ns"),
        pa.timestamp("us", "UTC"),
        pa.duration("ms"),
        pa.list_(pa.timestamp("us")),
        pa.list_(pa.duration("ns")),
        pa.struct([("a", pa.timestamp("ns"))]),
    ],
    ids=str,
)
def test_a_moment_that_numpy_takes_for_a_missing_one_is_refused(kind: pa.DataType) -> None:
    def column(number: int) -> pa.Table:
        value: Any = [number] if pa.types.is_list(kind) else {"a": number} if pa.types.is_struct(kind) else number
        return pa.table({"T": pa.array([None, value], kind)})

    with pytest.raises(DataError, match=r"input column 'T' .* is what NumPy takes for a missing one"):
        InputConverter(["T"], None, "pandas")(column(-(2**63)))
    found = InputConverter(["T"], None, "pandas")(column(5))
    assert found["T"].isna().tolist() == [True, False]


def test_a_column_is_not_the_value_of_two_names() -> None:
    table = pa.table({"A": [1], "B": [2]})
    message = "model input 'A' and model input 'a' would both be the input column 'A'"

    with pytest.raises(Refused, match=message):
        frame(table, Feature("A", "INT64"), Feature("a", "INT64"))
    with pytest.raises(Refused, match=message):
        InputConverter(table.column_names, None, "pandas", ["A", "a"])
    with pytest.raises(Refused, match="column 'A' is there more than once among the input columns: A, B, A"):
        match_columns(["A"], ["A", "B", "A"], "column")
    assert match_columns(["a", "A", "A"], ["A", "a"], "column") == ["a", "A", "A"]


PATHS = pa.table({"ID": [7, 8], "IMAGE": ["@D.S.T/a", "@D.S.T/b"], "X": [0.5, 1.5]})
CONTENTS: list[bytes | None] = [b"one", None]


def test_files_reach_the_model_as_they_were_read() -> None:
    for found in (
        InputConverter(PATHS.column_names, None, "pandas")(PATHS, {"IMAGE": CONTENTS}),
        frame_with_files(Feature("ID", "INT64"), Feature("IMAGE", "BYTES"), Feature("X", "DOUBLE")),
    ):
        assert list(found.columns) == ["ID", "IMAGE", "X"]
        assert [str(one) for one in found.dtypes] == ["int64", "object", "float64"]
        assert found["IMAGE"][0] is CONTENTS[0]
        assert found["IMAGE"][1] is None
        assert found["X"].tolist() == [0.5, 1.5]


def frame_with_files(*inputs: Feature) -> pd.DataFrame:
    return InputConverter(PATHS.column_names, Signature(inputs, ()), "pandas")(PATHS, {"IMAGE": CONTENTS})


def test_files_alone_are_a_frame() -> None:
    found = InputConverter(PATHS.column_names, None, "pandas", ["image"])(PATHS, {"IMAGE": CONTENTS})

    assert list(found.columns) == ["image"]
    assert found["image"].tolist() == CONTENTS


def test_a_signature_may_want_files_as_text_or_not_at_all() -> None:
    assert frame_with_files(Feature("IMAGE", "STRING"))["IMAGE"].tolist() == ["one", pd.NA]
    assert frame_with_files(Feature("x", "DOUBLE")).to_numpy().tolist() == [[0.5], [1.5]]
    with pytest.raises(DataError, match="cannot be read as DOUBLE"):
        frame_with_files(Feature("IMAGE", "DOUBLE"))


@pytest.mark.parametrize("signature", [None, Signature((Feature("X", "DOUBLE"), Feature("IMAGE", "BYTES")), ())])
def test_files_become_arrow_for_a_model_that_takes_it(signature: Signature | None) -> None:
    found = InputConverter(PATHS.column_names, signature, "arrow")(PATHS, {"IMAGE": CONTENTS})

    assert found["IMAGE"].to_pylist() == CONTENTS
    assert found["X"].to_pylist() == [0.5, 1.5]
