"""What models return, and the types it is stored in.

Also tests ``worker/scoring/storable_arrays.py``, ``worker/values/python_values.py``, ``worker/values/schemas.py``,
``worker/values/tensors.py``.
"""

from __future__ import annotations

import array
import dataclasses
import datetime
import enum
import functools
import io
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.scoring.results import ListHabit, OtherOrder, to_table
from airflow_provider_snowflake_batch.worker.scoring.returned_copies import owned
from airflow_provider_snowflake_batch.worker.values import schemas
from tests.worker.batches import Batch
from tests.worker.in_process import score
from tests.worker.scoring.tensors import Tensor

NAN = float("nan")
DAY = datetime.date(2020, 1, 1)


def signature(*outputs: Feature) -> Signature:
    return Signature((), outputs)


class Arrow:
    """A frame of another library, by Arrow's C interface."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


class BrainFloat(Tensor):
    """A tensor of a type that numpy lacks."""

    def numpy(self) -> Any:
        raise TypeError("Got unsupported ScalarType BFloat16")

    def float(self) -> Tensor:
        return Tensor(self._values)


@dataclasses.dataclass
class Point:
    x: int


class Mood(enum.Enum):
    GOOD = "good"


RANGE = {"left": 0, "right": 2, "closed": "right"}


MASKED: Any = np.ma.masked_array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]])
UUID = uuid.UUID(int=7)
UUIDS = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID.bytes, None], pa.binary(16)))


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ([{0: 0.5, 1: 0.25}, {0: 1.0}], {"0": [0.5, 1.0], "1": [0.25, None]}),
        ([None, {"a": 1}], {"a": [None, 1]}),
        ([{}, {}], {"output_feature_0": [None, None]}),
        ({"a": MASKED}, {"a": [[1, None], [3, 4]]}),
        (Arrow(pa.table({"a": [1, 2]})), {"a": [1, 2]}),
        (Arrow(pa.chunked_array([[1, 2]])), {"output_feature_0": [1, 2]}),
        (BrainFloat(np.array([1.5, 2.5])), {"output_feature_0": [1.5, 2.5]}),
        ([Point(1), Point(2)], {"output_feature_0": [{"x": 1}, {"x": 2}]}),
        ({Mood.GOOD: [{Mood.GOOD: 1}, None]}, {"good": [{"good": 1}, None]}),
        ([{Mood.GOOD: 1}, {}], {"good": [1, None]}),
        (pd.cut(pd.Series([1, None]), [0, 2, 4]), {"output_feature_0": [RANGE, None]}),
        ([pd.Interval(0, 2), np.nan], {"output_feature_0": [RANGE, None]}),
        (
            pd.Series(pd.Categorical([pd.Period("2020-01"), None])),
            {"output_feature_0": ["2020-01", None]},
        ),
        ([Mood.GOOD, UUID], {"output_feature_0": ["good", str(UUID)]}),
        ([pa.scalar(1), pa.scalar(None)], {"output_feature_0": [1, None]}),
        (pd.Series(pd.period_range("2020-01", periods=2, freq="M")), {"output_feature_0": ["2020-01", "2020-02"]}),
        (pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])}), {"a": [0, 1]}),
        (pd.Index([3, 4]), {"output_feature_0": [3, 4]}),
        (np.array(["2020-01-01T01", "NaT"], "M8[h]"), {"output_feature_0": [datetime.datetime(2020, 1, 1, 1), None]}),
        (pa.table({"a": pa.RunEndEncodedArray.from_arrays([2], [5])}), {"a": [5, 5]}),
        (
            pa.table({"a": pa.array([["x"], ["y"]], pa.list_(pa.dictionary(pa.int8(), pa.string())))}),
            {"a": [["x"], ["y"]]},
        ),
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), {"a": [1, 2], "b": ["x", None]}),
        (pd.DataFrame([[1, 2.5], [3, 4.5]]), {"output_feature_0": [1, 3], "output_feature_1": [2.5, 4.5]}),
        (pd.Series([1, 2], name="s", index=[7, 9]), {"s": [1, 2]}),
        (pd.Series([1, 2]), {"output_feature_0": [1, 2]}),
        (np.array([1, 2]), {"output_feature_0": [1, 2]}),
        (np.array([[1, 2], [3, 4]]), {"output_feature_0": [1, 3], "output_feature_1": [2, 4]}),
        (np.zeros((2, 1, 2, 2), np.uint8), {"output_feature_0": [[[0, 0], [0, 0]]] * 2}),
        (np.array([(1, 2.0), (3, 4.0)], dtype=[("p", "i4"), ("q", "f4")]), {"p": [1, 3], "q": [2.0, 4.0]}),
        (
            (np.array([1, 2]), np.array([[1, 2], [3, 4]])),
            {"output_feature_0": [1, 2], "output_feature_1": [[1, 2], [3, 4]]},
        ),
        ([np.array([1.0, 2.0, 3.0]), np.array([4.0])], {"output_feature_0": [[1.0, 2.0, 3.0], [4.0]]}),
        ({"a": np.array([[1, 2], [3, 4]]), "b": [None, {"k": [1]}]}, {"a": [[1, 2], [3, 4]], "b": [None, {"k": [1]}]}),
        ([{"a": 1}, {"b": "x"}], {"a": [1, None], "b": [None, "x"]}),
        (["x", "y"], {"output_feature_0": ["x", "y"]}),
        ([b"x", None], {"output_feature_0": [b"x", None]}),
        (iter([1, 2]), {"output_feature_0": [1, 2]}),
        (Tensor(np.array([1.5, 2.5])), {"output_feature_0": [1.5, 2.5]}),
        ({"t": Tensor(np.array([[1], [2]]))}, {"t": [[1], [2]]}),
        (pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}), {"a": [1, None]}),
        (pd.DataFrame({"a": pd.Categorical(["x", "y"])}), {"a": ["x", "y"]}),
        (pd.DataFrame({"a": [np.array([[1, 2]]), np.array([[3]])]}), {"a": [[[1, 2]], [[3]]]}),
        (pa.table({"a": [1, 2]}), {"a": [1, 2]}),
        ([pa.record_batch({"a": [1]}), pa.record_batch({"a": [0.5]})], {"a": [1.0, 0.5]}),
        ((pa.table({"a": [x]}) for x in "xy"), {"a": ["x", "y"]}),
        ([pa.record_batch({"a": [1, 2]})], {"a": [1, 2]}),
        ([pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [None]})], {"a": [1, None]}),
        ([Arrow(pa.table({"a": [1]})), pa.table({"a": [2]})], {"a": [1, 2]}),
        (pa.table({"a": [1, 2]}).to_reader(), {"a": [1, 2]}),
        ((pd.Series([1, 2]), pa.array(["x", "y"])), {"output_feature_0": [1, 2], "output_feature_1": ["x", "y"]}),
        (([1, 2], ["x", "y"]), {"output_feature_0": [1, 2], "output_feature_1": ["x", "y"]}),
        (([1, 2], np.array([0.5, 1.5])), {"output_feature_0": [1, 2], "output_feature_1": [0.5, 1.5]}),
        (([1], [2]), {"output_feature_0": [[1], [2]]}),
        ([pa.array([1]), pa.array([2, 3])], {"output_feature_0": [[1], [2, 3]]}),
        (pa.table({"a": UUIDS}), {"a": [str(UUID), None]}),
        ({"a": pa.ListArray.from_arrays([0, 1, 2], UUIDS)}, {"a": [[str(UUID)], [None]]}),
        (pd.Series([UUID, None]), {"output_feature_0": [str(UUID), None]}),
        ([memoryview(np.array([1.5])), memoryview(np.array([2, 3]))], {"output_feature_0": [[1.5], [2.0, 3.0]]}),
        ([memoryview(b"a"), b"c"], {"output_feature_0": [b"a", b"c"]}),
        ({"y": [array.array("q", [2**53 + 1]), None]}, {"y": [[2**53 + 1], None]}),
        (pd.MultiIndex.from_tuples([(1, 2), (3, 4)]), {"output_feature_0": [[1, 2], [3, 4]]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_forms(returned: Any, expected: dict[str, list[Any]]) -> None:
    assert to_table(returned, 2, None).to_pydict() == expected


def _of_pydantic(inner: Any) -> Any:
    pydantic = pytest.importorskip("pydantic")
    return pydantic.create_model("Spot", x=(Any, ...), mood=(Mood, Mood.GOOD))(x=inner)


def _of_attrs(inner: Any) -> Any:
    return pytest.importorskip("attrs").make_class("Spot", {"x": pytest.importorskip("attrs").field()})(inner)


def _of_msgspec(inner: Any) -> Any:
    return pytest.importorskip("msgspec").defstruct("Spot", ["x"])(inner)


@pytest.mark.parametrize(
    ("make", "more"), [(_of_pydantic, {"mood": "good"}), (_of_attrs, {}), (_of_msgspec, {}), (Point, {})]
)
def test_objects_of_a_class_with_fields(make: Callable[[Any], Any], more: dict[str, Any]) -> None:
    inner = {"x": 7} | more
    assert to_table([make(7), None], 2, None).to_pydict() == {"output_feature_0": [inner, None]}
    assert to_table({"a": [[make(make(7))], []]}, 2, None).to_pydict() == {"a": [[{"x": inner} | more], []]}


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.array([1]), "returned 1 rows for 2 rows given"),
        (pd.DataFrame({"a": [1, 2, 3]}), "returned 3 rows for 2 rows given"),
        ({"a": [1, 2], "b": [1]}, r"returned 1 rows for 2 rows given \(output 'b'\)"),
        ([], "returned 0 rows for 2 rows given"),
        (pd.DataFrame(index=range(2)), "returned no column"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "columns of the same name: a"),
        (None, "returned NoneType, which holds no rows"),
        ("text", "returned str, which holds no rows"),
        (5, "returned int, which holds no rows"),
        (np.float64(5), "holds no rows"),
        ({"a": 5}, "returned int where a column was expected"),
        ([1, "x"], "output 'output_feature_0' cannot be stored"),
        ([object(), object()], "output 'output_feature_0' cannot be stored"),
        (np.array([1j, 2j]), "files have no type for complex128; return its parts"),
        ([{Mood.GOOD: 1, "good": 2}] * 2, "columns of the same name: good"),
        ((), "returned 0 rows for 2 rows given"),
        ([pa.table({"a": [1, 2]})] * 2, "returned 4 rows for 2 rows given, in 2 frames one below the other"),
        ([pa.table({"a": [1]}), pa.table({"b": [1]})], "returned frames of different columns: a and b"),
        ([pa.table({"a": [1]}), 5], "returned a list of frames and other things"),
    ],
)
def test_what_is_no_result_is_named(returned: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_table(returned, 2, None)


def test_the_signature_decides_names_and_types() -> None:
    wanted = signature(
        Feature("label", "INT32"),
        Feature("score", "DOUBLE"),
        Feature("extra", "OBJECT"),
        Feature("when", "TIMESTAMP_NTZ"),
        Feature("box", "FLOAT", shape=(2,)),
    )
    returned = pd.DataFrame(
        {
            "LABEL": [1.0, np.nan],
            "score": [1, 2],
            "extra": [{"a": [1, np.float64(2)]}, None],
            "when": [datetime.datetime(2024, 1, 1), pd.NaT],
            "box": [np.array([1, 2]), [3.5, None]],
            "more": pd.Series(["x", "y"], dtype=object),
        }
    )

    table = to_table(returned, 2, wanted)

    assert table.schema == pa.schema(
        [
            ("label", pa.int32()),
            ("score", pa.float64()),
            ("extra", pa.string()),
            ("when", pa.timestamp("ns")),
            ("box", pa.list_(pa.float32())),
            ("more", pa.string()),
        ]
    )
    assert table["label"].to_pylist() == [1, None]
    assert table["extra"].to_pylist() == ['{"a": [1, 2.0]}', None]
    assert table["box"].to_pylist() == [[1.0, 2.0], [3.5, None]]


def test_unnamed_outputs_take_the_names_of_the_signature() -> None:
    table = to_table(np.array([[1, 2], [3, 4]]), 2, signature(Feature("p", "INT64"), Feature("q", "INT64")))

    assert table.to_pydict() == {"p": [1, 3], "q": [2, 4]}


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"other": [1, 2]}, "did not return the output 'label' of its signature; it returned other"),
        ({"label": [1.5, 2.0]}, "output 'label' cannot be stored as int32, the type its signature states"),
        ({"label": ["x", "y"]}, "output 'label' cannot be stored as int32"),
        ({"label": [2**40, 1]}, "output 'label' cannot be stored as int32"),
    ],
)
def test_what_does_not_fit_the_signature_is_named(returned: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_table(returned, 2, signature(Feature("label", "INT32")))


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([Decimal("1E3"), None], pa.decimal128(3, -3)), pa.decimal128(6, 0)),
        (pa.array([Decimal("1E3"), None], pa.decimal128(37, -3)), pa.decimal256(40, 0)),
        (pa.array([[], None], pa.list_(pa.int64(), 0)), pa.list_(pa.int64())),
        (
            pa.array([{"a": []}, None], pa.struct([("a", pa.list_(pa.int64(), 0))])),
            pa.struct([("a", pa.list_(pa.int64()))]),
        ),
    ],
    ids=str,
)
def test_types_of_arrow_that_files_cannot_give_back(array: pa.Array, kind: pa.DataType) -> None:
    table = to_table({"a": array}, 2, None)
    file = io.BytesIO()
    pq.write_table(table, file)

    assert table.schema.field("a").type == kind
    assert pq.read_table(file)["a"].to_pylist() == array.to_pylist()


@pytest.mark.parametrize(
    ("values", "view", "kind"), [(["b", "a"], pa.string_view(), pa.string()), ([b"b"], pa.binary_view(), pa.binary())]
)
def test_categories_of_views_are_their_values(values: list[Any], view: pa.DataType, kind: pa.DataType) -> None:
    """As Polars has its Enum and its Categorical."""
    categories = pa.DictionaryArray.from_arrays(pa.array([0, None, 0], pa.uint8()), pa.array(values, view))
    expected = [values[0], None, values[0]]

    table = to_table(pa.table({"a": categories, "list": pa.ListArray.from_arrays([0, 1, 2, 3], categories)}), 3, None)
    assert table.schema.types == [kind, pa.list_(kind)]
    assert table.to_pydict() == {"a": expected, "list": [[one] for one in expected]}
    declared = Feature("a", "STRING" if kind == pa.string() else "BYTES")
    assert to_table({"a": categories}, 3, signature(declared)).to_pydict() == {"a": expected}


def test_columns_of_another_library_are_outputs_or_rows() -> None:
    whole, texts, one = (Arrow(pa.chunked_array([items])) for items in ([1, 2, 3], ["a", "b", "c"], [4]))

    outputs = {"output_feature_0": [1, 2, 3], "output_feature_1": ["a", "b", "c"]}
    assert to_table((whole, texts), 3, None).to_pydict() == outputs
    assert to_table([whole, texts], 3, None).to_pydict() == outputs
    assert to_table([whole, None, one], 3, None).to_pydict() == {"output_feature_0": [[1, 2, 3], None, [4]]}
    assert to_table({"Y": [whole, None, one]}, 3, None).to_pydict() == {"Y": [[1, 2, 3], None, [4]]}


class OtherFrame:
    """A frame of a library that offers nothing but NumPy's protocol, which makes numbers of one type of all columns."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.columns, self.dtypes, self.index, self._frame = frame.columns, frame.dtypes, frame.index, frame

    def __getitem__(self, name: str) -> Any:
        return self._frame[name]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._frame.to_numpy()


