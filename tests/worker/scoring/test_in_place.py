"""A model may change what it is called with: the rows themselves, other batches and the model's next call stay.

Also tests ``worker/scoring/messages.py``, ``worker/values/own_memory.py``.
"""

from __future__ import annotations

import ctypes
import datetime
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.worker.input.batch_size import BatchSize
from airflow_provider_snowflake_batch.worker.input.plan import Task
from airflow_provider_snowflake_batch.worker.input.row_batch import Origin, RowBatch
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel, bind
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.messages import Assignment
from airflow_provider_snowflake_batch.worker.scoring.model_calls import Answer, ModelCaller
from airflow_provider_snowflake_batch.worker.scoring.output_rows import RowByRow
from tests.worker.batches import Batch

ROWS = 8
MOMENT = datetime.datetime(2020, 1, 1)
DAY = datetime.timedelta(1)

#: Two values of each kind of column; each kind also comes with a NULL.
COLUMNS: dict[str, pa.Array] = {
    "int64": pa.array([1, 2]),
    "uint8": pa.array([1, 2], pa.uint8()),
    "float16": pa.array(np.array([1, 2], np.float16)),
    "float": pa.array([1, 2], pa.float32()),
    "double": pa.array([1.0, 2.0]),
    "bool": pa.array([True, False]),
    "moments": pa.array([MOMENT, MOMENT], pa.timestamp("us")),
    "nanoseconds": pa.array([MOMENT, MOMENT], pa.timestamp("ns")),
    "moments of a zone": pa.array([MOMENT, MOMENT], pa.timestamp("us", "Europe/Berlin")),
    "durations": pa.array([DAY, DAY], pa.duration("ns")),
    "days": pa.array([MOMENT.date(), MOMENT.date()]),
    "times of day": pa.array([datetime.time(1), datetime.time(2)], pa.time64("us")),
    "decimals": pa.array([Decimal("1.25"), Decimal(2)], pa.decimal128(10, 2)),
    "whole decimals": pa.array([Decimal(1), Decimal(2)], pa.decimal128(38, 0)),
    "texts": pa.array(["a", "b"]),
    "bytes": pa.array([b"a", b"b"]),
    "categories": pa.array(["a", "b"]).dictionary_encode(),
    "lists": pa.array([[1.0, 2.0], [3.0]]),
    "lists of one length": pa.array([[1.0, 2.0], [3.0, 4.0]]),
    "embeddings": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
    "lists of numbers": pa.array([[1, 2], [3]]),
    "lists of lists": pa.array([[[1.0]], [[2.0], [3.0]]]),
    "lists of moments": pa.array([[MOMENT], [MOMENT]], pa.list_(pa.timestamp("us"))),
    "objects": pa.array([{"a": 1.0, "b": [1.0]}, {"a": 2.0, "b": [2.0]}]),
    "maps": pa.array([[("a", [1.0])], [("b", [2.0])]], pa.map_(pa.string(), pa.list_(pa.float64()))),
    "tensors": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((2, 2, 2), np.float32)),
}
SIGNATURES = {
    "int64": "INT64",
    "float": "FLOAT",
    "double": "DOUBLE",
    "bool": "BOOL",
    "nanoseconds": "TIMESTAMP_NTZ",
    "texts": "STRING",
}


