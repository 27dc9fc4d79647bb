"""What Parquet files say about themselves, read for very many of them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input import content
from airflow_provider_snowflake_batch.worker.input.joined_footers import Alike, RowGroups
from airflow_provider_snowflake_batch.worker.input.parquet_input import open_reader
from airflow_provider_snowflake_batch.worker.values.pandas_types import with_pandas_types

FOOTER_READ_BYTES = 64 * 1024
FOOTER_THREADS = 32
# A footer in the page cache is read and parsed in less than a tenth of this. There threads would double the time, since
# they wait for the interpreter. Where opening a file takes long, threads help.
SLOW_SECONDS = 0.001
SLOW_OPENINGS = 4
# Small footers of so many files are parsed as one, and of so many files they are in memory together.
SMALL_BYTES = 16 * 1024
JOINED_FILES = 256
FILES_AT_ONCE = 4 * JOINED_FILES
# For fewer files, to find out what they have in common is not worth it.
FEWEST_JOINED = 32
_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"

Value = TypeVar("Value")
Result = TypeVar("Result")


class SourceFile(NamedTuple):
    """One input file, as its footer describes it.

    :param path: path below the input directory, with ``/`` as separator.
    :param size: bytes.
    :param footer: SHA-256 of the footer, which holds the statistics and offsets of everything in the file.
    :param row_groups: rows and uncompressed bytes of each row group.
    :param seen: size and time of change, in a number (`content.seen`).
    """

    path: str
    size: int
    footer: str
    row_groups: RowGroups
    schema: pa.Schema
    seen: int


class _Footer(NamedTuple):
    """The end of a file, as it is stored."""

    path: str
    size: int
    seen: int
    data: bytes


class Schemas:
    """Arrow schemas of files, of which most have the same: that is found out faster than a schema is made."""

    def __init__(self) -> None:
        self._last: tuple[Any, Any, pa.Schema] | None = None
        self._alike: Alike | None = None

    def parse(self, footers: Sequence[bytes]) -> tuple[pq.ParquetReader | None, list[RowGroups | None]]:
        """As `Alike.parse`; where that fails, none is known, so that each is parsed alone."""
        try:
            if self._alike is None or not self._alike.includes(footers[0]):
                self._alike = Alike(footers[0])
            return self._alike.parse(footers)
        except (ValueError, pa.ArrowException, OSError):
            return None, [None] * len(footers)

    def of(self, reader: pq.ParquetReader) -> pa.Schema:
        metadata = reader.metadata
        last, stored, more = self._last, metadata.schema, metadata.metadata
        if last is not None and last[0].equals(stored) and last[1] == more:
            return last[2]
        schema = with_pandas_types(reader.schema_arrow.remove_metadata())
        self._last = (stored, more, schema)
        return schema


def opener(root: Path) -> Callable[[str], str]:
    """From the name of an input file to its path, for files below one directory or for the only one."""
    text = str(root)
    return (lambda name: text) if root.is_file() else (lambda name: f"{text}/{name}")


def read_footer(name: str, path: str, schemas: Schemas | None = None) -> SourceFile:
    """Read what a Parquet file says about itself, in one small read for most files.

    :raises DataError: the file is missing, or is no Parquet file.
    """
    return _parsed(_stored(name, path), schemas or Schemas())


def _stored(name: str, path: str) -> _Footer:
    """:raises DataError: as `read_footer`."""
    try:
        status, data = _footer_bytes(name, path)
    except OSError as error:
        raise DataError(f"cannot read input file {name}: {error.strerror or error}") from None
    return _Footer(name, status.st_size, content.seen(status), data)


def _parsed(footer: _Footer, schemas: Schemas) -> SourceFile:
    """:raises DataError: as `read_footer`."""
    try:
        # Not ParquetFile, which also lists all columns by name: a fifth of the time for a small footer.
        reader = open_reader(pa.BufferReader(footer.data))
        metadata = reader.metadata
        schema = schemas.of(reader)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"input file {footer.path} has an unreadable Parquet footer: {error}") from None
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    return _source(footer, tuple((group.num_rows, group.total_byte_size) for group in groups), schema)


def _source(footer: _Footer, row_groups: RowGroups, schema: pa.Schema) -> SourceFile:
    digest = hashlib.sha256(footer.data).hexdigest()
    return SourceFile(footer.path, footer.size, digest, row_groups, schema, footer.seen)


def read_footers(root: Path, names: Sequence[str], schemas: Schemas | None = None) -> list[SourceFile]:
    """Read some footers, in the order given: one after another, or many at once where opening a file takes long.

    :raises DataError: any of them cannot be read.
    """
    path_of, schemas = opener(root), schemas or Schemas()

    def one(name: str) -> SourceFile:
        return read_footer(name, path_of(name), schemas)

    def small_as_stored(name: str) -> SourceFile | _Footer:
        footer = _stored(name, path_of(name))
        return footer if len(footer.data) <= SMALL_BYTES else _parsed(footer, schemas)

    found: list[SourceFile] = []
    for first in range(0, len(names), FILES_AT_ONCE):
        some = names[first : first + FILES_AT_ONCE]
        if len(some) < FEWEST_JOINED:
            found += for_each(one, some)
            continue
        try:
            found += _joined(for_each(small_as_stored, some), schemas)
        except DataError:
            # Of several files that cannot be read, the first one is named.
            found += for_each(one, some)
    return found


def _joined(files: Sequence[SourceFile | _Footer], schemas: Schemas) -> list[SourceFile]:
    """:raises DataError: as `read_footer`."""
    known = dict[str, SourceFile]()
    small = [file for file in files if isinstance(file, _Footer)]
    for first in range(0, len(small), JOINED_FILES):
        some = small[first : first + JOINED_FILES]
        reader, found = schemas.parse([footer.data for footer in some])
        if reader is not None:
            schema = schemas.of(reader)
            pairs = zip(some, found, strict=True)
            known |= {footer.path: _source(footer, groups, schema) for footer, groups in pairs if groups is not None}
    return [file if isinstance(file, SourceFile) else known.get(file.path) or _parsed(file, schemas) for file in files]


def for_each(work: Callable[[Value], Result], values: Sequence[Value], together: int = 1) -> list[Result]:
    """Do something with each file, in the order given: one after another, or many at once where that takes long.

    :param together: how many a thread is given at a time; to wake it takes longer than to ask a disk for a size.
    """
    found: list[Result] = []
    slow = 0
    for value in values:
        begun = time.perf_counter()
        found.append(work(value))
        # Several in a row count, since a single one may only have waited for a busy processor.
        slow = slow + 1 if time.perf_counter() - begun > SLOW_SECONDS else 0
        if slow == SLOW_OPENINGS:
            break
    rest = values[len(found) :]
    if rest:
        runs = [rest[first : first + together] for first in range(0, len(rest), together)]
        with ThreadPoolExecutor(FOOTER_THREADS, thread_name_prefix="file") as pool:
            for some in pool.map(lambda run: [work(value) for value in run], runs):
                found.extend(some)
    return found


def read_whole(descriptor: int) -> bytes:
    """All bytes of an open file."""
    return read_at(descriptor, 0, os.fstat(descriptor).st_size)


def _footer_bytes(name: str, path: str) -> tuple[os.stat_result, bytes]:
    # Without Python's file objects, which cost more than the reads: there may be hundreds of thousands of files.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        size = status.st_size
        tail = read_at(descriptor, max(size - FOOTER_READ_BYTES, 0), min(size, FOOTER_READ_BYTES))
        if size >= 12 and tail[-4:] == _ENCRYPTED:
            raise DataError(f"input file {name} is encrypted, its footer too; write it without Parquet encryption")
        if size < 12 or tail[-4:] != _MAGIC:
            raise DataError(f"input file {name} is not a Parquet file ({size} bytes)")
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if length > size:
            raise DataError(f"input file {name} is cut off: its footer is longer than the file")
        if length > len(tail):
            tail = read_at(descriptor, size - length, length)
        return status, tail[-length:]
    finally:
        os.close(descriptor)


def read_at(descriptor: int, start: int, count: int) -> bytes:
    """A number of bytes of an open file, fewer only at its end."""
    data = os.pread(descriptor, count, start)
    while len(data) < count:
        more = os.pread(descriptor, count - len(data), start + len(data))
        if not more:
            break
        data += more
    return data