class Convertible(OtherFrame):
    def to_pandas(self) -> pd.DataFrame:
        return self._frame


class Lazy(OtherFrame):
    def __dask_graph__(self) -> None: ...

    def compute(self) -> pd.DataFrame:
        return self._frame


@pytest.mark.parametrize("kind", [OtherFrame, Convertible, Lazy])
def test_frames_of_another_library_keep_their_columns(kind: type[OtherFrame]) -> None:
    columns = {"i": [2**53 + 1, 2], "f": [0.5, 1.5], "t": ["a", None]}
    frame = kind(pd.DataFrame(columns))

    assert to_table(owned(frame)[0], 2, None).to_pydict() == columns
    assert to_table(frame, 2, None).to_pydict() == columns
    assert to_table([frame, frame], 4, None).to_pydict() == {name: 2 * items for name, items in columns.items()}
    with pytest.raises(OtherOrder):
        to_table(owned(kind(pd.DataFrame(columns).sort_values("i")))[0], 2, None)
    with pytest.raises(DataError, match="same name"):
        to_table(kind(pd.DataFrame([[1, 2]], columns=["a", "a"])), 1, None)


class Ragged:
    """An array that NumPy cannot have, as those of awkward: lists of different lengths, numbers beside None."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise ValueError("subarray lengths are not regular")

    def to_list(self) -> list[Any]:
        return self._items


@pytest.mark.parametrize("items", [[[1, 2], [], None], [2**53 + 1, None, 1]])
def test_arrays_that_numpy_cannot_have_are_lists(items: list[Any]) -> None:
    for returned in (Ragged(items), {"output_feature_0": Ragged(items)}):
        assert to_table(owned(returned)[0], 3, None).to_pydict() == {"output_feature_0": items}


class Exported:
    """A frame that speaks Arrow, and has its types in a series, as cuDF's have."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame, self.dtypes = frame, frame.dtypes

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.Table.from_pandas(self._frame).__arrow_c_stream__(requested_schema)