def _with_null(array: pa.Array) -> pa.Array:
    return pa.concat_arrays([array, pa.nulls(1, array.type)])


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """The arrays of a column as a model can get them, down to those in its cells."""
    if isinstance(value, np.ndarray):
        yield value
        for item in value if value.dtype == object else ():
            yield from _arrays(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _arrays(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _arrays(item)


def _buffers(array: pa.Array) -> Iterator[pa.Buffer]:
    array = array.storage if isinstance(array.type, pa.BaseExtensionType) else array
    yield from (buffer for buffer in array.buffers() if buffer is not None and buffer.size)
    if isinstance(array, pa.DictionaryArray):
        yield from _buffers(array.dictionary)


def _spoil(array: np.ndarray) -> None:
    """Write to an array as libraries do that do not ask whether they may, such as PyTorch."""
    if array.dtype != object and array.flags.c_contiguous:
        ctypes.memset(array.ctypes.data, 0, array.nbytes)


@pytest.mark.parametrize(
    ("name", "signed"), [*((name, False) for name in COLUMNS), *((name, True) for name in SIGNATURES)]
)
@pytest.mark.parametrize("null", [False, True], ids=["full", "with null"])
@pytest.mark.parametrize("beside", [[], ["int64"], ["texts"]], ids=["alone", "beside numbers", "beside texts"])
def test_a_frame_is_the_models_own(name: str, signed: bool, null: bool, beside: list[str]) -> None:
    whole = {name: COLUMNS[name], **{f"{one} beside": COLUMNS[one] for one in beside}}
    table = pa.table({key: _with_null(array) if null else array for key, array in whole.items()})
    kept = pa.table(pa.concat_tables([table, table]).combine_chunks().columns, schema=table.schema)
    before = kept.to_pylist()
    kinds = [SIGNATURES.get(key.removesuffix(" beside"), "") for key in table.column_names]
    features = tuple(map(Feature, table.column_names, kinds))
    converter = InputConverter(table.column_names, Signature(features, ()) if signed else None, "pandas")
    frame = converter(kept.slice(0, len(table)))

    for key in frame:
        series: Any = frame[key]
        codes = [series.cat.codes.to_numpy()] if isinstance(series.dtype, pd.CategoricalDtype) else []
        for array in [*_arrays(series.tolist()), *_arrays(series.to_numpy()), *codes]:
            _spoil(array)
    assert kept.to_pylist() == before


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("null", [False, True], ids=["full", "with null"])
def test_a_model_may_work_in_place_whatever_the_column(name: str, null: bool) -> None:
    """Whether it can does not depend on a column's type, on NULL, or on the columns beside it."""
    table = pa.table({"c": _with_null(COLUMNS[name]) if null else COLUMNS[name], "t": ["x"] * (3 if null else 2)})
    frame = InputConverter(["c", "t"], None, "pandas")(table)

    assert all(array.flags.writeable for value in frame["c"].tolist() for array in _arrays(value))
    frame.loc[0, "t"] = "y"
    frame.iloc[[0], 0] = frame.iloc[[1], 0].to_numpy() if name != "categories" else "b"
    frame.sort_values("t", inplace=True)
    frame.rename(columns={"c": "d"}, inplace=True)
    frame.drop(index=0, inplace=True)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("null", [False, True], ids=["full", "with null"])
def test_numbers_of_an_arrow_table_are_the_models_own(name: str, null: bool) -> None:
    array = _with_null(COLUMNS[name]) if null else COLUMNS[name]
    kept = pa.table({"c": pa.concat_arrays([array, array])})
    before = kept.to_pylist()
    given = InputConverter(["c"], None, "arrow")(kept.slice(0, len(array)))

    assert given.schema == kept.schema
    assert given.to_pylist() == before[: len(array)]
    for buffer in _buffers(given["c"].chunk(0)):
        view = np.frombuffer(buffer, np.uint8)
        if view.flags.writeable:
            view[:] = 0
    assert kept.to_pylist() == before


def test_an_arrow_table_is_in_one_piece_wherever_its_rows_come_from() -> None:
    """A model that looks at the first piece only would leave out rows, depending on how they are spread over files."""
    pieces = pa.concat_tables([pa.table({"a": [1], "t": ["x"]}), pa.table({"a": [2], "t": ["y"]})])
    given = InputConverter(["a", "t"], None, "arrow")(pieces)

    assert [column.num_chunks for column in given.columns] == [1, 1]
    assert given.to_pydict() == {"a": [1, 2], "t": ["x", "y"]}


def _multiplies(frame: pd.DataFrame) -> None:
    frame["X"] *= 2


def _sets_places(frame: pd.DataFrame) -> None:
    frame.loc[:, "X"] = frame["X"] * 2


def _writes_to_the_array(frame: pd.DataFrame) -> None:
    array = frame["X"].to_numpy()
    # pandas 3 marks what it hands out; a library that does not look at that writes all the same.
    pointer = np.ctypeslib.as_array((ctypes.c_double * len(array)).from_address(array.ctypes.data))
    pointer *= 2


def _sorts(frame: pd.DataFrame) -> None:
    frame.sort_values("X", ascending=False, inplace=True)
    frame.sort_values("X", inplace=True)
    frame["X"] *= 2


def _drops_and_inserts(frame: pd.DataFrame) -> None:
    doubled = frame["X"] * 2
    frame.drop(columns="X", inplace=True)
    frame.insert(0, "X", doubled)


def _renames(frame: pd.DataFrame) -> None:
    frame["X"] *= 2
    frame.columns = [f"{name} of the model" for name in frame]
    frame["X"] = frame["X of the model"]


WAYS = [_multiplies, _sets_places, _writes_to_the_array, _sorts, _drops_and_inserts, _renames]


def _answers(model: Callable[[Any], Any], form: Any, *, quarantine: bool) -> tuple[ModelCaller, list[Answer]]:
    """Two batches that lie in one memory, as those of a row group do."""
    read = pa.table({"ID": np.arange(2 * ROWS), "X": np.arange(2.0 * ROWS), "L": [[float(x)] for x in range(2 * ROWS)]})
    caller = ModelCaller(
        LoadedModel(model, form=form),
        InputConverter(read.column_names, None, form),
        BatchSize(ROWS),
        RowByRow(None),
        quarantine=quarantine,
    )
    caller.begin(Assignment(Task(0, (), 0, 0), None, quarantine_room=1))
    batches = [read.slice(0, ROWS), read.slice(ROWS)]
    rows = [RowBatch(one, one, (Origin("f", ROWS * number, ROWS),), 0) for number, one in enumerate(batches)]
    return caller, [caller(one, caller.convert(one)) for one in rows]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fails", ["never", "for a row", "without memory"])
def test_rows_are_as_they_were(way: Callable[[pd.DataFrame], None], fails: str) -> None:
    def model(frame: pd.DataFrame) -> Any:
        ids = frame["ID"].to_numpy().copy()
        way(frame)
        for cell in frame["L" if "L" in frame else "L of the model"]:
            cell *= -1
        if fails == "for a row" and 3 in ids:
            raise ValueError("no")
        if fails == "without memory" and len(ids) > 2:
            raise MemoryError
        return {"Y": frame["X"].to_numpy()}

    caller, answers = _answers(model, "pandas", quarantine=fails == "for a row")

    tables = [caller.combine(one) for answer in answers for one in answer.scored]
    bad = [one.to_table() for answer in answers for one in answer.bad]
    passed, outputs = pa.concat_tables(one for one, _ in tables), pa.concat_tables(one for _, one in tables)
    expected = [x for x in range(2 * ROWS) if fails != "for a row" or x != 3]
    assert passed.to_pydict() == {"ID": expected, "X": expected, "L": [[x] for x in expected]}
    assert outputs["Y"].to_pylist() == [2 * x for x in expected]
    assert [one.select(["ID", "X", "L"]).to_pylist() for one in bad] == (
        [[{"ID": 3, "X": 3.0, "L": [3.0]}]] if fails == "for a row" else []
    )


@pytest.mark.parametrize("fails", ["never", "for a row", "without memory"])
def test_rows_of_arrow_are_as_they_were(fails: str) -> None:
    def model(table: pa.Table) -> Any:
        ids = table["ID"].to_pylist()
        for column in (table["X"].chunk(0), table["L"].chunk(0).values):
            address = column.to_numpy().ctypes.data
            np.ctypeslib.as_array((ctypes.c_double * len(column)).from_address(address))[:] *= 2
        if fails == "for a row" and 3 in ids:
            raise ValueError("no")
        if fails == "without memory" and len(ids) > 2:
            raise MemoryError
        return pa.table({"Y": table["X"]})

    caller, answers = _answers(model, "arrow", quarantine=fails == "for a row")

    tables = [caller.combine(one) for answer in answers for one in answer.scored]
    passed, outputs = pa.concat_tables(one for one, _ in tables), pa.concat_tables(one for _, one in tables)
    expected = [x for x in range(2 * ROWS) if fails != "for a row" or x != 3]
    assert passed.to_pydict() == {"ID": expected, "X": expected, "L": [[x] for x in expected]}
    assert outputs["Y"].to_pylist() == [2 * x for x in expected]


def test_each_call_has_the_params_to_itself() -> None:
    def function(rows: Any, *, words: list[str], options: dict[str, Any]) -> Any:
        words.append("more")
        options["depth"]["of"] = "it"
        return len(words), len(options["depth"])

    params = {"words": ["one"], "options": {"depth": {}}}
    call = bind(function, params)

    assert [call(None), call(None)] == [(2, 1), (2, 1)]
    assert params == {"words": ["one"], "options": {"depth": {}}}


@pytest.mark.parametrize("form", ["pandas", "arrow"])
@pytest.mark.parametrize(
    "changes",
    [
        {"inference": {"num_workers": 1}},
        {"inference": {"num_workers": 1, "max_batch_rows": 7}},
        {"inference": {"num_workers": 1, "on_error": "quarantine"}},
        {"inference": {"num_workers": 1}, "input": {"partition_column": "K"}},
    ],
    ids=["plain", "small batches", "quarantine", "groups"],
)
def test_jobs_write_the_rows_that_they_read(batch: Batch, form: str, changes: dict[str, Any]) -> None:
    ids = list(range(50))
    batch.rows({"ID": ids, "K": [x % 3 for x in ids], "X": [float(x) for x in ids], "T": [str(x) for x in ids]})
    quarantine = changes["inference"].get("on_error") == "quarantine"
    batch.job("InPlace", init={"form": form, "fails": [20] if quarantine else []}, **changes)

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    good = [x for x in ids if not quarantine or x != 20]
    result = batch.result()
    assert result["ID"].to_pylist() == good
    assert result["X"].to_pylist() == good
    assert result["Y"].to_pylist() == [2 * x for x in good]
    if quarantine:
        (bad,) = (batch.output / "_quarantine").iterdir()
        assert pq.read_table(bad).select(["ID", "X", "T"]).to_pylist() == [{"ID": 20, "X": 20.0, "T": "20"}]
