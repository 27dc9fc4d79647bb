"""What a batch read, as hashes: the bytes of row groups and of model files, not their sizes, names or times.

A task reads row groups, and hashes their bytes on the way. A later attempt reads the same bytes again, while other
tasks run; a task whose bytes have changed is done again. The hash is SHA-256, since processors have it built in: 2 GB/s
for each core, faster than any other hash of the standard library that is safe from collisions.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.input.listing import files_below, holds

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from airflow_provider_snowflake_batch.worker.input.plan import Task

BLOCK_BYTES = 1024 * 1024
# For a file up to this size, all of it is hashed for each of its row groups, which is faster than finding out where
# they lie. Digests in records depend on this number: it must not change.
WHOLE_FILE_BYTES = 1024 * 1024
MODEL_THREADS = 4
# Files that interpreters and tools write beside the code and that no code reads, and installed packages.
NOT_CODE = frozenset(
    (
        ".venv",
        "venv",
        "__pycache__",
        ".git",
        ".hg",
        ".svn",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".ipynb_checkpoints",
    )
)
# Writers before parquet-mr 1.2.9 left the header of a dictionary out of a column's size. pyarrow then reads so many
# more bytes.
_UNSTATED_HEADER_BYTES = 100
_GOLDEN = 0x9E3779B97F4A7C15
_ODD = 0xD1B54A32D192ED03


class Content(NamedTuple):
    """What a task read of the input.

    :param digest: of the bytes of its row groups.
    :param seen: of size and times of change of its files, as they were when they were read. It settles nothing by
        itself; where it is what another process saw, both have read the same.
    """

    digest: str
    seen: str


class Identity(NamedTuple):
    """What all tasks of a batch have in common, as it is now.

    :param model: hash of every file that the model can read.
    :param input: hash of the whole input, where each task is made of all of it; else None.
    """

    model: str
    input: str | None = None


def span(metadata: pq.FileMetaData, row_group: int, size: int) -> tuple[int, int]:
    """What a row group is hashed from: the first byte in its file, and the one after the last.

    :param size: of the file, in bytes.
    """
    if size <= WHOLE_FILE_BYTES:
        return 0, size
    group = metadata.row_group(row_group)
    first, last = size, 0
    for number in range(group.num_columns):
        column = group.column(number)
        offset, dictionary = column.data_page_offset, column.dictionary_page_offset
        begin = min(offset, dictionary) if dictionary else offset
        first, last = min(first, begin), max(last, begin + column.total_compressed_size)
    return min(first, size), max(min(last + _UNSTATED_HEADER_BYTES, size), min(first, size))


class TaskDigest:
    """Collects what a task reads, in the order of its ranges."""

    def __init__(self) -> None:
        self._digests: list[bytes] = []
        self._seen: list[int] = []

    def add(self, row_group_digest: bytes, seen: int) -> None:
        self._digests.append(row_group_digest)
        self._seen.append(seen)

    def content(self) -> Content:
        return Content(f"sha256:{hashlib.sha256(b''.join(self._digests)).hexdigest()}", _all_seen(self._seen))


def seen(status: os.stat_result) -> int:
    """Size of a file and when it was changed last, in a number of 64 bits: small, as there may be many files.

    Two times tell that: copying, unpacking and syncing set the one of the content to what it was elsewhere; the one of
    the file itself nobody can set.
    """
    # Multiplicative hashing puts nearby values far apart, so that changes of two numbers do not cancel each other.
    return (status.st_size * _GOLDEN + status.st_mtime_ns + status.st_ctime_ns * _ODD) % 2**64


def seen_by_plan(task: Task, files: Mapping[str, int]) -> str:
    """What `Content.seen` must be for whoever has read a task's files as they were when they were planned.

    :param files: `seen` of each input file.
    """
    return _all_seen([files[piece.path] for piece in task.ranges])


def _all_seen(numbers: Sequence[int]) -> str:
    return hashlib.sha256(struct.pack(f"<{len(numbers)}Q", *numbers)).hexdigest()[:16]


def file_digest(path: str | Path) -> bytes:
    """SHA-256 of a file.

    :raises OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        buffer = bytearray(BLOCK_BYTES)
        view = memoryview(buffer)
        while count := file.readinto(view):
            digest.update(view[:count])
    return digest.digest()


def files_digest(files: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 over names and content of files; one that cannot be read counts by its name alone."""
    digest = hashlib.sha256()

    def content(path: Path) -> bytes:
        try:
            # Bytes of a pipe or a socket can be read only once.
            return file_digest(path) if stat.S_ISREG(path.stat().st_mode) else b"\0"
        except OSError:
            return b"\1"

    names, paths = [], []
    for name, path in files:
        names.append(name)
        paths.append(path)
    with ThreadPoolExecutor(MODEL_THREADS, thread_name_prefix="model_files") as pool:
        for name, found in zip(names, pool.map(content, paths), strict=True):
            data = os.fsencode(name)
            digest.update(len(data).to_bytes(8, "little") + data + len(found).to_bytes(1, "little") + found)
    return f"sha256:{digest.hexdigest()}"


def files_seen(files: Iterable[tuple[str, Path]]) -> str:
    """A hash over names, sizes and times of change of files, to tell cheaply whether any may have changed.

    Times of an empty file do not count, since its size tells what it holds: taking a lock changes nothing.
    """
    digest = hashlib.sha256()
    for name, path in files:
        try:
            status = path.stat()
            number = seen(status) if status.st_size or not stat.S_ISREG(status.st_mode) else 1
        except OSError:
            number = 0
        digest.update(os.fsencode(name) + b"\0" + number.to_bytes(8, "little"))
    return digest.hexdigest()


def code_files(roots: Sequence[Path], apart_from: Path, others: Sequence[Path] = ()) -> list[tuple[str, Path]]:
    """Every file that code below some folders can read, with a name that tells which folder it is from.

    :param apart_from: the output, which is not looked into, and which no link among them may lead into.
    :param others: more folders that are not looked into, since what they hold is told by other means.
    :raises Refused: a link leads there, or to a folder that holds one of them.
    :raises OSError: a folder cannot be read.
    """
    found: list[tuple[str, Path]] = []
    for number, root in enumerate(roots):
        # A skipped folder may hold this folder itself, which is not to be skipped.
        skip = [folder for folder in (apart_from, *others) if not holds(folder, root)]
        names, led_to = files_below(root, lambda name: name not in NOT_CODE, lambda path: True, skip)
        for place in led_to:
            if holds(apart_from, place):
                raise Refused(f"a link in the model's files in {root} leads to {place} in the output {apart_from}")
        found.extend((f"{number}/{name}", root / name) for name in names)
    return found