def test_frames_that_speak_arrow_may_have_their_types_in_a_series() -> None:
    frame = pd.DataFrame({"A": [2**53 + 1, 2], "B": ["x", "y"]})
    assert to_table(owned(Exported(frame))[0], 2, None).to_pydict() == frame.to_dict("list")


def test_python_objects_of_polars_are_refused() -> None:
    """Its Arrow columns of them hold the addresses of objects."""
    polars = pytest.importorskip("polars")
    column = polars.Series("y", [object(), object()])
    for returned in (column, polars.DataFrame([column]), {"y": column}):
        with pytest.raises(DataError, match="Python's objects"):
            to_table(owned(returned)[0], 2, None)


class _Extension(pa.ExtensionType):
    """A type over bytes, by another library's name for it."""

    def __init__(self, name: str, about: bytes) -> None:
        self._about = about
        super().__init__(pa.binary(), name)

    def __arrow_ext_serialize__(self) -> bytes:
        return self._about


@pytest.mark.parametrize(
    ("name", "about", "pickles"),
    [
        ("daft.super_extension", b'{"datatype":"Python","daft_version":"0.7.26"}', True),
        ("daft.super_extension", b'{"datatype":{"List":"Python"},"daft_version":"0.7.26"}', True),
        ("daft.super_extension", b'{"datatype":"Uuid","daft_version":"0.7.26"}', False),
        ("ray.data.arrow_pickled_object", b"", True),
    ],
)
def test_pickled_objects_of_other_libraries_are_refused(name: str, about: bytes, pickles: bool) -> None:
    """Daft pickles what it has no type for, categories among them, and Ray Data what Arrow has none for."""
    column = pa.ExtensionArray.from_storage(_Extension(name, about), pa.array([b"\x80\x04N.", None]))
    inside = pa.ListArray.from_arrays([0, 1, 2], column)
    if not pickles:
        assert to_table(pa.table({"y": column}), 2, None).to_pydict() == {"y": [b"\x80\x04N.", None]}
        return
    for returned in (pa.table({"y": column}), {"y": column}, pa.table({"y": inside})):
        with pytest.raises(DataError, match="y.*pickled Python objects; return them in one of Arrow's types"):
            to_table(owned(returned)[0], 2, None)


