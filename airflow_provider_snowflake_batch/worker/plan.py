"""Input files become tasks: always the same tasks for the same files, whatever machine plans them.

Tasks depend on the files and on constants only, never on cores or replicas, so that every replica and every later
attempt cuts the input in the same places and can tell by number what is done.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.errors import DataError, Refused

# A task is what is lost when a process dies, and what a record on the stage stands for: small enough to repeat,
# large enough that tens of thousands of records are never needed.
TASK_ROWS = 65_536
TASK_ROWS_WITH_FILES = 256
TASK_BYTES = 32 * 1024 * 1024
MOST_TASKS = 2048

FOOTER_READ_BYTES = 64 * 1024
FOOTER_THREADS = 16
MOST_FOOTERS_AT_ONCE = 256
_MAGIC = b"PAR1"


@dataclass(frozen=True)
class SourceFile:
    """One input file, as its footer describes it.

    :param path: path below the input directory, with ``/`` as separator.
    :param size: bytes.
    :param footer: SHA-256 of the footer, which holds the statistics and offsets of everything in the file.
    :param row_groups: rows and uncompressed bytes of each row group.
    """

    path: str
    size: int
    footer: str
    row_groups: tuple[tuple[int, int], ...]
    schema: pa.Schema

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.row_groups)


@dataclass(frozen=True)
class RowRange:
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
    """

    index: int
    ranges: tuple[RowRange, ...]
    rows: int
    bytes: int


@dataclass(frozen=True)
class Plan:
    """The whole batch.

    :param schema: the schema that all files share, or None if there is no file.
    :param input_fingerprint: changes when any input file changes.
    """

    tasks: tuple[Task, ...]
    rows: int
    bytes: int
    files: int
    schema: pa.Schema | None
    input_fingerprint: str


def list_files(root: Path, pattern: str) -> list[tuple[str, Path]]:
    """The input files below a directory in a fixed order, as pairs of relative path and path.

    Names that begin with ``_`` or ``.`` are no data, as everywhere around Parquet.

    :raises Refused: there is nothing at ``root``.
    """
    if root.is_file():
        return [(root.name, root)]
    if not root.is_dir():
        raise Refused(f"the input {root} does not exist")
    matches = re.compile(pattern).fullmatch
    found: list[tuple[str, Path]] = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(("_", "."))]
        base = Path(folder)
        relative = base.relative_to(root).as_posix()
        prefix = "" if relative == "." else relative + "/"
        for name in names:
            if not name.startswith(("_", ".")) and matches(prefix + name):
                found.append((prefix + name, base / name))
    found.sort()
    return found


def file_path(root: Path, name: str) -> Path:
    """Where a file of the plan is."""
    return root if root.is_file() else root / name


class Schemas:
    """Arrow schemas of files, of which most have the same: that is found out faster than a schema is made."""

    def __init__(self) -> None:
        self._last: tuple[Any, Any, pa.Schema] | None = None

    def of(self, metadata: pq.FileMetaData) -> pa.Schema:
        last, stored, more = self._last, metadata.schema, metadata.metadata
        if last is not None and last[0].equals(stored) and last[1] == more:
            return last[2]
        schema = stored.to_arrow_schema().remove_metadata()
        self._last = (stored, more, schema)
        return schema


def opener(root: Path) -> Callable[[str], Path]:
    """As `file_path`, for many files below one directory."""
    return (lambda name: root) if root.is_file() else (lambda name: root / name)


def read_footer(name: str, path: Path, schemas: Schemas | None = None) -> SourceFile:
    """Read what a Parquet file says about itself, in one small read for most files.

    :raises DataError: the file is missing, or is no Parquet file.
    """
    try:
        size, footer = _footer_bytes(name, path)
    except OSError as error:
        raise DataError(f"cannot read input file {name}: {error.strerror or error}") from None
    try:
        metadata = pq.ParquetFile(pa.BufferReader(footer)).metadata
        schema = (schemas or Schemas()).of(metadata)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"input file {name} has an unreadable Parquet footer: {error}") from None
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    return SourceFile(
        path=name,
        size=size,
        footer=hashlib.sha256(footer).hexdigest(),
        row_groups=tuple((group.num_rows, group.total_byte_size) for group in groups),
        schema=schema,
    )


def _footer_bytes(name: str, path: Path) -> tuple[int, bytes]:
    # Without Python's file objects, which cost more than the reads: there may be hundreds of thousands of files.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        tail = _read_at(descriptor, max(size - FOOTER_READ_BYTES, 0), min(size, FOOTER_READ_BYTES))
        if size < 12 or tail[-4:] != _MAGIC:
            raise DataError(f"input file {name} is not a Parquet file ({size} bytes)")
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if length > size:
            raise DataError(f"input file {name} is cut off: its footer is longer than the file")
        if length > len(tail):
            tail = _read_at(descriptor, size - length, length)
        return size, tail[-length:]
    finally:
        os.close(descriptor)


