"""Input files become tasks: always the same tasks for the same files, whatever machine plans them.

Tasks depend on the files and on constants only, never on cores or replicas, so that every replica and every later
attempt cuts the input in the same places and can tell by number what is done.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.job_file import DEFAULT_PATTERN
from airflow_provider_snowflake_batch.worker.errors import DataError, Refused
from airflow_provider_snowflake_batch.worker.input.footer_pool import read_all_footers
from airflow_provider_snowflake_batch.worker.input.footers import SourceFile
from airflow_provider_snowflake_batch.worker.input.input_names import InputNames
from airflow_provider_snowflake_batch.worker.input.listing import check_links, files_below
from airflow_provider_snowflake_batch.worker.values.common_types import NoCommonType, common_schema, plain_layout

# A task is lost when its process dies, and has one record on the stage. So it is small enough to be repeated, and large
# enough that there are never tens of thousands of records.
TASK_ROWS = 65_536
TASK_ROWS_WITH_FILES = 256
TASK_BYTES = 32 * 1024 * 1024
MOST_TASKS = 2048

# A file's path, and rows and uncompressed bytes of each of its row groups: all of a file that tasks are made of.
Layout = tuple[str, tuple[tuple[int, int], ...]]


class RowRange(NamedTuple):
    """Some rows of one row group.

    :param first_row: number of the first row within the file, counted from 0.
    :param skip: rows of the row group before the first one.
    """

    path: str
    row_group: int
    first_row: int
    skip: int
    rows: int


@dataclass(frozen=True)
class Task:
    """Rows that are predicted, written and recorded together.

    :param bytes: uncompressed size of the rows in the file, in bytes.
    :param grouped: whether the ranges are of a file into which rows of all of the input were brought together.
    """

    index: int
    ranges: tuple[RowRange, ...]
    rows: int
    bytes: int
    grouped: bool = False

    def row(self, number: int) -> str:
        """One of its rows, in words. :param number: from 0."""
        for piece in self.ranges:
            if self.grouped or number < piece.rows:
                break
            number -= piece.rows
        return self.place if self.grouped else f"row {piece.first_row + number} of file {piece.path}"

    @property
    def place(self) -> str:
        """Where its rows are, in words."""
        if self.grouped:
            return f"task {self.index}, {self.rows} rows in groups"
        first = self.ranges[0]
        same = [one for one in self.ranges if one.path == first.path]
        files = len({one.path for one in self.ranges})
        more = f" and of {files - 1} more files" if files > 1 else ""
        return (
            f"rows {first.first_row}–{first.first_row + sum(one.rows for one in same) - 1} of file {first.path}{more}"
        )


@dataclass(frozen=True)
class Plan:
    """The whole batch.

    :param schema: the schema that all files share, or None if there is no file.
    :param input_fingerprint: changes when the footer of any input file changes, or there are other files.
    :param seen: of each input file size and time of change, in a number.
    :param left_out: files beside the input that are none, in words.
    :param task_rows: most rows of a task, if the job file states them.
    """

    tasks: tuple[Task, ...]
    rows: int
    bytes: int
    files: int
    schema: pa.Schema | None
    input_fingerprint: str
    seen: Mapping[str, int] = field(default_factory=dict)
    left_out: str | None = None
    task_rows: int | None = None


def list_files(root: Path, pattern: str) -> list[str]:
    """The input files below a directory in a fixed order, as paths relative to it.

    Names that begin with ``_`` or ``.`` are no data, as everywhere around Parquet. Of the others `InputNames` tells. A
    file that links lead to several times is there once (`listing`).

    :raises Refused: there is nothing at ``root``, nothing that is input, a file that may be input and cannot be read as
        it is, or a link leads to a folder that holds the root.
    """
    return list_input(root, pattern)[0]


def list_input(root: Path, pattern: str) -> tuple[list[str], list[str], str | None]:
    """As `list_files`, the places that links among them lead to, and which files are left out, in words.

    :raises Refused: as `list_files`.
    """
    if root.is_file():
        return [root.name], [], None
    if not root.is_dir():
        raise Refused(f"the input {root} does not exist")
    matches = InputNames(root, pattern)

    def take(path: str) -> bool:
        if path.rpartition("/")[2].startswith(("_", ".")):
            matches.pass_over(path)
            return False
        return matches(path) is not None

    try:
        found = files_below(
            root, lambda name: not name.startswith(("_", ".")), take, by_path=pattern != DEFAULT_PATTERN
        )
    except OSError as error:
        raise Refused(f"the input {error.filename or root} cannot be listed: {error.strerror or error}") from None
    left_out = matches.left_out()
    return *found, left_out


def recordable(names: list[str]) -> list[str]:
    """The names, if all of them can be written down: records, manifest and quarantine say which file a row is from.

    :raises Refused: one is not UTF-8.
    """
    try:
        "\n".join(names).encode()
    except UnicodeEncodeError:
        wrong = next(name for name in names if not name.isascii() and name.encode("utf-8", "replace").decode() != name)
        raise Refused(
            f"the name of the input file {os.fsencode(wrong)!r} is not UTF-8, so no record can name it; rename it"
        ) from None
    return names


def file_path(root: Path, name: str) -> Path:
    """Where a file of the plan is."""
    return root if root.is_file() else root / name


class SharedSchema:
    """The one schema that all files can be read with: the first file's columns, each in the widest type seen."""

    def __init__(self) -> None:
        self.schema: pa.Schema | None = None
        self._names: set[str] = set()
        self._seen: list[tuple[str, pa.Schema]] = []

    def add(self, file: SourceFile) -> None:
        """Take one more file in.

        :raises DataError: it lacks a column or has one more, or has two of the same name or one without a name that can
            be read, or types do not go together.
        """
        if any(schema is file.schema or schema.equals(file.schema) for _, schema in self._seen):
            return
        try:
            twice = repeated(file.schema.names)
        except UnicodeDecodeError as error:
            raise DataError(
                f"input file {file.path} has a column whose name is not valid UTF-8: {error.object!r}; rename it"
            ) from None
        if twice:
            raise DataError(f"input file {file.path} has columns of the same name: {', '.join(twice)}")
        if self.schema is None:
            self.schema, self._names = _plain(file.schema), set(file.schema.names)
        first = self._seen[0][0] if self._seen else file.path
        different = self._names.symmetric_difference(file.schema.names)
        if different:
            raise DataError(
                f"input files {first} and {file.path} do not have the same columns: "
                f"{', '.join(sorted(different))} only in one of them"
            )
        self._seen.append((file.path, file.schema))
        try:
            self.schema = common_schema(self.schema, _plain(file.schema))
        except NoCommonType as error:
            raise DataError(f"input files {first} and {file.path} do not go together: {error}") from None


