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
from airflow_provider_snowflake_batch.worker.input.parquet_input import open_reader
from airflow_provider_snowflake_batch.worker.values.pandas_types import with_pandas_types

FOOTER_READ_BYTES = 64 * 1024
FOOTER_THREADS = 32
# A footer in the page cache is read and parsed in less than a tenth of this. There threads would double the time, since
# they wait for the interpreter. Where opening a file takes long, threads help.
SLOW_SECONDS = 0.001
SLOW_OPENINGS = 4
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
    row_groups: tuple[tuple[int, int], ...]
    schema: pa.Schema
    seen: int


class Schemas:
    """Arrow schemas of files, of which most have the same: that is found out faster than a schema is made."""

    def __init__(self) -> None:
        self._last: tuple[Any, Any, pa.Schema] | None = None

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
    try:
        status, footer = _footer_bytes(name, path)
    except OSError as error:
        raise DataError(f"cannot read input file {name}: {error.strerror or error}") from None
    try:
        # Not ParquetFile, which also lists all columns by name: a fifth of the time for a small footer.
        reader = open_reader(pa.BufferReader(footer))
        metadata = reader.metadata
        schema = (schemas or Schemas()).of(reader)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"input file {name} has an unreadable Parquet footer: {error}") from None
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    row_groups = tuple((group.num_rows, group.total_byte_size) for group in groups)
    digest = hashlib.sha256(footer).hexdigest()
    return SourceFile(name, status.st_size, digest, row_groups, schema, content.seen(status))


def read_footers(root: Path, names: Sequence[str], schemas: Schemas | None = None) -> list[SourceFile]:
    """Read some footers, in the order given: one after another, or many at once where opening a file takes long.

    :raises DataError: any of them cannot be read.
    """
    path_of, schemas = opener(root), schemas or Schemas()
    return for_each(lambda name: read_footer(name, path_of(name), schemas), names)


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
