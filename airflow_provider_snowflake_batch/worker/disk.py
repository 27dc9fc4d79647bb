"""Files that must still be there after the machine has lost its power.

A stage volume keeps a file once it is closed and knows nothing of flushing; a disk keeps what was flushed to it, the
file and the folder that names it. So flushing is asked for, and a file system that has no such thing is left in peace.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

# What file systems answer that cannot flush a file, or a folder.
_CANNOT = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EROFS, errno.EBADF, errno.ENOTTY}


def flush(descriptor: int) -> None:
    """Have an open file reach the disk, where there is one.

    :raises OSError: the disk failed.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


def flush_folder(path: Path) -> None:
    """Have the names in a folder reach the disk, where there is one.

    :raises OSError: the disk failed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        # Some file systems open no folder; then there is nothing to flush either.
        return
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, text: str) -> None:
    """Write a file from beginning to end under a name that nothing has yet.

    :raises FileExistsError: something has that name.
    :raises OSError: it could not be written; nothing of it is left then.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            data = memoryview(text.encode())
            while data:
                data = data[file.write(data) :]
            flush(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
