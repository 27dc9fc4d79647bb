"""Rows set aside because the model, or the files they name, failed for them: ``on_error`` is ``quarantine``.

They go to ``_quarantine/<plan>-<task>.<attempt>.pq``. The files are Parquet, but the usual pattern for results,
``.*\\.parquet``, does not match their names, so that readers of results leave them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.output_layout import QUARANTINE
from airflow_provider_snowflake_batch.contract.progress import MOST_BAD_ROWS, told_bad_row
from airflow_provider_snowflake_batch.worker.errors import Refused, TooManyBadRows
from airflow_provider_snowflake_batch.worker.values.texts import readable

FILE_COLUMN = "QUARANTINE_FILE"
ROW_COLUMN = "QUARANTINE_ROW"
ERROR_COLUMN = "QUARANTINE_ERROR"
_FIELDS = (
    pa.field(FILE_COLUMN, pa.string()),
    pa.field(ROW_COLUMN, pa.int64()),
    pa.field(ERROR_COLUMN, pa.string()),
)


@dataclass(frozen=True)
class BadRows:
    """Rows that failed together: one row, or a group that can only be called whole.

    :param table: their input columns.
    :param files: for each row, the input file it lies in.
    :param rows: for each row, its number within that file, counted from 0.
    :param error: class and message of what was raised.
    """

    table: pa.Table
    files: Sequence[str]
    rows: Sequence[int]
    error: str

    def where(self) -> str:
        """Which rows these are, in words."""
        more = f" and {len(self.rows) - 1} more" if len(self.rows) > 1 else ""
        return f"row {self.rows[0]} of file {self.files[0]}{more}"

    def to_table(self) -> pa.Table:
        """The rows as they are written: their columns, then file, row number and error.

        A row may be bad because of a text that is no UTF-8. Others could not read the file if it were in there.
        """
        columns = [pa.array(self.files), pa.array(self.rows, pa.int64()), pa.array([self.error] * len(self.rows))]
        table = readable(self.table)
        for field, column in zip(_FIELDS, columns, strict=True):
            table = table.append_column(field, column)
        return table


def quarantine_schema(inputs: pa.Schema) -> pa.Schema:
    """The schema of quarantine files.

    :raises Refused: the input has a column of one of the names that are added.
    """
    names = {name.upper() for name in inputs.names}
    for field in _FIELDS:
        if field.name in names:
            raise Refused(f"on_error is quarantine, which adds a column {field.name}: the input has one of that name")
    return pa.schema([*inputs, *_FIELDS])


class Quarantine:
    """Counts the rows of a batch that are set aside.

    :param most: how many there may be. :param recorded: how many finished tasks have recorded.
    :ivar elsewhere: how many rows other replicas have set aside, where each replica counts its own.
    :ivar first: the first ones of this attempt with their errors, in words.
    """

    def __init__(self, most: int, recorded: int = 0) -> None:
        self._most = most
        self._recorded = recorded
        self._at_hand: dict[int, int] = {}
        self.elsewhere = 0
        self.first: list[str] = []

    @property
    def rows(self) -> int:
        """Rows set aside, those of unfinished tasks included."""
        return self.elsewhere + self._recorded + self.rows_at_hand

    @property
    def rows_at_hand(self) -> int:
        """Rows of unfinished tasks that are set aside."""
        return sum(list(self._at_hand.values()))

    @property
    def room(self) -> int:
        """Rows that may still be set aside."""
        return self._most - self.rows

    def set_aside(self, worker: int, count: int, latest: str) -> None:
        """A process set rows of an unfinished task aside.

        :param latest: one of them with its error, in words.
        :raises TooManyBadRows: there are more than there may be.
        """
        self._at_hand[worker] = self._at_hand.get(worker, 0) + count
        self.remember([latest])
        if self.room < 0:
            raise too_many(latest)

    def remember(self, told: Iterable[str]) -> None:
        """Some bad rows with their errors, in words."""
        # A task that is done again sets the same ones aside.
        new = [text for one in told if (text := told_bad_row(one)) not in self.first]
        self.first += new[: MOST_BAD_ROWS - len(self.first)]

    def at_hand(self, worker: int, count: int) -> None:
        """Note how many bad rows a process, or all of a replica's, have in tasks that are not done."""
        self._at_hand[worker] = count

    def task(self, worker: int, count: int) -> None:
        """A process finished a task with so many bad rows. It may have begun the next task already."""
        self._recorded += count
        self._at_hand[worker] = max(self._at_hand.get(worker, 0) - count, 0)

    def withdraw(self, count: int) -> None:
        """Note that a finished task with so many bad rows does not count."""
        self._recorded -= count

    def forget(self, worker: int) -> None:
        """A process gave up what it had at hand."""
        self._at_hand.pop(worker, None)


def too_many(latest: str) -> TooManyBadRows:
    """The error of a batch with more bad rows than there may be. :param latest: one of them, in words."""
    return TooManyBadRows(
        "more rows failed than max_quarantined (in inference, or in job_spec of an operator) allows; those of finished "
        f"tasks are in {QUARANTINE} of the output directory; the latest: {latest}"
    )
