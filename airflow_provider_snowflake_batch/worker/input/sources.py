"""What pyarrow reads the input files of a task from, opened ahead where opening takes long.

Every byte that pyarrow decodes is read here, once, and hashed on the way.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.input import content
from airflow_provider_snowflake_batch.worker.input.footers import FOOTER_READ_BYTES, read_at
from airflow_provider_snowflake_batch.worker.input.read_ahead import Admit, ReadAhead

# A file up to this size is read at once, instead of once for the footer and once for each row group.
WHOLE_FILE_BYTES = 1024 * 1024
BYTES_AHEAD = 32 * 1024 * 1024
# Bytes are hashed in such pieces, while the processor's cache still holds them.
PIECE_BYTES = 256 * 1024


class Source:
    """An input file in memory, as far as it was read: pyarrow is given bytes that were hashed, and reads none itself.

    :ivar native: what pyarrow reads from.
    :ivar whole: all of a small file; None for one that is not in memory.
    """

    def __init__(self, path: str, admit: Admit) -> None:
        # Not a file object of Python, which costs more than the reads: there may be hundreds of thousands of files.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._loaded: tuple[tuple[int, int], bytes] | None = None
        self.whole: bytes | None = None
        self._window: _Window | None = None
        try:
            status = os.fstat(self._descriptor)
            self.size, self.seen = status.st_size, content.seen(status)
            if self.size <= WHOLE_FILE_BYTES:
                admit(self.size)
                data = read_at(self._descriptor, 0, self.size)
                # The file may have been cut off since; then pyarrow raises an error.
                self.size, self.whole = len(data), data
                self.close()
            else:
                self._window = _Window(self._descriptor, self.size)
        except BaseException:
            self.close()
            raise

    @functools.cached_property
    def native(self) -> pa.NativeFile:
        return pa.BufferReader(self.whole) if self._window is None else pa.PythonFile(self._window, mode="r")

    def load(self, metadata: pq.FileMetaData, row_group: int) -> bytes:
        """Have a row group in memory, in place of the one before.

        :return: the SHA-256 of its bytes.
        :raises OSError: it cannot be read.
        """
        return self._load(content.span(metadata, row_group, self.size))

    def whole_digest(self) -> bytes:
        """The SHA-256 of a file that is in memory: that of each of its row groups, too."""
        return self._load((0, self.size))

    def _load(self, span: tuple[int, int]) -> bytes:
        # All row groups of a small file have the same span.
        if self._loaded is None or self._loaded[0] != span:
            if self.whole is not None:
                digest = hashlib.sha256(memoryview(self.whole)[span[0] : span[1]]).digest()
            else:
                assert self._window is not None
                digest = self._window.fill(*span)
            self._loaded = span, digest
        return self._loaded[1]

    def close(self) -> None:
        """Read no more. What pyarrow still refers to stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Window(io.RawIOBase):
    """A file for pyarrow, of which the end and one row group are in memory.

    The memory is that of an allocator which keeps it for the next row group: having the system clear new pages takes
    as long as hashing. pyarrow takes slices of it without a copy, which hold it for as long as they need.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__()
        self._descriptor, self._size, self._position = descriptor, size, 0
        self._first, self._last, self._bytes = 0, 0, pa.py_buffer(b"")
        self._tail_first = max(size - FOOTER_READ_BYTES, 0)
        self._tail = self._read(self._tail_first, size)

    def fill(self, first: int, last: int) -> bytes:
        """Have these bytes in memory.

        :return: their SHA-256.
        :raises OSError: they cannot be read.
        """
        # Freed before memory for the next row group is asked for.
        self._first = self._last = 0
        self._bytes = None
        digest = hashlib.sha256()
        self._bytes = self._read(first, last, digest.update)
        self._first, self._last = first, last
        return digest.digest()

    def _read(self, first: int, last: int, see: Callable[[memoryview], None] | None = None) -> pa.Buffer:
        buffer = pa.allocate_buffer(last - first, memory_pool=_row_group_memory())
        view, done = memoryview(buffer), 0
        while done < last - first:
            piece = view[done : done + PIECE_BYTES]
            count = os.preadv(self._descriptor, [piece], first + done)
            if not count:
                raise OSError(f"it ends at byte {first + done}, before a row group does")
            if see is not None:
                see(piece[:count])
            done += count
        return buffer

    def read(self, size: int = -1) -> pa.Buffer:
        first = self._position
        last = self._size if size < 0 else min(first + size, self._size)
        self._position = last
        if self._first <= first and last <= self._last:
            return self._bytes.slice(first - self._first, last - first)
        if self._tail_first <= first:
            return self._tail.slice(first - self._tail_first, last - first)
        # Neither the end of the file nor a row group: a long footer, for example.
        return self._read(first, last)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@functools.cache
def _row_group_memory() -> pa.MemoryPool:
    """jemalloc, which the worker has Arrow take, gives what is larger than 8 MiB back to the system at once."""
    if "mimalloc" in pa.supported_memory_backends():
        return pa.mimalloc_memory_pool()
    return pa.default_memory_pool()


def sources(path_of: Callable[[str], str]) -> ReadAhead[str, Source]:
    """The files of a plan, opened by name.

    :param path_of: from a file's path in the plan to its path here.
    """
    return ReadAhead(lambda name, admit: Source(path_of(name), admit), limit=BYTES_AHEAD)


def row_group_digest(path: str, row_groups: list[int]) -> tuple[list[bytes], int]:
    """The SHA-256 of some row groups of a file as it is now, without anything kept in memory, and what was seen of it.

    :raises OSError: it cannot be read. :raises pa.ArrowException: it is no Parquet file.
    """
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        metadata = pq.read_metadata(path)
        found = []
        for row_group in row_groups:
            if row_group >= metadata.num_row_groups:
                raise OSError(f"there is no row group {row_group} any more")
            first, last = content.span(metadata, row_group, status.st_size)
            digest = hashlib.sha256()
            while first < last:
                data = os.pread(file.fileno(), min(content.BLOCK_BYTES, last - first), first)
                if not data:
                    raise OSError(f"it ends at byte {first}, before a row group does")
                digest.update(data)
                first += len(data)
            found.append(digest.digest())
        return found, content.seen(status)