TYPES = [
    pa.null(), pa.int8(), pa.int64(), pa.float32(), pa.float64(),
    pa.list_(pa.null()), pa.list_(pa.int32()), pa.list_(pa.float64()),
]  # fmt: skip


@given(st.lists(st.sampled_from(TYPES[:5]), min_size=1, max_size=5), st.randoms())
def test_the_joint_schema_does_not_depend_on_the_order(kinds: list[pa.DataType], random: Any) -> None:
    def joined(order: list[pa.DataType]) -> pa.DataType:
        schema = pa.schema([("a", order[0])])
        for kind in order[1:]:
            schema = schemas.join(schema, pa.schema([("a", kind)]))
        return schema.field("a").type

    shuffled = list(kinds)
    random.shuffle(shuffled)

    assert joined(kinds) == joined(shuffled)


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_an_output_is_spelled_alike_for_all_rows(rows: int) -> None:
    """Otherwise there would be two columns with gaps, which are one where case makes no difference."""
    spelled = [{"Score": 1}, {"Score": 2}, {"SCORE": 3}, {"SCORE": 4}]
    with pytest.raises(DataError, match="'(Score|SCORE)'.*'(Score|SCORE)': name it alike in all"):
        functools.reduce(
            schemas.join, (to_table(spelled[at : at + rows], rows, None).schema for at in range(0, 4, rows))
        )

    both = [{"Y": 1, "y": 2}, {"Y": 3}]
    assert to_table(both, 2, None).to_pydict() == {"Y": [1, 3], "y": [2, None]}


def test_types_that_do_not_go_together_are_named() -> None:
    with pytest.raises(DataError, match="different types for different batches: column 'a': string and int64"):
        schemas.join(pa.schema([("a", pa.string())]), pa.schema([("a", pa.int64())]))
    with pytest.raises(DataError, match=r"have no common type \(rows 3–5 of file a.parquet\)$"):
        schemas.join(pa.schema([("a", pa.string())]), pa.schema([("a", pa.int64())]), "rows 3–5 of file a.parquet")
    with pytest.raises(schemas.Misfit, match="column 'a' is double for all rows, and a value cannot be had") as caught:
        schemas.fit(pa.table({"a": [1, 2, 2**60 + 1, 2**61 + 1]}), pa.schema([("a", pa.float64())]))
    assert caught.value.row == 2


def test_nested_types_join_and_fit() -> None:
    narrow = pa.table({"a": [[{"x": 1}]], "b": [None]})
    wide = pa.schema([("a", pa.list_(pa.struct([("x", pa.float64()), ("y", pa.string())]))), ("b", pa.int64())])

    assert schemas.join(narrow.schema, wide) == wide
    assert schemas.fit(narrow, wide).to_pydict() == {"a": [[{"x": 1.0, "y": None}]], "b": [None]}


@pytest.mark.parametrize("outer", [lambda value: value, lambda value: [value], lambda value: {"a": [value, None]}])
@pytest.mark.parametrize("other", ["x", True, b"x", Decimal("1.25"), DAY, {"b": 1}, [1]], ids=repr)
def test_nan_alone_in_a_batch_is_missing_where_other_batches_have_no_numbers(
    outer: Callable[[Any], Any], other: Any
) -> None:
    nan, known = ([{"y": outer(value)}] for value in (NAN, other))
    expected = to_table([{"y": outer(None)}, *known], 2, None)["y"].to_pylist()
    for order in ((nan, known), (known, nan), (nan, nan, known)):
        tables = [to_table(batch, 1, None) for batch in order]
        schema: pa.Schema = functools.reduce(schemas.join, (table.schema for table in tables))

        found = pa.concat_tables([schemas.fit(table, schema) for table in tables])["y"].to_pylist()

        assert sorted(found, key=repr) == sorted([expected[0]] * (len(order) - 1) + expected[1:], key=repr)


