"""Whatever comes in: every value reaches the model and the result as it is, alone or beside others, or is named.

Also tests ``worker/input/parquet_input.py``, ``worker/values/common_types.py``, ``worker/values/decimals.py``,
``worker/values/nested.py``.
"""

from __future__ import annotations

import datetime
import math
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input.footers import read_footer
from airflow_provider_snowflake_batch.worker.input.parquet_input import ParquetInput
from airflow_provider_snowflake_batch.worker.input.plan import SharedSchema
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.output.part_writer import PartWriter
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.results import to_table
from airflow_provider_snowflake_batch.worker.values import decimals, schemas
from airflow_provider_snowflake_batch.worker.values.common_types import NoCommonType, common_of, converted
from airflow_provider_snowflake_batch.worker.values.nested import objects
from tests.worker.arrow_values import KINDS, OLD_PYARROW, SCALARS, array, values

MORE_THAN_A_FLOAT = 2**53 + 1


def given_to_model(column: pa.Array | pa.ChunkedArray, feature: Feature | None = None) -> pd.Series:
    """The column as a model gets it, without a signature beside another one."""
    table = pa.table({"k": pa.array(["x"] * len(column)), "c": column})
    frame = InputConverter(table.column_names, Signature((feature,), ()) if feature else None, "pandas")(table)
    found: pd.Series = frame["c"]
    return found


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type, all the way down; NaN is NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and same(list(one), list(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (float, np.floating)):
        return (math.isnan(one) and math.isnan(other)) or (one == other and np.signbit(one) == np.signbit(other))
    return bool((pd.isna(one) and pd.isna(other)) or one == other)


@st.composite
def columns(draw: st.DrawFn) -> pa.Array:
    kind = draw(KINDS.filter(lambda kind: kind in SCALARS or "uuid" not in str(kind)))
    return array(draw(st.lists(values(kind), min_size=1, max_size=6)), kind)


class Refused:
    """A value was refused."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refused)


def alone(column: pa.Array) -> list[Any]:
    """Each value as the model gets it without any other."""
    found: list[Any] = []
    for place in range(len(column)):
        try:
            found.append(given_to_model(column[place : place + 1]).iloc[0])
        except DataError:
            found.append(Refused())
    return found


@settings(deadline=None, max_examples=150)
@given(column=columns(), cut=st.integers(0, 6))
def test_a_value_is_the_same_to_the_model_whatever_is_beside_it(column: pa.Array, cut: int) -> None:
    each = alone(column)
    for given_column in (column, pa.chunked_array([column[:cut], column[cut:]], column.type)):
        if any(isinstance(value, Refused) for value in each):
            with pytest.raises(DataError, match=r"input column 'c' \("):
                given_to_model(given_column)
            continue
        together = given_to_model(given_column)
        assert all(same(plain_number(one), plain_number(other)) for one, other in zip(together, each, strict=True)), (
            together.tolist(),
            each,
        )


def plain_number(value: Any) -> Any:
    """Numbers as Python's: pandas has them as its own or as Python's, with and without a NULL in the batch."""
    return value.item() if isinstance(value, (np.integer, np.bool_, np.floating)) else value


@settings(deadline=None, max_examples=100)
@given(column=columns())
def test_what_the_model_gets_is_what_the_input_holds(column: pa.Array) -> None:
    expected = column.to_pylist() if not pa.types.is_nested(column.type) else None
    if expected is None or pa.types.is_duration(column.type) or pa.types.is_timestamp(column.type):
        return
    try:
        found = given_to_model(column)
    except DataError:
        assert pa.types.is_decimal(column.type) or pa.types.is_time(column.type)
        return
    for seen, held in zip(found, expected, strict=True):
        if held is None:
            assert pd.isna(seen)
        elif pa.types.is_date(column.type):
            assert seen == pd.Timestamp(held).as_unit("ms")
        elif pa.types.is_floating(column.type) and math.isnan(held):
            assert math.isnan(seen)
        elif pa.types.is_decimal(column.type):
            assert Decimal(repr(plain_number(seen))) == held
        else:
            assert plain_number(seen) == held


@settings(deadline=None, max_examples=60)
@given(column=columns())
def test_a_column_passes_through_a_file_and_back(tmp_path_factory: pytest.TempPathFactory, column: pa.Array) -> None:
    folder = tmp_path_factory.mktemp("values")
    try:
        pq.write_table(pa.table({"c": column}), folder / "in.parquet")
        read = pq.read_table(folder / "in.parquet")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # pyarrow 18 cannot write some lists of a fixed length with nulls, nor read some of those inside objects.
        assert OLD_PYARROW
        reject()
    if not read.schema.field("c").type.equals(column.type):
        # pyarrow 18 reads the durations and time zones of a map as Parquet stores them: as numbers, as UTC.
        assert OLD_PYARROW
        reject()
    shared = SharedSchema()
    shared.add(read_footer("in", str(folder / "in.parquet")))
    assert shared.schema is not None
    file = ParquetInput("in", pa.OSFile(str(folder / "in.parquet")), shared.schema)
    table = schemas.fit(file.row_group(0, use_threads=False), shared.schema)
    writer = PartWriter(folder / "out.parquet", shared.schema)
    writer.write(table)
    writer.close()

    written = pq.read_table(folder / "out.parquet")

    assert written.column("c").combine_chunks().equals(table.column("c").combine_chunks()) or same(
        objects(table.column("c").chunk(0)).tolist(), objects(written.column("c").chunk(0)).tolist()
    )
    # What Python has no value for, nanoseconds of a time of day, is compared by Arrow.
    assert table.column("c").chunk(0).equals(column) or same(
        objects(table.column("c").chunk(0)).tolist(), objects(column).tolist()
    )


@pytest.mark.parametrize(
    ("items", "kind", "expected"),
    [
        ([{"id": MORE_THAN_A_FLOAT}, {"id": None}, None], pa.struct([("id", pa.int64())]), {"id": MORE_THAN_A_FLOAT}),
        ([{"id": 2**64 - 1}, {"id": None}], pa.struct([("id", pa.uint64())]), {"id": 2**64 - 1}),
        ([{"on": True}, {"on": None}], pa.struct([("on", pa.bool_())]), {"on": True}),
        ([{"t": 1}, None], pa.struct([("t", pa.timestamp("ns"))]), {"t": pd.Timestamp(1)}),
        ([{"f": None}, None], pa.struct([("f", pa.float32())]), {"f": math.nan}),
        ([{"f": None}, {"f": 0.5}], pa.struct([("f", pa.float64())]), {"f": math.nan}),
        ([{"f": None}], pa.struct([("f", pa.float64())]), {"f": math.nan}),
        ([{"d": Decimal("1.50")}, {"d": None}], pa.struct([("d", pa.decimal128(38, 2))]), {"d": Decimal("1.50")}),
        ([[("k", MORE_THAN_A_FLOAT)], [("k", None)]], pa.map_(pa.string(), pa.int64()), [("k", MORE_THAN_A_FLOAT)]),
        ([[MORE_THAN_A_FLOAT], [None]], pa.list_(pa.int64()), np.array([MORE_THAN_A_FLOAT])),
        ([[MORE_THAN_A_FLOAT], None], pa.list_(pa.int64(), 1), np.array([MORE_THAN_A_FLOAT])),
        ([[[1]], [[None]]], pa.list_(pa.list_(pa.int8())), np.array([np.array([1], np.int8), 0], object)[:1]),
    ],
    ids=str,
)  # fmt: skip
def test_nested_values_do_not_change_beside_null(items: list[Any], kind: pa.DataType, expected: Any) -> None:
    assert same(given_to_model(pa.array(items, kind)).iloc[0], expected)
    assert same(given_to_model(pa.array(items[:1], kind)).iloc[0], expected)


def test_whole_decimals_are_whole_numbers_or_refused() -> None:
    def ids(*values: int | None) -> pa.Array:
        return pa.array([None if one is None else Decimal(one) for one in values], pa.decimal128(38, 0))

    assert given_to_model(ids(MORE_THAN_A_FLOAT)).tolist() == [MORE_THAN_A_FLOAT]
    assert given_to_model(ids(MORE_THAN_A_FLOAT, None)).tolist() == [MORE_THAN_A_FLOAT, pd.NA]
    with pytest.raises(DataError, match=r"input column 'c' \(decimal128\(38, 0\)\) cannot be given to the model"):
        given_to_model(ids(1, 2**63))
    with pytest.raises(DataError, match="9223372036854775808 is beyond 64-bit whole numbers; give the column as text"):
        given_to_model(ids(1, 2**63))


@given(digits=st.integers(-(10**15) + 1, 10**15 - 1), scale=st.integers(0, 30), zeros=st.integers(0, 8))
def test_decimals_of_15_digits_are_the_nearest_numbers(digits: int, scale: int, zeros: int) -> None:
    value = Decimal(digits).scaleb(-scale)
    column = pa.array([value, None], pa.decimal256(60, scale + zeros))

    assert decimals.floats(column, exactly=True).to_pylist() == [float(value), None]
    if scale + zeros <= 30 and abs(value) < 10 ** (38 - scale - zeros):
        narrow = pa.array([value, None], pa.decimal128(38, scale + zeros))
        assert decimals.floats(narrow, exactly=True).to_pylist() == [float(value), None]


def test_decimals_of_more_digits_are_refused_unless_the_signature_says_how_they_are_meant() -> None:
    column = pa.array([Decimal("0.07"), Decimal("1234567890123456.78")], pa.decimal128(38, 2))

    with pytest.raises(DataError, match=r"1234567890123456.78 has more digits than a 64-bit floating-point number"):
        given_to_model(column)
    assert given_to_model(column[:1]).tolist() == [0.07]
    assert decimals.floats(column, exactly=False).to_pylist() == [0.07, 1234567890123456.78]


@pytest.mark.parametrize("store", [True, False], ids=["pyarrow", "others"])
def test_int96_holds_any_year(tmp_path: Path, store: bool) -> None:
    moments = [
        datetime.datetime(9999, 12, 31),
        datetime.datetime(1, 1, 1),
        None,
        datetime.datetime(2020, 1, 1, 1, 2),
    ]
    nested = [None if one is None else {"at": [one]} for one in moments]
    table = pa.table({"at": pa.array(moments, pa.timestamp("us")), "nested": nested})
    pq.write_table(table, tmp_path / "a", use_deprecated_int96_timestamps=True, store_schema=store)

    schema = read_footer("a", str(tmp_path / "a")).schema
    file = ParquetInput("a", pa.OSFile(str(tmp_path / "a")), schema)

    assert schema.field("at").type == pa.timestamp("us")
    assert file.row_group(0, use_threads=False).to_pylist() == table.to_pylist()
    assert [one.to_pylist() for one in file.batches(3, [0], use_threads=False)] == [
        table[:3].to_pylist(),
        table[3:].to_pylist(),
    ]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 1000, None, 1001], pa.timestamp("ns")),
        pa.array([[0], [1000], None, [1001]], pa.list_(pa.timestamp("ns"))),
        pa.array([{"x": 1, "t": 0}, None, None, {"t": 1001}], pa.struct([("x", pa.int8()), ("t", pa.timestamp("ns"))])),
        pa.array([[("a", 0)], [], None, [("b", 1001)]], pa.map_(pa.string(), pa.timestamp("ns"))),
    ],
    ids=["plain", "list", "object", "map"],
)  # fmt: skip
def test_int96_with_nanoseconds_names_the_row(tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(
        pa.table({"k": [7] * 4, "at": column}), tmp_path / "a", use_deprecated_int96_timestamps=True, row_group_size=2
    )
    file = ParquetInput("a", pa.OSFile(str(tmp_path / "a")), read_footer("a", str(tmp_path / "a")).schema)

    file.row_group(0, use_threads=False)
    with pytest.raises(DataError, match=r"input column 'at' has a time with nanoseconds.*\(row 3 of file a\)"):
        file.row_group(1, use_threads=False)
    with pytest.raises(DataError, match=r"\(row 3 of file a\)"):
        list(file.batches(3, [0, 1], use_threads=False))


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.time64("ns")),
        pa.list_(pa.time64("ns"), 1),
        pa.struct([("t", pa.time64("ns"))]),
        pa.map_(pa.string(), pa.time64("ns")),
        pa.list_(pa.struct([("t", pa.time64("ns"))])),
    ],
    ids=str,
)
def test_times_of_day_that_python_lacks_are_refused_inside_of_others(kind: pa.DataType) -> None:
    def column(time: int) -> pa.Array:
        item: Any = {"t": time} if "struct" in str(kind) else ("k", time) if pa.types.is_map(kind) else time
        return pa.array([item if pa.types.is_struct(kind) else [item], None], kind)

    assert "0, 0, 0, 1" in repr(given_to_model(column(1000)).tolist()[0])
    with pytest.raises(DataError, match=r"input column 'c' .* cannot be given to the model"):
        given_to_model(column(1001))
    with pytest.raises(DataError, match="cannot be stored"):
        to_table(list(column(1001)), 2, None)
    with pytest.raises(DataError, match="cannot be stored"):
        to_table({"y": column(1001)}, 2, Signature((), (Feature("y", "OBJECT"),)))


def test_text_that_is_none_and_zones_that_are_none_are_told_in_words() -> None:
    text = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    for column in (text, pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), text)):
        with pytest.raises(DataError, match="input column 'c' .* a text is not valid UTF-8; store it as bytes"):
            given_to_model(column)
    for kind in ("STRING", "OBJECT"):
        for nullable in (False, True):
            feature = Feature("c", kind, nullable=nullable)
            with pytest.raises(DataError, match=r"input column 'c' \(string\) .* a text is not valid UTF-8"):
                given_to_model(text, feature)
    with pytest.raises(DataError, match="there is no time zone 'Nowhere/City'"):
        given_to_model(pa.array([0], pa.timestamp("us", "Nowhere/City")))


def test_categories_inside_of_lists_are_read_across_row_groups(tmp_path: Path) -> None:
    lists = pa.array([["a", None], None, ["b"], ["c", "a"]], pa.list_(pa.dictionary(pa.int8(), pa.string())))
    pq.write_table(pa.table({"c": lists}), tmp_path / "a", row_group_size=2)
    file = ParquetInput("a", pa.OSFile(str(tmp_path / "a")), read_footer("a", str(tmp_path / "a")).schema)

    read = [one.column("c").to_pylist() for one in file.batches(10, [0, 1], use_threads=False)]

    assert [value for values in read for value in values] == lists.to_pylist()


def test_tensors_in_another_order_than_that_of_their_shape_are_refused() -> None:
    kind = pa.fixed_shape_tensor(pa.int64(), [2, 3], permutation=[1, 0])
    tensors = pa.ExtensionArray.from_storage(kind, pa.array([range(6)], kind.storage_type))
    table = pa.table({"T": tensors})
    for signature in (None, Signature((Feature("T", "INT64", shape=(6,)),), ())):
        with pytest.raises(DataError, match=r"input column 'T' .* another order of dimensions \(\[1, 0\]\)"):
            InputConverter(["T"], signature, "pandas")(table)
    with pytest.raises(DataError, match=r"output 'T' cannot be stored: its tensors are stored in another order"):
        to_table(table, 1, None)
    with pytest.raises(ValueError, match="another order"):
        converted(pa.chunked_array([tensors]), pa.list_(pa.int64()))

    plain = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int64(), [2, 3], permutation=[0, 1]), tensors.storage
    )
    assert to_table(pa.table({"T": plain}), 1, None).to_pydict() == {"T": [list(range(6))]}
    assert InputConverter(["T"], None, "arrow")(table).schema.field("T").type == kind


def test_what_extension_types_store_reaches_the_model() -> None:
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(8.0).reshape(2, 2, 2))
    identity = uuid.UUID(int=7)
    shape = pa.opaque(pa.binary(), "shape", "vendor")
    for column, expected in (
        (pa.array([1, 0], pa.int8()).cast(pa.bool8()), [1, 0]),
        (pa.ExtensionArray.from_storage(shape, pa.array([b"x", None])), [b"x", None]),
        (array([identity.bytes, None], pa.uuid()), [identity, None]),
    ):
        assert given_to_model(column).tolist() == expected
    if JSON is not None:
        assert given_to_model(pa.array(["{}", None], JSON)).dropna().tolist() == ["{}"]
    assert [one.tolist() for one in given_to_model(tensor)] == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]


def test_types_that_other_writers_name_in_the_file_are_known(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "d.parquet"
    duckdb.sql(f"COPY (SELECT uuid() AS u, '{{}}'::JSON AS j) TO '{path}' (FORMAT parquet)")

    schema = read_footer("d", str(path)).schema

    assert schema.types == [pa.uuid(), pa.json_()]
    assert isinstance(
        given_to_model(ParquetInput("d", pa.OSFile(str(path)), schema).row_group(0, use_threads=False)["u"])[0],
        uuid.UUID,
    )


# pyarrow before 19 has none.
JSON = pa.json_() if hasattr(pa, "json_") else None
CATEGORY = pa.dictionary(pa.int8(), pa.string())
JOINED = [
    ([CATEGORY, pa.string()], pa.string()),
    ([CATEGORY, pa.dictionary(pa.int8(), pa.string(), ordered=True)], CATEGORY),
    ([CATEGORY, pa.dictionary(pa.int16(), pa.large_string())], pa.dictionary(pa.int32(), pa.large_string())),
    ([pa.int32(), pa.decimal128(5, 3)], pa.decimal128(23, 3)),
    ([pa.int64(), pa.decimal128(38, 20)], pa.decimal128(38, 20)),
    ([pa.int64(), pa.uint64()], pa.decimal128(20, 0)),
    ([pa.int8(), pa.uint8()], pa.int16()),
    ([pa.int32(), pa.float32()], pa.float64()),
    ([pa.date32(), pa.timestamp("us")], pa.timestamp("us")),
    ([pa.date32(), pa.date64(), pa.timestamp("s")], pa.timestamp("ms")),
    ([pa.timestamp("ms", "UTC"), pa.timestamp("us", "Europe/Berlin")], pa.timestamp("us", "UTC")),
    ([pa.time32("ms"), pa.time64("ns")], pa.time64("ns")),
    *([([JSON, pa.string()], pa.string())] if JSON is not None else []),
    ([pa.uuid(), pa.binary(16)], pa.binary(16)),
    ([pa.list_(pa.int8(), 2), pa.list_(pa.float64())], pa.list_(pa.float64())),
    (
        [pa.struct([("a", pa.int8())]), pa.struct([("b", pa.string()), ("a", pa.int64())])],
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
    ),
    ([pa.map_(pa.string(), pa.int8()), pa.map_(pa.string(), pa.float64())], pa.map_(pa.string(), pa.float64())),
]  # fmt: skip


@pytest.mark.parametrize(("kinds", "expected"), JOINED, ids=str)
def test_types_have_one_common_type(kinds: list[pa.DataType], expected: pa.DataType) -> None:
    assert common_of(kinds) == expected
    if not pa.types.is_struct(expected):
        assert common_of(reversed(kinds)) == expected


@given(
    st.lists(st.sampled_from([kind for kinds, _ in JOINED[3:8] for kind in kinds] + [pa.null(), pa.float16()])),
    st.randoms(),
)
def test_the_common_type_of_numbers_does_not_depend_on_the_order(kinds: list[pa.DataType], random: Any) -> None:
    shuffled = list(kinds)
    random.shuffle(shuffled)

    assert common_of(kinds) == common_of(shuffled)


@pytest.mark.parametrize(
    "kinds", [[pa.string(), pa.int64()], [pa.timestamp("us"), pa.timestamp("us", "UTC")], [pa.bool_(), pa.int8()],
              [pa.list_(pa.int8()), pa.int8()], [pa.date32(), pa.time64("us")]], ids=str
)  # fmt: skip
def test_types_that_do_not_go_together(kinds: list[pa.DataType]) -> None:
    with pytest.raises(NoCommonType, match="have no common type"):
        common_of(kinds)


@settings(deadline=None, max_examples=100)
@given(
    data=st.data(),
    joined=st.sampled_from([(kind, wide) for kinds, wide in JOINED for kind in kinds if kind in SCALARS]),
)
def test_values_are_the_same_in_the_common_type_or_refused(data: st.DataObject, joined: tuple[Any, Any]) -> None:
    kind, wide = joined
    column = pa.chunked_array([array(data.draw(st.lists(values(kind), max_size=5)), kind)])
    try:
        found = converted(column, wide).to_pylist()
    except pa.ArrowException:
        return
    held = column.to_pylist()
    if pa.types.is_date(kind) and pa.types.is_timestamp(wide):
        found = [one if one is None else one.date() for one in found]
    if isinstance(kind, pa.UuidType):
        held = [one if one is None else one.bytes for one in held]
    assert all(one == other or one != one for one, other in zip(found, held, strict=True))


def test_a_value_that_the_common_type_lacks_is_named(tmp_path: Path) -> None:
    late = pa.table({"at": pa.array([None, datetime.datetime(9999, 1, 1)], pa.timestamp("us"))})

    with pytest.raises(schemas.Misfit, match=r"column 'at' is timestamp\[ns\] for all rows") as caught:
        schemas.fit(late, pa.schema([("at", pa.timestamp("ns"))]))

    assert caught.value.row == 1


def test_objects_with_fields_of_one_name_are_refused() -> None:
    twice = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])

    with pytest.raises(DataError, match="an object has fields of the same name"):
        given_to_model(twice)