def repeated(names: Sequence[str]) -> list[str]:
    """The names that are there more than once, in alphabetical order."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([(field.name, plain_layout(field.type)) for field in schema])


def make_tasks(files: Sequence[Layout], *, reads_files: bool = False, task_rows: int | None = None) -> tuple[Task, ...]:
    """Cut files into tasks, in order: every row is in exactly one of them.

    :param reads_files: rows name files that have to be read, so that a row costs more than its bytes say.
    :param task_rows: most rows of a task, where there are not too many tasks of so few rows; by default, row groups of
        up to twice as many as usual are left whole.
    """
    total_rows = sum(rows for _, row_groups in files for rows, _ in row_groups)
    total_bytes = sum(size for _, row_groups in files for _, size in row_groups)
    usual = TASK_ROWS_WITH_FILES if reads_files else TASK_ROWS
    most_rows = max(task_rows or usual, -(-total_rows // MOST_TASKS))
    most_bytes = max(TASK_BYTES, -(-total_bytes // MOST_TASKS))
    tasks: list[Task] = []
    ranges: list[RowRange] = []
    rows = size = 0

    def close() -> None:
        nonlocal ranges, rows, size
        if ranges:
            tasks.append(Task(len(tasks), tuple(ranges), rows, size))
        ranges, rows, size = [], 0, 0

    for piece, piece_bytes in _pieces(files, most_rows, most_bytes, spare=1 if task_rows else 2):
        if ranges and (rows + piece.rows > most_rows or size + piece_bytes > most_bytes):
            close()
        ranges.append(piece)
        rows += piece.rows
        size += piece_bytes
    close()
    return tuple(tasks)


def _pieces(files: Iterable[Layout], most_rows: int, most_bytes: int, spare: int) -> Iterator[tuple[RowRange, int]]:
    for path, row_groups in files:
        first_row = 0
        for number, (rows, size) in enumerate(row_groups):
            # A process that does a part of a row group also decodes the rows before it. So a row group is cut only if
            # it is well above a task's size.
            parts = max(-(-rows // (spare * most_rows)), -(-size // (4 * most_bytes)), 1) if rows else 0
            if parts > 1:
                parts = min(rows, max(-(-rows // most_rows), -(-size // most_bytes)))
            for part in range(parts):
                start, stop = rows * part // parts, rows * (part + 1) // parts
                yield RowRange(path, number, first_row + start, start, stop - start), size * (stop - start) // rows
            first_row += rows


class Fingerprint:
    """SHA-256 over texts, each with its length, so that no two lists of texts run together."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, *parts: str) -> None:
        for part in parts:
            data = part.encode()
            self._digest.update(len(data).to_bytes(8, "little"))
            self._digest.update(data)

    def text(self) -> str:
        return self._digest.hexdigest()


def fingerprint(*parts: str) -> str:
    """The fingerprint of some texts."""
    made = Fingerprint()
    made.add(*parts)
    return made.text()


def make_plan(
    root: Path,
    pattern: str,
    reads_files: Callable[[pa.Schema], bool] = lambda schema: False,
    tick: Callable[[], None] = lambda: None,
    apart_from: Path | None = None,
    task_rows: int | None = None,
) -> Plan:
    """List the input, read its footers and cut it into tasks.

    Of a file, no more than its `Layout` stays in memory.

    :param reads_files: tells by the input's schema whether rows name files that have to be read.
    :param tick: called for each file, so that a sign of life can be given meanwhile.
    :param apart_from: a place that no link in the input may lead into.
    :param task_rows: most rows of a task, see `make_tasks`.
    :raises Refused: the input does not exist, or cannot be told from what is written.
    :raises DataError: a file is unreadable, or the files do not go together.
    """
    described, schema, layouts, seen = Fingerprint(), SharedSchema(), list[Layout](), dict[str, int]()
    names, led_to, left_out = list_input(root, pattern)
    if apart_from is not None:
        check_links(led_to, apart_from, f"the input {root}")
    with contextlib.closing(read_all_footers(root, recordable(names))) as files:
        for file in files:
            described.add(file.path, str(file.size), file.footer)
            schema.add(file)
            tick()
            layouts.append((file.path, file.row_groups))
            seen[file.path] = file.seen
    with_files = schema.schema is not None and reads_files(schema.schema)
    tasks = make_tasks(layouts, reads_files=with_files, task_rows=task_rows)
    return Plan(
        tasks=tasks,
        rows=sum(task.rows for task in tasks),
        bytes=sum(task.bytes for task in tasks),
        files=len(layouts),
        schema=schema.schema,
        input_fingerprint=described.text(),
        seen=seen,
        left_out=left_out,
        task_rows=task_rows,
    )