@pytest.mark.parametrize("kind", [pa.string(), pa.date32(), pa.bool_(), pa.list_(pa.string())], ids=str)
def test_what_is_null_beside_nan_alone_is_null_where_other_batches_have_no_numbers(kind: pa.DataType) -> None:
    parts = [pa.array(items, pa.float64()) for items in ([NAN], [None, None], [], [None, NAN])]
    fitted = schemas.fit(pa.table({"y": pa.chunked_array(parts)}), pa.schema([("y", kind)]))
    assert fitted.to_pydict() == {"y": [None] * 5}


def test_nan_beside_numbers_of_other_batches_stays_and_no_file_has_marks() -> None:
    batches = [[{"y": {"a": NAN}}], [{"y": {"a": NAN}}], [{"y": {"a": 1}}], [{"y": {"a": "x"}}]]
    nan, again, number, text = (to_table(batch, 1, None).schema for batch in batches)
    schema = schemas.join(schemas.join(nan, again), number)

    assert schema.field("y").type == pa.struct([("a", pa.float64())])
    assert not schemas.unmarked(nan).equals(nan, check_metadata=True)
    assert schemas.unmarked(nan).equals(schemas.unmarked(schema), check_metadata=True)
    with pytest.raises(DataError, match="column 'y': column 'a': double and string have no common type"):
        schemas.join(schema, text)


def test_frames_one_below_the_other_are_marked_as_one() -> None:
    whole = to_table([pd.DataFrame({"y": [NAN]}), pd.DataFrame({"y": [0.5]})], 2, None)

    assert schemas.join(whole.schema, pa.schema([("y", pa.decimal128(5, 2))])).types == [pa.float64()]


def test_a_list_of_arrays_means_the_same_in_every_batch() -> None:
    """As many arrays as rows can be one a row or one an output: batches that can be only one of them tell."""
    outputs, rows = ListHabit(), ListHabit()
    for habit, first in ((outputs, [np.arange(3.0), np.arange(3.0)]), (rows, [np.arange(2.0)] * 3)):
        to_table(first, 3, None, habit)
    square = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]

    assert to_table(square, 2, None, outputs).to_pydict() == {"output_feature_0": [1, 2], "output_feature_1": [3, 4]}
    assert to_table(square, 2, None, rows).to_pydict() == {"output_feature_0": [[1, 2], [3, 4]]}
    two = signature(Feature("A", "DOUBLE"), Feature("B", "DOUBLE"))
    assert to_table(square, 2, two).to_pydict() == {"A": [1, 2], "B": [3, 4]}
    one = signature(Feature("V", "DOUBLE", (-1,)))
    assert to_table(square, 2, one).to_pydict() == {"V": [[1, 2], [3, 4]]}


@pytest.mark.parametrize("rows", [2, 3, 5])
@pytest.mark.parametrize("inference", [{}, {"max_batch_rows": 2}, {"on_error": "quarantine"}], ids=str)
@pytest.mark.parametrize("one_a_row", [False, True])
def test_as_many_arrays_as_rows_are_told_by_fewer_rows(
    batch: Batch, rows: int, inference: dict[str, Any], one_a_row: bool
) -> None:
    batch.rows({"ID": list(range(rows))})
    calls = []

    def model(frame: pd.DataFrame) -> Any:
        calls.append(len(frame))
        values = frame["ID"].to_numpy()[:, None] + np.arange(rows) / 8
        return list(values if one_a_row else values.T)

    score(batch.job(inference=inference), LoadedModel(model))

    written = batch.result()
    expected = [[row + column / 8 for column in range(rows)] for row in range(rows)]
    if one_a_row:
        assert written["output_feature_0"].to_pylist() == expected
    else:
        assert [list(row.values())[1:] for row in written.to_pylist()] == expected
    assert len(calls) <= 3 + rows // 2


@pytest.mark.parametrize("inference", [{}, {"on_error": "quarantine"}, {"max_batch_rows": 2}], ids=str)
@pytest.mark.parametrize("width", [None, 1, 3])
@pytest.mark.parametrize("one_a_row", [False, True])
def test_a_list_of_one_array_for_a_single_row_is_told_by_the_row_twice(
    batch: Batch, inference: dict[str, Any], width: int | None, one_a_row: bool
) -> None:
    batch.rows({"ID": [5]})

    def model(frame: pd.DataFrame) -> Any:
        values = frame["ID"].to_numpy() / 8
        if width is not None:
            values = values[:, None].repeat(width, axis=1)
        if not one_a_row:
            return [values]
        return [np.array([value]) for value in values]

    score(batch.job(inference=inference), LoadedModel(model))

    output: Any = 0.625 if width is None else [0.625] * width
    assert batch.result().to_pydict() == {"ID": [5], "output_feature_0": [[output] if one_a_row else output]}


def only_one(frame: pd.DataFrame) -> Any:
    (value,) = frame["ID"]
    return [np.array([value / 8])]


@pytest.mark.parametrize(
    ("model", "inference"),
    [(only_one, {}), (lambda frame: [frame["ID"].to_numpy() / 8], {"max_batch_rows": 1})],
    ids=["takes one row", "is given one row"],
)
def test_a_list_of_one_array_that_nothing_tells_of_is_refused(
    batch: Batch, model: Any, inference: dict[str, Any]
) -> None:
    batch.rows({"ID": [5]})

    with pytest.raises(DataError, match=r"a list of one array of one value for one row.* return a dict of outputs"):
        score(batch.job(inference=inference), LoadedModel(model))


