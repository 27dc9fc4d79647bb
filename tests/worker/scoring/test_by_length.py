"""Rows of like lengths go to the model together, and come out in their order.

Also tests ``worker/scoring/assembly.py``, ``worker/scoring/model_calls.py``, ``worker/scoring/output_rows.py``.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.scoring.by_length import ByLength
from airflow_provider_snowflake_batch.worker.scoring.storable_arrays import OutputMisfit
from tests.worker.batches import Batch


def frame(lengths: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"ID": range(len(lengths)), "LENGTH": lengths})


def lengths_of(rows: Any) -> Any:
    return rows["LENGTH"]


def to_table(returned: Any, rows: int) -> pa.Table:
    assert len(returned) == rows
    return pa.table({"Y": returned})


@given(st.lists(st.integers(0, 300), min_size=1, max_size=100), st.integers(1, 2000), st.integers(1, 20), st.booleans())
def test_results_are_in_the_order_of_the_rows(lengths: list[int], budget: int, most: int, arrow: bool) -> None:
    calls: list[list[int]] = []

    def call(rows: Any) -> Any:
        assert arrow or list(rows.index) == list(range(len(rows)))
        calls.append(list(rows["LENGTH"].to_pylist() if arrow else rows["LENGTH"]))
        return pa.chunked_array(rows["ID"]) if arrow else rows["ID"].to_numpy() * 1

    given_rows = pa.Table.from_pandas(frame(lengths)) if arrow else frame(lengths)
    tables, places = ByLength(call, lengths_of, budget, most)(given_rows, len(lengths), to_table)

    assert pa.concat_tables(tables).take(places)["Y"].to_pylist() == list(range(len(lengths)))
    assert all(len(one) == 1 or (len(one) <= most and len(one) * max(one) <= budget) for one in calls)


def test_a_call_without_memory_is_repeated_with_fewer_tokens_and_so_are_those_after_it() -> None:
    calls: list[int] = []

    def call(rows: pd.DataFrame) -> Any:
        calls.append(len(rows) * rows["LENGTH"].max())
        if calls[-1] > 30:
            raise MemoryError
        return rows["ID"].to_numpy()

    by_length = ByLength(call, lengths_of, 1000, None)
    for _ in range(2):
        tables, places = by_length(frame([10] * 20), 20, to_table)
        assert pa.concat_tables(tables).take(places)["Y"].to_pylist() == list(range(20))

    assert calls == [200, 100, 50, *[20] * 10, *[20] * 10]


def test_one_row_for_which_there_is_no_memory_is_an_error() -> None:
    def call(rows: pd.DataFrame) -> Any:
        raise MemoryError("too long")

    with pytest.raises(MemoryError, match="too long"):
        ByLength(call, lengths_of, 1, None)(frame([5, 6]), 2, to_table)


def test_a_row_that_cannot_be_stored_is_the_batchs_row() -> None:
    def outputs(returned: Any, rows: int) -> pa.Table:
        raise OutputMisfit("no text", 1)

    with pytest.raises(OutputMisfit) as raised:
        ByLength(lambda rows: rows, lengths_of, 100, None)(frame([7, 9, 8]), 3, outputs)

    assert raised.value.row == 2


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1, 2], "length_of returned 2 lengths for 3 rows"),
        ([1, 2.5, 3], "length_of returned 2.5, which is no number of tokens, for row 1"),
        ([1, 2, None], "length_of returned None"),
        (np.array([1, -1, 3]), "no number of tokens, for row 1"),
        ([True, 1, 1], "length_of returned True"),
    ],
)
def test_lengths_that_are_none_are_refused(lengths: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        ByLength(lambda rows: rows, lambda rows: lengths, 100, None)(frame([1, 1, 1]), 3, to_table)


def texts(batch: Batch, count: int) -> list[str]:
    values = ["x" * (1 + number * 37 % 50) for number in range(count)]
    batch.rows({"ID": list(range(count)), "TEXT": values})
    return values


@pytest.mark.parametrize("model", ["PadsTexts", "PadsTokens"])
def test_a_job_whose_model_tells_how_long_rows_are(batch: Batch, model: str) -> None:
    values = texts(batch, 400)
    marks = batch.root / "marks"
    batch.job(model, init={"marks": str(marks)}, inference={"num_workers": 1, "max_batch_rows": 6})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["ID"].to_pylist() == list(range(400))
    assert batch.result()["Y"].to_pylist() == [len(text) for text in values]
    calls = [tuple(map(int, line.split())) for line in marks.read_text().splitlines()]
    assert all(rows <= 6 and (rows == 1 or rows * longest <= 100) for rows, longest in calls)
    # Six of them as they come take almost twice as many.
    assert sum(rows * longest for rows, longest in calls) < 1.2 * sum(map(len, values))


def test_bad_rows_of_a_model_that_tells_how_long_rows_are(batch: Batch) -> None:
    values = texts(batch, 60)
    batch.job("PadsTexts", init={"bad": [3, 41]}, inference={"num_workers": 1, "on_error": "quarantine"})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    good = [number for number in range(60) if number not in (3, 41)]
    assert batch.result()["ID"].to_pylist() == good
    assert batch.result()["Y"].to_pylist() == [len(values[number]) for number in good]
    assert batch.manifest()["quarantined_rows"] == 2


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({"batch_tokens": 0}, "batch_tokens is 0"),
        ({"batch_tokens": "many"}, "batch_tokens is 'many'"),
        ({"length_of": 5}, "length_of is 5; it is a method, or the name of a column of texts"),
        ({"partitioned": True}, "it cannot have length_of as well"),
    ],
)
def test_a_model_that_says_something_else_of_lengths_is_refused(
    batch: Batch, says: dict[str, Any], message: str
) -> None:
    texts(batch, 4)
    batch.job("PadsTexts", init={"says": says})

    outcome = batch.run()

    assert outcome.code == 2
    assert message in outcome.last
