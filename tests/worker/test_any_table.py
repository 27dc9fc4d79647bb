"""Any table, of any writer, in any mode, through any form of model: it is read back as written, or refused by name."""

from __future__ import annotations

import datetime
import importlib.util
import os
import re
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import event, example, given, reject, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError, ModelError, WorkerError
from airflow_provider_snowflake_batch.worker.input import plan
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from tests.worker.arrow_values import ALL, array, kinds_of, values
from tests.worker.batches import Batch
from tests.worker.in_process import score


def write_duckdb(path: Path, table: pa.Table) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", table)
        connection.execute(f"COPY (SELECT * FROM given) TO '{path}' (FORMAT parquet)")


def write_polars(path: Path, table: pa.Table) -> None:
    import polars

    frame: Any = polars.from_arrow(table)
    frame.write_parquet(path, row_group_size=3)


def write_fastparquet(path: Path, table: pa.Table) -> None:
    import fastparquet

    fastparquet.write(str(path), table.to_pandas(), row_group_offsets=[0, 1], object_encoding="infer")


#: Writers that are there beside pyarrow, by their libraries' names.
OTHERS: dict[str, Callable[[Path, pa.Table], None]] = {
    name: write
    for name, write in {"duckdb": write_duckdb, "polars": write_polars, "fastparquet": write_fastparquet}.items()
    if importlib.util.find_spec(name)
}
#: How pyarrow writes, for each writer; what others have in common with Spark and with Snowflake's unload, as far as
#: their documentation says.
WRITERS: dict[str, dict[str, Any]] = {
    "plain pages": {"use_dictionary": False, "compression": "none"},
    "newer pages": {"data_page_version": "2.0", "compression": "zstd"},
    "small row groups": {"row_group_size": 2, "compression": "snappy"},
    "without pyarrow's schema": {"store_schema": False},
    "INT96": {"use_deprecated_int96_timestamps": True, "store_schema": False},
    "times in microseconds": {"coerce_timestamps": "us"},
    "format 1.0": {"version": "1.0"},
    "format 2.4": {"version": "2.4"},
    "Spark": {
        "flavor": "spark",
        "use_deprecated_int96_timestamps": True,
        "store_schema": False,
        "store_decimal_as_integer": True,
        "use_compliant_nested_type": False,
    },
    "Spark 4": {"coerce_timestamps": "us", "store_schema": False, "store_decimal_as_integer": True},
    "Snowflake": {
        "store_schema": False,
        "coerce_timestamps": "ms",
        "allow_truncated_timestamps": True,
        "compression": "snappy",
    },
    **{name: {} for name in OTHERS},
}
MODES: dict[str, dict[str, Any]] = {
    "whole tasks": {},
    "row by row": {"inference": {"max_batch_rows": 1}},
    "quarantine": {"inference": {"on_error": "quarantine", "max_batch_rows": 3}},
    "groups": {"input": {"partition_column": "K"}},
    "groups by the column": {"input": {"partition_column": "C"}},
    "the keys passed": {"output": {"columns": ["ID"]}},
    "interrupted": {"inference": {"max_batch_rows": 2}},
}
#: Writers that have no such types as Arrow's, or do not say that they are meant.
OF_OTHER_TYPES = ("INT96", "without pyarrow's schema", "Spark", "Spark 4", "Snowflake", *OTHERS)
#: How a model returns the column that it got: a pandas model first, then a model that takes Arrow.
FRAMES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "frame": lambda frame: pd.DataFrame({"Y": frame["C"]}),
    "series": lambda frame: frame["C"].rename("Y"),
    "column": lambda frame: {"Y": frame["C"]},
    "array": lambda frame: {"Y": frame["C"].to_numpy()},
    "list": lambda frame: {"Y": list(frame["C"])},
    "rows": lambda frame: [{"Y": value} for value in frame["C"]],
    "rows one by one": lambda frame: ({"Y": value} for value in frame["C"]),
    "frames": lambda frame: [frame[["C"]].iloc[row : row + 1].rename(columns={"C": "Y"}) for row in range(len(frame))],
}
TABLES: dict[str, Callable[[pa.Table], Any]] = {
    "table": lambda table: pa.table({"Y": table["C"]}),
    "Arrow column": lambda table: {"Y": table["C"]},
    "Python's values": lambda table: {"Y": table["C"].to_pylist()},
    "Arrow's values": lambda table: {"Y": list(table["C"])},
    "batches one by one": lambda table: iter(pa.table({"Y": table["C"]}).to_batches(max_chunksize=1)),
    "batches": lambda table: pa.table({"Y": table["C"]}).to_batches(max_chunksize=1),
}
#: Forms in which values come one by one.
VALUES = ("Python's values", "Arrow's values")
FORMS: dict[str, Callable[[Any], Any]] = {**FRAMES, **TABLES}
EPOCH = datetime.datetime(1970, 1, 1)
NAN = "NaN"


