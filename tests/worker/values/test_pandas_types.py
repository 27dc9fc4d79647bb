"""Periods and intervals, which pandas adds to Arrow's types, keep what only their type says."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.results import to_table
from airflow_provider_snowflake_batch.worker.values.pandas_types import with_pandas_types
from tests.worker.batches import Batch
from tests.worker.in_process import score

MONTHS = pd.arrays.PeriodArray._from_sequence(["2020-01", None, "2020-03"], dtype="period[M]")
DAYS = pd.arrays.PeriodArray._from_sequence(["2020-01-01"], dtype="period[D]")
LEFT = pd.arrays.IntervalArray.from_tuples([(0, 1), None, (2, 3)], closed="left")
RIGHT = pd.arrays.IntervalArray.from_tuples([(0, 1)], closed="right")
ENDS = pa.struct({"left": pa.float64(), "right": pa.float64(), "closed": pa.string()})


def objects(values: Any) -> list[Any]:
    return [
        None if pd.isna(one) else {"left": one.left, "right": one.right, "closed": one.closed} for one in list(values)
    ]


def write(batch: Batch, *columns: Any) -> None:
    batch.input.mkdir()
    for number, column in enumerate(columns):
        pd.DataFrame({"C": column, "ID": range(len(column))}).to_parquet(batch.input / f"{number}.parquet")


#: How a model may return such values.
FORMS: dict[str, Callable[[Any], Any]] = {
    "column": lambda values: {"Y": pd.Series(values)},
    "array": lambda values: {"Y": values},
    "index": lambda values: {"Y": pd.Index(values)},
    "categories": lambda values: {"Y": pd.Series(pd.Categorical(values))},
    "Arrow": lambda values: {"Y": pa.array(values)},
    "Python's values": lambda values: {"Y": list(values)},
    "objects": lambda values: pd.DataFrame({"Y": pd.Series(list(values), dtype=object)}),
}


@pytest.mark.parametrize("form", FORMS)
def test_intervals_are_stored_with_the_ends_that_belong_to_them(form: str) -> None:
    for values in (LEFT, RIGHT):
        table = to_table(FORMS[form](values), len(values), None)
        assert table["Y"].to_pylist() == objects(values)
        assert [field.name for field in table.schema.field("Y").type] == ["left", "right", "closed"]
    both = to_table({"Y": [*LEFT, *RIGHT]}, 4, None)["Y"]
    assert both.type == ENDS
    assert both.to_pylist() == objects([*LEFT, *RIGHT])


@pytest.mark.parametrize("form", FORMS)
def test_periods_are_stored_as_text(form: str) -> None:
    assert to_table(FORMS[form](MONTHS), 3, None)["Y"].to_pylist() == ["2020-01", None, "2020-03"]


@pytest.mark.parametrize("values", [MONTHS, LEFT])
def test_their_storage_inside_of_others_is_refused(values: Any) -> None:
    array = pa.array(values)
    with pytest.raises(DataError, match=r"pandas\.\w+ \{.*inside of another type"):
        to_table({"Y": pa.ListArray.from_arrays([0, 1, 2, 3], array)}, 3, None)


def test_a_job_gives_and_passes_them_as_they_are(batch: Batch) -> None:
    write(batch, MONTHS)
    batch.job("SameInArrow")

    assert batch.run().code == 0

    found = batch.result()
    pd.testing.assert_extension_array_equal(found["C"].to_pandas().array, MONTHS)
    assert found["C_AGAIN"].to_pylist() == ["2020-01", None, "2020-03"]
    outcome = batch.verify()
    assert outcome.code == 0, outcome.stderr


@pytest.mark.parametrize("column", [MONTHS, LEFT])
@pytest.mark.parametrize("mode", [{}, {"inference": {"max_batch_rows": 1}}, {"input": {"partition_column": "ID"}}])
def test_a_model_sees_the_type(batch: Batch, column: Any, mode: dict[str, Any]) -> None:
    seen: list[Any] = []

    def model(frame: pd.DataFrame) -> Any:
        seen.append(frame["C"].array)
        return {"Y": frame["ID"]}

    write(batch, column)
    score(batch.job({"kind": "python", "target": "m:M", "python_path": [str(batch.root)]}, **mode), LoadedModel(model))

    assert {one.dtype for one in seen} == {column.dtype}
    pd.testing.assert_extension_array_equal(batch.result().sort_by("ID")["C"].to_pandas().array, column)


@pytest.mark.parametrize(("first", "second"), [(MONTHS, DAYS), (LEFT, RIGHT), (MONTHS, pd.Series([600]))])
def test_files_whose_numbers_mean_something_else_do_not_go_together(batch: Batch, first: Any, second: Any) -> None:
    write(batch, first, second)
    job = batch.job({"kind": "python", "target": "m:M", "python_path": [str(batch.root)]})

    with pytest.raises(DataError, match=r"column 'C': pandas\.\w+ \{.* have no common type"):
        score(job, LoadedModel(lambda frame: frame))


@pytest.mark.parametrize("dtype", ["INT64", "STRING"])
def test_a_signature_does_not_take_what_they_store(dtype: str) -> None:
    converter = InputConverter(["C"], Signature((Feature("C", dtype),), ()), "pandas")
    with pytest.raises(DataError, match="pandas.period"):
        converter(pa.table({"C": pa.array(MONTHS)}))


def test_a_process_without_pandas_knows_them(tmp_path: Path) -> None:
    schema = pa.schema([("C", pa.array(MONTHS).type), ("ID", pa.int64())])
    (tmp_path / "schema").write_bytes(schema.serialize().to_pybytes())
    code = (
        "import pickle, sys, pyarrow as pa\n"
        "from airflow_provider_snowflake_batch.worker.values.pandas_types import with_pandas_types\n"
        "stored = pa.ipc.read_schema(pa.py_buffer(open(sys.argv[1], 'rb').read()))\n"
        "assert stored.field('C').type == pa.int64() and 'pandas' not in sys.modules\n"
        "with_pandas_types(pa.schema([('ID', pa.int64())]))\n"
        "assert 'pandas' not in sys.modules\n"
        "sys.stdout.buffer.write(pickle.dumps(with_pandas_types(stored)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "schema")], capture_output=True, check=True)

    assert pickle.loads(done.stdout) == schema
    assert with_pandas_types(schema) is schema
