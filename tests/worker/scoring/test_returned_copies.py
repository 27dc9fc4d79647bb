"""What a model returned is its own: neither the model's next call nor the form it came in changes it."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input.batch_size import BatchSize
from airflow_provider_snowflake_batch.worker.input.row_batch import Origin, RowBatch
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.model_calls import ModelCaller
from airflow_provider_snowflake_batch.worker.scoring.output_rows import RowByRow
from airflow_provider_snowflake_batch.worker.scoring.results import to_table
from airflow_provider_snowflake_batch.worker.scoring.returned_copies import owned, size_of
from airflow_provider_snowflake_batch.worker.values import schemas
from tests.worker.scoring.tensors import Tensor

ROWS = 4
DAY = datetime.date(2020, 1, 1)


@dataclasses.dataclass
class Answer:
    y: float = 0.0


class Stream:
    """A frame of another library over memory of the model's."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


class View:
    """A tensor that cannot be cloned."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def numpy(self) -> Any:
        return self._values


class ByProtocol:
    """An array of a library that nobody here knows. :param names: what it offers to NumPy or Arrow."""

    def __new__(cls, values: Any, *names: str) -> Any:
        methods = {name: functools.partialmethod(ByProtocol._ask, name) for name in names}
        made = object.__new__(type("Array", (), methods))
        made.values = values
        return made

    def _ask(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
        return self.values if name == "__array__" else getattr(self.values, name)(*arguments, **options)


class Loader:
    """Gives one item after the other each time that it is asked, as data loaders do."""

    def __init__(self, items: Callable[[], Iterator[Any]]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return self._items()

    def __len__(self) -> int:
        return ROWS


class Rows(Sequence[Any]):
    """Makes each row in the same place when it is asked for it."""

    def __init__(self, memory: np.ndarray) -> None:
        self._memory, self._cell = memory, np.empty(1)

    def __getitem__(self, row: Any) -> Any:
        self._cell[0] = self._memory[row]
        return self._cell

    def __len__(self) -> int:
        return len(self._memory)


class Columns(Mapping[str, Any]):
    """Makes each column in the same place when it is asked for it."""

    def __init__(self, memory: np.ndarray) -> None:
        self._memory, self._column = memory, np.empty(len(memory))

    def __getitem__(self, name: str) -> Any:
        self._column[:] = self._memory if name == "y" else 0
        return pa.array(self._column)

    def __iter__(self) -> Iterator[str]:
        return iter(["y", "z"])

    def __len__(self) -> int:
        return 2


#: From memory that is used again, one number a row, to what is returned.
FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda memory: memory,
    "matrix": lambda memory: np.asmatrix(memory).T,
    "structured": lambda memory: memory.view([("y", "f8")]),
    "objects": lambda memory: _objects(memory.reshape(-1, 1)),
    "series": lambda memory: pd.Series(memory, copy=False),
    "series over Arrow": lambda memory: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(memory))),
    "series of rows": lambda memory: pd.Series(list(memory.reshape(-1, 1))),
    "frame": lambda memory: pd.DataFrame({"y": memory}, copy=False),
    "frame of rows": lambda memory: pd.DataFrame({"y": list(memory.reshape(-1, 1))}),
    "frame with a category": lambda memory: pd.DataFrame({"y": pd.Series(memory), "c": pd.Categorical(["a"] * ROWS)}),
    "index": lambda memory: pd.Index(memory, copy=False),
    "Arrow table": lambda memory: pa.table({"y": pa.array(memory)}),
    "Arrow batch": lambda memory: pa.record_batch({"y": pa.array(memory)}),
    "Arrow array": lambda memory: pa.array(memory),
    "Arrow chunks": lambda memory: pa.chunked_array([pa.array(memory)]),
    "Arrow buffer": lambda memory: pa.Array.from_buffers(pa.float64(), ROWS, [None, pa.py_buffer(memory)]),
    "stream": lambda memory: Stream(pa.table({"y": pa.array(memory)})),
    "stream in a dict": lambda memory: {"y": Stream(pa.chunked_array([pa.array(memory)]))},
    "dict of Arrow": lambda memory: {"y": pa.array(memory)},
    "dict of arrays": lambda memory: {"y": memory},
    "dict of rows": lambda memory: {"y": list(memory.reshape(-1, 1))},
    "list of arrays": lambda memory: [memory, memory * 2],
    "tuple of Arrow": lambda memory: (pa.array(memory).to_numpy(), memory),
    "tensor": lambda memory: Tensor(memory),
    "view": lambda memory: View(memory),
    "dict of tensors": lambda memory: {"y": Tensor(memory)},
    "list of tensors": lambda memory: [Tensor(row) for row in memory.reshape(-1, 1)],
    "memoryview": lambda memory: memoryview(memory),
    "views of bytes": lambda memory: [memoryview(memory.view(np.uint8))[8 * row : 8 * row + 8] for row in range(ROWS)],
    "generator": lambda memory: (float(value) for value in memory),
    "generator of rows": lambda memory: (row for row in memory.reshape(-1, 1)),
    "Arrow batches": lambda memory: [pa.record_batch({"y": pa.array(part)}) for part in (memory[:1], memory[1:])],
    "generator of Arrow batches": lambda memory: (pa.record_batch({"y": pa.array([row])}) for row in memory),
    "generator over one buffer": lambda memory: _one_after_the_other(memory),
    "generator of one dict": lambda memory: _in_one_dict(memory),
    "Arrow scalars": lambda memory: list(pa.array(memory)),
    "__array__": lambda memory: ByProtocol(memory, "__array__"),
    "dict of __array__": lambda memory: {"y": ByProtocol(memory, "__array__")},
    "rows of __array__": lambda memory: [ByProtocol(row, "__array__") for row in memory.reshape(-1, 1)],
    "DLPack": lambda memory: ByProtocol(memory, "__dlpack__", "__dlpack_device__"),
    "rows of DLPack": lambda memory: [
        ByProtocol(row, "__dlpack__", "__dlpack_device__") for row in memory.reshape(-1, 1)
    ],
    "Arrow's C array": lambda memory: ByProtocol(pa.array(memory), "__arrow_c_array__"),
    "Arrow's C batch": lambda memory: ByProtocol(pa.record_batch({"y": pa.array(memory)}), "__arrow_c_array__"),
    "sparse": lambda memory: SimpleNamespace(shape=(ROWS, 1), toarray=lambda: memory.reshape(-1, 1)),
    "record array": lambda memory: memory.view([("y", "f8")]).view(np.recarray),
    "run lengths": lambda memory: pa.RunEndEncodedArray.from_arrays(pa.array(range(1, 5), pa.int32()), memory),
    "Arrow dictionary": lambda memory: pa.DictionaryArray.from_arrays(pa.array(range(ROWS)), pa.array(memory)),
    "deque of rows": lambda memory: collections.deque(memory.reshape(-1, 1)),
    "sequence that makes its rows": Rows,
    "mapping that makes its columns": Columns,
    "loader": lambda memory: Loader(lambda: _one_by_one(memory, lambda cell: cell)),
    "reader of batches": lambda memory: pa.RecordBatchReader.from_batches(
        pa.schema([("y", pa.float64())]), _one_after_the_other(memory)
    ),
    **{
        f"generator of {name}": lambda memory, give=give: _one_by_one(memory, give)
        for name, give in {
            "frames over Arrow": lambda cell: pd.DataFrame({"y": _over_arrow(cell)}),
            "frames of rows": lambda cell: pd.DataFrame({"y": [cell]}),
            "frames with lists in a list": lambda cell: pd.DataFrame({"y": [[cell]]}),
            "frames with categories over Arrow": lambda cell: pd.DataFrame({"y": pd.Series(cell), "c": _text(cell)}),
            "frames by position": lambda cell: pd.DataFrame([[cell]]),
            "dicts of series": lambda cell: {"y": _over_arrow(cell)},
            "tuples of rows": lambda cell: (cell,),
            "objects": lambda cell: _objects(cell.reshape(1, 1)),
            "dataclasses with arrays": lambda cell: Answer(cell),  # type: ignore[arg-type]
            "views of memory": memoryview,
            "Arrow arrays": pa.array,
            "dicts of Arrow arrays": lambda cell: {"y": pa.array(cell)},
            "tensors": View,
            "__array__": lambda cell: ByProtocol(cell, "__array__"),
            "streams": lambda cell: Stream(pa.table({"y": pa.array(cell)})),
        }.items()
    },
}  # fmt: skip


def _one_by_one(memory: np.ndarray, give: Callable[[np.ndarray], Any]) -> Iterator[Any]:
    """Each value in the same place."""
    cell = np.empty(1)
    for value in memory:
        cell[0] = value
        yield give(cell)


def _over_arrow(memory: np.ndarray) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(memory)))


def _text(memory: np.ndarray) -> pd.Categorical:
    return pd.Categorical(pd.array([str(memory[0])], "string[pyarrow]"))


def _one_after_the_other(memory: np.ndarray) -> Iterator[pa.RecordBatch]:
    buffer = np.empty(1)
    for value in memory:
        buffer[0] = value
        yield pa.record_batch({"y": pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(buffer)])})


def _in_one_dict(memory: np.ndarray) -> Iterator[dict[str, Any]]:
    row: dict[str, list[float]] = {"y": [0.0]}
    for value in memory:
        row["y"][0] = float(value)
        yield row


def _objects(rows: np.ndarray) -> np.ndarray:
    made = np.empty(len(rows), object)
    made[:] = list(rows)
    return made


def call(model: Callable[[Any], Any], *, quarantine: bool = False) -> pa.Table:
    """What is stored of a call after which the model is called again."""
    caller = ModelCaller(
        LoadedModel(model),
        InputConverter(["x"], None, "pandas"),
        BatchSize(ROWS),
        RowByRow(None),
        quarantine=quarantine,
    )
    batches = [
        RowBatch(table, table, (Origin("f", first, ROWS),), 0)
        for first in (0, ROWS)
        for table in [pa.table({"x": np.arange(first, first + ROWS, dtype=float)})]
    ]
    answers = [caller(batch, caller.convert(batch)) for batch in batches]
    return pa.concat_tables(caller.combine(one)[1] for answer in answers for one in answer.scored)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("quarantine", [False, True], ids=["fail", "quarantine"])
def test_memory_that_a_model_uses_again(form: str, quarantine: bool) -> None:
    memory = np.empty(ROWS)

    def model(frame: pd.DataFrame) -> Any:
        memory[:] = frame["x"] * 2
        return FORMS[form](memory)

    found = call(model, quarantine=quarantine).column(0)
    expected = np.arange(2.0 * ROWS) * 2
    flat = found.combine_chunks()
    while pa.types.is_nested(flat.type):
        flat = flat.flatten()[0] if pa.types.is_struct(flat.type) else flat.flatten()
    numbers = np.frombuffer(b"".join(flat.to_pylist())) if pa.types.is_binary(flat.type) else flat.to_numpy()
    np.testing.assert_array_equal(numbers, expected)


@pytest.mark.parametrize(
    "rows",
    [[{"y": 0.0} for _ in range(ROWS)], [[0.0] for _ in range(ROWS)], [Answer() for _ in range(ROWS)]],
    ids=["dicts", "lists", "dataclasses"],
)
def test_objects_that_a_model_uses_again(rows: list[Any]) -> None:
    def model(frame: pd.DataFrame) -> Any:
        for row, x in zip(rows, frame["x"], strict=True):
            if isinstance(row, dict):
                row["y"] = x * 2
            elif isinstance(row, list):
                row[0] = x * 2
            else:
                row.y = x * 2
        return rows

    found = call(model).column(0).to_pylist()

    def number(item: Any) -> Any:
        return item["y"] if isinstance(item, Mapping) else item[0] if isinstance(item, list) else item

    assert [number(item) for item in found] == [2.0 * row for row in range(2 * ROWS)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        ([[[("k", 1)]], [None], None], pa.list_(pa.map_(pa.string(), pa.int64()))),
        ([{"m": [("k", None)]}, {"m": None}, None], pa.struct([("m", pa.map_(pa.string(), pa.int64()))])),
        (["a", None, "b"], pa.dictionary(pa.int8(), pa.string())),
        ([1, 1, 2], pa.run_end_encoded(pa.int32(), pa.int64())),
        ([2**63 + 1, None], pa.uint64()),
    ],
    ids=str,
)
def test_scalars_of_arrow_are_kept_and_measured(values: list[Any], kind: pa.DataType) -> None:
    """A map of Arrow's counts as Python's Mapping, without being like one."""
    array = pa.array(values, kind)
    for scalars in (list(array), owned(one for one in array)[0]):
        assert [one.as_py() for one in scalars] == values
        assert 0 < size_of(scalars) < 10_000


def test_scalars_over_memory_that_is_used_again_are_copies() -> None:
    memory = np.zeros(1)
    over_memory = pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(memory)])

    def scores() -> Iterator[pa.Scalar]:
        for number in range(3):
            memory[0] = number
            yield over_memory[0]

    assert [one.as_py() for one in owned(scores())[0]] == [0.0, 1.0, 2.0]


def test_an_iterator_of_what_cannot_be_kept_is_refused() -> None:
    class Handle:
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("there is only one")

    with pytest.raises(
        DataError, match=r"an iterator of Handle, which cannot be kept while it goes on \(there is only"
    ):
        owned(iter([Handle()]))


def test_the_usual_forms_wait_for_the_thread_that_writes() -> None:
    """Storing them takes no time of the model's."""
    words = ["a", "b"]
    column = pd.Series(words, dtype=object)
    for returned in (
        np.zeros(2), np.zeros((2, 2)), pd.DataFrame({"a": [1, 2], "b": column}), pd.Series([1, None], dtype="Int64"),
        words, {"a": np.zeros(2), "b": words}, [1, None], [DAY], np.array(words, object), Tensor(np.zeros(2)),
    ):  # fmt: skip
        assert owned(returned)[1]