@st.composite
def columns(draw: st.DrawFn) -> pa.Array:
    kind = draw(kinds_of(ALL))
    try:
        return array(draw(st.lists(values(kind), min_size=1, max_size=6)), kind)
    except (pa.ArrowException, NotImplementedError, OverflowError, TypeError):
        # pyarrow itself makes no such column of Python's values.
        reject()


def plain(value: Any, nan: Any = NAN) -> Any:
    """A value whatever stands for it: numbers by value, times in nanoseconds, objects without absent keys.

    :param nan: what NaN is: pandas takes it for NULL.
    """
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, dict):
        kept = {key: plain(one, nan) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one is not None} or None
    if isinstance(value, (list, tuple)):
        return [plain(one, nan) for one in value]
    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo is None else value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return _nanoseconds(
            (moment.to_pydatetime(warn=False) if isinstance(moment, pd.Timestamp) else moment) - EPOCH, value
        )
    if isinstance(value, datetime.timedelta):
        return _nanoseconds(value.to_pytimedelta() if isinstance(value, pd.Timedelta) else value, value)
    if isinstance(value, datetime.date):
        return _nanoseconds(datetime.datetime.combine(value, datetime.time()) - EPOCH, value)
    if isinstance(value, (float, np.floating)):
        return nan if value != value else (Decimal(repr(float(value))), bool(np.signbit(value)))
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return Decimal(value), value < 0
    return value if isinstance(value, (bool, bytes, datetime.time)) else str(value)


def _nanoseconds(delta: datetime.timedelta, value: Any) -> tuple[str, int]:
    more = int(getattr(value, "nanosecond", getattr(value, "nanoseconds", 0)))
    return "ns", delta // datetime.timedelta(microseconds=1) * 1000 + more


