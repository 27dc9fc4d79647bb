"""Files that must still be there after the machine has lost its power.

A stage volume keeps a file once it is closed, and has no flushing. A disk keeps files and folders that were flushed. So
both are flushed, and errors of file systems that cannot flush are ignored. Closing a file on a stage volume sends it
over a network, which may fail and succeed the next time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

# Errors of file systems that cannot flush a file, or a folder.
_CANNOT = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EROFS, errno.EBADF, errno.ENOTTY}
# Errors of file systems that send files over a network, except those for lack of room or of a right.
_PASSING = {
    errno.EIO,
    errno.EREMOTEIO,
    errno.ETIMEDOUT,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.ECONNREFUSED,
    errno.ENOTCONN,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.EAGAIN,
    errno.EBUSY,
    errno.ESTALE,
}
_TIMES = 3
_PAUSE_SECONDS = 0.5


def may_pass(error: OSError) -> bool:
    """Whether writing the same once more may work."""
    return error.errno in _PASSING


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
        # On a file system that cannot open folders there is nothing to flush.
        return
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, text: str) -> None:
    """Write a small file from beginning to end under a name that nothing has yet.

    :raises FileExistsError: something has that name.
    :raises OSError: it could not be written; nothing of it is left then.
    """
    try:
        persistently(lambda: _write_once(path, text))
    except OSError as error:
        # An error of closing a file lacks its path.
        raise type(error)(error.errno, error.strerror, str(path)) from None


def persistently(write: Callable[[], Result]) -> Result:
    """Write something anew, some times, where the file system fails in a way that may pass.

    :param write: leaves nothing behind when it fails.
    :raises OSError: it failed each time, or in another way.
    """
    for _ in range(_TIMES - 1):
        try:
            return write()
        except OSError as error:
            if not may_pass(error):
                raise
        time.sleep(_PAUSE_SECONDS)
    return write()


def _write_once(path: Path, text: str) -> None:
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