def test_a_model_cannot_change_the_rows_that_are_passed_through() -> None:
    table = pa.table({"a": [1.0, 2.0], "n": [1, None], "l": [[1.0], [2.0]], "s": [{"a": [1]}, None], "t": ["x", "y"]})
    before = table.to_pylist()
    for columns in (["a"], ["a", "n", "l", "s", "t"], ["l"], ["n"]):
        frame = InputConverter(table.column_names, None, "pandas", columns)(table)
        for name in columns:
            for value in [frame[name].to_numpy(), *frame[name]]:
                if isinstance(value, np.ndarray) and value.flags.writeable and value.dtype.kind == "f":
                    value[...] = -1.0

    assert table.to_pylist() == before


NAN = float("nan")


@pytest.mark.parametrize(
    "returned",
    [
        np.array([NAN, 1.0]), [NAN, 1.0], [NAN, 1], {"y": [NAN, 1.0]}, [{"y": NAN}, {"y": 1.0}],
        (np.array([NAN, 1.0]),), pd.Series([NAN, 1.0]), pd.DataFrame({"y": [NAN, 1.0]}),
        pd.DataFrame({"y": [NAN, 1.0]}, dtype=object),
        pa.array([NAN, 1.0]), pa.table({"y": [NAN, 1.0]}), [np.float32("nan"), np.float32(1)],
        Tensor(np.array([NAN, 1.0])),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_nan_is_a_number_in_every_form(returned: Any) -> None:
    first, second = to_table(returned, 2, None).column(0).to_pylist()

    assert math.isnan(first)
    assert second == 1.0


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ([None, 1.5], [None, 1.5]),
        (pd.Series([None, 1], dtype="Int64"), [None, 1]),
        (pd.DataFrame({"y": pd.Series([pd.NA, 1.5], dtype="Float64")}), [None, 1.5]),
        (["x", NAN], ["x", None]),
        (pd.DataFrame({"y": ["x", np.nan]}), ["x", None]),
        ([True, NAN], [True, None]),
        ([Decimal("1.5"), NAN], [Decimal("1.5"), None]),
        ([{"a": {"b": 1}}, {"a": NAN}], [{"b": 1}, None]),
        (pd.Series([pd.NaT, datetime.datetime(2020, 1, 1)]), [None, datetime.datetime(2020, 1, 1)]),
    ],
)
def test_what_is_missing_is_null(returned: Any, expected: list[Any]) -> None:
    assert to_table(returned, 2, None).column(0).to_pylist() == expected