def _read_at(descriptor: int, start: int, count: int) -> bytes:
    data = os.pread(descriptor, count, start)
    while len(data) < count:
        more = os.pread(descriptor, count - len(data), start + len(data))
        if not more:
            break
        data += more
    return data


def read_footers(files: Sequence[tuple[str, Path]]) -> list[SourceFile]:
    """Read many footers at once, in the order given.

    :raises DataError: any of them cannot be read.
    """
    schemas = Schemas()
    if len(files) < 2:
        return [read_footer(name, path, schemas) for name, path in files]
    # Handing single files to threads would cost as much as reading them.
    size = max(1, min(MOST_FOOTERS_AT_ONCE, len(files) // (4 * FOOTER_THREADS)))
    shares = [files[start : start + size] for start in range(0, len(files), size)]
    with ThreadPoolExecutor(min(FOOTER_THREADS, len(shares)), thread_name_prefix="footer") as pool:
        read = pool.map(lambda share: [read_footer(name, path, schemas) for name, path in share], shares)
        return [file for share in read for file in share]


def shared_schema(files: Iterable[SourceFile]) -> pa.Schema | None:
    """The one schema that all files can be read with: the first file's columns, each in the widest type seen.

    :raises DataError: a file lacks a column or has one more, or types do not go together.
    """
    shared: pa.Schema | None = None
    names: set[str] = set()
    seen: list[tuple[str, pa.Schema]] = []
    for file in files:
        if shared is None:
            shared, names = file.schema, set(file.schema.names)
            if len(names) != len(shared.names):
                twice = sorted({name for name in shared.names if shared.names.count(name) > 1})
                raise DataError(f"input file {file.path} has columns of the same name: {', '.join(twice)}")
        if any(schema is file.schema or schema.equals(file.schema) for _, schema in seen):
            continue
        different = names.symmetric_difference(file.schema.names)
        if different:
            raise DataError(
                f"input files {seen[0][0]} and {file.path} do not have the same columns: "
                f"{', '.join(sorted(different))} only in one of them"
            )
        seen.append((file.path, file.schema))
        try:
            shared = pa.unify_schemas([shared, file.schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise DataError(f"input files {seen[0][0]} and {file.path} do not go together: {error}") from None
    return shared


def make_tasks(files: Sequence[SourceFile], *, reads_files: bool = False) -> tuple[Task, ...]:
    """Cut files into tasks, in order: every row is in exactly one of them.

    :param reads_files: rows name files that have to be read, so that a row costs more than its bytes say.
    """
    total_rows = sum(file.rows for file in files)
    total_bytes = sum(size for file in files for _, size in file.row_groups)
    most_rows = max(TASK_ROWS_WITH_FILES if reads_files else TASK_ROWS, -(-total_rows // MOST_TASKS))
    most_bytes = max(TASK_BYTES, -(-total_bytes // MOST_TASKS))
    tasks: list[Task] = []
    ranges: list[RowRange] = []
    rows = size = 0

    def close() -> None:
        nonlocal ranges, rows, size
        if ranges:
            tasks.append(Task(len(tasks), tuple(ranges), rows, size))
        ranges, rows, size = [], 0, 0

    for piece, piece_bytes in _pieces(files, most_rows, most_bytes):
        if ranges and (rows + piece.rows > most_rows or size + piece_bytes > most_bytes):
            close()
        ranges.append(piece)
        rows += piece.rows
        size += piece_bytes
    close()
    return tuple(tasks)


def _pieces(files: Iterable[SourceFile], most_rows: int, most_bytes: int) -> Iterator[tuple[RowRange, int]]:
    for file in files:
        first_row = 0
        for number, (rows, size) in enumerate(file.row_groups):
            # Row groups are decoded whole, so cutting one costs decoding the rows before the cut again: only a
            # group well above a task's size is cut.
            parts = max(-(-rows // (2 * most_rows)), -(-size // (4 * most_bytes)), 1) if rows else 0
            if parts > 1:
                parts = min(rows, max(-(-rows // most_rows), -(-size // most_bytes)))
            for part in range(parts):
                start, stop = rows * part // parts, rows * (part + 1) // parts
                yield RowRange(file.path, number, first_row + start, start, stop - start), size * (stop - start) // rows
            first_row += rows


def fingerprint(*parts: str) -> str:
    """SHA-256 over texts, each with its length, so that no two lists of texts run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def make_plan(root: Path, pattern: str, *, reads_files: bool = False) -> Plan:
    """List the input, read its footers and cut it into tasks.

    :raises Refused: the input does not exist.
    :raises DataError: a file is unreadable, or the files do not go together.
    """
    files = read_footers(list_files(root, pattern))
    tasks = make_tasks(files, reads_files=reads_files)
    described = (text for file in files for text in (file.path, str(file.size), file.footer))
    return Plan(
        tasks=tasks,
        rows=sum(task.rows for task in tasks),
        bytes=sum(task.bytes for task in tasks),
        files=len(files),
        schema=shared_schema(files),
        input_fingerprint=fingerprint(*described),
    )
