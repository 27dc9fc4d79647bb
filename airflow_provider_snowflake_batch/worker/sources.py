"""What pyarrow reads the input files of a task from, opened ahead where opening takes long."""

from __future__ import annotations

import os
from collections.abc import Callable

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.footers import read_whole
from airflow_provider_snowflake_batch.worker.read_ahead import Admit, ReadAhead

# A file up to this size is read in one go, not once for the footer and once for each column.
WHOLE_FILE_BYTES = 1024 * 1024
BYTES_AHEAD = 32 * 1024 * 1024


def sources(path_of: Callable[[str], str]) -> ReadAhead[str, pa.NativeFile]:
    """The files of a plan, opened by name.

    :param path_of: from a file's path in the plan to its path here.
    """
    return ReadAhead(lambda name, admit: open_source(path_of(name), admit), limit=BYTES_AHEAD)


def open_source(path: str, admit: Admit) -> pa.NativeFile:
    """Open a file for pyarrow; a small one is in memory then.

    :raises OSError: it cannot be opened or read.
    """
    # Without Python's file objects, which cost more than the reads: there may be hundreds of thousands of files.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        if size <= WHOLE_FILE_BYTES:
            admit(size)
            return pa.BufferReader(read_whole(descriptor))
    finally:
        os.close(descriptor)
    return pa.OSFile(path)
