"""From the rows that the model was given and what it returned to the rows that are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.signature import Signature
from airflow_provider_snowflake_batch.worker.scoring import results
from airflow_provider_snowflake_batch.worker.values import schemas

Call = tuple[pa.Table, Any]


class OutputRows(Protocol):
    """Makes the input columns and the output columns of the written rows.

    ``divisible`` says whether a batch may be given to the model in several calls.
    """

    divisible: bool

    def __call__(self, rows: pa.Table, calls: Sequence[Call]) -> tuple[pa.Table, pa.Table]:
        """Input and output columns for the calls that a batch took.

        :raises DataError: what was returned cannot be used.
        """


class RowByRow:
    """One output row for each input row, beside it.

    :param passed: the input columns that are written; None for all.
    """

    def __init__(
        self, signature: Signature | None, *, divisible: bool = True, passed: Sequence[str] | None = None
    ) -> None:
        self._signature = signature
        self._passed = passed
        self._habit = results.ListHabit(asks=divisible)
        self.divisible = divisible

    def __call__(self, rows: pa.Table, calls: Sequence[Call]) -> tuple[pa.Table, pa.Table]:
        return self.beside(rows, [self.outputs(returned, table.num_rows) for table, returned in calls])

    def outputs(self, returned: Any, rows: int) -> pa.Table:
        """The output columns of one call.

        :raises DataError: what was returned cannot be used.
        """
        return results.to_table(returned, rows, self._signature, self._habit)

    def beside(self, rows: pa.Table, tables: Sequence[pa.Table]) -> tuple[pa.Table, pa.Table]:
        """The input columns that are passed through, and what several calls returned, one below the other.

        :raises DataError: the calls' types do not go together.
        """
        schema = tables[0].schema
        for table in tables[1:]:
            schema = schemas.join(schema, table.schema)
        passed = rows if self._passed is None else rows.select(self._passed)
        return passed, pa.concat_tables([schemas.fit(table, schema) for table in tables])


class GroupByGroup:
    """Any number of output rows for a group, beside the value that the group has in common.

    That is what a partitioned function gives in Snowflake: of the input, only the partition column is in its result.
    """

    divisible = False

    def __init__(self, signature: Signature | None, column: str) -> None:
        self._signature = signature
        self._column = column

    def __call__(self, rows: pa.Table, calls: Sequence[Call]) -> tuple[pa.Table, pa.Table]:
        ((_, returned),) = calls
        outputs = results.to_table(returned, None, self._signature)
        if schemas.replaced_inputs([self._column], outputs.column_names):
            raise DataError(f"the model returned the partition column {self._column!r}, which the result has already")
        value = rows.column(self._column).take(pa.array([0] * outputs.num_rows, pa.int64()))
        return pa.table({self._column: value}), outputs
