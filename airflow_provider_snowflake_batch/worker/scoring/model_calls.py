"""Calling the model with a batch: once if that works, otherwise in as many calls as it takes.

If there is no memory for a batch, it is halved, and later batches are kept as small. When bad rows are set aside, any
batch that fails is halved again and again, until single rows fail alone: with *b* bad rows among *n* that takes about
2·b·log2(n) calls. A model that fails for everything must not be called for every row. So as long as no row of the job
has been scored, ``TRIED_ROWS`` rows are tried alone, spread over the batch; if all of them fail, the job fails.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.bad_rows import BadRows, too_many
from airflow_provider_snowflake_batch.worker.errors import DataError, ModelError, WorkerError
from airflow_provider_snowflake_batch.worker.input.batch_size import BatchSize
from airflow_provider_snowflake_batch.worker.input.row_batch import RowBatch
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.scoring.by_length import ByLength
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.lack_of_memory import out_of_memory, release, text_of
from airflow_provider_snowflake_batch.worker.scoring.messages import Assignment
from airflow_provider_snowflake_batch.worker.scoring.output_rows import OutputRows, RowByRow
from airflow_provider_snowflake_batch.worker.scoring.results import OtherOrder, Unclear
from airflow_provider_snowflake_batch.worker.scoring.returned_copies import detached, owned, size_of

TRIED_ROWS = 16
# Characters of an error that are kept. A library may put a whole array into its message.
MOST_TEXT = 4000


@dataclass
class Scored:
    """Rows and what the model returned for them.

    :param bytes: about the memory held by what the model returned.
    :param combined: input and output columns, where they had to be made already to see whether they can be.
    """

    rows: RowBatch
    returned: Any
    bytes: int
    combined: tuple[pa.Table, pa.Table] | None = None


@dataclass
class Answer:
    """What became of a batch: every row of it is in one of the two."""

    scored: list[Scored] = field(default_factory=list)
    bad: list[BadRows] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """About the memory held by what the model returned."""
        return sum(one.bytes for one in self.scored)


class ModelCaller:
    """Calls the model; one for a process, used by the thread that predicts.

    :param quarantine: set bad rows aside instead of ending with the first.
    :param most_rows: most rows of a call, for a model that tells how long rows are; a batch has more.
    """

    def __init__(
        self,
        model: LoadedModel,
        converter: InputConverter,
        batch_size: BatchSize,
        output_rows: OutputRows,
        *,
        quarantine: bool,
        most_rows: int | None = None,
    ) -> None:
        self._model = model
        self._by_length: tuple[ByLength, RowByRow] | None = None
        if model.lengths is not None and isinstance(output_rows, RowByRow):
            self._by_length = ByLength(model.call, model.lengths, model.batch_tokens, most_rows), output_rows
        self._converter = converter
        self._batch_size = batch_size
        self._output_rows = output_rows
        self._quarantine = quarantine
        self._proven = False
        self._failed_first = 0
        self._room = 0
        self._pid = os.getpid()

    def begin(self, assignment: Assignment) -> None:
        """The batches from now on belong to this task."""
        self._proven = self._proven or assignment.proven
        self._room = assignment.quarantine_room

    def convert(self, rows: RowBatch) -> Any:
        """The model's argument for a batch; the error, where fewer rows or none of the bad ones can do without it.

        :raises DataError: a value cannot be had in the model's type.
        """
        try:
            return self._converter(rows.model_rows, rows.files)
        except MemoryError as error:
            return error
        except DataError as error:
            if not self._quarantine:
                raise self._located(rows, error) from None
            return error if self._output_rows.divisible else self._located(rows, error)

    def _located(self, rows: RowBatch, error: DataError) -> DataError:
        """The error with the first row that alone is enough for it, if there is one."""
        found, message = rows, error.message
        while found.table.num_rows > 1:
            count = found.table.num_rows
            for part in (found.slice(0, count // 2), found.slice(count // 2, count)):
                try:
                    self._converter(part.model_rows, part.files)
                except DataError as closer:
                    found, message = part, closer.message
                    break
            else:
                return DataError(f"{error.message} ({rows.where()})")
        where = found.as_bad("").where() if found.table.num_rows else found.where()
        return DataError(f"{message} ({where})")

    def __call__(self, rows: RowBatch, argument: Any) -> Answer:
        """Score a batch.

        :param argument: from `convert`.
        :raises ModelError: the model raised, and its rows are not set aside.
        :raises TooManyBadRows: there are more bad rows than may be set aside.
        """
        answer = Answer()
        self._set_aside(answer, rows.bad)
        count = rows.table.num_rows
        if count and self._output_rows.divisible and self._batch_size.within_limit(count) < count:
            # The batch was read before the limit became smaller.
            self._score_pieces(answer, rows, count)
        elif count:
            self._score(answer, rows, argument)
        return answer

    def _score(self, answer: Answer, rows: RowBatch, argument: Any) -> None:
        try:
            answer.scored.append(self._attempt_clearly(rows, argument))
            self._proven = True
            return
        # A model that calls sys.exit() has failed for these rows as well.
        except BaseException as error:
            count = rows.table.num_rows
            no_memory = out_of_memory(error)
            divisible = count > 1 and self._output_rows.divisible
            in_halves = divisible and (no_memory or isinstance(error, Unclear))
            if isinstance(error, OtherOrder) or not (self._quarantine or in_halves):
                raise _as_worker_error(error, rows) from None
            if not divisible:
                self._count_failure(error, rows)
                self._set_aside(answer, [rows.as_bad(_text(error))])
                return
            if no_memory:
                self._batch_size.too_large(count)
            elif not in_halves and not self._proven and count > TRIED_ROWS:
                self._try_some(rows, error)
        # Outside of the handler, since the exception holds the frames and with them the memory that was too much.
        argument = None
        if no_memory:
            release()
        self._score_pieces(answer, rows, (count + 1) // 2)

    def _score_pieces(self, answer: Answer, rows: RowBatch, most: int) -> None:
        start, count = 0, rows.table.num_rows
        while start < count:
            # Asked for each piece, since the limit may become smaller.
            stop = min(count, start + self._batch_size.within_limit(most))
            piece = rows.slice(start, stop)
            self._score(answer, piece, self.convert(piece))
            start = stop

    def _attempt_clearly(self, rows: RowBatch, argument: Any) -> Scored:
        try:
            return self._attempt(rows, argument)
        except Unclear:
            if rows.table.num_rows > 1 or not self._batch_size.allows(2):
                raise
        twice = rows.twice()
        # Nothing is learnt from a model that takes a row once only: it remains unclear, and is refused.
        with suppress(BaseException):
            self._attempt(twice, self.convert(twice))
        return self._attempt(rows, self.convert(rows))

    def _attempt(self, rows: RowBatch, argument: Any) -> Scored:
        if isinstance(argument, (DataError, MemoryError)):
            raise argument
        begun, combined = time.perf_counter(), None
        try:
            if self._by_length is None:
                returned, safe = owned(self._model.call(argument))
            else:
                returned, safe, combined = None, True, self._sorted(rows, argument)
        finally:
            # The model has forked and its child has returned here. The child lacks the other threads of the pipeline.
            if os.getpid() != self._pid:
                os._exit(0)
        seconds = time.perf_counter() - begun
        size = size_of(returned) if combined is None else combined[1].nbytes
        self._batch_size.called(rows.table.num_rows, seconds, size)
        if combined is not None:
            return Scored(rows, None, size, combined)
        if safe and not self._quarantine:
            return Scored(rows, returned, size)
        # Combined here and not in the thread that writes: rows are bad if what was returned for them cannot be used.
        inputs, outputs = self._combine(rows, returned)
        return Scored(rows, None, size, (inputs, outputs if safe else detached(outputs)))

    def _sorted(self, rows: RowBatch, argument: Any) -> tuple[pa.Table, pa.Table]:
        """Input and output columns, the model called with rows of like lengths."""
        assert self._by_length is not None
        call, output_rows = self._by_length

        def outputs(returned: Any, count: int) -> pa.Table:
            # Copied, since a model may write the results of its next call into the same memory.
            kept, safe = owned(returned)
            table = output_rows.outputs(kept, count)
            return table if safe else detached(table)

        tables, places = call(argument, rows.table.num_rows, outputs)
        inputs, one_below_the_other = output_rows.beside(rows.table, tables)
        return inputs, one_below_the_other.take(places)

    def _combine(self, rows: RowBatch, returned: Any) -> tuple[pa.Table, pa.Table]:
        return self._output_rows(rows.table, [(rows.table, returned)])

    def combine(self, scored: Scored) -> tuple[pa.Table, pa.Table]:
        """Input and output columns of scored rows.

        :raises DataError: what was returned cannot be used.
        """
        if scored.combined is not None:
            return scored.combined
        try:
            return self._combine(scored.rows, scored.returned)
        except DataError as error:
            raise _placed(error, scored.rows) from None

    def _try_some(self, rows: RowBatch, error: BaseException) -> None:
        """Call the model for some rows, each alone.

        :raises ModelError: it fails for all of them.
        """
        last = rows.table.num_rows - 1
        for number in range(TRIED_ROWS):
            place = last * number // (TRIED_ROWS - 1)
            row = rows.slice(place, place + 1)
            try:
                self._attempt_clearly(row, self.convert(row))
            except BaseException:
                continue
            self._proven = True
            return
        raise _broken(error, rows)

    def _count_failure(self, error: BaseException, rows: RowBatch) -> None:
        if not self._proven:
            self._failed_first += 1
            if self._failed_first >= TRIED_ROWS:
                raise _broken(error, rows) from None

    def _set_aside(self, answer: Answer, bad: Iterable[BadRows]) -> None:
        for rows in bad:
            self._room -= len(rows.rows)
            if self._room < 0:
                raise too_many(f"{rows.error} ({rows.where()})")
            answer.bad.append(rows)


def _broken(error: BaseException, rows: RowBatch) -> WorkerError:
    cause = _as_worker_error(error, rows)
    return type(cause)(
        f"{cause.message}; no row has been scored, and {TRIED_ROWS} tried alone all failed, so none is set aside",
        cause.details,
    )


def _as_worker_error(error: BaseException, rows: RowBatch) -> WorkerError:
    if isinstance(error, DataError):
        return _placed(error, rows)
    return ModelError(f"{_text(error)} ({rows.where()})", own_traceback(error))


def _placed(error: DataError, rows: RowBatch) -> DataError:
    """The error with the row that it is of, or the rows where that is not known."""
    count, row = rows.table.num_rows, getattr(error, "row", None)
    return DataError(f"{error.message} ({rows.where() if row is None else rows.names(count)(row)})")


def _text(error: BaseException) -> str:
    text = error.message if isinstance(error, DataError) else text_of(error)
    if not isinstance(error, DataError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}… ({len(text)} characters)"
    # A file cannot hold half of a surrogate pair.
    return text.encode("utf-8", "replace").decode("utf-8")


def own_traceback(error: BaseException) -> str:
    """The traceback from the model's first frame on: frames of this package do not help the model's author."""
    tb = error.__traceback__
    package = __name__.split(".scoring.")[0]
    while tb is not None and tb.tb_next is not None and str(tb.tb_frame.f_globals.get("__name__")).startswith(package):
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(error), error, tb)).rstrip()