def test_nan_where_the_signature_has_no_nan_is_null() -> None:
    outputs = Signature((), (Feature("y", "INT64"),))

    assert to_table(pd.DataFrame({"y": [1, None]}), 2, outputs).to_pydict() == {"y": [1, None]}


LATE = pd.Timestamp("2020-01-01 00:00:00.123456789")
ZONED = LATE.tz_localize("Europe/Berlin")
SHORT = pd.Timedelta(1, "ns")
MOMENT = datetime.datetime(2020, 1, 1, 5)


PAIR = [("i", "i8"), ("f", "f8")]
# In the order of the alphabet, as older Arrow sorts the fields of objects.
Pair = collections.namedtuple("Pair", ["a", "b"])


@pytest.mark.parametrize(
    ("returned", "kind", "expected"),
    [
        ([LATE, None, DAY], pa.timestamp("ns"), [LATE, None, pd.Timestamp(DAY)]),
        ([ZONED], pa.timestamp("ns", "UTC"), [ZONED.tz_convert("UTC")]),
        ([LATE.to_datetime64()], pa.timestamp("ns"), [LATE]),
        ([SHORT, datetime.timedelta(1)], pa.duration("ns"), [SHORT, pd.Timedelta(1, "D")]),
        (np.array([5, "NaT"], "m8[D]"), pa.duration("s"), [datetime.timedelta(5), None]),
        ([{"y": [Decimal("NaN"), Decimal(1)]}], pa.list_(pa.decimal128(1, 0)), [[None, Decimal(1)]]),
        (np.array([1.5, NAN], np.float16)[:1], pa.float32(), [1.5]),
        ([np.timedelta64(5, "h")], pa.duration("us"), [datetime.timedelta(hours=5)]),
        ([DAY, MOMENT], pa.timestamp("us"), [datetime.datetime(2020, 1, 1), MOMENT]),
        ([{"y": [DAY]}, {"y": [MOMENT]}], pa.list_(pa.timestamp("us")), [[datetime.datetime(2020, 1, 1)], [MOMENT]]),
        ([np.array(["2020-01-01T05"], "M8[ns]")], pa.list_(pa.timestamp("ns")), [[pd.Timestamp(MOMENT)]]),
        ([{"y": [np.datetime64("2020-01-01")]}], pa.list_(pa.date32()), [[DAY]]),
        (np.array(["2020-01-01T05:00:00"], "M8[s]"), pa.timestamp("ms"), [MOMENT]),
        ([2**64 - 1], pa.uint64(), [2**64 - 1]),
        (np.array([1.5], np.longdouble), pa.float64(), [1.5]),
        ([np.longdouble(1.5)], pa.float64(), [1.5]),
        (np.matrix([[1, 2], [3, 4]]), pa.int64(), [1, 3]),
        (np.array([1, 2], ">i4"), pa.int32(), [1, 2]),
        (pd.Series(np.array([1.5, 2], ">f8")), pa.float64(), [1.5, 2.0]),
        (np.array(["2020-01"], "M8[M]"), pa.timestamp("ms"), [datetime.datetime(2020, 1, 1)]),
        (np.array([1000], "M8[ps]"), pa.timestamp("ns"), [pd.Timestamp(1)]),
        (np.array([3], "m8[10ms]"), pa.duration("us"), [datetime.timedelta(milliseconds=30)]),
        ([np.array(MOMENT, "M8[us]")], pa.timestamp("us"), [MOMENT]),
        ([np.array(1.5, np.longdouble), None], pa.float64(), [1.5, None]),
        ([np.array("a", object), np.array(None, object)], pa.string(), ["a", None]),
        ([np.array((1, 2.5), PAIR)], pa.struct({"i": pa.int64(), "f": pa.float64()}), [{"i": 1, "f": 2.5}]),
        (
            {"y": list(np.ma.array([(1, 2.5), (3, 4.5)], mask=[(0, 1), (1, 0)], dtype=PAIR))},
            pa.struct({"i": pa.int64(), "f": pa.float64()}),
            [{"i": 1, "f": None}, {"i": None, "f": 4.5}],
        ),
        ({"y": np.array([(1, 2.5)], PAIR)}, pa.struct({"i": pa.int64(), "f": pa.float64()}), [{"i": 1, "f": 2.5}]),
        (
            {"y": np.array([[(1, 2.5)]], PAIR)},
            pa.list_(pa.struct({"i": pa.int64(), "f": pa.float64()})),
            [[{"i": 1, "f": 2.5}]],
        ),
        ([Pair(1, 2.5)], pa.struct({"a": pa.int64(), "b": pa.float64()}), [{"a": 1, "b": 2.5}]),
        ([[Pair("a", [2.5])]], pa.list_(pa.struct({"a": pa.string(), "b": pa.list_(pa.float64())})),
         [[{"a": "a", "b": [2.5]}]]),
        ({"y": [pd.array([1, None], "Int64")]}, pa.list_(pa.int64()), [[1, None]]),
        ({"y": [pd.Index([1, 2]), range(2), collections.deque([3])]}, pa.list_(pa.int64()), [[1, 2], [0, 1], [3]]),
        ({"y": [pd.Categorical(["a", None, "a"])]}, pa.list_(pa.string()), [["a", None, "a"]]),
    ],
)  # fmt: skip
def test_values_that_arrow_would_change_or_lacks(returned: Any, kind: pa.DataType, expected: list[Any]) -> None:
    column = to_table(returned, len(expected), None).column(0)

    assert column.type == kind
    assert column.to_pylist() == expected