def python(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column's values, times of day as numbers where Python has none."""
    if pa.types.is_time64(column.type) and column.type.unit == "ns":
        return [None if one is None else ("time", one) for one in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_time(column.type):
        wide = (
            column.cast(pa.time64("ns"))
            if not pa.types.is_time32(column.type)
            else column.cast(pa.time64("us")).cast(pa.time64("ns"))
        )
        return python(wide)
    return column.to_pylist()


def write(path: Path, table: pa.Table, writer: str) -> None:
    if writer in OTHERS:
        OTHERS[writer](path, table)
    else:
        pq.write_table(table, path, **WRITERS[writer])


def may_be_refused(kind: pa.DataType, writer: str, form: str) -> bool:
    """Whether there are values of this type that a file, pandas or Python cannot have."""
    text = str(kind)
    if writer in ("INT96", "Spark") and "timestamp" in text:
        return True
    if form not in FRAMES:
        return form in VALUES and any(one in text for one in ("[ns", "map", "decimal256"))
    return any(one in text for one in ("decimal", "[ns", "map", "time", "date"))


class Broken:
    """A model that fails for all calls but the first ones."""

    def __init__(self, call: Callable[[Any], Any], calls: int) -> None:
        self._call, self._left = call, calls

    def __call__(self, rows: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError("stopped on the way")
        return self._call(rows)


def run(batch: Batch, mode: str, form: str) -> None:
    model = {"kind": "python", "target": "m:M", "python_path": [str(batch.root)]}
    job = batch.job(model, **{key: dict(value) for key, value in MODES[mode].items()})
    takes: Any = "pandas" if form in FRAMES else "arrow"
    if mode == "interrupted":
        try:
            score(job, LoadedModel(Broken(FORMS[form], 1), takes))
        except ModelError:
            pass
        else:
            return
    score(job, LoadedModel(FORMS[form], takes))


@settings(max_examples=100)
@given(
    column=columns(),
    writer=st.sampled_from(sorted(WRITERS)),
    mode=st.sampled_from(sorted(MODES)),
    form=st.sampled_from(sorted(FORMS)),
)
def test_what_was_written_is_read_back_or_refused_by_name(column: pa.Array, writer: str, mode: str, form: str) -> None:
    rows = len(column)
    table = pa.table({"ID": range(rows), "K": [row % 2 for row in range(rows)], "C": column})
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "TASK_ROWS", 2)
        # Whether it reaches the disk is no question here.
        patch.setattr(os, "fsync", lambda descriptor: None)
        batch = Batch(Path(folder))
        batch.input.mkdir()
        try:
            write(batch.input / "in.parquet", table, writer)
            held = pq.read_table(batch.input / "in.parquet", coerce_int96_timestamp_unit="us")["C"]
        except Exception:
            # The writer refuses such values itself.
            reject()
        if form == "Python's values" and "time64[ns]" in str(column.type):
            # Python has no such times of day, and pyarrow cuts them off.
            reject()
        pairs = form in FRAMES or form in VALUES
        if pairs and "map" in str(column.type) and "binary" in str(column.type):
            # Python has them as lists, in which text beside bytes is bytes.
            reject()
        expected = [plain(one) for one in python(column)]
        stored = [plain(one) for one in python(held)]
        if writer in OTHERS or (column.type != held.type and writer in OF_OTHER_TYPES):
            # What they have stored is what is to come out.
            column, expected = held, stored
        some_refused = may_be_refused(column.type, writer, form)
        try:
            run(batch, mode, form)
        except WorkerError as error:
            event("refused")
            check_refused(error, some_refused)
            return
        check(batch, mode, form, expected, rows, some_refused)


@settings(max_examples=40)
@given(column=columns(), form=st.sampled_from(["table", "Arrow column", "batches"]))
@example(column=pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)), form="table")
@example(
    column=pa.array([{"a": [None, 1.5]}, {"a": None}], pa.struct([("a", pa.list_(pa.float32(), 2))])), form="table"
)
def test_a_columns_type_is_the_same_in_all_modes(column: pa.Array, form: str) -> None:
    rows = len(column)
    # In some batches there is nothing but NULL, whatever else there is.
    column = pa.concat_arrays([column, pa.nulls(2, column.type)])
    table = pa.table({"ID": range(rows + 2), "K": range(rows + 2), "C": column})
    found: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        for mode in ("whole tasks", "row by row", "quarantine", "groups"):
            batch = Batch(Path(folder, mode))
            batch.input.mkdir(parents=True)
            try:
                write(batch.input / "in.parquet", table, "newer pages")
                pq.read_table(batch.input / "in.parquet")
            except Exception:
                # The writer refuses such values, or Arrow's reader does, as that of 18.1 some lists of one length.
                reject()
            run(batch, mode, form)
            found[mode] = {str(pq.read_schema(part).remove_metadata()) for part in batch.output.glob("*.parquet")}
    assert set(map(len, found.values())) == {1}
    assert len(set.union(*found.values())) == 1, found


def check_refused(error: WorkerError, some_refused: bool) -> None:
    """It says why, and names column, row and file."""
    if "groups are made of plain values only" in error.message:
        return
    assert isinstance(error, (DataError, ModelError))
    assert some_refused, error.message
    assert re.search(r"column '[CY]'|output 'Y'", error.message), error.message
    assert re.search(r"rows? \S+ of file in.parquet", error.message), error.message


def check(batch: Batch, mode: str, form: str, expected: list[Any], rows: int, some_refused: bool) -> None:
    found = batch.result()
    aside = [pq.read_table(path) for path in (batch.output / "_quarantine").glob("*")]
    kept = found["ID"].to_pylist()
    bad = [row for table in aside for row in table["ID"].to_pylist()]
    assert sorted(kept + bad) == list(range(rows))
    assert some_refused or not bad
    wanted = [expected[row] for row in kept]
    if mode != "the keys passed":
        assert [plain(one) for one in python(found["C"])] == wanted
    nan = NAN if form not in FRAMES else None
    assert [_without_nan(plain(one), nan) for one in python(found["Y"])] == [_without_nan(one, nan) for one in wanted]


def _without_nan(value: Any, nan: Any) -> Any:
    if isinstance(value, dict):
        return {key: inner for key, one in value.items() if (inner := _without_nan(one, nan)) is not None} or None
    if isinstance(value, list):
        return [_without_nan(one, nan) for one in value]
    return nan if isinstance(value, str) and value == NAN else value