@pytest.mark.parametrize(
    ("shape", "array", "value"),
    [
        (None, [1.5], 1.5),
        ((-1,), [[1.5, 2.5]], [1.5, 2.5]),
        ((2,), [[1.5, 2.5]], [1.5, 2.5]),
        ((-1,), [1.5, 2.5], [1.5, 2.5]),
        ((-1,), [1.5], [1.5]),
    ],
)
def test_a_signature_tells_what_a_list_of_one_array_for_a_single_row_is(
    shape: tuple[int, ...] | None, array: list[Any], value: Any
) -> None:
    stated = signature(Feature("Y", "DOUBLE", shape))
    assert to_table([np.array(array)], 1, stated).to_pydict() == {"Y": [value]}


def test_an_array_that_the_type_of_the_others_lacks_is_named() -> None:
    arrays = [np.array([0.5]), np.array([1]), np.array([2.5]), np.array([2**53 + 1])]

    with pytest.raises(DataError, match="output column 'Y' is list<item: double> for all rows") as raised:
        to_table({"Y": arrays}, 4, None)

    assert getattr(raised.value, "row", None) == 3


TURNED = pd.DataFrame({"Y": [3, 2, 1, 0]}, index=[3, 2, 1, 0])


@pytest.mark.parametrize(
    "returned",
    [
        TURNED,
        TURNED["Y"],
        {"X": [1, 2, 3, 4], "Y": TURNED["Y"]},
        pd.DataFrame({"Y": range(4)})[::-1],
        pd.concat([TURNED[:1], TURNED[1:]]),
        pd.concat([pd.DataFrame(columns=["Y"]), TURNED]),
        [TURNED[:3], TURNED[3:]],
        (frame for frame in (TURNED[:3], TURNED[3:])),
        (TURNED["Y"], TURNED["Y"]),
    ],
    ids=[
        "frame",
        "series",
        "dict",
        "turned",
        "concat",
        "concat with nothing",
        "list of frames",
        "generator of frames",
        "outputs",
    ],
)
def test_rows_in_another_order_are_not_taken_by_their_places(returned: Any) -> None:
    with pytest.raises(DataError, match=r"in another order than it was given them.* end with .sort_index\(\)"):
        to_table(returned, 4, None)


GROUPED = pd.DataFrame({"k": list("baba"), "l": [1, 1, 2, 2], "Y": [0.0, 1.0, 2.0, 3.0]})
BY_GROUP: dict[str, Callable[[], Any]] = {
    "rolling": lambda: GROUPED.groupby("k")["Y"].rolling(1).sum(),
    "expanding": lambda: GROUPED.groupby("k")[["Y"]].expanding().sum(),
    "apply": lambda: GROUPED.groupby("k")[["Y"]].apply(lambda rows: rows),
    "keys without a name": lambda: GROUPED[["Y"]].groupby(np.array([1, 0, 1, 0])).apply(lambda rows: rows),
    "concat with keys": lambda: pd.concat({k: rows[["Y"]] for k, rows in GROUPED.groupby("k")}),
    "dict": lambda: {"Y": GROUPED.groupby("k")["Y"].rolling(1).sum()},
    "in pieces": lambda: [rows for _, rows in GROUPED.groupby("k")[["Y"]].rolling(1).sum().groupby(level=0)],
}


@pytest.mark.parametrize("form", BY_GROUP)
def test_rows_that_pandas_returns_group_by_group_are_not_taken_by_their_places(form: str) -> None:
    with pytest.raises(OtherOrder, match=r"in another order .* end with \.droplevel\(\[0\]\)\.sort_index\(\)"):
        to_table(BY_GROUP[form](), 4, None)


def test_groups_of_several_keys_end_with_what_the_error_says_or_lie_in_the_rows_order() -> None:
    sums = GROUPED.groupby(["k", "l"])["Y"].rolling(1).sum()
    with pytest.raises(OtherOrder, match=r"\.droplevel\(\[0, 1\]\)\.sort_index\(\)"):
        to_table(sums, 4, None)
    assert to_table(sums.droplevel([0, 1]).sort_index(), 4, None).to_pydict() == {"Y": [0.0, 1.0, 2.0, 3.0]}
    in_order = GROUPED.sort_values("k", ignore_index=True).groupby("k")["Y"].rolling(1).sum()
    assert to_table(in_order, 4, None).to_pydict() == {"Y": [1.0, 3.0, 0.0, 2.0]}


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(4),
        pd.Index([0, 1, 2, 3]),
        pd.Index([3, 2, 1, 9]),
        pd.Index([1, 1, 0, 2]),
        pd.Index([3, 2, 1, 0], name="ID"),
        pd.Index(["b", "a", "c", "d"]),
        pd.Index([3.0, 2.0, 1.0, 0.0]),
        pd.MultiIndex.from_tuples([(1, 0), (0, 0), (2, 0), (3, 0)]),
        pd.date_range("2026-01-01", periods=4)[::-1],
    ],
)
def test_an_index_of_the_models_own_says_nothing_of_the_order(index: pd.Index) -> None:
    habit = ListHabit()
    for returned in (pd.DataFrame({"Y": [0, 1, 2, 3]}, index=index), pd.Series([0, 1, 2, 3], index, name="Y")):
        assert to_table(returned, 4, None, habit).to_pydict() == {"Y": [0, 1, 2, 3]}

    # Neighbours, found by a model in rows of its own, may be the first few by chance.
    habit.own_index = True
    assert to_table(TURNED, 4, None, habit).to_pydict() == {"Y": [3, 2, 1, 0]}


def test_rows_that_have_labels_are_taken_by_these() -> None:
    rows = [pd.Series([1, 2], ["a", "b"]), None, pd.Series([3, 4], ["b", "a"]), pd.Series(["x"], ["c"])]
    expected = [{"a": 1, "b": 2, "c": None}, None, {"a": 4, "b": 3, "c": None}, {"a": None, "b": None, "c": "x"}]
    for returned in (rows, iter(rows), {"output_feature_0": rows}, pd.Series(rows, name="output_feature_0")):
        assert to_table(returned, 4, None).to_pydict() == {"output_feature_0": expected}
    # Outputs are columns, whatever labels the model has for their rows.
    outputs = [pd.Series(values, ["r", "s", "t"]) for values in ([1, 2, 3], [4, 5, 6])]
    assert to_table(outputs, 3, None).to_pydict() == {"output_feature_0": [1, 2, 3], "output_feature_1": [4, 5, 6]}


