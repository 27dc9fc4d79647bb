"""Calling a model with rows of like lengths, for models that pad a batch to its longest row.

The rows of each call are chosen from a batch. Results are put back into the batch's order, so that for all other code
the batch is one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.length_windows import length_windows
from airflow_provider_snowflake_batch.worker.scoring.lack_of_memory import out_of_memory, release
from airflow_provider_snowflake_batch.worker.scoring.storable_arrays import OutputMisfit

#: From what the model returned for some rows, and how many these are, to their output columns.
Outputs = Callable[[Any, int], pa.Table]


class ByLength:
    """Calls a model.

    :param call: takes some rows. :param lengths: tells how many tokens each row of a batch has.
    :param batch_tokens: most tokens of a call, padding counted; fewer after a call for which there was no memory.
    :param most_rows: most rows of a call.
    """

    def __init__(
        self,
        call: Callable[[Any], Any],
        lengths: Callable[[Any], Sequence[int]],
        batch_tokens: int,
        most_rows: int | None,
    ) -> None:
        self._call, self._lengths = call, lengths
        self._batch_tokens, self._most = batch_tokens, most_rows

    def __call__(self, argument: Any, rows: int, outputs: Outputs) -> tuple[list[pa.Table], pa.Array]:
        """The output columns of each call, and for each row of the batch its place when they are one below the other.

        :param argument: the batch. :param rows: of it.
        :raises DataError: the lengths, or what the model returned, cannot be used.
        :raises Exception: what the model raises.
        """
        lengths = _checked(self._lengths(argument), rows)
        tables: list[pa.Table] = []
        order: list[int] = []
        left = list(range(rows))
        while left:
            for window in length_windows([lengths[place] for place in left], self._batch_tokens, most_rows=self._most):
                places = [left[number] for number in window]
                table = self._called(argument, places, lengths, outputs)
                if table is None:
                    release()
                    break
                tables.append(table)
                order.extend(places)
            done = set(order)
            left = [place for place in left if place not in done]
        return tables, pa.array(np.argsort(np.array(order, dtype=np.int64)))

    def _called(self, argument: Any, places: list[int], lengths: Sequence[int], outputs: Outputs) -> pa.Table | None:
        """The output columns of some rows; None if they have to be fewer, since there is no memory."""
        try:
            return outputs(self._call(_rows(argument, places)), len(places))
        except OutputMisfit as error:
            error.row = None if error.row is None else places[error.row]
            raise
        except BaseException as error:
            if len(places) == 1 or not out_of_memory(error):
                raise
        self._batch_tokens = max(1, len(places) * max(lengths[place] for place in places) // 2)
        return None


def _rows(argument: Any, places: list[int]) -> Any:
    """Some rows of a batch, as a model gets them."""
    if isinstance(argument, pa.Table):
        return argument.take(pa.array(places, pa.int64()))
    frame: pd.DataFrame = argument
    return frame.iloc[places].reset_index(drop=True)


def _checked(lengths: Any, rows: int) -> list[int]:
    """The lengths as whole numbers.

    :raises DataError: they are none, or not as many as there are rows.
    """
    values = lengths.to_pylist() if isinstance(lengths, (pa.Array, pa.ChunkedArray)) else list(lengths)
    if len(values) != rows:
        raise DataError(f"the model's length_of returned {len(values)} lengths for {rows} rows")
    for place, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise DataError(f"the model's length_of returned {value!r}, which is no number of tokens, for row {place}")
    return [int(value) for value in values]
