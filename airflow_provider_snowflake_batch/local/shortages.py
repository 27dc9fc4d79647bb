"""What the machine runs short of: room on the disk, file descriptors, the right to write.

None of it is the statement's fault, and all of it passes: the statement fails with words that say what to do, the
server goes on, and the same statement works once there is room again.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from pathlib import Path

import duckdb

from airflow_provider_snowflake_batch.local.errors import SnowflakeError

RESERVE_BYTES = 2 * 2**20
"""Room that statements which write leave alone, so that their bookkeeping and what makes room again still work."""

OUT_OF_RESOURCES = "53100"
"""The SQLSTATE of a shortage; class 53 of the SQL standard's is insufficient resources."""
_NO_ROOM = "there is no room left on the disk"
_NO_TEMPORARY = "there is no room left on the disk for what the statement sets aside while it runs"
_NO_MEMORY = "there is no memory left for what the statement makes"
_NO_DESCRIPTORS = "the process has no file descriptors left (ulimit -n)"
_NOT_WRITABLE = "the disk cannot be written to"
_BY_NUMBER = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EFBIG: _NO_ROOM,
    errno.EMFILE: _NO_DESCRIPTORS,
    errno.ENFILE: _NO_DESCRIPTORS,
    errno.EROFS: _NOT_WRITABLE,
}
_SYSTEM = (
    OSError,
    sqlite3.Error,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,
    duckdb.FatalException,
)
# DuckDB, SQLite and Arrow hand the system's words on, not its number.
_BY_WORDS = (
    (re.compile("failed to offload data block|max_temp_directory_size"), _NO_TEMPORARY),
    (re.compile("No space left on device|Disk quota exceeded|File too large|database or disk is full"), _NO_ROOM),
    (re.compile("Too many open files|unable to open database file"), _NO_DESCRIPTORS),
    (re.compile("Read-only file system|attempt to write a readonly database"), _NOT_WRITABLE),
    (re.compile("disk I/O error"), _NO_ROOM),
    (re.compile("Out of Memory Error"), _NO_MEMORY),
)


def shortage(error: BaseException) -> SnowflakeError | None:
    """The statement's error for an exception that a lack of room, descriptors or rights has caused, else None.

    :returns: 603 with the SQLSTATE :data:`OUT_OF_RESOURCES`.
    """
    what: str | None = _NO_MEMORY if isinstance(error, MemoryError) else None
    if isinstance(error, OSError) and error.errno is not None:
        what = _BY_NUMBER.get(error.errno)
    if what is None and isinstance(error, _SYSTEM):
        what = next((meaning for words, meaning in _BY_WORDS if words.search(str(error))), None)
    return None if what is None else _lack(what, str(error).split("\n", maxsplit=1)[0])


def check_room(folder: Path) -> None:
    """:raises SnowflakeError: when less than the reserve is left where a folder lies."""
    if free_bytes(folder) < RESERVE_BYTES:
        raise _lack(_NO_ROOM, f"less than {RESERVE_BYTES // 2**20} MiB at {folder}")


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write where a folder lies."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _lack(what: str, detail: str) -> SnowflakeError:
    return SnowflakeError(
        f"The local Snowflake could not run the statement: {what} ({detail}). Run it again once that has "
        "changed; the server need not be restarted.",
        errno=603,
        sqlstate=OUT_OF_RESOURCES,
    )