LABELLED = [pd.Series([1, 2, 3], list("abc")), pd.Series([6, 5, 4], list("cba"))]


@pytest.mark.parametrize("rows", [3, None])
@pytest.mark.parametrize(
    "returned",
    [
        tuple(LABELLED),
        dict(zip("yz", LABELLED, strict=True)),
        {"x": [7, 8, 9], "y": LABELLED[0], "same": LABELLED[0].copy(), "z": LABELLED[1]},
        tuple(one.reset_index().set_index(["index", 0]).index.to_series() for one in [LABELLED[0], LABELLED[0][::-1]]),
        (LABELLED[0].set_axis(list("aab")), LABELLED[1].set_axis(list("baa"))),
        (LABELLED[0].set_axis([7, 8, 9]), LABELLED[1].set_axis([9, 8, 7])),
    ],
    ids=["tuple", "dict", "third", "several levels", "labels twice", "numbers"],
)
def test_outputs_with_the_same_labels_in_other_orders_are_not_put_side_by_side(returned: Any, rows: int | None) -> None:
    with pytest.raises(OtherOrder, match="have the same index in different orders, .* return them as one frame"):
        to_table(returned, rows, None)


def test_a_list_of_outputs_with_labels_in_other_orders_is_refused_where_it_is_known_to_be_one() -> None:
    with pytest.raises(OtherOrder, match="'output_feature_0' and 'output_feature_1' have the same index"):
        to_table(LABELLED, 3, None)
    square = [LABELLED[0][:2], LABELLED[0][:2][::-1]]
    with pytest.raises(OtherOrder, match="have the same index in different orders"):
        to_table(square, 2, None, ListHabit(per_output=True))
    # As rows, their labels are those of their own values.
    rows = to_table(square, 2, None, ListHabit(per_output=False))
    assert rows.to_pydict() == {"output_feature_0": [{"a": 1, "b": 2}] * 2}


@pytest.mark.parametrize("other", [list("abc"), list("xyz"), list("abz"), range(3)], ids=str)
def test_outputs_with_the_same_labels_or_others_are_at_their_places(other: Any) -> None:
    outputs = (LABELLED[0], LABELLED[1].set_axis(other))
    assert to_table(outputs, 3, None).to_pydict() == {"output_feature_0": [1, 2, 3], "output_feature_1": [6, 5, 4]}


def test_groups_return_rows_in_any_order() -> None:
    assert to_table(TURNED, None, None).to_pydict() == {"Y": [3, 2, 1, 0]}


def test_a_tuple_of_lists_means_the_same_in_every_batch() -> None:
    outputs, rows = ListHabit(), ListHabit()
    to_table(([1, 2, 3], [4, 5, 6]), 3, None, outputs)
    to_table(([1, 2], [3, 4], [5, 6]), 3, None, rows)
    square = ([1, 2], [3, 4])

    assert to_table(square, 2, None, outputs).to_pydict() == {"output_feature_0": [1, 2], "output_feature_1": [3, 4]}
    assert to_table(square, 2, None, rows).to_pydict() == {"output_feature_0": [[1, 2], [3, 4]]}


@pytest.mark.parametrize(
    ("items", "stored"),
    [
        (pa.array(np.array([1, 2], np.float16)), pa.float32()),
        (pa.array(["a", "b"]).dictionary_encode(), pa.string()),
        (pa.array(["a", "b"], pa.string_view()), pa.string()),
        (pa.array([1, 2], pa.timestamp("s", "+05:30")), pa.timestamp("ms", "UTC")),
        (pa.array([1, 2], pa.int64()), pa.int64()),
    ],
    ids=["float16", "dictionary", "string_view", "zone", "int64"],
)
def test_lists_of_one_length_hold_what_other_lists_hold(items: pa.Array, stored: pa.DataType) -> None:
    fixed = pa.FixedSizeListArray.from_arrays(pa.concat_arrays([items, items]), 2, mask=pa.array([False, True]))
    column = to_table(pa.table({"y": fixed}), 2, None)["y"]
    assert column.type == pa.list_(stored)
    pq.write_table(pa.table({"y": column}), io.BytesIO())
    assert column.to_pylist() == fixed.to_pylist()


def texts(of: bytes, edges: list[int], kind: pa.DataType, missing: list[bool] | None = None) -> pa.Array:
    """Texts of whatever bytes, which nothing holds to be UTF-8."""
    offsets = np.array(edges, np.int64 if pa.types.is_large_string(kind) else np.int32)
    valid = None if missing is None else pa.py_buffer(np.packbits(np.invert(missing), bitorder="little").tobytes())
    return pa.Array.from_buffers(kind, len(edges) - 1, [valid, pa.py_buffer(offsets.tobytes()), pa.py_buffer(of)])


WRONG_SECOND = texts(b"a\xffb", [0, 1, 2, 3], pa.string())
ONE_EACH = pa.array([0, 1, 2, 3], pa.int32())
# What a model may return that holds it.
WRONG_TEXTS: dict[str, Any] = {
    "string": WRONG_SECOND,
    "large_string": texts(b"a\xffb", [0, 1, 2, 3], pa.large_string()),
    "string_view": WRONG_SECOND.cast(pa.string_view()),
    "half a character": texts("aäö".encode(), [0, 1, 2, 5], pa.string()),
    "a slice": texts(b"zza\xffb", [0, 1, 2, 3, 4, 5], pa.string())[2:],
    "chunks": pa.chunked_array([WRONG_SECOND[:1], WRONG_SECOND[1:]]),
    "categories": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), WRONG_SECOND),
    "list": pa.ListArray.from_arrays(ONE_EACH, WRONG_SECOND),
    "list of one length": pa.FixedSizeListArray.from_arrays(WRONG_SECOND, 1),
    "object": pa.StructArray.from_arrays([WRONG_SECOND], ["a"]),
    "map": pa.MapArray.from_arrays(ONE_EACH, pa.array(["k"] * 3), WRONG_SECOND),
    "keys": pa.MapArray.from_arrays(ONE_EACH, WRONG_SECOND, pa.array([1, 2, 3])),
    "extension": pa.ExtensionArray.from_storage(pa.opaque(pa.string(), "a", "b"), WRONG_SECOND),
    "pandas": pd.Series(pd.arrays.ArrowExtensionArray(WRONG_SECOND)),
}