def test_numbers_that_other_libraries_add_to_numpy() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for kind, stored, values in (
        (ml_dtypes.bfloat16, pa.float32(), [1.5, -2.0]),
        (ml_dtypes.float8_e4m3fn, pa.float32(), [1.5, 2.0]),
        (ml_dtypes.int4, pa.int8(), [-1, 7]),
        (ml_dtypes.uint4, pa.uint8(), [1, 15]),
    ):
        array = np.array(values, kind)
        for returned in (array, array.reshape(2, 1), {"y": array}, Tensor(array)):
            column = to_table(returned, 2, None).column(0)
            assert column.type == stored
            assert column.to_pylist() == values
        assert to_table(list(array), 2, None).column(0).to_pylist() == values


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([MOMENT, MOMENT.replace(tzinfo=datetime.timezone.utc)], "times with a zone and times without"),
        ([{"y": [LATE]}], "nanoseconds inside objects or lists"),
        ([LATE, datetime.datetime(9999, 1, 1)], "cannot be stored"),
        ([datetime.time(1, tzinfo=datetime.timezone.utc)], "no type for a time of day with a zone"),
        (np.array([np.longdouble(1) / 3]), "longdouble|float128"),
        ([2**53 + 1, NAN], "cannot be stored"),
        ([2**53 + 1, 0.5], "cannot be stored"),
        (np.array([1j]), "cannot be stored"),
        (np.array([1], "M8[ps]"), "times that files have no type for"),
        ([np.datetime64(1, "ps")], "times that files have no type for"),
        (np.array([2**61], "M8[h]"), "cannot be stored"),
        (np.array([1], "m8[M]"), "months and years are no durations"),
        ([pd.Series([1, 2], ["a", "a"])], "several values of one label: a"),
        (np.array([1], "m8"), "timedelta64 has no unit"),
        ([np.timedelta64(1)], "timedelta64 has no unit"),
        ([{"y": [np.timedelta64(1)]}], "timedelta64 has no unit"),
        ([Decimal("Infinity")], "decimals have no infinity"),
        ([{1, 2}], "a set keeps no order"),
        ([pa.MonthDayNano([1, 2, 3])], "files have no type for month_day_nano_interval"),
        ([{"y": {1: "a", "1": "b"}}], "keys that are the same as text"),
    ],
)
def test_values_that_cannot_be_stored_as_they_are(returned: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_table(returned, len(returned), None)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("form", [list, tuple])
def test_labels_beside_objects_are_two_outputs(rows: int, form: Callable[[list[Any]], Any]) -> None:
    returned = form([np.arange(rows), [{0: 0.25, 1: 0.75}] * rows])

    assert to_table(returned, rows, None).to_pydict() == {
        "output_feature_0": list(range(rows)),
        "output_feature_1": [{"0": 0.25, "1": 0.75}] * rows,
    }


@pytest.mark.parametrize(
    ("batches", "kind"),
    [
        ([[1], [None], [0.5], [NAN]], pa.float64()),
        ([np.array([1], np.uint64), np.array([-1])], pa.decimal128(20, 0)),
        ([np.array([1], np.float32), [1]], pa.float64()),
        ([[{"y": [1]}], [{"y": [None]}], [{"y": [0.5]}], [{"y": None}]], pa.list_(pa.float64())),
    ],
)
def test_batches_of_different_types_lose_nothing(batches: list[Any], kind: pa.DataType) -> None:
    tables = [to_table(batch, 1, None) for batch in batches]
    schema: pa.Schema = functools.reduce(schemas.join, (table.schema for table in tables))

    assert schema.types == [kind]
    for table in tables:
        (one,), (other,) = table.column(0).to_pylist(), schemas.fit(table, schema).column(0).to_pylist()
        assert one == other or one != one
