"""Rows on their way to the model, and which rows of the input they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.bad_rows import BadRows

#: What the files of some rows hold.
FileBytes = list[bytes | None]


@dataclass(frozen=True)
class Origin:
    """Consecutive rows of one file, counted from 0."""

    path: str
    first_row: int
    rows: int


@dataclass
class RowBatch:
    """Rows for one call of the model.

    :param table: the input columns as they are passed through to the output.
    :param model_rows: the same rows as the model gets them, with the text of files in place of their paths.
    :param files: columns of ``model_rows`` in whose place the model gets these bytes, which are read and not copied.
    :param bytes: memory held by the rows.
    :param label: which rows these are, where their origins do not say it.
    :param bad: rows that belong here but cannot be given to the model.
    :param sources: file and row number of each row, where the rows of a batch lie far apart; the origins then name the
        first row only.
    """

    table: pa.Table
    model_rows: pa.Table
    origins: tuple[Origin, ...]
    bytes: int
    label: str | None = None
    bad: list[BadRows] = field(default_factory=list)
    sources: tuple[pa.ChunkedArray, pa.ChunkedArray] | None = None
    files: Mapping[str, FileBytes] = field(default_factory=dict)

    def slice(self, start: int, stop: int) -> RowBatch:
        """Some of the rows, those that can be given to the model."""
        count = stop - start
        table, model_rows = self.table.slice(start, count), self.model_rows.slice(start, count)
        batch = RowBatch(table, model_rows, cut(self.origins, start, stop), self.bytes)
        batch.files = {column: contents[start:stop] for column, contents in self.files.items()}
        if self.sources is not None:
            batch.sources = (self.sources[0].slice(start, count), self.sources[1].slice(start, count))
        return batch

    def twice(self) -> RowBatch:
        """The rows two times, one below the other: something to ask the model with, and not to be written."""
        table, model_rows = (pa.concat_tables([one, one]) for one in (self.table, self.model_rows))
        files = {column: contents * 2 for column, contents in self.files.items()}
        return RowBatch(table, model_rows, self.origins * 2, self.bytes, files=files)

    def as_bad(self, error: str) -> BadRows:
        """The rows, to be set aside for an error."""
        if self.sources is not None:
            return BadRows(self.table, self.sources[0].to_pylist(), self.sources[1].to_pylist(), error)
        files = chain.from_iterable([one.path] * one.rows for one in self.origins)
        rows = chain.from_iterable(range(one.first_row, one.first_row + one.rows) for one in self.origins)
        return BadRows(self.table, list(files), list(rows), error)

    def names(self, rows: int) -> Callable[[int], str]:
        """Tells in words which row of the input an output row belongs to, without holding the rows themselves.

        :param rows: how many output rows there are.
        """
        if rows != self.table.num_rows:
            # Output rows of a group belong to no single input row.
            group = self.where()
            return lambda place: group
        return partial(_name, self.origins, self.sources)

    def where(self) -> str:
        """Which rows these are, in words."""
        if self.label is not None:
            return self.label
        texts = [f"rows {one.first_row}–{one.first_row + one.rows - 1} of file {one.path}" for one in self.origins[:3]]
        more = len(self.origins) - 3
        return "; ".join(texts) + (f"; and of {more} more" if more > 0 else "")


def _name(origins: tuple[Origin, ...], sources: tuple[pa.ChunkedArray, pa.ChunkedArray] | None, place: int) -> str:
    if sources is not None:
        return f"row {sources[1][place].as_py()} of file {sources[0][place].as_py()}"
    (one,) = cut(origins, place, place + 1)
    return f"row {one.first_row} of file {one.path}"


def without(batch: RowBatch, errors: Mapping[int, str]) -> RowBatch:
    """A batch less the rows at some places, which it keeps as bad rows."""
    bad = [batch.slice(place, place + 1).as_bad(errors[place]) for place in sorted(errors)]
    good = [place for place in range(batch.table.num_rows) if place not in errors]
    origins = [origin for place in good for origin in cut(batch.origins, place, place + 1)]
    kept = pa.array(good, pa.int64())
    table, model_rows = batch.table.take(kept), batch.model_rows.take(kept)
    files = {column: [contents[place] for place in good] for column, contents in batch.files.items()}
    return RowBatch(table, model_rows, merge(origins), batch.bytes, batch.label, bad, files=files)


def merge(origins: list[Origin]) -> tuple[Origin, ...]:
    """The same rows with neighbours taken together."""
    merged: list[Origin] = []
    for one in origins:
        if merged and merged[-1].path == one.path and merged[-1].first_row + merged[-1].rows == one.first_row:
            last = merged.pop()
            one = Origin(last.path, last.first_row, last.rows + one.rows)
        merged.append(one)
    return tuple(merged)


def cut(origins: tuple[Origin, ...], start: int, stop: int) -> tuple[Origin, ...]:
    """The origins of some of the rows."""
    found: list[Origin] = []
    position = 0
    for one in origins:
        first, last = max(start, position), min(stop, position + one.rows)
        if first < last:
            found.append(Origin(one.path, one.first_row + first - position, last - first))
        position += one.rows
    return tuple(found)