@pytest.mark.parametrize("declares", [False, True])
@pytest.mark.parametrize("form", WRONG_TEXTS)
def test_a_text_that_is_no_utf_8_is_refused_with_its_row(form: str, declares: bool) -> None:
    expected = signature(Feature("y", "STRING")) if declares else None
    with pytest.raises(DataError, match="output 'y' cannot be stored.* no UTF-8") as caught:
        to_table({"y": WRONG_TEXTS[form]}, 3, expected)
    assert getattr(caught.value, "row", None) == 1


def test_texts_of_all_of_unicode_are_kept_and_what_is_under_null_is_no_text() -> None:
    unicode = pa.array(["ä", None, "", "\U0001f600", "a\x00", "\uffff"])
    for column in (unicode, unicode[2:], unicode.cast(pa.large_string()), unicode[:0], pa.nulls(2, pa.string())):
        assert to_table({"y": column}, len(column), None)["y"].to_pylist() == column.to_pylist()
    under_null = texts(b"a\xffb", [0, 1, 2, 3], pa.string(), [False, True, False])
    assert to_table({"y": under_null}, 3, None)["y"].to_pylist() == ["a", None, "b"]


@pytest.mark.parametrize("inference", [{}, {"max_batch_rows": 1}, {"max_batch_rows": 2}], ids=str)
def test_a_text_that_is_no_utf_8_is_in_no_file(batch: Batch, inference: dict[str, Any]) -> None:
    def model(table: pa.Table) -> Any:
        return {
            "Y": texts(
                bytes([255 if one == 3 else 97 for one in table["ID"].to_pylist()]),
                list(range(len(table) + 1)),
                pa.string(),
            )
        }

    batch.ids(5)
    with pytest.raises(DataError, match=r"output 'Y' cannot be stored: .* no UTF-8.*row 3 of file data_000"):
        score(batch.job("Linear", inference=inference), LoadedModel(model, "arrow"))

    score(batch.job("Linear", inference={**inference, "on_error": "quarantine"}), LoadedModel(model, "arrow"))
    found = batch.result()
    assert found["ID"].to_pylist() == [0, 1, 2, 4]
    assert found["Y"].to_pylist() == ["a"] * 4


def test_arrow_scalars_of_maps_that_hold_null_maps() -> None:
    maps = pa.array([[(1, None)], None, [(2, [("a", None)])]], pa.map_(pa.int64(), pa.map_(pa.string(), pa.int64())))
    assert to_table({"y": maps}, 3, None)["y"].to_pylist() == maps.to_pylist()
    assert to_table([maps[0], maps[1]], 2, None).column(0).to_pylist() == [[[1, None]], None]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.list_(pa.list_(pa.time64("ns"))), [[[datetime.time(1)], None], None]),
        (pa.list_(pa.map_(pa.string(), pa.time64("ns"))), [[None]]),
        (pa.struct([("a", pa.list_(pa.time64("ns")))]), [{"a": None}, {"a": [datetime.time(1), None]}]),
    ],
    ids=str,
)
def test_arrow_scalars_that_hold_lists_that_are_null(kind: pa.DataType, values: list[Any]) -> None:
    found = to_table({"Y": list(pa.array(values, kind))}, len(values), None)["Y"].to_pylist()
    assert found == values


def test_arrays_keep_their_type_whatever_form_they_come_in() -> None:
    images = [np.zeros((2, 3, 3), np.uint8), None, np.ones((1, 3, 3), np.uint8)]

    table = to_table({"image": images}, 3, None)

    assert table.schema.field("image").type == pa.list_(pa.list_(pa.list_(pa.uint8())))
    assert table["image"].to_pylist() == [None if one is None else one.tolist() for one in images]


HOUR = datetime.datetime(2020, 1, 1, 5)


def zoned(zone: str) -> pd.Series:
    return pd.Series(pd.to_datetime(["2020-01-01T05:00"]).as_unit("us").tz_localize(zone))


@pytest.mark.parametrize(
    ("batches", "kind", "expected"),
    [
        (
            [[Decimal("1.5")], [Decimal("100")], [7]],
            pa.decimal128(21, 1),
            [[Decimal("1.5")], [Decimal("100.0")], [Decimal("7.0")]],
        ),
        ([[DAY], [HOUR]], pa.timestamp("us"), [[datetime.datetime(2020, 1, 1)], [HOUR]]),
        (
            [zoned("UTC"), zoned("Europe/Berlin")],
            pa.timestamp("us", "UTC"),
            [[HOUR.replace(tzinfo=datetime.timezone.utc)], [HOUR.replace(hour=4, tzinfo=datetime.timezone.utc)]],
        ),
    ],
    ids=["decimals", "days", "zones"],
)
def test_types_that_differ_between_batches_lose_nothing(
    batches: list[Any], kind: pa.DataType, expected: list[list[Any]]
) -> None:
    for order in (range(len(batches)), reversed(range(len(batches)))):
        tables = {number: to_table(batches[number], 1, None) for number in order}
        schema: pa.Schema = functools.reduce(schemas.join, (table.schema for table in tables.values()))

        assert schema.types == [kind]
        for number, table in tables.items():
            assert schemas.fit(table, schema).column(0).to_pylist() == expected[number]
