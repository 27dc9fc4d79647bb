"""``partition_column``: every group of rows goes to the model whole, in one call.

The rows of a group may lie anywhere in the input. They are brought together in one pass: whoever does it reads the
input once and spreads it over bucket files on its own disk by a hash of the column (`spread`); a bucket is a task.
Memory is bounded by constants while reading and by the largest group while predicting, not by the input.
"""

from __future__ import annotations

import bisect
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input.categories import grouped_schema, in_categories, read_categories
from airflow_provider_snowflake_batch.worker.input.file_columns import FileColumns
from airflow_provider_snowflake_batch.worker.input.plan import TASK_ROWS, Plan, RowRange, Task
from airflow_provider_snowflake_batch.worker.input.row_batch import Origin, RowBatch
from airflow_provider_snowflake_batch.worker.input.spread import (
    FILE_COLUMN,
    ROW_COLUMN,
    BucketFiles,
    check_column,
    decoded_width,
    joined,
    key_values,
    open_input,
    row_groups,
)
from airflow_provider_snowflake_batch.worker.values.texts import as_bytes

BUCKET_BYTES = 64 * 1024 * 1024
MOST_BUCKETS = 512
# Groups are taken out of a bucket together up to so many bytes.
TAKEN_BYTES = 16 * 1024 * 1024


def bucket_count(root: Path, plan: Plan) -> int:
    """How many buckets there are: it follows from the input alone, so that every replica makes the same.

    Up to `MOST_BUCKETS`, at least as many as there would be tasks without groups, since a model may take long for a
    row.

    :raises DataError: the first file cannot be read.
    """
    if plan.schema is None or not plan.tasks:
        return 1
    path = plan.tasks[0].ranges[0].path
    try:
        with contextlib.closing(open_input(root, path, plan.schema)) as file:
            size = max(plan.bytes, int(plan.rows * decoded_width(file, plan.schema)))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read input file {path}: {error}") from None
    return max(1, min(MOST_BUCKETS, max(-(-size // BUCKET_BYTES), -(-plan.rows // (plan.task_rows or TASK_ROWS)))))


class Buckets:
    """Bucket files in a directory of their own.

    :param root: the input. :param plan: its plan, of which only files and row ranges are used.
    :param column: the partition column, in the input's own spelling.
    :param owns: tells which buckets are written, by their numbers.
    :raises Refused: the column's values make no groups.
    """

    def __init__(self, root: Path, plan: Plan, column: str, owns: Callable[[int], bool]) -> None:
        assert plan.schema is not None
        check_column(plan.schema, column)
        self._plan = plan
        self._folder = Path(tempfile.mkdtemp(prefix="sfbatch-partitions-"))
        self._files = BucketFiles(root, plan.schema, column, bucket_count(root, plan), self._path, owns)

    def fill(self) -> Plan:
        """Read the whole input once.

        :return: the plan with the buckets as its tasks.
        :raises DataError: a file cannot be read.
        :raises OutputError: the disk has no room for the groups.
        """
        self._files.fill(joined(row_groups(self._plan)))
        self._files.categories.write(self._folder)
        return grouped_plan(
            self._plan,
            (
                Task(bucket, (RowRange(str(self._path(bucket)), 0, 0, 0, rows),), rows, size, grouped=True)
                for bucket, (rows, size) in enumerate(zip(self._files.rows, self._files.bytes, strict=True))
                if rows
            ),
        )

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket:04d}.arrow"


def grouped_plan(plan: Plan, tasks: Iterable[Task]) -> Plan:
    """The plan with buckets as its tasks."""
    assert plan.schema is not None
    return replace(plan, schema=grouped_schema(plan.schema), tasks=tuple(tasks))


class PartitionReader:
    """Reads a bucket as groups, each one batch: groups in the order of their value, rows in that of the input.

    :param column: the partition column, in the input's own spelling.
    :param files: reads the files that columns name, if any do.
    """

    def __init__(self, column: str, files: FileColumns | None = None) -> None:
        self._column = column
        self._files = files

    def batches(self, task: Task) -> Iterator[RowBatch]:
        """The groups of a task.

        :raises DataError: the bucket cannot be read, or a row names a file that cannot be had.
        """
        groups = self._groups(task)
        return groups if self._files is None else self._files.groups(groups)

    def content(self) -> None:
        """A bucket is made of all of the input, whose content is known once for all of them."""

    def _groups(self, task: Task) -> Iterator[RowBatch]:
        # Files of a bucket follow each other in the input's order.
        try:
            table = pa.concat_tables(_mapped(piece.path) for piece in task.ranges)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read the rows of a partition again: {error}") from None
        # Rows lie in the input's order already, and the sort is stable.
        key = key_values(table.column(self._column))
        order = pc.array_sort_indices(key)
        most = max(1, int(TAKEN_BYTES * table.num_rows / max(table.nbytes, 1)))
        categories = read_categories(Path(task.ranges[0].path).parent)
        rows = _Rows(table)
        runs = list(_runs(key.take(order)))
        while runs:
            # Some groups at a time, so that not all of the bucket is in memory.
            first = runs[0][0]
            count = max(1, bisect.bisect_right(runs, first + most, key=lambda run: run[1]))
            together = runs[:count]
            del runs[:count]
            taken = rows.take(order.slice(first, together[-1][1] - first).to_numpy().astype(np.int64))
            taken = in_categories(taken, categories)
            for start, stop in together:
                yield self._group(taken.slice(start - first, stop - start).combine_chunks())

    def _group(self, rows: pa.Table) -> RowBatch:
        sources = (rows.column(FILE_COLUMN), rows.column(ROW_COLUMN))
        first = Origin(sources[0][0].as_py(), sources[1][0].as_py(), 1)
        plain = rows.drop_columns([FILE_COLUMN, ROW_COLUMN])
        value = _shown(rows.column(self._column)[0])
        where = f"{self._column} = {value}, {len(rows)} rows, the first is row {first.first_row} of file {first.path}"
        return RowBatch(plain, plain, (first,), 2 * plain.nbytes, where, sources=sources)


def _mapped(path: str) -> pa.Table:
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all()


class _Rows:
    """Rows of a table of many chunks. Arrow's own ``take`` makes one chunk of all the text in a column, each time."""

    def __init__(self, table: pa.Table) -> None:
        self._batches = table.to_batches()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def take(self, places: np.ndarray) -> pa.Table:
        """The rows at some places, in that order, as one chunk."""
        which = np.searchsorted(self._starts, places, side="right") - 1
        sorted_places = np.argsort(which, kind="stable")
        parts = []
        for number in np.unique(which):
            inside = places[sorted_places][which[sorted_places] == number] - self._starts[number]
            parts.append(self._batches[number].take(pa.array(inside)))
        back = np.empty(len(places), np.int64)
        back[sorted_places] = np.arange(len(places))
        return pa.Table.from_batches(parts).combine_chunks().take(pa.array(back))


def _shown(value: pa.Scalar) -> str:
    try:
        return repr(value.as_py())
    except UnicodeDecodeError:
        return repr(as_bytes(value.value if isinstance(value, pa.ExtensionScalar) else value).as_py())
    except ValueError:
        return str(value.cast(pa.string()))


def _runs(key: pa.Array) -> Iterator[tuple[int, int]]:
    """Spans of equal values, NULL equal to NULL and NaN to NaN."""
    encoded = pc.dictionary_encode(key, null_encoding="encode").indices.to_numpy(zero_copy_only=False)
    edges = np.flatnonzero(np.diff(encoded)) + 1
    yield from zip([0, *edges.tolist()], [*edges.tolist(), len(encoded)], strict=True)
